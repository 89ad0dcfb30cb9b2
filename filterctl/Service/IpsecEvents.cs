using Filter.Ipsec;

namespace Filter.Ctl.Service;

/// <summary>
/// The one reader of what IPsec tells: each event, of all workers, goes to everybody who has asked for them. Whoever cannot wait for
/// the next look of another looks himself: the events then come on his thread.
/// </summary>
internal sealed class IpsecEvents
{
    /// <summary>Most events of a worker in one look, so that a flood of them holds up nobody for good.</summary>
    private const int MostAtOnce = 1024;

    private readonly Lock _turn = new();
    private readonly List<Action<IpsecEvent>> _hearers = [];

    /// <summary>Tells every event from now on, on the thread of who looks. The hearer does not wait, does not look, and does not throw.</summary>
    public void Tell(Action<IpsecEvent> hearer)
    {
        lock (_turn)
        {
            _hearers.Add(hearer);
        }
    }

    /// <summary>Tells no more; the last call has returned when this does.</summary>
    public void Forget(Action<IpsecEvent> hearer)
    {
        lock (_turn)
        {
            _hearers.Remove(hearer);
        }
    }

    /// <summary>Reads what the stage told since the last look, and tells it. For any thread.</summary>
    /// <returns>How many events there were.</returns>
    public int Look(IpsecStage? stage)
    {
        int read = 0;
        lock (_turn)
        {
            foreach (IpsecStage lane in stage?.Lanes ?? [])
            {
                for (int i = 0; i < MostAtOnce && lane.Events.TryRead(out IpsecEvent told); i++, read++)
                {
                    foreach (Action<IpsecEvent> hearer in _hearers)
                    {
                        hearer(told);
                    }
                }
            }
        }

        return read;
    }
}

namespace Filter.Engine.Flows;

/// <summary>
/// Flows that ended by their timer not long ago, by the hash of their opening's key: only for the words of a drop, so
/// what is forgotten early, or taken for another with one chance in 2^51, does no harm. One writer.
/// </summary>
internal sealed class EndedFlows
{
    private const int Entries = 8192;
    private const long Memory = 600_000_000_000;

    private readonly (ulong Hash, long Until)[] _ended = new (ulong, long)[Entries];

    /// <summary>Remembers a flow, in the place of another one.</summary>
    public void Note(ulong hash, long now) => _ended[hash & (Entries - 1)] = (hash, now + Memory);

    /// <summary>Whether it ended within the last ten minutes.</summary>
    public bool Holds(ulong hash, long now)
    {
        ref readonly (ulong Hash, long Until) entry = ref _ended[hash & (Entries - 1)];
        return entry.Hash == hash && entry.Until > now;
    }
}

namespace Filter.Engine.Path;

/// <summary>
/// What the worker has to tell, in order. One writer, the worker, who never waits: where the one reader is slow, events are lost
/// and counted.
/// </summary>
/// <typeparam name="TEvent">What is told.</typeparam>
public class Ring<TEvent>
    where TEvent : struct
{
    private readonly TEvent[] _events;
    private long _written;
    private long _read;
    private long _lost;

    /// <summary>A ring for <paramref name="size"/> events, a power of two.</summary>
    public Ring(int size) => _events = new TEvent[size];

    /// <summary>Events that found no room.</summary>
    public long Lost => Volatile.Read(ref _lost);

    /// <summary>Whether an event waits. For the reader.</summary>
    internal bool HasWaiting => _read != Volatile.Read(ref _written);

    /// <summary>Takes the oldest event; false where there is none.</summary>
    public bool TryRead(out TEvent taken)
    {
        if (_read == Volatile.Read(ref _written))
        {
            taken = default;
            return false;
        }

        taken = _events[_read & (_events.Length - 1)];
        Volatile.Write(ref _read, _read + 1);
        return true;
    }

    /// <summary>Tells an event; lost, and counted, where there is no room. For the writer.</summary>
    /// <param name="told">The event.</param>
    /// <param name="spare">Places that it leaves free, for events that are fewer and weigh more.</param>
    public bool TryWrite(in TEvent told, int spare = 0)
    {
        if (!HasRoom(spare))
        {
            return false;
        }

        Slot = told;
        Told();
        return true;
    }

    /// <summary>Whether there is room for an event; where there is none it is lost, and counted.</summary>
    internal bool HasRoom(int spare = 0)
    {
        bool room = _written - Volatile.Read(ref _read) < _events.Length - spare;
        _lost += room ? 0 : 1;
        return room;
    }

    /// <summary>Where the next event is written, once <see cref="HasRoom"/> said so; <see cref="Told"/> gives it to the reader.</summary>
    internal ref TEvent Slot => ref _events[_written & (_events.Length - 1)];

    /// <summary>What stands in <see cref="Slot"/> may be read.</summary>
    internal void Told() => Volatile.Write(ref _written, _written + 1);
}

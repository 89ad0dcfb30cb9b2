using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <summary>
/// What people want to see of the walk: each drop and each packet of a rule that logs. One writer,
/// the worker, who never waits: where the reader is slow, events are lost and counted.
/// </summary>
public sealed class EventRing
{
    private readonly PathEvent[] _events;
    private long _written;
    private long _read;
    private long _lost;

    /// <summary>A ring for <paramref name="size"/> events, a power of two.</summary>
    public EventRing(int size = 4096) => _events = new PathEvent[size];

    /// <summary>Events that found no room.</summary>
    public long Lost => Volatile.Read(ref _lost);

    /// <summary>Nobody reads: events are neither kept nor counted as lost.</summary>
    public bool Muted { get; set; }

    /// <summary>Writes an event; the packet's bytes are not kept.</summary>
    internal void Write(in Packet packet, in PacketFacts facts, IRuleset ruleset)
    {
        if (Muted)
        {
            return;
        }

        if (_written - Volatile.Read(ref _read) == _events.Length)
        {
            _lost++;
            return;
        }

        ref PathEvent slot = ref _events[_written & (_events.Length - 1)];
        slot.Facts = facts;
        slot.Packet = packet;
        slot.Packet.Slab = [];
        slot.Ruleset = ruleset;
        Volatile.Write(ref _written, _written + 1);
    }

    /// <summary>Takes the oldest event; false where there is none.</summary>
    public bool TryRead(out PathEvent taken)
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
}

/// <summary>One event: the packet as it ended, without its bytes, and the ruleset its rule number is of.</summary>
public struct PathEvent
{
    /// <summary>What parsing found and what was decided.</summary>
    public Packet Packet;

    /// <summary>What its line shows.</summary>
    public PacketFacts Facts;

    /// <summary>Names <see cref="Packet.Rule"/>.</summary>
    public IRuleset Ruleset;
}

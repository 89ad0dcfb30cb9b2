using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <summary>What people want to see of the walk: each drop and each packet of a rule that logs.</summary>
public sealed class EventRing : Ring<PathEvent>
{
    /// <summary>A ring for <paramref name="size"/> events, a power of two.</summary>
    public EventRing(int size = 4096)
        : base(size)
    {
    }

    /// <summary>Nobody reads: events are neither kept nor counted as lost.</summary>
    public bool Muted { get; set; }

    /// <summary>Writes an event; the packet's bytes are not kept.</summary>
    internal void Write(in Packet packet, in PacketFacts facts, RuleBook rules)
    {
        if (Muted || !HasRoom())
        {
            return;
        }

        ref PathEvent slot = ref Slot;
        slot.Facts = facts;
        slot.Packet = packet;
        slot.Packet.Slab = [];
        slot.Rules = rules;
        Told();
    }
}

/// <summary>One event: the packet as it ended, without its bytes, and the book its rule number is of.</summary>
public struct PathEvent
{
    /// <summary>What parsing found and what was decided.</summary>
    public Packet Packet;

    /// <summary>What its line shows.</summary>
    public PacketFacts Facts;

    /// <summary>Names <see cref="Packet.Rule"/>.</summary>
    public RuleBook Rules;
}

/// <summary>A flow that a new policy no longer allowed.</summary>
public struct FlowEnd
{
    /// <summary>Its number, which may be another's by now.</summary>
    public int Flow;

    /// <summary>What its first packet was, by which it was judged again.</summary>
    public OpeningFacts Opening;

    /// <summary>How long it had lived, in nanoseconds.</summary>
    public long Age;

    /// <summary>The rule that had let it in, under its name and place of now, or of when it was last there.</summary>
    public RuleName Was;

    /// <summary>What the new policy says of its opening: drop or reject.</summary>
    public Verdict Verdict;

    /// <summary>The rule, or default, that says so.</summary>
    public RuleName By;
}

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
    /// <param name="packet">The packet.</param>
    /// <param name="facts">What its line shows.</param>
    /// <param name="rules">Names its rule.</param>
    /// <param name="countedBy">The rule that counted it, while it is not decided yet; 0 for the end of its walk.</param>
    internal void Write(in Packet packet, in PacketFacts facts, RuleBook rules, int countedBy = 0)
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
        slot.Counted = countedBy != 0;
        slot.Packet.Rule = slot.Counted ? countedBy : packet.Rule;
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

    /// <summary>A rule counted it, which the packet names; it is not decided yet.</summary>
    public bool Counted;
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

using System.Collections.Immutable;
using Filter.Engine.Algs;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy;

/// <summary>What a rule does with what it matches.</summary>
public enum RuleAction : byte
{
    /// <summary>Ends it silently.</summary>
    Drop,

    /// <summary>Lets it through, and its answers with it.</summary>
    Allow,

    /// <summary>Ends it and tells the sender.</summary>
    Reject,

    /// <summary>Counts it; the next rule that matches decides.</summary>
    Count,
}

/// <summary>The VLANs a rule matches.</summary>
/// <param name="Identifiers">
/// As <see cref="VlanStack.Identifiers"/> has them, sorted: an outer identifier alone, whatever stands within, or a pair.
/// Empty for untagged frames only.
/// </param>
public sealed record VlanMatch(ImmutableArray<uint> Identifiers)
{
    /// <summary>Frames without a tag.</summary>
    public static VlanMatch Untagged { get; } = new([]);

    /// <summary>What both match; null for nothing.</summary>
    public VlanMatch? Intersect(VlanMatch other)
    {
        if (Identifiers.IsEmpty || other.Identifiers.IsEmpty)
        {
            return Identifiers.IsEmpty && other.Identifiers.IsEmpty ? this : null;
        }

        // A pair is within its outer identifier.
        static IEnumerable<uint> Within(VlanMatch some, VlanMatch all)
        {
            HashSet<uint> named = [.. all.Identifiers];
            return some.Identifiers.Where(id => named.Contains(id) || named.Contains((uint)VlanStack.Outer(id)));
        }

        ImmutableArray<uint> both = [.. Within(this, other).Concat(Within(other, this)).Distinct().Order()];
        return both.IsEmpty ? null : new VlanMatch(both);
    }

    /// <summary>Whether the frame's outer tag, or its pair of tags, is one of them.</summary>
    /// <param name="segment">The frame's tags, see <see cref="VlanStack"/>.</param>
    public bool Matches(uint segment)
    {
        if (Identifiers.IsEmpty || VlanStack.Depth(segment) == 0)
        {
            return Identifiers.IsEmpty && VlanStack.Depth(segment) == 0;
        }

        ReadOnlySpan<uint> named = Identifiers.AsSpan();
        return named.BinarySearch((uint)VlanStack.Outer(segment)) >= 0 || named.BinarySearch(VlanStack.Identifiers(segment)) >= 0;
    }
}

/// <summary>One rule: all of its matches must hold. What is null matches everything.</summary>
public sealed record Rule
{
    /// <summary>Every port.</summary>
    public const ushort AnyPort = ushort.MaxValue;

    /// <summary>Unique in the ruleset; counters belong to it.</summary>
    public required string Name { get; init; }

    /// <summary>Where it starts.</summary>
    public required SourceMark At { get; init; }

    /// <summary>What it does.</summary>
    public required RuleAction Action { get; init; }

    /// <summary>Ingress ports, one bit each.</summary>
    public ushort From { get; init; } = AnyPort;

    /// <summary>Egress ports, one bit each.</summary>
    public ushort To { get; init; } = AnyPort;

    /// <summary>Source addresses; null for any. Where <see cref="Conditions"/> speak of the source, all that may match.</summary>
    public AddressSet? Source { get; init; }

    /// <summary>Destination addresses; null for any. Where <see cref="Conditions"/> speak of the destination, all that may match.</summary>
    public AddressSet? Destination { get; init; }

    /// <summary>Protocols and destination ports; null for any.</summary>
    public ServiceSet? Service { get; init; }

    /// <summary>Source ports, of protocols that have them; empty for any.</summary>
    public ImmutableArray<PortRange> SourcePorts { get; init; } = [];

    /// <summary>Which families it speaks of.</summary>
    public Families Families { get; init; } = Families.Both;

    /// <summary>VLANs; null for tagged and untagged alike.</summary>
    public VlanMatch? Vlan { get; init; }

    /// <summary>What else it asks of a packet; null for nothing.</summary>
    public Conditions? Conditions { get; init; }

    /// <summary>Whether it looks at each packet of the flows that rules below it let in, not only at what opens.</summary>
    public bool EachPacket { get; init; }

    /// <summary>What keeps the pinhole of an allowed flow open.</summary>
    public PinholeKind Pinhole { get; init; }

    /// <summary>Whether a TCP connection may be picked up in its middle.</summary>
    public bool Midstream { get; init; }

    /// <summary>Who reads along in its flows.</summary>
    public HelperKind Helper { get; init; }

    /// <summary>Whether its flows may use the part of the table that is kept for such.</summary>
    public bool Management { get; init; }

    /// <summary>How much it lets in; null for no limit.</summary>
    public RuleLimit? Limit { get; init; }

    /// <summary>The times of the flows that it lets in; null for those of the ruleset.</summary>
    public FlowTimers? Timers { get; init; }

    /// <summary>Whether each match is told to the log.</summary>
    public bool Log { get; init; }
}

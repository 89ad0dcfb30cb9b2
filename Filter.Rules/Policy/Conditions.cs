using System.Collections.Immutable;
using Filter.Engine.Packets;

namespace Filter.Rules.Policy;

/// <summary>
/// What a rule asks of a packet beside ports, addresses, services and VLAN: few rules do, so it is looked at when all else
/// matches. All that is set must hold.
/// </summary>
public sealed record Conditions
{
    /// <summary>Of the source, what its runs (<see cref="Rule.Source"/>) don't say; null for nothing.</summary>
    public AddressConditions? Source { get; init; }

    /// <summary>Of the destination, what its runs (<see cref="Rule.Destination"/>) don't say; null for nothing.</summary>
    public AddressConditions? Destination { get; init; }

    /// <summary>TCP flags: of one of these at least; empty for any. Other protocols have none.</summary>
    public ImmutableArray<FlagsMatch> TcpFlags { get; init; } = [];

    /// <summary>DSCP values, one bit each; all bits for any.</summary>
    public ulong Dscp { get; init; } = ulong.MaxValue;

    /// <summary>Extension headers that must all be there.</summary>
    public ExtensionHeaders With { get; init; }

    /// <summary>Extension headers of which none may be there.</summary>
    public ExtensionHeaders Without { get; init; }

    /// <summary>Whether it came in fragments; null for either.</summary>
    public bool? Fragmented { get; init; }

    /// <summary>The shortest IP packet, in bytes.</summary>
    public ushort Shortest { get; init; }

    /// <summary>The longest.</summary>
    public ushort Longest { get; init; } = ushort.MaxValue;

    /// <summary>Link addresses of the sender, sorted; empty for any.</summary>
    public ImmutableArray<ulong> SourceMacs { get; init; } = [];

    /// <summary>Link addresses it was sent to, sorted; empty for any.</summary>
    public ImmutableArray<ulong> DestinationMacs { get; init; } = [];

    /// <summary>Numbers of the IPsec policies it may have come by, sorted, 0 for the clear; empty for any.</summary>
    public ImmutableArray<ushort> ArrivedBy { get; init; } = [];

    /// <summary>When it holds; null for always.</summary>
    public Schedule? Schedule { get; init; }

    /// <summary>Whether the packet is as it must be. Called by the worker; never allocates, blocks or throws.</summary>
    public bool Hold(in OpeningFacts facts) =>
        (TcpFlags.IsEmpty || AnyFlags(facts))
        && (Dscp >> (facts.TrafficClass >> 2) & 1) != 0
        && (facts.Extensions & With) == With
        && (facts.Extensions & Without) == ExtensionHeaders.None
        && (Fragmented is not { } fragmented || fragmented == facts.Fragmented)
        && facts.PacketLength >= Shortest && facts.PacketLength <= Longest
        && (SourceMacs.IsEmpty || SourceMacs.AsSpan().BinarySearch(facts.SourceMac) >= 0)
        && (DestinationMacs.IsEmpty || DestinationMacs.AsSpan().BinarySearch(facts.DestinationMac) >= 0)
        && (ArrivedBy.IsEmpty || ArrivedBy.AsSpan().BinarySearch(facts.ArrivedBy) >= 0)
        && (Schedule is null || Schedule.Holds)
        && (Source is null || Source.Holds(facts.Key.Source))
        && (Destination is null || Destination.Holds(facts.Key.Destination));

    private bool AnyFlags(in OpeningFacts facts)
    {
        if (facts.Key.Protocol != Engine.Wire.IpProtocol.Tcp)
        {
            return false;
        }

        foreach (FlagsMatch match in TcpFlags.AsSpan())
        {
            if ((facts.TcpFlags & match.Of) == match.Set)
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary>A match of TCP flags: of these, exactly those are set.</summary>
/// <param name="Of">The flags that are looked at.</param>
/// <param name="Set">Those of them that are set; the others are not.</param>
public readonly record struct FlagsMatch(TcpFlags Of, TcpFlags Set);

/// <summary>When a rule holds: times of day on days of the week, in the machine's time zone.</summary>
public abstract class Schedule
{
    /// <summary>What the ruleset calls it, or its times as written.</summary>
    public abstract string Name { get; }

    /// <summary>Whether it holds now, as of the last <see cref="Advance"/>.</summary>
    public bool Holds { get; protected set; }

    /// <summary>Lets it look at the time. Called by the worker; never allocates, blocks or throws.</summary>
    /// <param name="now">Nanoseconds on the path's clock.</param>
    /// <returns>Whether <see cref="Holds"/> changed.</returns>
    public abstract bool Advance(long now);
}

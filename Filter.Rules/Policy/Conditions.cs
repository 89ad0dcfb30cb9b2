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

    /// <summary>Extension headers: of one of these at least; empty for any. IPv4 has none.</summary>
    public ImmutableArray<HeadersMatch> ExtensionHeaders { get; init; } = [];

    /// <summary>Whether it came in fragments; null for either.</summary>
    public bool? Fragmented { get; init; }

    /// <summary>The shortest IP packet, in bytes.</summary>
    public ushort Shortest { get; init; }

    /// <summary>The longest.</summary>
    public ushort Longest { get; init; } = ushort.MaxValue;

    /// <summary>Link addresses of the sender, disjoint and in order; empty for any. What came out of an SA has none.</summary>
    public ImmutableArray<MacRange> SourceMacs { get; init; } = [];

    /// <summary>Link addresses it was sent to, as <see cref="SourceMacs"/>.</summary>
    public ImmutableArray<MacRange> DestinationMacs { get; init; } = [];

    /// <summary>Numbers of the IPsec policies it may have come by, sorted, 0 for the clear; empty for any.</summary>
    public ImmutableArray<ushort> ArrivedBy { get; init; } = [];

    /// <summary>When it holds; null for always.</summary>
    public Schedule? Schedule { get; init; }

    /// <summary>What must hold besides, where it can't be said in one: classes of addresses that a group asks as well.</summary>
    public Conditions? Also { get; init; }

    /// <summary>How much there is to compare.</summary>
    internal int Size => 1 + TcpFlags.Length + ExtensionHeaders.Length + SourceMacs.Length + DestinationMacs.Length + ArrivedBy.Length;

    /// <summary>Whether the packet is as it must be. Called by the worker; never allocates, blocks or throws.</summary>
    /// <param name="facts">The packet's.</param>
    /// <param name="minute">The minute of the week, see <see cref="Calendar"/>.</param>
    public bool Hold(in OpeningFacts facts, int minute) =>
        (TcpFlags.IsEmpty || AnyFlags(facts))
        && (Dscp >> (facts.TrafficClass >> 2) & 1) != 0
        && (ExtensionHeaders.IsEmpty || AnyHeaders(facts.Extensions))
        && (Fragmented is not { } fragmented || fragmented == facts.Fragmented)
        && facts.PacketLength >= Shortest && facts.PacketLength <= Longest
        && (SourceMacs.IsEmpty || MacRange.Any(SourceMacs.AsSpan(), facts.SourceMac))
        && (DestinationMacs.IsEmpty || MacRange.Any(DestinationMacs.AsSpan(), facts.DestinationMac))
        && (ArrivedBy.IsEmpty || ArrivedBy.AsSpan().BinarySearch(Math.Min(facts.ArrivedBy, IpsecPolicy.FirstBrought)) >= 0)
        && (Schedule is null || Schedule.Holds(minute))
        && (Source is null || Source.Holds(facts.Key.Source))
        && (Destination is null || Destination.Holds(facts.Key.Destination))
        && (Also is null || Also.Hold(facts, minute));

    /// <summary>What both ask.</summary>
    /// <param name="other">The other.</param>
    /// <param name="conflict">The key by which they exclude each other, quoted; null where they do not.</param>
    public Conditions And(Conditions other, out string? conflict)
    {
        ImmutableArray<FlagsMatch> flags = Pairs(TcpFlags, other.TcpFlags, static (a, b) => (a.Set & b.Of) == (b.Set & a.Of) ? new FlagsMatch(a.Of | b.Of, a.Set | b.Set) : null);
        ImmutableArray<HeadersMatch> headers = Pairs(ExtensionHeaders, other.ExtensionHeaders, static (a, b) => (a.There & b.Of) == (b.There & a.Of) ? new HeadersMatch(a.Of | b.Of, a.There | b.There) : null);
        bool chained = (Source is not null && other.Source is not null) || (Destination is not null && other.Destination is not null);
        Conditions? also = Also is null ? other.Also : other.Also is null ? Also : Also.And(other.Also, out _);
        Conditions both = this with
        {
            Source = Source ?? other.Source,
            Destination = Destination ?? other.Destination,
            TcpFlags = flags,
            Dscp = Dscp & other.Dscp,
            ExtensionHeaders = headers,
            Fragmented = Fragmented ?? other.Fragmented,
            Shortest = Math.Max(Shortest, other.Shortest),
            Longest = Math.Min(Longest, other.Longest),
            SourceMacs = MacRange.Intersect(SourceMacs, other.SourceMacs),
            DestinationMacs = MacRange.Intersect(DestinationMacs, other.DestinationMacs),
            ArrivedBy = ArrivedBy.IsEmpty ? other.ArrivedBy : other.ArrivedBy.IsEmpty ? ArrivedBy : [.. ArrivedBy.Intersect(other.ArrivedBy)],
            Schedule = Schedule is null ? other.Schedule : other.Schedule is null ? Schedule : Schedule.Intersect(other.Schedule),
            Also = chained ? new Conditions { Source = other.Source, Destination = other.Destination, Also = also } : also,
        };
        conflict = Lost(TcpFlags, other.TcpFlags, both.TcpFlags) ? "'tcp-flags'"
            : both.Dscp == 0 ? "'dscp'"
            : Lost(ExtensionHeaders, other.ExtensionHeaders, both.ExtensionHeaders) ? "'extension-headers'"
            : Fragmented is { } a && other.Fragmented is { } b && a != b ? "'fragment'"
            : both.Shortest > both.Longest ? "'size'"
            : Lost(SourceMacs, other.SourceMacs, both.SourceMacs) ? "'source-mac'"
            : Lost(DestinationMacs, other.DestinationMacs, both.DestinationMacs) ? "'destination-mac'"
            : Lost(ArrivedBy, other.ArrivedBy, both.ArrivedBy) ? "'ipsec'"
            : both.Schedule is { IsEmpty: true } ? "'when'"
            : null;
        return both;
    }

    /// <summary>These, and those that must hold besides.</summary>
    public IEnumerable<Conditions> All()
    {
        for (Conditions? one = this; one is not null; one = one.Also)
        {
            yield return one;
        }
    }

    private static bool Lost<T>(ImmutableArray<T> a, ImmutableArray<T> b, ImmutableArray<T> both) => both.IsEmpty && !a.IsEmpty && !b.IsEmpty;

    private static ImmutableArray<T> Pairs<T>(ImmutableArray<T> a, ImmutableArray<T> b, Func<T, T, T?> both)
        where T : struct =>
        a.IsEmpty ? b : b.IsEmpty ? a : [.. a.SelectMany(_ => b, both).OfType<T>().Distinct()];

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

    private bool AnyHeaders(ExtensionHeaders there)
    {
        foreach (HeadersMatch match in ExtensionHeaders.AsSpan())
        {
            if ((there & match.Of) == match.There)
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

/// <summary>A match of extension headers: of these, exactly those are there.</summary>
/// <param name="Of">The headers that are looked at.</param>
/// <param name="There">Those of them that are there; the others are not.</param>
public readonly record struct HeadersMatch(ExtensionHeaders Of, ExtensionHeaders There);

/// <summary>A run of link addresses.</summary>
/// <param name="First">The lowest.</param>
/// <param name="Last">The highest; not below <paramref name="First"/>.</param>
public readonly record struct MacRange(ulong First, ulong Last)
{
    /// <summary>The union of runs in any order: disjoint, in order, never touching each other.</summary>
    public static ImmutableArray<MacRange> Merge(IEnumerable<MacRange> runs)
    {
        List<MacRange> merged = [];
        foreach (MacRange next in runs.OrderBy(static run => run.First))
        {
            if (merged.Count > 0 && next.First <= merged[^1].Last + 1)
            {
                merged[^1] = merged[^1] with { Last = Math.Max(merged[^1].Last, next.Last) };
            }
            else
            {
                merged.Add(next);
            }
        }

        return [.. merged];
    }

    /// <summary>The addresses that are in a run of either, where empty stands for all.</summary>
    public static ImmutableArray<MacRange> Intersect(ImmutableArray<MacRange> a, ImmutableArray<MacRange> b)
    {
        if (a.IsEmpty || b.IsEmpty)
        {
            return a.IsEmpty ? b : a;
        }

        List<MacRange> both = [];
        for (int i = 0, j = 0; i < a.Length && j < b.Length;)
        {
            ulong first = Math.Max(a[i].First, b[j].First), last = Math.Min(a[i].Last, b[j].Last);
            if (first <= last)
            {
                both.Add(new(first, last));
            }

            _ = a[i].Last < b[j].Last ? i++ : j++;
        }

        return [.. both];
    }

    /// <summary>Whether one of the runs, disjoint and in order, has the address; none has that of a packet without a frame, 0.</summary>
    public static bool Any(ReadOnlySpan<MacRange> runs, ulong address)
    {
        int low = 0, high = runs.Length - 1;
        while (low <= high && address != 0)
        {
            int middle = (low + high) >> 1;
            if (address < runs[middle].First)
            {
                high = middle - 1;
            }
            else if (address > runs[middle].Last)
            {
                low = middle + 1;
            }
            else
            {
                return true;
            }
        }

        return false;
    }
}

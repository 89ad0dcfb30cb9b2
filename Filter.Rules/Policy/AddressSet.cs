using System.Collections.Immutable;
using Filter.Engine.Packets;

namespace Filter.Rules.Policy;

/// <summary>A set of addresses of both families: disjoint runs in order, never touching each other. Immutable.</summary>
public sealed class AddressSet : IEquatable<AddressSet>
{
    private readonly AddressRange[] _ranges;

    private AddressSet(AddressRange[] ranges) => _ranges = ranges;

    /// <summary>No address.</summary>
    public static AddressSet Empty { get; } = new([]);

    /// <summary>Every address of both families.</summary>
    public static AddressSet Any { get; } = new([AddressRange.Everything]);

    /// <summary>The runs, lowest first.</summary>
    public ReadOnlySpan<AddressRange> Ranges => _ranges;

    /// <summary>Whether it holds no address.</summary>
    public bool IsEmpty => _ranges.Length == 0;

    /// <summary>Which families it has addresses of.</summary>
    public Families Families
    {
        get
        {
            Families families = Families.None;
            foreach (AddressRange range in _ranges)
            {
                bool below = range.First < Address.FirstIPv4, above = range.Last > Address.LastIPv4;
                families |= below || above ? Families.IPv6 : Families.None;
                families |= range.First <= Address.LastIPv4 && range.Last >= Address.FirstIPv4 ? Families.IPv4 : Families.None;
            }

            return families;
        }
    }

    /// <summary>The union of runs in any order, overlapping or not.</summary>
    public static AddressSet Of(IEnumerable<AddressRange> ranges)
    {
        List<AddressRange> merged = [];
        foreach (AddressRange next in ranges.OrderBy(static r => r.First))
        {
            if (merged.Count > 0 && Reaches(merged[^1].Last, next.First))
            {
                if (next.Last > merged[^1].Last)
                {
                    merged[^1] = new(merged[^1].First, next.Last);
                }
            }
            else
            {
                merged.Add(next);
            }
        }

        return merged.Count == 0 ? Empty : new([.. merged]);
    }

    /// <summary>The network's own addresses: <c>::/0</c> is IPv6 only, and so is every other IPv6 network.</summary>
    public static ImmutableArray<AddressRange> RangesOf(Prefix prefix)
    {
        AddressRange range = prefix.Range;
        if (prefix.Base.IsIPv4 || range.First > Address.LastIPv4 || range.Last < Address.FirstIPv4)
        {
            return [range];
        }

        // A wide IPv6 network spans the place where IPv4 stands.
        return [new(range.First, Address.FirstIPv4.Previous()), new(Address.LastIPv4.Next(), range.Last)];
    }

    /// <summary>Whether the address is in it.</summary>
    public bool Contains(Address address) => AddressRange.Find(_ranges, address) >= 0;

    /// <summary>The addresses of the given families alone.</summary>
    public AddressSet Only(Families families)
    {
        if ((Families & ~families) == 0)
        {
            return this;
        }

        List<AddressRange> kept = [];
        foreach (AddressRange range in _ranges)
        {
            if (families.HasFlag(Families.IPv4) && range.First <= Address.LastIPv4 && range.Last >= Address.FirstIPv4)
            {
                kept.Add(new(Max(range.First, Address.FirstIPv4), Min(range.Last, Address.LastIPv4)));
            }

            if (families.HasFlag(Families.IPv6) && range.First < Address.FirstIPv4)
            {
                kept.Add(new(range.First, Min(range.Last, Address.FirstIPv4.Previous())));
            }

            if (families.HasFlag(Families.IPv6) && range.Last > Address.LastIPv4)
            {
                kept.Add(new(Max(range.First, Address.LastIPv4.Next()), range.Last));
            }
        }

        return Of(kept);
    }

    /// <summary>The addresses of this set that are not in the other.</summary>
    public AddressSet Except(AddressSet other)
    {
        List<AddressRange> kept = [];
        int next = 0;
        foreach (AddressRange range in _ranges)
        {
            Address first = range.First;
            bool rest = true;
            while (next < other._ranges.Length && other._ranges[next].Last < first)
            {
                next++;
            }

            for (int i = next; rest && i < other._ranges.Length && other._ranges[i].First <= range.Last; i++)
            {
                AddressRange hole = other._ranges[i];
                if (hole.First > first)
                {
                    kept.Add(new(first, hole.First.Previous()));
                }

                rest = hole.Last < range.Last;
                first = rest ? hole.Last.Next() : first;
            }

            if (rest)
            {
                kept.Add(new(first, range.Last));
            }
        }

        return kept.Count == 0 ? Empty : new([.. kept]);
    }

    /// <summary>The addresses that are in both sets.</summary>
    public AddressSet Intersect(AddressSet other)
    {
        // The smaller set's runs are looked up in the larger one's: what is common may be little.
        (AddressRange[] few, AddressRange[] many) = _ranges.Length <= other._ranges.Length ? (_ranges, other._ranges) : (other._ranges, _ranges);
        List<AddressRange> both = [];
        foreach (AddressRange range in few)
        {
            for (int i = FirstReaching(many, range.First); i < many.Length && many[i].First <= range.Last; i++)
            {
                both.Add(new(Max(range.First, many[i].First), Min(range.Last, many[i].Last)));
            }
        }

        return both.Count == 0 ? Empty : new([.. both]);
    }

    /// <summary>The same addresses.</summary>
    public bool Equals(AddressSet? other) => other is not null && _ranges.AsSpan().SequenceEqual(other._ranges);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as AddressSet);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        HashCode hash = default;
        foreach (AddressRange range in _ranges)
        {
            hash.Add(range);
        }

        return hash.ToHashCode();
    }

    /// <summary>The runs, as a ruleset would write them.</summary>
    public override string ToString() =>
        Equals(Any) ? "any" : string.Join(", ", _ranges.Select(static r => r.First == r.Last ? r.First.ToString() : $"{r.First}-{r.Last}"));

    /// <summary>The first run that does not end before the address.</summary>
    private static int FirstReaching(AddressRange[] ranges, Address first)
    {
        int low = 0, high = ranges.Length;
        while (low < high)
        {
            int middle = (low + high) >> 1;
            (low, high) = ranges[middle].Last < first ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private static bool Reaches(Address last, Address first) =>
        first <= last || (last != AddressRange.Everything.Last && last.Next() == first);

    private static Address Min(Address a, Address b) => a < b ? a : b;

    private static Address Max(Address a, Address b) => a > b ? a : b;
}

using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Rules.Compile.Classification;

/// <summary>From an address to its run of addresses that meet the same rules. One for each family and each end of a packet.</summary>
internal abstract class AddressIndex
{
    /// <summary>Bytes it takes.</summary>
    public abstract long Size { get; }

    /// <summary>The sets' numbers as values of the family: one that has none of its addresses is nothing to it, one that has all is any.</summary>
    protected static int[] Values(int[] setOf, int[] valueOfSet)
    {
        int[] values = new int[setOf.Length];
        for (int rule = 0; rule < values.Length; rule++)
        {
            values[rule] = setOf[rule] == Field.Any ? Field.Any : valueOfSet[setOf[rule]];
        }

        return values;
    }
}

/// <summary>What building needs of one end of the rules; of it, lookups keep the index.</summary>
/// <param name="Index">From an address to its run.</param>
/// <param name="Field">The classes, and the rules' values.</param>
/// <param name="ClassOf">The class of each run.</param>
internal readonly record struct AddressLine<TIndex>(TIndex Index, Field Field, int[] ClassOf)
    where TIndex : AddressIndex;

/// <summary>IPv4: 32 bits an address, sixteen to a node.</summary>
internal sealed class IPv4Index : AddressIndex
{
    private readonly SearchTree<int> _ends;

    private IPv4Index(uint[] starts)
    {
        int[] ends = new int[starts.Length];
        for (int i = 0; i < ends.Length; i++)
        {
            ends[i] = Signed(starts[i] - 1);
        }

        _ends = new SearchTree<int>(ends);
    }

    /// <inheritdoc/>
    public override long Size => _ends.Size;

    /// <summary>Makes the index of one end of the rules.</summary>
    /// <param name="sets">The distinct sets.</param>
    /// <param name="setOf">Of each rule the set's number, or <see cref="Field.Any"/>.</param>
    public static AddressLine<IPv4Index> Of(IReadOnlyList<AddressSet> sets, int[] setOf)
    {
        Sweep<uint> sweep = new(sets.Count);
        int[] valueOfSet = new int[sets.Count];
        foreach (int set in setOf.Where(static set => set != Field.Any).Distinct())
        {
            valueOfSet[set] = Field.Nothing;
            foreach (AddressRange range in sets[set].Ranges)
            {
                if (range.Last < Address.FirstIPv4 || range.First > Address.LastIPv4)
                {
                    continue;
                }

                uint first = range.First < Address.FirstIPv4 ? 0 : range.First.IPv4;
                uint last = range.Last > Address.LastIPv4 ? uint.MaxValue : range.Last.IPv4;
                valueOfSet[set] = first == 0 && last == uint.MaxValue ? Field.Any : set;
                if (valueOfSet[set] == set)
                {
                    sweep.Add(set, first, last);
                }
            }
        }

        Line<uint> line = sweep.Walk(Values(setOf, valueOfSet));
        return new(new IPv4Index(line.Starts), line.Field, line.ClassOf);
    }

    /// <summary>The address's run.</summary>
    public int Find<TLanes>(Address address)
        where TLanes : struct, ILanes => _ends.CountBelow<TLanes>(Signed(address.IPv4));

    private static int Signed(uint address) => (int)(address ^ 0x8000_0000);
}

/// <summary>
/// IPv6: the upper halves of the runs' ends in a tree; where an address has the upper half of one or more, their lower
/// halves decide, in a list where there are few and in a tree of their own where there are many.
/// </summary>
internal sealed class IPv6Index : AddressIndex
{
    private const int Few = 8;

    private readonly SearchTree<long> _highs;
    private readonly int[] _runs;           // for each upper half its first run, or ~ that if lower halves matter
    private readonly ulong[] _lows;
    private readonly SearchTree<long>?[] _trees;

    private IPv6Index(UInt128[] starts)
    {
        List<long> highs = [];
        List<int> runs = [];
        _lows = new ulong[starts.Length];
        for (int i = 0; i < starts.Length; i++)
        {
            UInt128 end = starts[i] - 1;
            long high = Signed((ulong)(end >> 64));
            _lows[i] = (ulong)end;
            if (highs.Count == 0 || highs[^1] != high)
            {
                highs.Add(high);
                runs.Add(i);
            }
        }

        runs.Add(starts.Length);
        _highs = new SearchTree<long>([.. highs]);
        _trees = new SearchTree<long>?[highs.Count];
        for (int i = 0; i < _trees.Length; i++)
        {
            ReadOnlySpan<ulong> lows = _lows.AsSpan(runs[i]..runs[i + 1]);
            if (lows.Length > Few)
            {
                long[] keys = new long[lows.Length];
                for (int k = 0; k < keys.Length; k++)
                {
                    keys[k] = Signed(lows[k]);
                }

                _trees[i] = new SearchTree<long>(keys);
            }
        }

        // A single end with all bits set below, as networks up to /64 have it, is passed by no address of its upper half.
        _runs = [.. runs.Select((run, i) => i == _trees.Length || (runs[i + 1] == run + 1 && _lows[run] == ulong.MaxValue) ? run : ~run)];
        Size = _highs.Size + 4L * _runs.Length + 8L * (_lows.Length + _trees.Length) + _trees.Sum(static tree => tree?.Size ?? 0);
    }

    /// <inheritdoc/>
    public override long Size { get; }

    /// <inheritdoc cref="IPv4Index.Of"/>
    public static AddressLine<IPv6Index> Of(IReadOnlyList<AddressSet> sets, int[] setOf)
    {
        Sweep<UInt128> sweep = new(sets.Count);
        int[] valueOfSet = new int[sets.Count];
        foreach (int set in setOf.Where(static set => set != Field.Any).Distinct())
        {
            List<AddressRange> runs = RunsOf(sets[set]);
            valueOfSet[set] = runs.Count == 0 ? Field.Nothing : runs is [var only] && only == AddressRange.Everything ? Field.Any : set;
            if (valueOfSet[set] == set)
            {
                foreach (AddressRange run in runs)
                {
                    sweep.Add(set, Number(run.First), Number(run.Last));
                }
            }
        }

        Line<UInt128> line = sweep.Walk(Values(setOf, valueOfSet));
        return new(new IPv6Index(line.Starts), line.Field, line.ClassOf);
    }

    /// <inheritdoc cref="IPv4Index.Find"/>
    public int Find<TLanes>(Address address)
        where TLanes : struct, ILanes
    {
        long high = Signed(address.High);
        int place = _highs.CountBelow<TLanes>(high), run = _runs[place];
        return run >= 0 ? run : _highs[place] == high ? ~run + CountBelow<TLanes>(place, address.Low) : ~run;
    }

    /// <summary>How many ends with an upper half are below an address that has it.</summary>
    private int CountBelow<TLanes>(int place, ulong low)
        where TLanes : struct, ILanes
    {
        if (_trees[place] is { } tree)
        {
            return tree.CountBelow<TLanes>(Signed(low));
        }

        int first = ~_runs[place], behind = _runs[place + 1], below = 0;
        foreach (ulong end in _lows.AsSpan(first..(behind < 0 ? ~behind : behind)))
        {
            below += end < low ? 1 : 0;
        }

        return below;
    }

    /// <summary>The set's runs. No IPv6 address lies where IPv4 stands: what ends there may as well go through.</summary>
    private static List<AddressRange> RunsOf(AddressSet set)
    {
        Address before = Address.FirstIPv4.Previous(), behind = Address.LastIPv4.Next();
        List<AddressRange> runs = [];
        foreach (AddressRange range in set.Ranges)
        {
            Address first = range.First >= Address.FirstIPv4 && range.First < behind ? behind : range.First;
            Address last = range.Last >= before && range.Last < behind ? Address.LastIPv4 : range.Last;
            if (runs.Count > 0 && first == behind && runs[^1].Last == Address.LastIPv4)
            {
                runs[^1] = new(runs[^1].First, last);
            }
            else if (first <= last)
            {
                runs.Add(new(first, last));
            }
        }

        return runs;
    }

    private static UInt128 Number(Address address) => new(address.High, address.Low);

    private static long Signed(ulong half) => (long)(half ^ 0x8000_0000_0000_0000);
}

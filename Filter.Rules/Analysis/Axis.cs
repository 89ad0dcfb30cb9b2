namespace Filter.Rules.Analysis;

/// <summary>A run of values on an axis.</summary>
/// <param name="First">The lowest.</param>
/// <param name="Last">The highest; not below <paramref name="First"/>.</param>
internal readonly record struct ValueRange(UInt128 First, UInt128 Last);

/// <summary>
/// One thing that rules look at. Its values are cut wherever a rule, or the kinds of packets, begin or end: between two cuts no
/// rule tells one value from another, so they share a rank.
/// </summary>
internal sealed class Axis
{
    private readonly UInt128[] _starts;
    private readonly UInt128 _last;

    private Axis(UInt128[] starts, UInt128 last)
    {
        _starts = starts;
        _last = last;
    }

    /// <summary>How many ranks.</summary>
    public int Ranks => _starts.Length;

    /// <summary>The axis of values from 0 to <paramref name="last"/>, cut at the runs' ends.</summary>
    public static Axis Of(UInt128 last, IEnumerable<ValueRange> runs)
    {
        HashSet<UInt128> starts = [UInt128.Zero];
        foreach (ValueRange run in runs)
        {
            starts.Add(run.First);
            if (run.Last < last)
            {
                starts.Add(run.Last + 1);
            }
        }

        UInt128[] sorted = [.. starts];
        Array.Sort(sorted);
        return new Axis(sorted, last);
    }

    /// <summary>The ranks of runs that were among those the axis was made of.</summary>
    public RankSet RanksOf(IReadOnlyList<ValueRange> runs)
    {
        List<(int, int)> ranks = new(runs.Count);
        foreach (ValueRange run in runs)
        {
            ranks.Add((RankOf(run.First), RankOf(run.Last)));
        }

        return ranks.Count == 0 ? RankSet.Empty : RankSet.Of(ranks);
    }

    /// <summary>The rank of a value.</summary>
    public int RankOf(UInt128 value)
    {
        int at = Array.BinarySearch(_starts, value);
        return at >= 0 ? at : ~at - 1;
    }

    /// <summary>The values of a rank.</summary>
    public ValueRange ValuesOf(int rank) => new(_starts[rank], rank + 1 < _starts.Length ? _starts[rank + 1] - 1 : _last);

    /// <summary>The values of ranks.</summary>
    public IEnumerable<ValueRange> ValuesOf(RankSet ranks)
    {
        for (int i = 0; i < ranks.Runs; i++)
        {
            (int first, int last) = ranks.Run(i);
            yield return new ValueRange(ValuesOf(first).First, ValuesOf(last).Last);
        }
    }
}

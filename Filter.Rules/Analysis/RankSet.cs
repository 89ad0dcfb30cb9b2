namespace Filter.Rules.Analysis;

/// <summary>Ranks on an axis: disjoint runs in order, never touching each other. Immutable.</summary>
internal sealed class RankSet
{
    private readonly int[] _bounds;

    private RankSet(int[] bounds)
    {
        _bounds = bounds;
        for (int i = 0; i < bounds.Length; i += 2)
        {
            Count += bounds[i + 1] - bounds[i] + 1;
        }
    }

    /// <summary>No rank.</summary>
    public static RankSet Empty { get; } = new([]);

    /// <summary>Whether there is none.</summary>
    public bool IsEmpty => _bounds.Length == 0;

    /// <summary>How many runs.</summary>
    public int Runs => _bounds.Length / 2;

    /// <summary>The lowest rank; of a set that is not empty.</summary>
    public int First => _bounds[0];

    /// <summary>The highest rank; of a set that is not empty.</summary>
    public int Last => _bounds[^1];

    /// <summary>How many ranks.</summary>
    public int Count { get; }

    /// <summary>One run.</summary>
    public static RankSet Of(int first, int last) => new([first, last]);

    /// <summary>The union of runs in any order.</summary>
    public static RankSet Of(List<(int First, int Last)> runs)
    {
        if (runs.Count == 1)
        {
            return Of(runs[0].First, runs[0].Last);
        }

        runs.Sort();
        List<int> bounds = [];
        foreach ((int first, int last) in runs)
        {
            if (bounds.Count > 0 && first <= bounds[^1] + 1)
            {
                bounds[^1] = Math.Max(bounds[^1], last);
            }
            else
            {
                bounds.Add(first);
                bounds.Add(last);
            }
        }

        return new([.. bounds]);
    }

    /// <summary>The first and the last rank of a run.</summary>
    public (int First, int Last) Run(int index) => (_bounds[2 * index], _bounds[(2 * index) + 1]);

    /// <summary>Whether the rank is in it.</summary>
    public bool Contains(int rank)
    {
        int i = RunFrom(rank);
        return i < _bounds.Length && _bounds[i] <= rank;
    }

    /// <summary>Whether every rank of the other is in it.</summary>
    public bool Contains(RankSet other)
    {
        if (ReferenceEquals(this, other))
        {
            return true;
        }

        int mine = 0;
        for (int i = 0; i < other._bounds.Length; i += 2)
        {
            while (mine < _bounds.Length && _bounds[mine + 1] < other._bounds[i])
            {
                mine += 2;
            }

            if (mine >= _bounds.Length || _bounds[mine] > other._bounds[i] || _bounds[mine + 1] < other._bounds[i + 1])
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>How many ranks they share.</summary>
    public int Common(RankSet other)
    {
        if (ReferenceEquals(this, other))
        {
            return Count;
        }

        int common = 0, a = 0, b = 0;
        while (a < _bounds.Length && b < other._bounds.Length)
        {
            int first = Math.Max(_bounds[a], other._bounds[b]), last = Math.Min(_bounds[a + 1], other._bounds[b + 1]);
            common += Math.Max(0, last - first + 1);
            if (_bounds[a + 1] < other._bounds[b + 1])
            {
                a += 2;
            }
            else
            {
                b += 2;
            }
        }

        return common;
    }

    /// <summary>Whether they share a rank.</summary>
    public bool Overlaps(RankSet other)
    {
        int a = 0, b = 0;
        while (a < _bounds.Length && b < other._bounds.Length)
        {
            if (_bounds[a + 1] < other._bounds[b])
            {
                a += 2;
            }
            else if (other._bounds[b + 1] < _bounds[a])
            {
                b += 2;
            }
            else
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The ranks of both.</summary>
    public RankSet Intersect(RankSet other)
    {
        if (other.Contains(this))
        {
            return this;
        }

        if (Contains(other))
        {
            return other;
        }

        List<int> bounds = [];
        int a = 0, b = 0;
        while (a < _bounds.Length && b < other._bounds.Length)
        {
            int first = Math.Max(_bounds[a], other._bounds[b]), last = Math.Min(_bounds[a + 1], other._bounds[b + 1]);
            if (first <= last)
            {
                bounds.Add(first);
                bounds.Add(last);
            }

            if (_bounds[a + 1] < other._bounds[b + 1])
            {
                a += 2;
            }
            else
            {
                b += 2;
            }
        }

        return bounds.Count == 0 ? Empty : new([.. bounds]);
    }

    /// <summary>The ranks of this one that are not in the other.</summary>
    public RankSet Except(RankSet other)
    {
        List<int> bounds = [];
        int b = 0;
        for (int a = 0; a < _bounds.Length; a += 2)
        {
            int first = _bounds[a], last = _bounds[a + 1];
            while (b < other._bounds.Length && other._bounds[b + 1] < first)
            {
                b += 2;
            }

            for (int i = b; i < other._bounds.Length && other._bounds[i] <= last && first <= last; i += 2)
            {
                if (other._bounds[i] > first)
                {
                    bounds.Add(first);
                    bounds.Add(other._bounds[i] - 1);
                }

                first = other._bounds[i + 1] + 1;
            }

            if (first <= last)
            {
                bounds.Add(first);
                bounds.Add(last);
            }
        }

        return bounds.Count == 0 ? Empty : new([.. bounds]);
    }

    /// <summary>Where the first run stands that ends at the rank or behind it.</summary>
    private int RunFrom(int rank)
    {
        int low = 0, high = (_bounds.Length / 2) - 1;
        while (low <= high)
        {
            int middle = (low + high) >> 1;
            if (_bounds[(2 * middle) + 1] < rank)
            {
                low = middle + 1;
            }
            else
            {
                high = middle - 1;
            }
        }

        return 2 * low;
    }
}

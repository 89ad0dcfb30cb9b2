using System.Numerics;

namespace Filter.Rules.Analysis;

/// <summary>
/// The boxes of one ruleset's rules in one kind of packet, in their order; last the defaults, which leave nothing over. Each side of
/// a box lies in an array of its own, so that many boxes are looked at in one step; axes on which no box says anything are not looked at.
/// </summary>
internal sealed class Layer
{
    private readonly RankSet[][] _boxes;
    private readonly int[][] _firsts;
    private readonly int[][] _lasts;
    private readonly bool[] _ragged;

    /// <summary>A layer of boxes.</summary>
    /// <param name="boxes">In the order in which rules are asked.</param>
    /// <param name="owners">The rule of each box; a rule's boxes stand together.</param>
    /// <param name="treatments">What each box's rule does; equal numbers mean the same.</param>
    /// <param name="whole">The box that they all are in.</param>
    public Layer(RankSet[][] boxes, int[] owners, int[] treatments, RankSet[] whole)
    {
        _boxes = boxes;
        Owners = owners;
        Treatments = treatments;
        Axes = [.. Enumerable.Range(0, whole.Length).Where(axis => boxes.Any(box => !box[axis].Contains(whole[axis])))];
        int room = (boxes.Length + Vector<int>.Count - 1) / Vector<int>.Count * Vector<int>.Count;
        _firsts = new int[Axes.Length][];
        _lasts = new int[Axes.Length][];
        _ragged = new bool[boxes.Length];
        for (int at = 0; at < Axes.Length; at++)
        {
            // Behind the last box stand some that have nothing.
            int[] firsts = _firsts[at] = new int[room], lasts = _lasts[at] = new int[room];
            Array.Fill(firsts, int.MaxValue);
            Array.Fill(lasts, int.MinValue);
            for (int i = 0; i < boxes.Length; i++)
            {
                RankSet ranks = boxes[i][Axes[at]];
                firsts[i] = ranks.First;
                lasts[i] = ranks.Last;
                _ragged[i] |= ranks.Runs > 1;
            }
        }
    }

    /// <summary>The axes on which a box has less than all.</summary>
    public int[] Axes { get; }

    /// <summary>The rule of each box.</summary>
    public int[] Owners { get; }

    /// <summary>What each box's rule does.</summary>
    public int[] Treatments { get; }

    /// <summary>How many boxes.</summary>
    public int Count => _boxes.Length;

    /// <summary>A box.</summary>
    public RankSet[] this[int box] => _boxes[box];

    /// <summary>A rule's boxes; they stand together.</summary>
    public IEnumerable<int> BoxesOf(int rule)
    {
        int at = Array.BinarySearch(Owners, rule);
        if (at < 0)
        {
            yield break;
        }

        while (at > 0 && Owners[at - 1] == rule)
        {
            at--;
        }

        for (; at < Count && Owners[at] == rule; at++)
        {
            yield return at;
        }
    }

    /// <summary>The first box that has the point.</summary>
    public int FirstAt(ReadOnlySpan<int> point)
    {
        for (int box = 0; box < _boxes.Length; box++)
        {
            if (Has(box, point))
            {
                return box;
            }
        }

        return -1;
    }

    /// <summary>The boxes that share a point with this one, in order.</summary>
    public void Overlapping(RankSet[] with, List<int> into)
    {
        bool ragged = false;
        foreach (int axis in Axes)
        {
            ragged |= with[axis].Runs > 1;
        }

        for (int block = 0; block < _boxes.Length; block += Vector<int>.Count)
        {
            Vector<int> meets = Vector<int>.AllBitsSet;
            for (int at = 0; at < Axes.Length && meets != Vector<int>.Zero; at++)
            {
                RankSet side = with[Axes[at]];
                meets &= Vector.LessThanOrEqual(new Vector<int>(_firsts[at], block), new Vector<int>(side.Last))
                    & Vector.GreaterThanOrEqual(new Vector<int>(_lasts[at], block), new Vector<int>(side.First));
            }

            if (meets == Vector<int>.Zero)
            {
                continue;
            }

            // Behind the last box there is padding, which meets everything where no axis asks anything.
            int boxes = Math.Min(Vector<int>.Count, _boxes.Length - block);
            for (int i = 0; i < boxes; i++)
            {
                int box = block + i;
                if (meets[i] != 0 && ((!ragged && !_ragged[box]) || Boxes.Overlap(_boxes[box], with)))
                {
                    into.Add(box);
                }
            }
        }
    }

    /// <summary>Whether the box has the point.</summary>
    public bool Has(int box, ReadOnlySpan<int> point)
    {
        for (int at = 0; at < Axes.Length; at++)
        {
            int rank = point[Axes[at]];
            if (rank < _firsts[at][box] || rank > _lasts[at][box])
            {
                return false;
            }
        }

        if (_ragged[box])
        {
            foreach (int axis in Axes)
            {
                if (!_boxes[box][axis].Contains(point[axis]))
                {
                    return false;
                }
            }
        }

        return true;
    }
}

/// <summary>Boxes: a set of ranks on each axis.</summary>
internal static class Boxes
{
    /// <summary>Whether they share a point.</summary>
    public static bool Overlap(RankSet[] a, RankSet[] b)
    {
        for (int axis = 0; axis < a.Length; axis++)
        {
            if (!a[axis].Overlaps(b[axis]))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Whether every point of the inner one is in the outer one.</summary>
    public static bool Contains(RankSet[] outer, RankSet[] inner)
    {
        for (int axis = 0; axis < inner.Length; axis++)
        {
            if (!outer[axis].Contains(inner[axis]))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The points of both; null for none.</summary>
    public static RankSet[]? Intersect(RankSet[] a, RankSet[] b)
    {
        RankSet[] both = new RankSet[a.Length];
        for (int axis = 0; axis < a.Length; axis++)
        {
            both[axis] = a[axis].Intersect(b[axis]);
            if (both[axis].IsEmpty)
            {
                return null;
            }
        }

        return both;
    }

    /// <summary>The lowest corner.</summary>
    public static int[] Corner(RankSet[] box) => [.. box.Select(static ranks => ranks.First)];
}

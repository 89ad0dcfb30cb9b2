using System.Numerics;
using System.Runtime.InteropServices;

namespace Filter.Rules.Analysis;

/// <summary>
/// The boxes of one ruleset's rules in one kind of packet, in their order; last the defaults, which leave nothing over. Each side of
/// a box lies in an array of its own, so that many boxes are looked at in one step.
/// </summary>
internal sealed class Layer
{
    private readonly RankSet[][] _boxes;
    private readonly int[][] _firsts;
    private readonly int[][] _lasts;
    private readonly bool[] _ragged;

    /// <summary>A layer of boxes, each of as many axes.</summary>
    /// <param name="boxes">In the order in which rules are asked.</param>
    /// <param name="owners">The rule of each box; a rule's boxes stand together.</param>
    /// <param name="treatments">What each box's rule does; equal numbers mean the same.</param>
    /// <param name="axes">How many axes.</param>
    public Layer(RankSet[][] boxes, int[] owners, int[] treatments, int axes)
    {
        _boxes = boxes;
        Owners = owners;
        Treatments = treatments;
        int room = (boxes.Length + Vector<int>.Count - 1) / Vector<int>.Count * Vector<int>.Count;
        _firsts = new int[axes][];
        _lasts = new int[axes][];
        _ragged = new bool[boxes.Length];
        for (int axis = 0; axis < axes; axis++)
        {
            // Behind the last box stand some that have nothing.
            _firsts[axis] = new int[room];
            _lasts[axis] = new int[room];
            Array.Fill(_firsts[axis], int.MaxValue);
            Array.Fill(_lasts[axis], int.MinValue);
            for (int i = 0; i < boxes.Length; i++)
            {
                _firsts[axis][i] = boxes[i][axis].First;
                _lasts[axis][i] = boxes[i][axis].Last;
                _ragged[i] |= boxes[i][axis].Runs > 1;
            }
        }
    }

    /// <summary>The rule of each box.</summary>
    public int[] Owners { get; }

    /// <summary>What each box's rule does.</summary>
    public int[] Treatments { get; }

    /// <summary>How many boxes.</summary>
    public int Count => _boxes.Length;

    /// <summary>A box.</summary>
    public RankSet[] this[int box] => _boxes[box];

    /// <summary>The first box from <paramref name="from"/> on that has the point and is not of this rule; -1 for none.</summary>
    public int FirstAt(ReadOnlySpan<int> point, int from = 0, int without = -1)
    {
        for (int block = from / Vector<int>.Count * Vector<int>.Count; block < _boxes.Length; block += Vector<int>.Count)
        {
            Vector<int> has = Vector<int>.AllBitsSet;
            for (int axis = 0; axis < point.Length && has != Vector<int>.Zero; axis++)
            {
                Vector<int> rank = new(point[axis]);
                has &= Vector.LessThanOrEqual(new Vector<int>(_firsts[axis], block), rank)
                    & Vector.GreaterThanOrEqual(new Vector<int>(_lasts[axis], block), rank);
            }

            if (has == Vector<int>.Zero)
            {
                continue;
            }

            for (int i = 0; i < Vector<int>.Count; i++)
            {
                int box = block + i;
                if (has[i] != 0 && box >= from && Owners[box] != without && (!_ragged[box] || Has(box, point)))
                {
                    return box;
                }
            }
        }

        return -1;
    }

    /// <summary>The boxes that share a point with this one, in order.</summary>
    public void Overlapping(RankSet[] with, List<int> into)
    {
        for (int block = 0; block < _boxes.Length; block += Vector<int>.Count)
        {
            Vector<int> meets = Vector<int>.AllBitsSet;
            for (int axis = 0; axis < with.Length && meets != Vector<int>.Zero; axis++)
            {
                meets &= Vector.LessThanOrEqual(new Vector<int>(_firsts[axis], block), new Vector<int>(with[axis].Last))
                    & Vector.GreaterThanOrEqual(new Vector<int>(_lasts[axis], block), new Vector<int>(with[axis].First));
            }

            if (meets == Vector<int>.Zero)
            {
                continue;
            }

            for (int i = 0; i < Vector<int>.Count; i++)
            {
                if (meets[i] != 0 && Boxes.Overlap(_boxes[block + i], with))
                {
                    into.Add(block + i);
                }
            }
        }
    }

    private bool Has(int box, ReadOnlySpan<int> point)
    {
        for (int axis = 0; axis < point.Length; axis++)
        {
            if (!_boxes[box][axis].Contains(point[axis]))
            {
                return false;
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

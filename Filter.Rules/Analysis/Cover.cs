namespace Filter.Rules.Analysis;

/// <summary>An answer of the analysis.</summary>
internal enum Answer
{
    /// <summary>It is not so.</summary>
    No,

    /// <summary>It is so, and a point shows it.</summary>
    Yes,

    /// <summary>It would take too long to say.</summary>
    Undecided,
}

/// <summary>
/// The one question of the analysis: is there a point in a box that none of some others has? A box is split along the one of them that takes most
/// of it, and the pieces are asked in turn; the first piece that nobody else touches has the answer. Steps are counted, since there
/// are rulesets for which this takes forever.
/// </summary>
/// <param name="steps">Most looks at a box that a question may take.</param>
internal sealed class Cover(int steps)
{
    /// <summary>Steps that no ruleset written by people has been seen to need.</summary>
    public const int ManySteps = 2_000_000;

    private readonly List<int[]> _rooms = [];
    private int[] _axes = [];
    private int _left;

    /// <summary>The boxes that the last answer of "no" rests on, among perhaps more than are needed.</summary>
    public HashSet<int> Used { get; } = [];

    /// <summary>Whether a point of the box is in none of the others.</summary>
    /// <param name="layer">The others' layer.</param>
    /// <param name="box">The box.</param>
    /// <param name="others">Numbers of boxes of the layer.</param>
    /// <param name="room">A box of such points.</param>
    public Answer Spares(Layer layer, RankSet[] box, ReadOnlySpan<int> others, out RankSet[]? room)
    {
        RankSet[][] boxes = new RankSet[others.Length][];
        for (int i = 0; i < others.Length; i++)
        {
            boxes[i] = layer[others[i]];
        }

        Answer answer = Spares(box, boxes, layer.Axes, out room);
        if (answer == Answer.No)
        {
            int[] used = [.. Used];
            Used.Clear();
            foreach (int one in used)
            {
                Used.Add(others[one]);
            }
        }

        return answer;
    }

    /// <summary>Whether a point of the box is in none of the others.</summary>
    /// <param name="box">The box.</param>
    /// <param name="others">The others.</param>
    /// <param name="axes">The axes on which they have less than all.</param>
    /// <param name="room">A box of such points.</param>
    public Answer Spares(RankSet[] box, RankSet[][] others, int[] axes, out RankSet[]? room)
    {
        _axes = axes;
        _left = steps;
        Used.Clear();
        int[] all = Room(0, others.Length);
        for (int i = 0; i < others.Length; i++)
        {
            all[i] = i;
        }

        return Look(others, box, all.AsSpan(0, others.Length), 1, out room);
    }

    private Answer Look(RankSet[][] others, RankSet[] box, ReadOnlySpan<int> candidates, int depth, out RankSet[]? room)
    {
        room = null;
        _left -= candidates.Length + 1;
        if (_left < 0)
        {
            return Answer.Undecided;
        }

        int[] meeting = Room(depth, candidates.Length);
        int count = 0, best = -1;
        double most = -1;
        foreach (int candidate in candidates)
        {
            RankSet[] other = others[candidate];
            double share = Share(other, box);
            if (share >= 1)
            {
                Used.Add(candidate);
                return Answer.No;
            }

            if (share > 0)
            {
                meeting[count++] = candidate;
                if (share > most)
                {
                    (most, best) = (share, candidate);
                }
            }
        }

        if (count == 0)
        {
            room = [.. box];
            return Answer.Yes;
        }

        Used.Add(best);
        RankSet[] taken = others[best], rest = [.. box];
        foreach (int axis in _axes)
        {
            RankSet outside = rest[axis].Except(taken[axis]);
            if (outside.IsEmpty)
            {
                continue;
            }

            RankSet inside = rest[axis].Intersect(taken[axis]);
            rest[axis] = outside;
            Answer answer = Look(others, rest, meeting.AsSpan(0, count), depth + 1, out room);
            if (answer != Answer.No)
            {
                return answer;
            }

            rest[axis] = inside;
        }

        return Answer.No;
    }

    /// <summary>Which part of the box the other takes: 0 for none, 1 for all, in between only roughly.</summary>
    private double Share(RankSet[] other, RankSet[] box)
    {
        double share = 1;
        bool all = true;
        foreach (int axis in _axes)
        {
            int mine = box[axis].Count, common = box[axis].Common(other[axis]);
            if (common == 0)
            {
                return 0;
            }

            if (common < mine)
            {
                all = false;
                share *= (double)common / mine;
            }
        }

        return all ? 1 : Math.Clamp(share, double.Epsilon, 0.999999);
    }

    private int[] Room(int depth, int count)
    {
        while (_rooms.Count <= depth)
        {
            _rooms.Add([]);
        }

        if (_rooms[depth].Length < count)
        {
            _rooms[depth] = new int[Math.Max(16, count)];
        }

        return _rooms[depth];
    }
}

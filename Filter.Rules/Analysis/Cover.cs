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
/// <param name="steps">Most steps that a question may take.</param>
/// <param name="purse">The steps that all questions of an analysis may take together.</param>
internal sealed class Cover(int steps, Purse purse)
{
    /// <summary>So many runs of a box cost a step more to look at.</summary>
    private const int RunsAStep = 16;

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
        _left = (int)Math.Min(steps, purse.Left);
        int given = _left;
        Used.Clear();
        int[] all = Room(0, others.Length);
        for (int i = 0; i < others.Length; i++)
        {
            all[i] = i;
        }

        Answer answer = Look(others, box, all.AsSpan(0, others.Length), 1, out room);
        purse.Take(given - _left);
        return answer;
    }

    /// <summary>Whether nothing more can be asked.</summary>
    public bool IsSpent => purse.Left <= 0;

    /// <summary>Pays for looks at boxes that were taken beside a question.</summary>
    public void Charge(Layer layer, RankSet[] box, int looks) => purse.Take(looks * (1L + Weight(box, layer.Axes)));

    private Answer Look(RankSet[][] others, RankSet[] box, ReadOnlySpan<int> candidates, int depth, out RankSet[]? room)
    {
        room = null;
        int own = 1 + Weight(box, _axes);
        int[] meeting = Room(depth, candidates.Length);
        int count = 0, best = -1;
        double most = -1;
        foreach (int candidate in candidates)
        {
            RankSet[] other = others[candidate];
            _left -= own + Weight(other, _axes);
            if (_left < 0)
            {
                return Answer.Undecided;
            }

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

    /// <summary>What it costs to look at a box of many runs, as sets have them, beside the step that every look costs.</summary>
    private static int Weight(RankSet[] box, int[] axes)
    {
        int runs = 0;
        foreach (int axis in axes)
        {
            runs += box[axis].Runs;
        }

        return runs / RunsAStep;
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

/// <summary>Steps that all questions of an analysis share: a ruleset may be made so that each of its rules takes long.</summary>
/// <param name="steps">How many there are.</param>
internal sealed class Purse(long steps)
{
    /// <summary>What ten thousand rules have been seen to need, and some more: seconds of a core.</summary>
    public const long Usual = 250_000_000;

    private long _left = steps;

    /// <summary>How many are left; less than 1 for none.</summary>
    public long Left => Volatile.Read(ref _left);

    /// <summary>Takes steps out.</summary>
    public void Take(long count) => Interlocked.Add(ref _left, -count);
}

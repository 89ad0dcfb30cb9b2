using Filter.Engine.Flows;

namespace Filter.Engine.Path;

/// <summary>What bounds a flood.</summary>
public enum Limit : byte
{
    /// <summary>The size of the flow table, and its reserve.</summary>
    Table,

    /// <summary>Half-open flows to one service.</summary>
    HalfOpen,

    /// <summary>Flows of one source.</summary>
    SourceFlows,

    /// <summary>New flows a second of one source.</summary>
    SourceRate,

    /// <summary>Flows that a rule lets in at once, of one source or at all.</summary>
    RuleFlows,

    /// <summary>Answers a second.</summary>
    Answers,
}

/// <summary>
/// How often which limit bit, and whom most. The worker alone writes; others read at any time.
/// </summary>
public sealed class LimitCounters
{
    /// <summary>A name that led for long gives way to another as soon as that has so many more.</summary>
    private const int MostVotes = 1000;

    private readonly Cell[] _cells = new Cell[(int)Limit.Answers + 1];

    /// <summary>What several workers counted, as it stands now; of one, its own.</summary>
    public static LimitCounters Of(IReadOnlyList<LimitCounters> all)
    {
        if (all.Count == 1)
        {
            return all[0];
        }

        LimitCounters sum = new();
        foreach (LimitCounters one in all)
        {
            sum.Add(one);
        }

        return sum;
    }

    /// <summary>Flows that were given up for another.</summary>
    public long GivenUp(Limit limit) => Volatile.Read(ref _cells[(int)limit].GivenUp);

    /// <summary>Openings that were dropped, or answers that were not given.</summary>
    public long Refused(Limit limit) => Volatile.Read(ref _cells[(int)limit].Refused);

    /// <summary>
    /// Whom the limit bit most, lately: who holds the majority, where anybody does. False where nobody was bitten, or the
    /// name changes just now.
    /// </summary>
    public bool TryName(Limit limit, out ShareKey whom)
    {
        ref Cell cell = ref _cells[(int)limit];
        int version = Volatile.Read(ref cell.Version);
        whom = cell.Whom;
        Interlocked.MemoryBarrier();
        return version != 0 && (version & 1) == 0 && version == Volatile.Read(ref cell.Version);
    }

    /// <summary>A flow was given up for another of this source or to this service.</summary>
    internal void GiveUp(Limit limit, in ShareKey whose)
    {
        _cells[(int)limit].GivenUp++;
        Vote(ref _cells[(int)limit], whose);
    }

    /// <summary>An opening, or an answer, was refused.</summary>
    internal void Refuse(Limit limit, in ShareKey whose)
    {
        _cells[(int)limit].Refused++;
        Vote(ref _cells[(int)limit], whose);
    }

    /// <summary>Adds what another worker counted; of whom the limit bit most, the one with more votes counts.</summary>
    internal void Add(LimitCounters other)
    {
        for (int i = 0; i < _cells.Length; i++)
        {
            ref Cell cell = ref _cells[i];
            cell.GivenUp += other.GivenUp((Limit)i);
            cell.Refused += other.Refused((Limit)i);
            int votes = Volatile.Read(ref other._cells[i].Votes);
            if (other.TryName((Limit)i, out ShareKey whom) && (votes > cell.Votes || cell.Version == 0))
            {
                (cell.Whom, cell.Votes, cell.Version) = (whom, votes, 2);
            }
        }
    }

    /// <summary>Majority by pairs: whoever differs takes a vote away, and at none left takes the place.</summary>
    private static void Vote(ref Cell cell, in ShareKey whose)
    {
        if (cell.Votes > 0)
        {
            cell.Votes = cell.Whom == whose ? Math.Min(cell.Votes + 1, MostVotes) : cell.Votes - 1;
            return;
        }

        Volatile.Write(ref cell.Version, cell.Version + 1);     // odd: what is read now is neither name
        Interlocked.MemoryBarrier();
        cell.Whom = whose;
        cell.Votes = 1;
        Volatile.Write(ref cell.Version, cell.Version + 1);
    }

    private struct Cell
    {
        public long GivenUp, Refused;
        public ShareKey Whom;
        public int Votes, Version;
    }
}

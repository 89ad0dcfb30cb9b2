using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <summary>
/// What the walk counted. The worker alone writes; others read the cells with <see cref="Volatile"/>.
/// Packets that Filter made itself stand in <see cref="Own"/> alone, so that
/// in = passed + dropped + rejected + answered + consumed + held.
/// </summary>
public sealed class PathCounters
{
    private readonly long[] _reasons = new long[DropReasons.Count];
    private readonly long[] _verdicts = new long[(int)Verdict.Consumed + 1];
    private RuleBook _rules;

    /// <summary>Counts without rules.</summary>
    public PathCounters() => _rules = RuleBook.Empty();

    /// <summary>Counts, of a first ruleset's rules.</summary>
    internal PathCounters(IRuleset ruleset) => _rules = new RuleBook(ruleset);

    /// <summary>What several workers counted, as it stands now; of one, its own. Their rules' numbers are the same.</summary>
    public static PathCounters Of(IReadOnlyList<PathCounters> all)
    {
        if (all.Count == 1)
        {
            return all[0];
        }

        PathCounters sum = new() { _rules = RuleBook.Sum([.. all.Select(static one => one.Rules)]) };
        foreach (PathCounters one in all)
        {
            sum.Add(one);
        }

        return sum;
    }

    /// <summary>Packets that ports gave.</summary>
    public long In;

    /// <summary>Frames that went to a port, segments and copies included.</summary>
    public long Out;

    /// <summary>Packets that Filter made itself: errors, resets, neighbour solicitations.</summary>
    public long Own;

    /// <summary>Packets that passed, but left within another: what became part of a super-frame.</summary>
    public long Coalesced;

    /// <summary>What the rules' numbers stand for, and what was counted for each.</summary>
    public RuleBook Rules => Volatile.Read(ref _rules);

    /// <summary>Flows opened.</summary>
    public long Opened;

    /// <summary>Flows that ended by their timer.</summary>
    public long Expired;

    /// <summary>Flows that a new policy no longer allowed: the sum over all rules.</summary>
    public long Disallowed;

    /// <summary>Flows that a new policy would not have allowed, and that were kept; counted each time.</summary>
    public long Kept;

    /// <summary>Flows, none of them proven, that were given up for another: because the table was full, or at a limit.</summary>
    public long Evicted;

    /// <summary>Flows that helpers heard announced, and so expected.</summary>
    public long Announced;

    /// <summary>Flows that came because they were expected, or by a pinhole that is open for others too.</summary>
    public long Met;

    /// <summary>Expectations of helpers that nobody met in time.</summary>
    public long ExpectationsExpired;

    /// <summary>Expectations that were given up because their flow announced further ones.</summary>
    public long ExpectationsGivenUp;

    /// <summary>Expectations, pinholes for others, and helpers that found no room.</summary>
    public long ExpectationsRefused;

    /// <summary>Announcements that no helper believed: of another's address, of a port below 1024, or too many at once.</summary>
    public long AnnouncementsRefused;

    /// <summary>Helpers that stopped reading: the flow was sealed, or is of another protocol.</summary>
    public long HelpersSilent;

    /// <summary>Which limits bit, and whom.</summary>
    public LimitCounters Limits { get; } = new();

    /// <summary>Packets dropped or rejected for this reason.</summary>
    public long this[DropReason reason] => Volatile.Read(ref _reasons[(int)reason]);

    /// <summary>Packets with this verdict.</summary>
    public long this[Verdict verdict] => Volatile.Read(ref _verdicts[(int)verdict]);

    /// <summary>
    /// Packets of this rule, of its flows too; of one that only counts, what it matched; 0 for a rule that does not exist.
    /// </summary>
    public long Rule(int rule) => Rules.Packets(rule);

    /// <summary>Counts a packet by its verdict, reason and rule.</summary>
    internal void Count(in Packet packet)
    {
        _verdicts[(int)packet.Verdict]++;
        if (packet.Verdict is Verdict.Drop or Verdict.Reject)
        {
            _reasons[(int)packet.Reason]++;
        }

        if (packet.Rule != 0)
        {
            _rules.CountPacket(packet.Rule);
        }
    }

    /// <summary>A packet that another worker has counted as passed was dropped here; the sum over all is right.</summary>
    internal void SettlePassed(DropReason reason)
    {
        _verdicts[(int)Verdict.Pass]--;
        _verdicts[(int)Verdict.Drop]++;
        _reasons[(int)reason]++;
    }

    /// <summary>A packet that came goes on elsewhere: what the walk is about to count of it here is taken back.</summary>
    internal void HandOver()
    {
        In--;
        _verdicts[(int)Verdict.Consumed]--;
    }

    /// <summary>Counts a flow that a new policy ended, by the rule that had let it in.</summary>
    internal void EndFlow(int rule)
    {
        Disallowed++;
        _rules.CountEnded(rule);
    }

    /// <summary>Counts a packet for a rule that decides nothing.</summary>
    internal void Count(int rule) => _rules.CountPacket(rule);

    /// <summary>Held packets whose fate is known: they move from held to this verdict.</summary>
    internal void SettleHeld(Verdict verdict, DropReason reason, long packets)
    {
        _verdicts[(int)Verdict.Held] -= packets;
        _verdicts[(int)verdict] += packets;
        if (verdict is Verdict.Drop or Verdict.Reject)
        {
            _reasons[(int)reason] += packets;
        }
    }

    /// <summary>Held packets that ended: they move from held to dropped.</summary>
    internal void EndHeld(DropReason reason, long packets) => SettleHeld(Verdict.Drop, reason, packets);

    /// <summary>Held packets that went on: they move from held to passed.</summary>
    internal void PassHeld(long packets) => SettleHeld(Verdict.Pass, DropReason.None, packets);

    private void Add(PathCounters other)
    {
        In += Volatile.Read(ref other.In);
        Out += Volatile.Read(ref other.Out);
        Own += Volatile.Read(ref other.Own);
        Coalesced += Volatile.Read(ref other.Coalesced);
        Opened += Volatile.Read(ref other.Opened);
        Expired += Volatile.Read(ref other.Expired);
        Disallowed += Volatile.Read(ref other.Disallowed);
        Kept += Volatile.Read(ref other.Kept);
        Evicted += Volatile.Read(ref other.Evicted);
        Announced += Volatile.Read(ref other.Announced);
        Met += Volatile.Read(ref other.Met);
        ExpectationsExpired += Volatile.Read(ref other.ExpectationsExpired);
        ExpectationsGivenUp += Volatile.Read(ref other.ExpectationsGivenUp);
        ExpectationsRefused += Volatile.Read(ref other.ExpectationsRefused);
        AnnouncementsRefused += Volatile.Read(ref other.AnnouncementsRefused);
        HelpersSilent += Volatile.Read(ref other.HelpersSilent);
        Limits.Add(other.Limits);
        for (int i = 0; i < _reasons.Length; i++)
        {
            _reasons[i] += Volatile.Read(ref other._reasons[i]);
        }

        for (int i = 0; i < _verdicts.Length; i++)
        {
            _verdicts[i] += Volatile.Read(ref other._verdicts[i]);
        }
    }

    /// <summary>From now on the rules' numbers are those of another book.</summary>
    internal void Adopt(RuleBook rules) => Volatile.Write(ref _rules, rules);
}

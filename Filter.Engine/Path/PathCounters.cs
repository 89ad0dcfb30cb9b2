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
    private long[] _rules = [];

    /// <summary>Packets that ports gave.</summary>
    public long In;

    /// <summary>Frames that went to a port, segments and copies included.</summary>
    public long Out;

    /// <summary>Packets that Filter made itself: errors, resets, neighbour solicitations.</summary>
    public long Own;

    /// <summary>Flows opened.</summary>
    public long Opened;

    /// <summary>Flows that ended by their timer.</summary>
    public long Expired;

    /// <summary>Flows, none of them proven, that were given up for another: because the table was full, or at a limit.</summary>
    public long Evicted;

    /// <summary>Which limits bit, and whom.</summary>
    public LimitCounters Limits { get; } = new();

    /// <summary>Packets dropped or rejected for this reason.</summary>
    public long this[DropReason reason] => Volatile.Read(ref _reasons[(int)reason]);

    /// <summary>Packets with this verdict.</summary>
    public long this[Verdict verdict] => Volatile.Read(ref _verdicts[(int)verdict]);

    /// <summary>Packets of this rule, of its flows too; 0 for a rule that does not exist.</summary>
    public long Rule(int rule)
    {
        long[] rules = Volatile.Read(ref _rules);
        return (uint)rule < (uint)rules.Length ? Volatile.Read(ref rules[rule]) : 0;
    }

    /// <summary>Counts a packet by its verdict, reason and rule.</summary>
    internal void Count(in Packet packet)
    {
        _verdicts[(int)packet.Verdict]++;
        if (packet.Verdict is Verdict.Drop or Verdict.Reject)
        {
            _reasons[(int)packet.Reason]++;
        }

        // Whatever else may go wrong, a rule's number from before a reload must not end the worker.
        if (packet.Rule != 0 && (uint)packet.Rule < (uint)_rules.Length)
        {
            _rules[packet.Rule]++;
        }
    }

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

    /// <summary>Gives the rules of a new ruleset their counters: by name, so that they survive a reload.</summary>
    internal void Adopt(IRuleset? before, IRuleset after)
    {
        var rules = new long[after.RuleCount];
        if (before is not null)
        {
            var byName = new Dictionary<string, long>(before.RuleCount);
            for (int rule = 1; rule < before.RuleCount; rule++)
            {
                byName[before.Name(rule).Name] = _rules[rule];
            }

            for (int rule = 1; rule < after.RuleCount; rule++)
            {
                rules[rule] = byName.GetValueOrDefault(after.Name(rule).Name);
            }
        }

        Volatile.Write(ref _rules, rules);
    }
}

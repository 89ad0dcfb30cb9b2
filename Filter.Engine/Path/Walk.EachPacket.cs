using System.Numerics;
using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <content>Rules that look at each packet, and rules that count. Where a ruleset has none, neither is asked.</content>
public sealed partial class PacketPath<TTrace>
{
    /// <summary>For each far port of the packet at hand, the rule that has decided.</summary>
    private readonly int[] _decided = new int[16];
    private RuleKinds _kinds;

    /// <summary>
    /// Shows a packet of a flow to the rules that look at each, as far as they stand above the rule that let its flow in. The
    /// first that does not only count decides, for this packet alone; where none matches, the flow's judgement stands.
    /// </summary>
    private void AskEachPacket(ref Packet packet, int letInBy, long now)
    {
        if (packet.Asked)
        {
            return;
        }

        packet.Asked = true;
        Judgement pass = default, stop = default;
        ushort allowed = 0;
        for (int ports = packet.Egress; ports != 0; ports &= ports - 1)
        {
            byte egress = (byte)BitOperations.TrailingZeroCount(ports);
            OpeningFacts facts = Facts(packet, egress);
            Judgement one = AskEachPacket(packet, facts, letInBy, counts: true);
            if (packet.HasHomeAddress && !Stops(one)
                && AskEachPacket(packet, OnTheWay(packet, facts), letInBy, counts: false) is { Rule: > 0 } way && (Stops(way) || one.Rule == 0))
            {
                one = way;                                  // who is away from home shows two addresses, and neither gets round a rule
            }

            if (Stops(one))
            {
                stop = stop.Rule == 0 ? one : stop;
                continue;
            }

            pass = pass.Rule == 0 ? one : pass;
            allowed |= (ushort)(1 << egress);
        }

        Judgement judgement = allowed == 0 ? stop : pass;
        packet.Egress = allowed;
        if (judgement.Rule == 0)
        {
            return;
        }

        packet.Rule = judgement.Rule;
        packet.Log = judgement.Log;
        TellRule(packet, judgement);
        if (!Charge(ref packet, judgement, now) || allowed != 0)
        {
            return;
        }

        if (judgement.Verdict == Verdict.Reject)
        {
            packet.Finish(Verdict.Reject, DropReason.Rejected);
        }
        else
        {
            packet.Drop(DropReason.Denied);
        }
    }

    private static bool Stops(in Judgement judgement) => judgement.Rule != 0 && judgement.Verdict != Verdict.Pass;

    private Judgement AskEachPacket(in Packet packet, in OpeningFacts facts, int letInBy, bool counts)
    {
        Judgement judgement = default;
        int rule = 0;
        while ((rule = Ruleset.Next(RuleKinds.EachPacket, facts, rule)) != 0 && rule < letInBy)
        {
            Judgement one = Ruleset[rule];
            if (!one.Counts)
            {
                judgement = one;
                break;
            }
        }

        _decided[facts.Egress] = judgement.Rule == 0 ? letInBy : judgement.Rule;
        if (counts && (_kinds & RuleKinds.Counting) != 0)
        {
            Count(packet, facts, RuleKinds.EachPacket);
        }

        return judgement;
    }

    /// <summary>Counts an opening, or a packet without a flow, for the rules above the one that has decided.</summary>
    private void CountOpening(in Packet packet, byte egress, int decided)
    {
        _decided[egress] = decided;
        Count(packet, Facts(packet, egress), RuleKinds.Counting);
    }

    private void Count(in Packet packet, in OpeningFacts facts, RuleKinds of)
    {
        int rule = 0;
        while ((rule = Ruleset.Next(of, facts, rule)) != 0 && rule < _decided[facts.Egress])
        {
            Judgement judgement = Ruleset[rule];
            bool seen = of == RuleKinds.Counting && packet.Asked && judgement.EachPacket;       // when it belonged to the flow before
            if (!judgement.Counts || seen || IsCounted(packet, facts, of, rule))
            {
                continue;
            }

            Counters.Count(rule);
            TellRule(packet, judgement);
            if (judgement.Log)
            {
                Events.Write(packet, PacketFacts.Of(packet), Counters.Rules, rule);
            }
        }
    }

    /// <summary>Whether a packet with several far ports was counted for one before this.</summary>
    private bool IsCounted(in Packet packet, in OpeningFacts facts, RuleKinds of, int rule)
    {
        for (int ports = packet.Egress & ((1 << facts.Egress) - 1); ports != 0; ports &= ports - 1)
        {
            byte egress = (byte)BitOperations.TrailingZeroCount(ports);
            if (rule < _decided[egress] && Ruleset.Next(of, Towards(facts, egress), rule - 1) == rule)
            {
                return true;
            }
        }

        return false;
    }
}

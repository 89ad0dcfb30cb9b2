using System.Numerics;
using Filter.Engine.Flows;
using Filter.Engine.Flows.Trackers;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Path;

/// <content>What rules and policies say: of an opening, of a flow again, of a packet alone.</content>
public sealed partial class PacketPath<TTrace>
{
    /// <summary>Asks the rules for each far port; what remains of the egress is where they say pass.</summary>
    /// <returns>False where no port remains; the packet is dropped or rejected.</returns>
    private bool Judge(ref Packet packet, long now, out Judgement judgement)
    {
        judgement = default;
        bool passes = false;
        ushort allowed = 0;
        for (int ports = packet.Egress; ports != 0; ports &= ports - 1)
        {
            byte egress = (byte)BitOperations.TrailingZeroCount(ports);
            Judgement one = Ask(packet, egress);
            if ((_kinds & RuleKinds.Counting) != 0)
            {
                CountOpening(packet, egress, one.Rule);
            }

            if (one.Verdict == Verdict.Pass)
            {
                allowed |= (ushort)(1 << egress);
            }

            if (!passes)
            {
                judgement = one;
                passes = one.Verdict == Verdict.Pass;
            }
        }

        packet.Asked = true;
        packet.Rule = judgement.Rule;
        packet.Log = judgement.Log;
        TellRule(packet, judgement);
        if (!Charge(ref packet, judgement, now))
        {
            return false;
        }

        if (!passes)
        {
            if (judgement.Verdict == Verdict.Reject)
            {
                packet.Finish(Verdict.Reject, DropReason.Rejected);
            }
            else
            {
                packet.Drop(!judgement.IsDefault ? DropReason.Denied
                    : Flows.EndedByTimer(packet.Key, now) ? DropReason.Expired
                    : DropReason.DefaultDeny);
            }

            return false;
        }

        if (!MayBeIcmp(judgement, packet.Key.Protocol, packet.IcmpType))
        {
            // Passing everything is not meant for what is obsolete or experimental (RFC 4890 §4.3.5).
            packet.Drop(DropReason.IcmpForbidden);
            Tell(packet, "rules", "no rule names this type of ICMP");
            return false;
        }

        packet.Egress = allowed;
        return true;
    }

    private void TellRule(in Packet packet, in Judgement judgement)
    {
        if (TTrace.On)
        {
            RuleName name = Counters.Rules.Name(judgement.Rule);
            string what = judgement.Counts ? $"counted by '{name.Name}' ({name.File}:{name.Line})"
                : $"'{name.Name}' ({name.File}:{name.Line}) says {judgement.Verdict.ToString().ToLowerInvariant()}";
            _trace.Note(packet, "rules", what);
        }
    }

    /// <summary>Charges the rule's limit; false where it is spent, and the packet dropped.</summary>
    private bool Charge(ref Packet packet, in Judgement judgement, long now)
    {
        if (judgement.Limited && _seat is not null)
        {
            CatchUp(judgement.Rule, packet.Key);
        }

        if (!judgement.Limited || _limits.TryTake(judgement.Rule, packet.Key, now))
        {
            return true;
        }

        packet.Drop(DropReason.RateLimited);
        Counters.Rules.CountLimited(judgement.Rule);
        Tell(packet, "rules", "its rate limit is spent");
        return false;
    }

    private static bool MayBeIcmp(in Judgement judgement, byte protocol, byte type) =>
        judgement.NamesIcmp || protocol is not (IpProtocol.Icmp or IpProtocol.IcmpV6) || IcmpClasses.Of(protocol, type) != IcmpClass.Named;

    /// <summary>Whether a rule lets this segment pick up a connection whose beginning was not seen.</summary>
    private bool MayPickUp(in Packet packet)
    {
        if (!Policy.Midstream || !TcpTracker.PicksUp(packet))
        {
            return false;
        }

        for (int ports = packet.Egress; ports != 0; ports &= ports - 1)
        {
            if (Ruleset.Judge(Facts(packet, (byte)BitOperations.TrailingZeroCount(ports))) is { Verdict: Verdict.Pass, Midstream: true })
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// What the rules say of an opening. Who is away from home shows two addresses, and either must be allowed: the home address,
    /// which names the flow, and the one that the packet goes to or comes from. So no rule is got round by a forged one.
    /// </summary>
    private Judgement Ask(in Packet packet, byte egress)
    {
        OpeningFacts facts = Facts(packet, egress);
        Judgement judgement = Ruleset.Judge(facts);
        if (!packet.HasHomeAddress || judgement.Verdict != Verdict.Pass)
        {
            return judgement;
        }

        Judgement way = Ruleset.Judge(OnTheWay(packet, facts));
        return way.Verdict == Verdict.Pass ? judgement : way;
    }

    /// <summary>The facts of who is away from home by the addresses that the packet shows on its way.</summary>
    private static OpeningFacts OnTheWay(in Packet packet, in OpeningFacts facts) => facts with
    {
        Key = facts.Key with { Source = IpHeader.Source(packet.Datagram), Destination = IpHeader.Destination(packet.Datagram) },
    };

    /// <summary>Judges a flow for further far ports, by its opening.</summary>
    private void JudgeFor(ref Flow flow, ushort ports)
    {
        flow.Judged |= ports;
        for (int rest = ports; rest != 0; rest &= rest - 1)
        {
            byte egress = (byte)BitOperations.TrailingZeroCount(rest);
            if (Ruleset.Judge(Towards(flow.Opening, egress)).Verdict == Verdict.Pass)
            {
                flow.Allowed |= (ushort)(1 << egress);
            }
        }
    }

    /// <summary>A flow under a new policy: judged by its opening for all ports it went to; false where it had to end.</summary>
    private bool JudgeAgain(int number, long now)
    {
        ref Flow flow = ref Flows[number];
        flow.Opening = Renewed(flow.Opening, flow.Generation);
        if (flow.Parent.Number != 0)
        {
            return JudgeChildAgain(number, now);
        }

        Judgement judgement = default;
        ushort allowed = 0;
        for (int ports = flow.Allowed; ports != 0; ports &= ports - 1)
        {
            byte egress = (byte)BitOperations.TrailingZeroCount(ports);
            Judgement one = Ruleset.Judge(Towards(flow.Opening, egress));
            if (one.Verdict == Verdict.Pass && MayBeIcmp(one, flow.Key.Protocol, flow.Opening.IcmpType))
            {
                judgement = allowed == 0 ? one : judgement;
                allowed |= (ushort)(1 << egress);
            }
            else if (allowed == 0)
            {
                judgement = one;
            }
        }

        if (allowed == 0)
        {
            return KeepOrEnd(number, judgement, now);
        }

        if (judgement.Pinhole == PinholeKind.OneAnswer && flow.Pinhole != PinholeKind.OneAnswer)
        {
            flow.Owed = (int)Math.Clamp(flow.ForwardPackets - flow.ReplyPackets, 0, int.MaxValue);
        }

        flow.Rule = judgement.Rule;
        flow.Timers = judgement.Timers;
        flow.Pinhole = judgement.Pinhole;
        flow.Log = judgement.Log;
        flow.Generation = Generation;
        flow.Kept = false;
        flow.Judged = flow.Allowed;
        flow.Allowed = allowed;
        Bind(number, judgement);
        CountInRule(number);                                // nobody is refused who is there: limits are for what opens
        if (Ipsec is { } stage)
        {
            DecideIpsec(ref flow, stage);
        }

        return true;
    }

    /// <summary>A flow that the policy in force does not allow ends, unless it was put in force so that such flows stay.</summary>
    private bool KeepOrEnd(int number, in Judgement judgement, long now)
    {
        ref Flow flow = ref Flows[number];
        int rule = NumberNow(flow.Rule, flow.Generation);
        if (Keeps(flow.Generation, flow.Kept))
        {
            Counters.Kept += flow.Kept ? 0 : 1;
            flow.Rule = rule;
            flow.Timers = Ruleset[rule].Timers;
            flow.Generation = Generation;
            flow.Kept = true;
            if (Ipsec is { } stage)
            {
                DecideIpsec(ref flow, stage);
            }

            return true;
        }

        Counters.EndFlow(rule);
        if (Ends.HasRoom())
        {
            ref FlowEnd told = ref Ends.Slot;
            told.Flow = number;
            told.Opening = flow.Opening;
            told.Age = now - flow.Opened;
            told.Was = Counters.Rules.Name(rule);
            told.Verdict = judgement.Verdict;
            told.By = Counters.Rules.Name(judgement.Rule);
            Ends.Told();
        }

        Flows.Remove(number);
        return false;
    }

    /// <summary>
    /// Whether what was judged in that generation stays though the policy in force does not allow it: because that was put in
    /// force so; or because an earlier one was, and only sets or the time have changed since.
    /// </summary>
    private bool Keeps(int generation, bool kept)
    {
        RuleBook rules = Counters.Rules;
        return generation - rules.Since < 0 ? rules.Keeps : kept;
    }

    private OpeningFacts Facts(in Packet packet, byte egress) => new(
        packet.Key, packet.Ingress, egress, Crossing(packet.Ingress, (ushort)(1 << egress)), packet.TcpFlags,
        packet.IcmpType, packet.IcmpCode, packet.TrafficClass, packet.ArrivedBy)
    {
        // What was opened has no frame of its own: the one that carried it was the tunnel's.
        SourceMac = packet.ArrivedBy == 0 ? LinkAddress.Read(packet.Bytes[6..]) : 0,
        DestinationMac = packet.ArrivedBy == 0 ? LinkAddress.Read(packet.Bytes) : 0,
        PacketLength = LengthOnTheWire(packet),
        Extensions = packet.Extensions,
        // Of what was opened, whether it did so within the SA: the tunnel's own fragments are the tunnel's. Another worker may have put
        // it together.
        Fragmented = packet.Assembly != 0 || packet.FragmentHeader != 0 || (packet.Guest & GuestState.PutTogether) != 0,
    };

    /// <summary>Of a super-frame, what each of its segments will be but for the last.</summary>
    private static ushort LengthOnTheWire(in Packet packet)
    {
        int payload = packet.End - packet.Payload;
        int most = packet.Offload.Gso == GsoKind.None || packet.Offload.SegmentSize == 0 ? payload : Math.Min(payload, packet.Offload.SegmentSize);
        return (ushort)Math.Clamp(packet.Payload - packet.Network + most, 0, ushort.MaxValue);
    }

    /// <summary>An opening as another far port would have seen it.</summary>
    private OpeningFacts Towards(in OpeningFacts opening, byte egress) =>
        opening with { Egress = egress, Direction = Crossing(opening.Ingress, (ushort)(1 << egress)) };
}

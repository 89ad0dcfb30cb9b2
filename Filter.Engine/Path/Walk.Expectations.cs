using Filter.Engine.Algs;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Path;

/// <content>Flows that others brought about: awaited by a helper's announcement, or by a pinhole that is open for others too.</content>
public sealed partial class PacketPath<TTrace>
{
    /// <summary>
    /// Whether a packet that opens a flow is expected: then its parent's rule has let it in already, and no other is asked.
    /// The expectation is held until it is bound to the flow, or released.
    /// </summary>
    private bool IsExpected(ref Packet packet, long now, out int number, out Judgement judgement)
    {
        judgement = default;
        number = Flows.Expectations.Find(packet.Key, packet.Ingress, now);
        if (number == 0)
        {
            return false;
        }

        ref Expectation expectation = ref Flows.Expectations[number];
        var egress = (ushort)(packet.Egress & expectation.To);
        if (egress == 0 || !IsBetweenItsHosts(packet, expectation) || !StillAllowed(number))
        {
            number = 0;
            return false;
        }

        expectation.Holders++;                              // room for the flow may cost its parent
        packet.Egress = egress;
        packet.Rule = expectation.Rule;
        packet.Log = expectation.Log;
        judgement = new Judgement(Verdict.Pass, expectation.Rule, expectation.Pinhole, Limited: false, expectation.Log, IsDefault: false)
        {
            Timers = Ruleset[expectation.Rule].Timers,      // as its parent's
        };
        if (TTrace.On)
        {
            _trace.Note(packet, "expected", $"by flow {_trace.Known(expectation.Parent.Number)} ({Describe(expectation)}), let in by '{Counters.Rules.Name(expectation.Rule).Name}'");
        }

        return true;
    }

    /// <summary>
    /// Whether a packet with a home address goes to, and comes from, where the parent's hosts were seen: a routing header must not
    /// lead to another host by an expectation, nor a home address option stand for the one that is expected.
    /// </summary>
    private bool IsBetweenItsHosts(in Packet packet, in Expectation expectation)
    {
        if (!packet.HasHomeAddress)
        {
            return true;
        }

        ref readonly Flow parent = ref Flows[expectation.Parent.Number];
        (uint comes, uint awaits) = parent.Key.Source == packet.Key.Destination
            ? (parent.AnswererCareOf, parent.OpenerCareOf)
            : (parent.OpenerCareOf, parent.AnswererCareOf);
        Address source = IpHeader.Source(packet.Datagram), destination = IpHeader.Destination(packet.Datagram);
        bool lives = Flows.Is(expectation.Parent);
        return (source == packet.Key.Source || expectation.Key.Source.IsUnspecified || (lives && comes == Fold(source)))
            && (destination == packet.Key.Destination || (lives && awaits == Fold(destination)));
    }

    /// <summary>
    /// What a flow gets beside its way, when it opens and when it was judged again: who expected it, a helper, a pinhole for
    /// others.
    /// </summary>
    private void Bind(int number, in Judgement judgement, int expectedBy = 0)
    {
        ref Flow flow = ref Flows[number];
        if (expectedBy != 0)
        {
            ref Expectation expectation = ref Flows.Expectations[expectedBy];
            flow.Expectation = expectedBy;
            flow.Parent = expectation.Parent;
            flow.Kept = expectation.Kept;
            flow.Judged = ushort.MaxValue;                  // the rules are not asked where else it may go
            Counters.Met++;
            if (expectation.Once)
            {
                Flows.Expectations.Close(expectedBy);
            }

            return;
        }

        // Who stopped reading is not called again: what the flow carries is no more theirs than it was.
        if (judgement.Helper != Flows.Helped[flow.Helped].Kind)
        {
            Flows.EndHelp(number);
            Flows.BeginHelp(number, judgement.Helper);
            Counters.ExpectationsRefused += flow.Helper == judgement.Helper ? 0 : 1;
        }

        if (flow.Expectation != 0
            && (Flows.Expectations[flow.Expectation].Pinhole != judgement.Pinhole || !Flows.Expectations[flow.Expectation].Open))
        {
            Flows.Unbind(number);
        }
        else if (flow.Expectation != 0 && Flows.Expectations[flow.Expectation].Generation != Generation)
        {
            // Whoever of its flows is still allowed speaks for the pinhole: the one that did may not be.
            Speak(ref Flows.Expectations[flow.Expectation], number);
        }

        if (judgement.Pinhole >= PinholeKind.AddressDependent && flow.Expectation == 0)
        {
            OpenPinhole(number);
        }
    }

    /// <summary>
    /// The inside endpoint of a flow that goes out is reached by others too (RFC 4787 §5, RFC 6092 REC-11, REC-33): one
    /// pinhole for all its flows, whose latest one speaks for it.
    /// </summary>
    private void OpenPinhole(int number)
    {
        ref Flow flow = ref Flows[number];
        var from = (ushort)(flow.Allowed & ~_protected);
        if (from == 0 || !IsProtected(flow.Packed.Ingress))
        {
            return;
        }

        FlowKey answer = flow.Key.Reverse;
        FlowKey key = answer with { Source = flow.Pinhole == PinholeKind.AddressDependent ? answer.Source : default, SourcePort = 0 };
        int pinhole = Flows.Expectations.Find(key, pinhole: true);
        if (pinhole == 0)
        {
            pinhole = Expect(new Expectation { Key = key });
            if (pinhole == 0)
            {
                return;
            }
        }

        ref Expectation open = ref Flows.Expectations[pinhole];
        open.From |= from;
        open.To |= (ushort)(1 << flow.Packed.Ingress);
        open.Pinhole = flow.Pinhole;
        Speak(ref open, number);
        open.Holders++;
        flow.Expectation = pinhole;
    }

    /// <summary>
    /// What goes out keeps a pinhole for others open; what comes in does not, or whoever found it could hold it open
    /// (RFC 4787 §4.3 REQ-6).
    /// </summary>
    private void KeepOpen(in Flow flow, bool reply, long now)
    {
        if (flow.Expectation != 0 && reply == (flow.Parent.Number != 0))
        {
            ref Expectation pinhole = ref Flows.Expectations[flow.Expectation];
            pinhole.Deadline = Math.Max(pinhole.Deadline, now + Lifetime(flow));
        }
    }

    /// <summary>A packet of a helped flow passes: its helper reads along.</summary>
    private void Help(in Packet packet, long now)
    {
        int number = packet.Flow;
        ref Flow flow = ref Flows[number];
        ref Helping helping = ref Flows.Helped[flow.Helped];
        Announcements heard = default;
        switch (flow.Helper)
        {
            case HelperKind.Ftp:
                Ftp.Read(ref helping.Ftp, packet, ref heard);
                break;

            case HelperKind.Tftp:
                Tftp.Read(packet, ref heard);
                break;

            default:
                Sip.Read(ref helping.Sip, packet, ref heard);
                break;
        }

        if (heard.Ended != 0)
        {
            Flows.EndCall(number, heard.Ended);
        }

        for (int i = 0; i < heard.Count; i++)
        {
            Expect(packet, heard[i], now);
        }

        if (heard.Refused > 0)
        {
            Counters.AnnouncementsRefused += heard.Refused;
            Tell(packet, "helper", "an announcement of another's address or of a low port: not believed");
        }

        if (heard.Silent)
        {
            // What was announced before stays expected; nothing more is read.
            flow.Helper = HelperKind.None;
            Counters.HelpersSilent++;
            Tell(packet, "helper", "reads no further: sealed, or another protocol");
        }
    }

    /// <summary>The sender of a packet awaits a flow at its own address, from the host that it spoke to.</summary>
    private void Expect(in Packet packet, in Announcement announced, long now)
    {
        ref Flow flow = ref Flows[packet.Flow];
        ref Helping helping = ref Flows.Helped[flow.Helped];
        var opener = (ushort)(1 << flow.Packed.Ingress);
        var expectation = new Expectation
        {
            Key = new FlowKey(packet.Key.Destination, packet.Key.Source, 0, announced.Port, announced.Protocol, packet.Key.Segment),
            From = packet.Reply ? IsProtected(flow.Packed.Ingress) ? _protected : (ushort)~_protected : flow.Allowed,
            To = packet.Reply ? flow.Allowed : opener,
            Deadline = now + Patience(flow.Helper),
            Call = announced.Call,
            Helper = flow.Helper,
            Once = announced.Once,
        };
        if (TTrace.On)
        {
            _trace.Note(packet, "helper", $"{flow.Helper.Word()}: {packet.Key.Source} awaits {ProtocolNames.Word(announced.Protocol)} at port {announced.Port} from {packet.Key.Destination}");
        }

        // Announced again it lives on; announced by another flow, the later one counts.
        int same = Flows.Expectations.Find(expectation.Key, pinhole: false);
        if (same != 0 && Flows.Expectations[same].Parent == Flows.ReferenceTo(packet.Flow))
        {
            ref Expectation known = ref Flows.Expectations[same];
            known.Deadline = expectation.Deadline;
            known.Call = expectation.Call;
            return;
        }

        Flows.Expectations.Close(same);
        ref int slot = ref helping.Expected[helping.Oldest];
        ref Expectation oldest = ref Flows.Expectations[slot];
        if (oldest.Open && oldest.Parent == Flows.ReferenceTo(packet.Flow))
        {
            Flows.Expectations.Close(slot);
            Counters.ExpectationsGivenUp++;
        }

        int number = Expect(expectation);
        if (number == 0)
        {
            return;
        }

        foreach (ref int earlier in (Span<int>)helping.Expected)
        {
            earlier = earlier == number ? 0 : earlier;      // its record was this flow's before
        }

        slot = number;
        helping.Oldest = (helping.Oldest + 1) % Helping.MostOpen;
        Speak(ref Flows.Expectations[number], packet.Flow);
        Counters.Announced++;
    }

    /// <summary>
    /// Adds an expectation. In a full table one of a helper's is given up for it whose parent is not proven, or is over; 0 where
    /// there is none.
    /// </summary>
    private int Expect(in Expectation expectation)
    {
        int number = Flows.Expectations.Add(expectation);
        for (int looked = 0; number == 0 && looked < RoomBudget; looked++)
        {
            int other = Flows.Expectations.Turn();
            ref Expectation record = ref Flows.Expectations[other];
            if (record.Open && record.Pinhole == default && !(Flows.Is(record.Parent) && Flows[record.Parent.Number].Proven))
            {
                Flows.Expectations.Close(other);
                Counters.ExpectationsGivenUp++;
                number = Flows.Expectations.Add(expectation);
            }
        }

        Counters.ExpectationsRefused += number == 0 ? 1 : 0;
        return number;
    }

    /// <summary>An expectation is judged, from now on, by the opening of this flow.</summary>
    private void Speak(ref Expectation expectation, int number)
    {
        ref Flow flow = ref Flows[number];
        expectation.Opening = flow.Opening;
        expectation.Parent = Flows.ReferenceTo(number);
        expectation.Rule = flow.Rule;
        expectation.Log = flow.Log;
        expectation.Generation = flow.Generation;
        expectation.Kept = flow.Kept;
    }

    /// <summary>
    /// Whether the policy in force still lets an expectation's parent in, by a rule with the same helper or pinhole; else it
    /// closes, unless the parent would be kept.
    /// </summary>
    private bool StillAllowed(int number) => StillAllowed(number, out _);

    private bool StillAllowed(int number, out Judgement judgement)
    {
        judgement = default;
        ref Expectation expectation = ref Flows.Expectations[number];
        if (expectation.Generation == Generation)
        {
            return true;
        }

        expectation.Opening = Renewed(expectation.Opening, expectation.Generation);
        judgement = Ruleset.Judge(expectation.Opening);
        bool allowed = judgement.Verdict == Verdict.Pass
            && (expectation.Pinhole != default ? judgement.Pinhole == expectation.Pinhole : judgement.Helper == expectation.Helper);
        if (allowed)
        {
            expectation.Rule = judgement.Rule;
            expectation.Log = judgement.Log;
        }
        else if (Keeps(expectation.Generation, expectation.Kept))
        {
            expectation.Rule = NumberNow(expectation.Rule, expectation.Generation);
        }
        else
        {
            Flows.Expectations.Close(number);
            return false;
        }

        expectation.Kept = !allowed;
        expectation.Generation = Generation;
        return true;
    }

    /// <summary>An expected flow under a new policy: judged by its parent's opening; false where it had to end.</summary>
    private bool JudgeChildAgain(int number, long now)
    {
        ref Flow flow = ref Flows[number];
        if (!StillAllowed(flow.Expectation, out Judgement judgement))
        {
            return KeepOrEnd(number, judgement, now);
        }

        ref Expectation expectation = ref Flows.Expectations[flow.Expectation];
        Counters.Kept += expectation.Kept && !flow.Kept ? 1 : 0;
        flow.Rule = expectation.Rule;
        flow.Timers = Ruleset[flow.Rule].Timers;
        flow.Log = expectation.Log;
        flow.Kept = expectation.Kept;
        flow.Generation = Generation;
        if (Ipsec is { } stage)
        {
            DecideIpsec(ref flow, stage);
        }

        return true;
    }

    /// <summary>How long an announced flow is awaited, in nanoseconds; announced again it is awaited anew.</summary>
    private static long Patience(HelperKind helper) => helper switch
    {
        HelperKind.Tftp => 30_000_000_000,
        HelperKind.Ftp => 120_000_000_000,
        _ => 240_000_000_000,                               // longer than a telephone rings (RFC 3261 §16.6, timer C)
    };

    private static string Describe(in Expectation expectation) =>
        expectation.Pinhole == default ? expectation.Helper.Word() : expectation.Pinhole.Word();
}

using System.Numerics;
using System.Runtime.CompilerServices;
using Filter.Engine.Flows;
using Filter.Engine.Flows.Trackers;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Path;

/// <content>Flows: found, met, opened.</content>
public sealed partial class PacketPath<TTrace>
{
    private readonly FlowHash _careOf = FlowHash.Create();
    private readonly (uint Source, uint Destination)[] _buckets = new (uint, uint)[Burst.Intake];
    private bool _anyWithoutFlow;
    private long _openedBefore;

    /// <summary>The last burst with packets of no flow has opened some: a flood of what is denied counts in nothing.</summary>
    private bool _opens;

    private void FindFlows(Burst burst)
    {
        _removals = Flows.Removals;
        FeelPressure();
        _anyWithoutFlow = false;
        _openedBefore = Counters.Opened;
        Flows.Find(burst);
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Done || packet.Own)
            {
                continue;
            }

            if (packet.Kind == PacketKind.Tracked)
            {
                Check(ref packet, burst.Now);
            }
            else if (packet.Kind == PacketKind.IcmpError && !IsOfIpsec(ref packet, burst.Now))
            {
                FindQuoted(ref packet, burst.Now);
            }

            if (packet.Flow != 0 && !packet.Done)
            {
                MeetFlow(ref packet, burst.Now);
            }

            _anyWithoutFlow |= packet.Flow == 0;
        }
    }

    /// <summary>Routers on the way of what was sealed speak of packets that no flow knows.</summary>
    private bool IsOfIpsec(ref Packet packet, long now) =>
        Ipsec is { } stage && packet.ArrivedBy == 0 && !IsProtected(packet.Ingress) && stage.Learns(ref packet, now);

    private void Find(ref Packet packet, in FlowKey key, long now)
    {
        packet.Flow = Flows.Find(key, out packet.Reply);
        EndWhereOver(ref packet, now);
    }

    /// <summary>A flow that was found for the burst may have ended, by an earlier packet of it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Check(ref Packet packet, long now)
    {
        if (Flows.Removals != _removals && packet.Flow != 0 && !Flows.Is(packet.Flow, packet.Key, packet.Reply))
        {
            packet.Flow = Flows.Find(packet.Key, out packet.Reply);
        }

        EndWhereOver(ref packet, now);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void EndWhereOver(ref Packet packet, long now)
    {
        if (packet.Flow != 0 && Flows[packet.Flow].Deadline <= now)
        {
            Flows.End(packet.Flow, now);
            Counters.Expired++;
            packet.Flow = 0;
            packet.Reply = false;
        }
    }

    /// <summary>
    /// An ICMP error belongs to the flow it quotes, travels against the quoted packet, and goes to
    /// that packet's sender (RFC 5508 REQ-3, RFC 6092 REC-10). Any router may send it, so the numbers in the quote must be
    /// ones that are in flight.
    /// </summary>
    private void FindQuoted(ref Packet packet, long now)
    {
        if (!Parser.TryReadQuote(packet, out FlowKey quoted, out uint number, out Address sender)
            || (packet.Key.Destination != sender && packet.Key.Destination != quoted.Source))
        {
            packet.Drop(DropReason.StrayIcmpError);
            return;
        }

        if (!HasRightAddresses(ref packet))
        {
            return;
        }

        Find(ref packet, quoted, now);
        if (packet.Flow == 0 && _seat is not null && IsForAnother(ref packet, quoted, now))
        {
            return;
        }

        if (packet.Flow == 0 || !QuotedPacket.IsOf(Flows[packet.Flow], packet.Reply, number))
        {
            packet.Flow = 0;
            packet.Drop(DropReason.StrayIcmpError);
            Tell(packet, "flow", "quotes no packet that is in flight");
        }

        packet.Reply = !packet.Reply;
    }

    /// <summary>A packet and its flow: still allowed, from the right side, and come as policy says.</summary>
    private void MeetFlow(ref Packet packet, long now)
    {
        ref Flow flow = ref Flows[packet.Flow];
        if (flow.Generation != Generation && !JudgeAgain(packet.Flow, now))
        {
            packet.Flow = 0;
            packet.Reply = false;
            if (packet.Kind == PacketKind.IcmpError)
            {
                packet.Drop(DropReason.StrayIcmpError);
            }

            return;
        }

        packet.Rule = flow.Rule;
        packet.Log = flow.Log;
        if (!ComesFromItsSide(packet, flow))
        {
            packet.Drop(DropReason.WrongSide);
            return;
        }

        if (packet.HasHomeAddress && packet.Kind == PacketKind.Tracked && !GoesToItsHost(packet, ref flow))
        {
            packet.Drop(DropReason.WrongCareOf);
            return;
        }

        ushort egress = packet.Egress;
        if (packet.Reply)
        {
            // Answers go where the questions came from.
            packet.Egress = (ushort)(packet.Egress & (1 << flow.Packed.Ingress));
        }
        else
        {
            int asked = packet.Egress & ~flow.Judged;
            if (asked != 0)
            {
                JudgeFor(ref flow, (ushort)asked);
            }

            packet.Egress &= flow.Allowed;
        }

        if (packet.Egress == 0)
        {
            packet.Drop(DropReason.WrongSide);
            return;
        }

        if (packet.Egress != egress)
        {
            packet.Direction = Crossing(packet.Ingress, packet.Egress);
        }

        if (Ipsec is { } stage && flow.IpsecGeneration != stage.Generation)
        {
            DecideIpsec(ref flow, stage);
        }

        // Mobility headers of all types are of one flow, and policy may tell them apart (RFC 4301 §4.4.1.1).
        ApplyIpsec(ref packet, packet.Key.Protocol == IpProtocol.Mobility && Ipsec is { } each ? Decide(packet, each) : packet.Reply ? flow.ReplyIpsec : flow.ForwardIpsec);
        if (TTrace.On)
        {
            _trace.Note(packet, "flow", $"belongs to flow {_trace.Known(packet.Flow)}{(packet.Reply ? ", reply" : "")}, let in by '{Counters.Rules.Name(flow.Rule).Name}'");
        }

        if ((_kinds & RuleKinds.EachPacket) != 0 && !packet.Done)
        {
            AskEachPacket(ref packet, flow.Rule, now);
        }
    }

    /// <summary>
    /// Remembers where the sender is, if it is away from home, and looks whether the receiver is where the packet goes: a routing
    /// header must not lead into a network by a flow that is another host's.
    /// </summary>
    private bool GoesToItsHost(in Packet packet, ref Flow flow)
    {
        ref uint sender = ref packet.Reply ? ref flow.AnswererCareOf : ref flow.OpenerCareOf;
        ref uint receiver = ref packet.Reply ? ref flow.OpenerCareOf : ref flow.AnswererCareOf;
        Address source = IpHeader.Source(packet.Datagram), destination = IpHeader.Destination(packet.Datagram);
        sender = source != packet.Key.Source ? Fold(source) : sender;
        return destination == packet.Key.Destination || receiver == Fold(destination);
    }

    private uint Fold(Address careOf) => (uint)_careOf.Of(new FlowKey(careOf, default, 0, 0, 0, 0)) | 1;

    /// <summary>Questions come from the opener's side, answers from where questions went.</summary>
    private bool ComesFromItsSide(in Packet packet, in Flow flow) => packet.Reply
        ? ((flow.Allowed >> packet.Ingress) & 1) != 0
        : IsProtected(packet.Ingress) == IsProtected(flow.Packed.Ingress);

    private void OpenFlows(Burst burst)
    {
        if (_anyWithoutFlow && _opens)
        {
            FetchShares(burst);
        }

        for (int i = 0; _anyWithoutFlow && i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Done || packet.Own || packet.Flow != 0)
            {
                continue;
            }

            if (packet.Kind == PacketKind.Untracked)
            {
                JudgeAlone(ref packet, burst.Now);
                continue;
            }

            if (Counters.Opened != _openedBefore)
            {
                // An earlier packet of this burst may have opened it.
                Find(ref packet, packet.Key, burst.Now);
            }

            MeetOrOpen(ref packet, burst.Now);
        }

        _opens = _anyWithoutFlow ? Counters.Opened != _openedBefore : _opens;
    }

    /// <summary>What openings will count in is asked for, for the whole burst: first where it stands, then the shares.</summary>
    private void FetchShares(Burst burst)
    {
        Standings standings = Flows.Standings;
        int count = 0;
        for (int i = 0; i < burst.Count && count < _buckets.Length; i++)
        {
            ref readonly Packet packet = ref burst.Packets[i];
            if (packet.Flow == 0 && packet.Kind == PacketKind.Tracked && !packet.Done && !packet.Own)
            {
                _buckets[count++] = (
                    standings.Sources.FetchBucket(ShareKey.OfSource(packet.Key, management: false)),
                    standings.Destinations.FetchBucket(ShareKey.OfDestination(packet.Key, management: false)));
            }
        }

        for (int k = 0; k < count; k++)
        {
            standings.Sources.FetchShare(_buckets[k].Source);
            standings.Destinations.FetchShare(_buckets[k].Destination);
        }
    }

    /// <summary>A packet meets the flow that was found; or opens one, where there is none, or a new policy ended it.</summary>
    private void MeetOrOpen(ref Packet packet, long now)
    {
        if (packet.Flow != 0)
        {
            MeetFlow(ref packet, now);
        }

        if (packet.Flow == 0 && !packet.Done)
        {
            Open(ref packet, now);
        }
    }

    /// <summary>Opens a flow, where the rules let it, in the place of an ended one with the same key.</summary>
    private void Open(ref Packet packet, long now, int ended = 0)
    {
        if (_seat is not null && ended == 0 && IsForAnother(ref packet, packet.Key, now))
        {
            return;
        }

        bool opens = packet.Key.Protocol switch
        {
            IpProtocol.Tcp => TcpTracker.Opens(packet) || MayPickUp(packet),
            IpProtocol.Sctp => SctpTracker.Opens(packet),
            _ => DatagramTracker.Opens(packet),
        };
        if (!opens)
        {
            bool late = Flows.EndedByTimer(packet.Key, now);
            packet.Drop(late ? DropReason.Expired : DropReason.NoFlow);
            Tell(packet, "flow", late ? "its flow ended by its timer" : "belongs to no flow and can't open one");
            return;
        }

        ushort asked = packet.Egress;
        if (!HasRightAddresses(ref packet) || !CameAsPolicySays(ref packet)
            || (!IsExpected(ref packet, now, out int expectedBy, out Judgement judgement) && !Judge(ref packet, now, out judgement)))
        {
            return;
        }

        if (expectedBy != 0 && (_kinds & RuleKinds.EachPacket) != 0)
        {
            AskEachPacket(ref packet, judgement.Rule, now);
            if (packet.Done)
            {
                Flows.Expectations.Release(expectedBy);
                return;
            }
        }

        OpeningFacts opening = Facts(packet, (byte)BitOperations.TrailingZeroCount(packet.Egress));
        Flows.Remove(ended);
        if (!FindsPlace(ref packet, judgement, now) || !Admit(ref packet, judgement.Management, now))
        {
            Flows.Expectations.Release(expectedBy);
            return;
        }

        int number = Flows.Add(opening, now, long.MaxValue, judgement.Management);
        if (number == 0)
        {
            // There was room by count, but none where its key belongs.
            Flows.Expectations.Release(expectedBy);
            Refuse(ref packet, DropReason.TableFull, Limit.Table, ShareKey.OfSource(packet.Key, judgement.Management));
            return;
        }

        ref Flow flow = ref Flows[number];
        flow.Rule = judgement.Rule;
        flow.Timers = judgement.Timers;
        flow.Pinhole = judgement.Pinhole;
        flow.Log = judgement.Log;
        flow.Generation = Generation;
        flow.Judged = asked;
        flow.Allowed = packet.Egress;
        Bind(number, judgement, expectedBy);
        if (expectedBy == 0)
        {
            CountInRule(number);
        }

        if (Ipsec is { } stage)
        {
            DecideIpsec(ref flow, stage);
        }

        packet.Direction = Crossing(packet.Ingress, packet.Egress);
        ApplyIpsec(ref packet, flow.ForwardIpsec);
        if (packet.Done)
        {
            Flows.Remove(number);
            return;
        }

        if (packet.HasHomeAddress)
        {
            // The rules have allowed both addresses of either end.
            flow.OpenerCareOf = Fold(IpHeader.Source(packet.Datagram));
            flow.AnswererCareOf = Fold(IpHeader.Destination(packet.Datagram));
        }

        packet.Flow = number;
        packet.Reply = false;
        Counters.Opened++;
        Tell(packet, "flow", "opens a flow");
    }

    private void Tell(in Packet packet, string step, string what)
    {
        if (TTrace.On)
        {
            _trace.Note(packet, step, what);
        }
    }
}

using System.Numerics;
using Filter.Engine.Flows;
using Filter.Engine.Flows.Trackers;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Path;

/// <content>Flows: found, opened by the rules, tracked.</content>
public sealed partial class PacketPath<TTrace>
{
    private void FindFlows(Burst burst)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Done || packet.Own)
            {
                continue;
            }

            if (packet.Kind == PacketKind.Tracked)
            {
                Find(ref packet, packet.Key, burst.Now);
            }
            else if (packet.Kind == PacketKind.IcmpError)
            {
                FindQuoted(ref packet, burst.Now);
            }

            if (packet.Flow != 0 && !packet.Done)
            {
                MeetFlow(ref packet);
            }
        }
    }

    private void Find(ref Packet packet, in FlowKey key, long now)
    {
        packet.Flow = Flows.Find(key, out packet.Reply);
        if (packet.Flow != 0 && Flows[packet.Flow].Deadline <= now)
        {
            Flows.Remove(packet.Flow);
            Counters.Expired++;
            packet.Flow = 0;
            packet.Reply = false;
        }
    }

    /// <summary>
    /// An ICMP error belongs to the flow it quotes, travels against the quoted packet, and goes to
    /// that packet's sender (RFC 5508 REQ-3, RFC 6092 REC-10).
    /// </summary>
    private void FindQuoted(ref Packet packet, long now)
    {
        if (!Parser.TryReadQuote(packet, out FlowKey quoted) || quoted.Source != packet.Key.Destination)
        {
            packet.Drop(DropReason.StrayIcmpError);
            return;
        }

        Find(ref packet, quoted, now);
        packet.Reply = !packet.Reply;
        if (packet.Flow == 0)
        {
            packet.Drop(DropReason.StrayIcmpError);
        }
    }

    /// <summary>A packet and its flow: still allowed, from the right side, and come as policy says.</summary>
    private void MeetFlow(ref Packet packet)
    {
        ref Flow flow = ref Flows[packet.Flow];
        packet.Rule = flow.Rule;
        if (flow.Generation != Generation && !JudgeAgain(packet.Flow))
        {
            packet.Flow = 0;
            packet.Reply = false;
            if (packet.Kind == PacketKind.IcmpError)
            {
                packet.Drop(DropReason.StrayIcmpError);
            }

            return;
        }

        byte opener = flow.Opening.Ingress;
        Direction expected = packet.Reply ? Opposite(flow.Opening.Direction) : flow.Opening.Direction;
        if (packet.Direction != expected)
        {
            packet.Drop(DropReason.WrongSide);
            return;
        }

        if (packet.Reply)
        {
            // Answers go where the questions came from.
            packet.Egress = (ushort)(packet.Egress & (1 << opener));
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

        if (Ipsec is { } stage && flow.IpsecGeneration != stage.Generation)
        {
            DecideIpsec(ref flow, stage);
        }

        packet.Log = flow.Log;
        ApplyIpsec(ref packet, packet.Reply ? flow.ReplyIpsec : flow.ForwardIpsec);
        if (TTrace.On)
        {
            _trace.Note(packet, "flow", $"belongs to flow {packet.Flow}{(packet.Reply ? ", reply" : "")}, let in by '{Ruleset.Name(flow.Rule).Name}'");
        }
    }

    private void OpenFlows(Burst burst)
    {
        for (int i = 0; i < burst.Count; i++)
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

            // An earlier packet of this burst may have opened it.
            Find(ref packet, packet.Key, burst.Now);
            if (packet.Flow != 0)
            {
                MeetFlow(ref packet);
            }
            else
            {
                Open(ref packet, burst.Now);
            }
        }
    }

    /// <param name="packet">An opening.</param>
    /// <param name="now">The path's clock.</param>
    /// <param name="ended">The ended flow of the same key in whose place it comes; 0 for none.</param>
    private void Open(ref Packet packet, long now, int ended = 0)
    {
        bool opens = packet.Key.Protocol == IpProtocol.Tcp
            ? (packet.TcpFlags & (TcpFlags.Syn | TcpFlags.Ack)) == TcpFlags.Syn
            : DatagramTracker.Opens(packet);
        if (!opens)
        {
            packet.Drop(DropReason.NoFlow);
            Tell(packet, "flow", "belongs to no flow and can't open one");
            return;
        }

        ushort asked = packet.Egress;
        if (!CameAsPolicySays(ref packet) || !Judge(ref packet, now, out Judgement judgement))
        {
            return;
        }

        if (ended != 0)
        {
            Flows.Remove(ended);
        }

        OpeningFacts opening = Facts(packet, (byte)BitOperations.TrailingZeroCount(packet.Egress));
        int number = Flows.Add(opening, now, long.MaxValue);
        if (number == 0)
        {
            packet.Drop(DropReason.TableFull);
            return;
        }

        ref Flow flow = ref Flows[number];
        flow.Rule = judgement.Rule;
        flow.Pinhole = judgement.Pinhole;
        flow.Log = judgement.Log;
        flow.Generation = Generation;
        flow.Judged = asked;
        flow.Allowed = packet.Egress;
        if (Ipsec is { } stage)
        {
            DecideIpsec(ref flow, stage);
        }

        ApplyIpsec(ref packet, flow.ForwardIpsec);
        if (packet.Done)
        {
            Flows.Remove(number);
            return;
        }

        packet.Flow = number;
        packet.Reply = false;
        Counters.Opened++;
        Tell(packet, "flow", "opens a flow");
    }

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
            Judgement one = Ruleset.Judge(Facts(packet, egress));
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

        packet.Rule = judgement.Rule;
        packet.Log = judgement.Log;
        if (TTrace.On)
        {
            RuleName name = Ruleset.Name(judgement.Rule);
            _trace.Note(packet, "rules", $"'{name.Name}' ({name.File}:{name.Line}) says {judgement.Verdict.ToString().ToLowerInvariant()}");
        }

        if (judgement.Limited && !_limits.TryTake(judgement.Rule, now))
        {
            packet.Drop(DropReason.RateLimited);
            Tell(packet, "rules", "its rate limit is spent");
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
                packet.Drop(judgement.IsDefault ? DropReason.DefaultDeny : DropReason.Denied);
            }

            return false;
        }

        packet.Egress = allowed;
        return true;
    }

    /// <summary>Judges a flow for further far ports, by its opening.</summary>
    private void JudgeFor(ref Flow flow, ushort ports)
    {
        flow.Judged |= ports;
        for (int rest = ports; rest != 0; rest &= rest - 1)
        {
            byte egress = (byte)BitOperations.TrailingZeroCount(rest);
            if (Ruleset.Judge(flow.Opening with { Egress = egress }).Verdict == Verdict.Pass)
            {
                flow.Allowed |= (ushort)(1 << egress);
            }
        }
    }

    /// <summary>A flow under a new policy: judged by its opening; false where it had to end.</summary>
    private bool JudgeAgain(int number)
    {
        ref Flow flow = ref Flows[number];
        Judgement judgement = Ruleset.Judge(flow.Opening);
        if (judgement.Verdict != Verdict.Pass)
        {
            Flows.Remove(number);
            return false;
        }

        flow.Rule = judgement.Rule;
        flow.Pinhole = judgement.Pinhole;
        flow.Log = judgement.Log;
        flow.Generation = Generation;
        flow.Judged = flow.Allowed = (ushort)(1 << flow.Opening.Egress);
        return true;
    }

    private static OpeningFacts Facts(in Packet packet, byte egress) => new(
        packet.Key, packet.Ingress, egress, packet.Direction, packet.TcpFlags,
        packet.IcmpType, packet.IcmpCode, packet.TrafficClass, packet.ArrivedBy);

    private static Direction Opposite(Direction direction) => direction switch
    {
        Direction.Out => Direction.In,
        Direction.In => Direction.Out,
        _ => Direction.Across,
    };

    private void Track(Burst burst)
    {
        long removals = Flows.Removals;
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Done || packet.Own || packet.Flow == 0)
            {
                continue;
            }

            if (packet.Kind == PacketKind.IcmpError)
            {
                // Passes with its flow; creates, refreshes and ends nothing.
                packet.Verdict = Verdict.Pass;
                packet.Done = true;
                continue;
            }

            if (Flows.Removals != removals && !Flows.Is(packet.Flow, packet.Key, packet.Reply))
            {
                // Its flow ended by an earlier packet of this burst; the number may be another's by now.
                Find(ref packet, packet.Key, burst.Now);
                if (packet.Flow == 0)
                {
                    Open(ref packet, burst.Now);
                }
                else
                {
                    MeetFlow(ref packet);
                }

                if (packet.Done)
                {
                    continue;
                }
            }

            TrackOne(ref packet, burst.Now);
        }
    }

    private void TrackOne(ref Packet packet, long now)
    {
        for (int attempt = 0; attempt < 2; attempt++)
        {
            ref Flow flow = ref Flows[packet.Flow];
            TrackResult result = packet.Key.Protocol == IpProtocol.Tcp ? TcpTracker.Track(ref flow, packet)
                : DatagramTracker.Track(ref flow, packet);
            if (result == TrackResult.Pass)
            {
                Pass(ref packet, ref flow, now);
                return;
            }

            if (result == TrackResult.Invalid)
            {
                packet.Drop(DropReason.InvalidState);
                Tell(packet, "track", "the flow's state does not allow it");
                return;
            }

            // A new connection takes the ended one's place, if the rules let it in.
            int ended = packet.Flow;
            packet.Flow = 0;
            packet.Reply = false;
            Open(ref packet, now, ended);
            if (packet.Done)
            {
                return;
            }
        }

        packet.Drop(DropReason.InvalidState);
    }

    private void Pass(ref Packet packet, ref Flow flow, long now)
    {
        bool last = false;
        if (flow.Pinhole == PinholeKind.OneAnswer)
        {
            int datagrams = packet.Segments;
            if (!packet.Reply)
            {
                flow.Owed = (int)Math.Min(int.MaxValue, (long)flow.Owed + datagrams);
            }
            else if (flow.Owed < datagrams)
            {
                packet.Drop(DropReason.NotOwed);
                return;
            }
            else
            {
                flow.Owed -= datagrams;
                last = flow.Owed == 0;
            }
        }

        if (packet.Reply)
        {
            flow.ReplyPackets++;
            flow.ReplyBytes += packet.Length;
        }
        else
        {
            flow.ForwardPackets++;
            flow.ForwardBytes += packet.Length;
        }

        packet.Verdict = Verdict.Pass;
        packet.Done = true;
        if (last)
        {
            Flows.Remove(packet.Flow);
        }
        else
        {
            Flows.Extend(packet.Flow, now + Lifetime(flow));
        }

        Tell(packet, "track", last ? "the answer that was owed: the pinhole closes" : "passes");
    }

    private long Lifetime(in Flow flow)
    {
        FlowTimers timers = Settings.Timers;
        switch (flow.Opening.Key.Protocol)
        {
            case IpProtocol.Tcp:
                return (TcpPhase)flow.State switch
                {
                    TcpPhase.Established => timers.TcpEstablished,
                    TcpPhase.Closing => timers.TcpClosing,
                    TcpPhase.TimeWait => timers.TcpTimeWait,
                    TcpPhase.Reset => timers.TcpReset,
                    _ => timers.TcpOpening,
                };

            case IpProtocol.Udp:
            case IpProtocol.UdpLite:
                return flow.State == (byte)DatagramPhase.Answered ? timers.UdpAnswered : timers.UdpOpening;

            case IpProtocol.Icmp:
            case IpProtocol.IcmpV6:
                return timers.Icmp;

            default:
                return timers.Other;
        }
    }

    private void Tell(in Packet packet, string step, string what)
    {
        if (TTrace.On)
        {
            _trace.Note(packet, step, what);
        }
    }
}

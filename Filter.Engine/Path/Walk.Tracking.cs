using Filter.Engine.Algs;
using Filter.Engine.Flows;
using Filter.Engine.Flows.Trackers;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Path;

/// <content>Flows move on: one row of one table a packet.</content>
public sealed partial class PacketPath<TTrace>
{
    private void Track(Burst burst)
    {
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

            if (Flows.Removals != _removals && !Flows.Is(packet.Flow, packet.Key, packet.Reply))
            {
                // Its flow ended by an earlier packet of this burst; the number may be another's by now.
                Find(ref packet, packet.Key, burst.Now);
                MeetOrOpen(ref packet, burst.Now);
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
            if (flow.Class == FlowClass.Sctp && !SctpTracker.Fits(flow, packet))
            {
                packet.Drop(DropReason.WrongTag);
                Tell(packet, "track", "its verification tag is not the association's");
                return;
            }

            TrackResult result = flow.Class switch
            {
                FlowClass.Tcp => TcpTracker.Track(ref flow, packet),
                FlowClass.Sctp => SctpTracker.Track(ref flow, packet),
                _ => DatagramTracker.Track(ref flow, packet, now),
            };
            if (result is TrackResult.Pass or TrackResult.Aside)
            {
                Pass(ref packet, ref flow, now, result == TrackResult.Pass);
                return;
            }

            if (result is TrackResult.Invalid or TrackResult.OutOfWindow)
            {
                packet.Drop(result == TrackResult.Invalid ? DropReason.InvalidState : DropReason.OutOfWindow);
                Tell(packet, "track", result == TrackResult.Invalid ? "the flow's state does not allow it" : "its receiver can't take it: outside the window");
                return;
            }

            // A new connection takes the ended one's place, if the rules let it.
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

    private void Pass(ref Packet packet, ref Flow flow, long now, bool refreshes)
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
            flow.ReplyPackets += packet.Segments;
            flow.ReplyBytes += packet.Length;
        }
        else
        {
            flow.ForwardPackets += packet.Segments;
            flow.ForwardBytes += packet.Length;
        }

        packet.Verdict = Verdict.Pass;
        packet.Done = true;
        if (flow.Pinhole >= PinholeKind.AddressDependent)
        {
            KeepOpen(flow, packet.Reply, now);
        }

        if (flow.Helper != HelperKind.None && refreshes)
        {
            Help(packet, now);
        }

        FlowStanding standing = StandingOf(flow);
        if (standing != flow.Standing)
        {
            Flows.Standings.Change(packet.Flow, standing);
        }

        if (last)
        {
            Flows.Remove(packet.Flow);
        }
        else if (refreshes)
        {
            Flows.Extend(packet.Flow, now + Shortened(ref flow, Lifetime(flow)));
        }

        Tell(packet, "track", last ? "the answer that was owed: the pinhole closes" : "passes");
    }

    private long Lifetime(in Flow flow) => _lifetimes[flow.Timers].Of(flow);
}

using Filter.Engine.Packets;

namespace Filter.Engine.Flows.Trackers;

/// <summary>
/// Whether a packet that an ICMP error quotes may have been in its flow. Who can't see a flow must guess numbers that only its packets
/// show (RFC 5927 §4.1, RFC 9260 §10).
/// </summary>
public static class QuotedPacket
{
    /// <summary>Whether such a packet may be on its way.</summary>
    /// <param name="flow">The flow whose key the quoted packet showed.</param>
    /// <param name="reply">The quoted packet travelled against the flow's opening.</param>
    /// <param name="number">The second four bytes of its transport header: a sequence number of TCP, a tag of SCTP.</param>
    public static bool IsOf(in Flow flow, bool reply, uint number)
    {
        if (reply && flow.ReplyPackets == 0)
        {
            return false;                                   // nothing ever went that way
        }

        return flow.Class switch
        {
            FlowClass.Tcp => reply ? IsInFlight(flow.Answerer, flow.Opener, number)
                : IsInFlight(flow.Opener, flow.Answerer, number) || (flow.Opener.BeginsAnew && number == flow.Again.First - 1)
                    || ((TcpPhase)flow.State < TcpPhase.Established && number == flow.Opener.First - 1),   // its answer may be lost behind us
            FlowClass.Sctp => IsTagged(flow, reply, number),
            _ => true,
        };
    }

    /// <summary>Sent, and not acknowledged; or the next to be sent, as acknowledgments without data have it.</summary>
    private static bool IsInFlight(in TcpEnd sender, in TcpEnd receiver, uint sequence)
    {
        if (!sender.Seen)
        {
            return true;                                    // picked up midstream: not known yet
        }

        uint oldest = receiver.Acks ? receiver.Acknowledged : sender.First - 1;
        return sequence - oldest <= sender.Sent - oldest;
    }

    /// <summary>The tag of the association that is up or that is set up; without one it was an INIT.</summary>
    private static bool IsTagged(in Flow flow, bool reply, uint tag)
    {
        uint up = reply ? flow.Tags.Opener : flow.Tags.Answerer;
        uint next = reply ? flow.NextTags.Opener : flow.NextTags.Answerer;
        uint offered = reply ? flow.NextTags.Answerer : flow.NextTags.Opener;
        return tag == 0 ? offered != 0 : tag == up || tag == next;
    }
}

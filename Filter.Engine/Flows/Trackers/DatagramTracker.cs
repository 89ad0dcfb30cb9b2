using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Flows.Trackers;

/// <summary>Where a flow of datagrams stands.</summary>
public enum DatagramPhase : byte
{
    /// <summary>Nobody has answered.</summary>
    Opening,
    /// <summary>Both sides have spoken.</summary>
    Answered,
}

/// <summary>
/// UDP, UDP-Lite, SCTP, ICMP queries and every protocol that shows no more than addresses.
/// </summary>
public static class DatagramTracker
{
    /// <summary>Moves the flow on by one datagram.</summary>
    public static TrackResult Track(ref Flow flow, in Packet packet)
    {
        if (packet.Key.Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6
            && IsQuery(packet.Key.Protocol, packet.IcmpType) == packet.Reply)
        {
            // The opener asks, the other answers, and the answer is of the question's kind.
            return TrackResult.Invalid;
        }

        if (packet.Reply && packet.Key.Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6
            && packet.IcmpType != AnswerTo(flow.Opening.Key.Protocol, flow.Opening.IcmpType))
        {
            return TrackResult.Invalid;
        }

        flow.State = (byte)(packet.Reply ? DatagramPhase.Answered : (DatagramPhase)flow.State);
        return TrackResult.Pass;
    }

    /// <summary>Whether a packet may open a flow: an ICMP answer may not.</summary>
    public static bool Opens(in Packet packet) =>
        packet.Key.Protocol is not (IpProtocol.Icmp or IpProtocol.IcmpV6) || IsQuery(packet.Key.Protocol, packet.IcmpType);

    private static bool IsQuery(byte protocol, byte type) =>
        protocol == IpProtocol.IcmpV6 ? type == 128 : type is 8 or 13 or 15 or 17;

    private static int AnswerTo(byte protocol, byte type) => (protocol, type) switch
    {
        (IpProtocol.IcmpV6, 128) => 129,
        (IpProtocol.Icmp, 8) => 0,
        (IpProtocol.Icmp, 13) => 14,
        (IpProtocol.Icmp, 15) => 16,
        (IpProtocol.Icmp, 17) => 18,
        _ => -1,
    };
}

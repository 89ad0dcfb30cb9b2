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
            && (IcmpQueries.Asks(packet.Key.Protocol, packet.IcmpType) == packet.Reply || !HasItsCode(flow, packet)))
        {
            return TrackResult.Invalid;                     // the opener asks, the other answers
        }

        flow.State = (byte)(packet.Reply ? DatagramPhase.Answered : (DatagramPhase)flow.State);
        return TrackResult.Pass;
    }

    /// <summary>Queries and answers have code 0 (RFC 792, RFC 4443 §4); hosts that are asked under another answer under that.</summary>
    private static bool HasItsCode(in Flow flow, in Packet packet) =>
        !packet.Reply || packet.IcmpCode == 0 || packet.IcmpCode == flow.Opening.IcmpCode;

    /// <summary>Whether a packet may open a flow: an ICMP answer may not.</summary>
    public static bool Opens(in Packet packet) =>
        packet.Key.Protocol is not (IpProtocol.Icmp or IpProtocol.IcmpV6) || IcmpQueries.Asks(packet.Key.Protocol, packet.IcmpType);
}

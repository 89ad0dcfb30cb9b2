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
    /// <summary>Both sides have spoken, and the answers go on.</summary>
    Lasting,
}

/// <summary>
/// UDP, UDP-Lite, DCCP, ICMP queries and every protocol that shows no more than addresses.
/// </summary>
public static class DatagramTracker
{
    /// <summary>How long after the opening an answer shows that a flow lasts: no longer does one question take.</summary>
    private const long OneQuestion = 2_000_000_000;

    /// <summary>Moves the flow on by one datagram.</summary>
    /// <param name="flow">The flow; its opening may be this very packet.</param>
    /// <param name="packet">A parsed packet.</param>
    /// <param name="now">The path's clock.</param>
    public static TrackResult Track(ref Flow flow, in Packet packet, long now)
    {
        if (packet.Key.Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6
            && (IcmpQueries.Asks(packet.Key.Protocol, packet.IcmpType) == packet.Reply || !HasItsCode(flow, packet)))
        {
            return TrackResult.Invalid;                     // the opener asks, the other answers
        }

        if (packet.Reply && (DatagramPhase)flow.State != DatagramPhase.Lasting)
        {
            bool lasts = (DatagramPhase)flow.State == DatagramPhase.Answered && flow.ForwardPackets > 1
                && now - flow.Opened > OneQuestion;
            flow.State = (byte)(lasts ? DatagramPhase.Lasting : DatagramPhase.Answered);
        }

        return TrackResult.Pass;
    }

    /// <summary>Queries and answers have code 0 (RFC 792, RFC 4443 §4); hosts that are asked under another answer under that.</summary>
    private static bool HasItsCode(in Flow flow, in Packet packet) =>
        !packet.Reply || packet.IcmpCode == 0 || packet.IcmpCode == flow.Packed.IcmpCode;

    /// <summary>Whether a packet may open a flow: an ICMP answer may not.</summary>
    public static bool Opens(in Packet packet) =>
        packet.Key.Protocol is not (IpProtocol.Icmp or IpProtocol.IcmpV6) || IcmpQueries.Asks(packet.Key.Protocol, packet.IcmpType);
}

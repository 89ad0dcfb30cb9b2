namespace Filter.Engine.Packets;

/// <summary>
/// All that rules and policies may look at: the facts of a flow's first packet (or of one untracked
/// packet). A flow keeps them, so it can be judged again by its opening, never by the packet at hand.
/// </summary>
/// <param name="Key">Addresses, ports, protocol, segment (VLAN stack).</param>
/// <param name="Ingress">Number of the port it came in by.</param>
/// <param name="Egress">Number of the port it would leave by.</param>
/// <param name="Direction">Which way it crosses the boundary.</param>
/// <param name="TcpFlags">TCP flags.</param>
/// <param name="IcmpType">ICMP type.</param>
/// <param name="IcmpCode">ICMP code.</param>
/// <param name="TrafficClass">DSCP and ECN.</param>
/// <param name="ArrivedBy">The IPsec policy by whose SA it came; 0 for the clear.</param>
public readonly record struct OpeningFacts(
    FlowKey Key,
    byte Ingress,
    byte Egress,
    Direction Direction,
    TcpFlags TcpFlags,
    byte IcmpType,
    byte IcmpCode,
    byte TrafficClass,
    ushort ArrivedBy)
{
    /// <summary>Link address of the frame's sender, see <see cref="Wire.LinkAddress"/>; 0 of what came out of an SA.</summary>
    public ulong SourceMac { get; init; }

    /// <summary>Link address that the frame was sent to; 0 of what came out of an SA.</summary>
    public ulong DestinationMac { get; init; }

    /// <summary>Length of the IP packet in bytes; of a super-frame that of its segments.</summary>
    public ushort PacketLength { get; init; }

    /// <summary>IPv6 extension headers.</summary>
    public ExtensionHeaders Extensions { get; init; }

    /// <summary>It came in fragments.</summary>
    public bool Fragmented { get; init; }
}

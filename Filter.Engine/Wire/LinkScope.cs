using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// What IP says to the machines of its own link and to nobody else: no router forwards it, so it is no traffic between
/// IPsec's two ends, however wide a policy's selectors are.
/// </summary>
public static class LinkScope
{
    /// <summary>A hop limit that only a sender on the link can give a packet (RFC 4861 §3.1).</summary>
    private const byte NoHopBetween = 255;

    /// <summary>Whether a parsed packet of the untracked kind stays on its link.</summary>
    public static bool Holds(in Packet packet) =>
        packet.Kind == PacketKind.Untracked && (packet.Key.Protocol, packet.IcmpType) switch
        {
            // IGMP speaks to groups (RFC 9776 §4), MLD and multicast router discovery too (RFC 9777 §5, RFC 4286 §3).
            (IpProtocol.Igmp, _) => packet.Key.Destination.IsMulticast,
            (IpProtocol.IcmpV6, (>= 130 and <= 132) or 143 or (>= 151 and <= 153)) => packet.Key.Destination.IsMulticast && packet.HopLimit == 1,

            // Neighbour discovery, inverse too (RFC 3122 §4), and the certificates of SEND (RFC 3971 §6.4).
            (IpProtocol.IcmpV6, (>= 133 and <= 137) or 141 or 142 or 148 or 149) => packet.HopLimit == NoHopBetween,
            _ => false,
        };
}

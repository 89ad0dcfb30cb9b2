using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>What gives addresses: DHCP (RFC 2131) and DHCPv6 (RFC 8415), by their ports.</summary>
public static class DhcpMessage
{
    private const ushort Server4 = 67, Client4 = 68, Client6 = 546, Server6 = 547;
    private const byte BootReply = 2, RelayReply = 13;

    /// <summary>Whether a parsed UDP packet goes to a port that DHCP speaks on.</summary>
    public static bool MayBe(in Packet packet) => IsItsPort(packet.Key.DestinationPort);

    /// <summary>Whether a UDP port is one that DHCP speaks on.</summary>
    public static bool IsItsPort(ushort destinationPort) => destinationPort is Server4 or Client4 or Client6 or Server6;

    /// <summary>Whether a UDP port is a DHCPv6 client's.</summary>
    public static bool IsToClient(ushort destinationPort) => destinationPort == Client6;

    /// <summary>
    /// Whether such a packet speaks as a server: to a client, whatever it says (RFC 7610 §5), or through a relay.
    /// </summary>
    public static bool IsFromServer(in Packet packet)
    {
        byte first = packet.Payload < packet.End ? packet.Bytes[packet.Payload] : (byte)0;
        return (packet.IsIPv4, packet.Key.DestinationPort) switch
        {
            (true, Client4) or (false, Client6) => true,
            (true, Server4) => first == BootReply,
            (false, Server6) => first == RelayReply,
            _ => false,
        };
    }
}

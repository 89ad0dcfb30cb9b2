namespace Filter.Engine.Wire;

/// <summary>IANA protocol numbers that the engine treats by name.</summary>
public static class IpProtocol
{
    /// <summary>IPv6 hop-by-hop options (RFC 8200 §4.3).</summary>
    public const byte HopByHop = 0;
    /// <summary>ICMP (RFC 792).</summary>
    public const byte Icmp = 1;
    /// <summary>IGMP (RFC 9776).</summary>
    public const byte Igmp = 2;
    /// <summary>IPv4 in IP (RFC 2003).</summary>
    public const byte IPv4 = 4;
    /// <summary>TCP (RFC 9293).</summary>
    public const byte Tcp = 6;
    /// <summary>UDP (RFC 768).</summary>
    public const byte Udp = 17;
    /// <summary>DCCP (RFC 4340).</summary>
    public const byte Dccp = 33;
    /// <summary>IPv6 in IP (RFC 4213).</summary>
    public const byte IPv6 = 41;
    /// <summary>IPv6 routing header (RFC 8200 §4.4).</summary>
    public const byte Routing = 43;
    /// <summary>IPv6 fragment header (RFC 8200 §4.5).</summary>
    public const byte Fragment = 44;
    /// <summary>GRE (RFC 2784).</summary>
    public const byte Gre = 47;
    /// <summary>ESP (RFC 4303).</summary>
    public const byte Esp = 50;
    /// <summary>AH (RFC 4302).</summary>
    public const byte Ah = 51;
    /// <summary>ICMPv6 (RFC 4443).</summary>
    public const byte IcmpV6 = 58;
    /// <summary>No next header (RFC 8200 §4.7).</summary>
    public const byte NoNext = 59;
    /// <summary>IPv6 destination options (RFC 8200 §4.6).</summary>
    public const byte DestinationOptions = 60;
    /// <summary>SCTP (RFC 9260).</summary>
    public const byte Sctp = 132;
    /// <summary>Mobility header (RFC 6275 §6.1).</summary>
    public const byte Mobility = 135;
    /// <summary>UDP-Lite (RFC 3828).</summary>
    public const byte UdpLite = 136;

    /// <summary>Whether the protocol's header starts with two 16-bit ports.</summary>
    public static bool HasPorts(byte protocol) => protocol is Tcp or Udp or UdpLite or Sctp or Dccp;
}

/// <summary>Ethertypes that the engine treats by name.</summary>
public static class EtherTypes
{
    /// <summary>IPv4.</summary>
    public const ushort IPv4 = 0x0800;
    /// <summary>ARP.</summary>
    public const ushort Arp = 0x0806;
    /// <summary>VLAN customer tag (IEEE 802.1Q).</summary>
    public const ushort Vlan = 0x8100;
    /// <summary>IPv6.</summary>
    public const ushort IPv6 = 0x86dd;
    /// <summary>VLAN service tag (IEEE 802.1ad).</summary>
    public const ushort ServiceVlan = 0x88a8;
    /// <summary>The service tag that older equipment uses.</summary>
    public const ushort OldServiceVlan = 0x9100;
    /// <summary>MAC control: pause (IEEE 802.3 Annex 31B).</summary>
    public const ushort MacControl = 0x8808;
    /// <summary>Slow protocols: LACP, OAM (IEEE 802.3 Annex 57A).</summary>
    public const ushort SlowProtocols = 0x8809;
    /// <summary>Values below are lengths of LLC frames (IEEE 802.3 §3.2.6).</summary>
    public const ushort FirstType = 0x0600;
}

using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Flows;

/// <summary>What kind of flow it is to the timers: its protocol and, of UDP, what its ports say.</summary>
public enum FlowClass : byte
{
    /// <summary>Whatever is known by its addresses alone.</summary>
    Other,
    /// <summary>TCP.</summary>
    Tcp,
    /// <summary>UDP and UDP-Lite between ports above 1023.</summary>
    Udp,
    /// <summary>UDP and UDP-Lite with a port of 0 to 1023 (RFC 6092 REC-15).</summary>
    UdpWellKnown,
    /// <summary>UDP to the ports of IKE (RFC 7296 §2).</summary>
    Ike,
    /// <summary>ICMP and ICMPv6 queries.</summary>
    Icmp,
    /// <summary>SCTP.</summary>
    Sctp,
    /// <summary>DCCP.</summary>
    Dccp,
    /// <summary>GRE.</summary>
    Gre,
    /// <summary>ESP and AH.</summary>
    Ipsec,
}

/// <summary>Tells the class of a flow by its opening.</summary>
public static class FlowClasses
{
    private const ushort LastWellKnown = 1023;
    private const ushort Ike = 500;
    private const ushort IkeNat = 4500;

    /// <summary>The class of a flow whose first packet shows this key.</summary>
    public static FlowClass Of(in FlowKey opening) => opening.Protocol switch
    {
        IpProtocol.Tcp => FlowClass.Tcp,
        IpProtocol.Udp when opening.DestinationPort is Ike or IkeNat => FlowClass.Ike,
        IpProtocol.Udp or IpProtocol.UdpLite => opening.SourcePort <= LastWellKnown || opening.DestinationPort <= LastWellKnown
            ? FlowClass.UdpWellKnown
            : FlowClass.Udp,
        IpProtocol.Icmp or IpProtocol.IcmpV6 => FlowClass.Icmp,
        IpProtocol.Sctp => FlowClass.Sctp,
        IpProtocol.Dccp => FlowClass.Dccp,
        IpProtocol.Gre => FlowClass.Gre,
        IpProtocol.Esp or IpProtocol.Ah => FlowClass.Ipsec,
        _ => FlowClass.Other,
    };
}

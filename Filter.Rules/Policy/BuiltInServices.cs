using System.Collections.Frozen;
using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Rules.Policy;

/// <summary>
/// The services that every ruleset may name. <c>igmp</c> and every other protocol is a service by itself and needs no
/// entry here.
/// </summary>
public static class BuiltInServices
{
    private static readonly FrozenDictionary<string, ServiceSet> s_byName = new Dictionary<string, ServiceSet>
    {
        ["any"] = ServiceSet.Any,
        ["ping"] = ServiceSet.Of([Type(IpProtocol.Icmp, 8), Type(IpProtocol.IcmpV6, 128)]),
        ["dns"] = Of((IpProtocol.Udp, 53, 53), (IpProtocol.Tcp, 53, 53)),
        ["dhcp"] = Of((IpProtocol.Udp, 67, 68)),
        ["dhcpv6"] = Of((IpProtocol.Udp, 546, 547)),
        ["nd"] = ServiceSet.Of([Type(IpProtocol.IcmpV6, 135), Type(IpProtocol.IcmpV6, 136)]),
        ["ra"] = ServiceSet.Of([Type(IpProtocol.IcmpV6, 133), Type(IpProtocol.IcmpV6, 134)]),
        ["mld"] = ServiceSet.Of([Type(IpProtocol.IcmpV6, 130), Type(IpProtocol.IcmpV6, 131), Type(IpProtocol.IcmpV6, 132), Type(IpProtocol.IcmpV6, 143)]),
        ["ntp"] = Of((IpProtocol.Udp, 123, 123)),
        ["http"] = Of((IpProtocol.Tcp, 80, 80)),
        ["https"] = Of((IpProtocol.Tcp, 443, 443)),
        ["ssh"] = Of((IpProtocol.Tcp, 22, 22)),
        ["web"] = Of((IpProtocol.Tcp, 80, 80), (IpProtocol.Tcp, 443, 443), (IpProtocol.Udp, 443, 443)),
        ["ipsec"] = ServiceSet.Of(
        [
            new Service(IpProtocol.Esp, PortRange.All), new Service(IpProtocol.Ah, PortRange.All),
            new Service(IpProtocol.Udp, new PortRange(500, 500)), new Service(IpProtocol.Udp, new PortRange(4500, 4500)),
        ]),
        ["ike"] = Of((IpProtocol.Udp, 500, 500), (IpProtocol.Udp, 4500, 4500)),
        ["traceroute"] = Of((IpProtocol.Udp, 33434, 33534)),
    }.ToFrozenDictionary();

    /// <summary>The services by name.</summary>
    public static IReadOnlyDictionary<string, ServiceSet> ByName => s_byName;

    /// <summary>Every word that is a protocol, <c>icmp</c> for both families first.</summary>
    public static ImmutableArray<string> ProtocolWords { get; } = [ProtocolNames.EitherIcmp, .. ProtocolNames.Words];

    private static Service Type(byte protocol, byte type) => new(protocol, new PortRange(type, type));

    private static ServiceSet Of(params (byte Protocol, ushort First, ushort Last)[] services) =>
        ServiceSet.Of(services.Select(static s => new Service(s.Protocol, new PortRange(s.First, s.Last))));
}

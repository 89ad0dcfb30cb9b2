using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;

namespace Filter.Rules.Policy;

/// <summary>The words of the language for protocols, ICMP types and well-known services.</summary>
public static class Protocols
{
    /// <summary>TCP (RFC 9293).</summary>
    public const byte Tcp = 6;

    /// <summary>UDP (RFC 768).</summary>
    public const byte Udp = 17;

    /// <summary>ICMP (RFC 792).</summary>
    public const byte Icmp = 1;

    /// <summary>ICMPv6 (RFC 4443).</summary>
    public const byte IcmpV6 = 58;

    private static readonly FrozenDictionary<string, byte> s_numbers = new Dictionary<string, byte>
    {
        ["icmpv4"] = Icmp, ["igmp"] = 2, ["ipip"] = 4, ["tcp"] = Tcp, ["udp"] = Udp, ["dccp"] = 33, ["6in4"] = 41, ["gre"] = 47,
        ["esp"] = 50, ["ah"] = 51, ["icmpv6"] = IcmpV6, ["ospf"] = 89, ["etherip"] = 97, ["pim"] = 103, ["vrrp"] = 112,
        ["l2tp"] = 115, ["sctp"] = 132, ["udplite"] = 136,
    }.ToFrozenDictionary();

    /// <summary>ICMP type by word (RFC 792, 1256), as they are in IPv4.</summary>
    private static readonly FrozenDictionary<string, byte> s_icmpTypes = new Dictionary<string, byte>
    {
        ["echo-reply"] = 0, ["destination-unreachable"] = 3, ["source-quench"] = 4, ["redirect"] = 5, ["echo-request"] = 8,
        ["router-advertisement"] = 9, ["router-solicitation"] = 10, ["time-exceeded"] = 11, ["parameter-problem"] = 12,
        ["timestamp-request"] = 13, ["timestamp-reply"] = 14, ["address-mask-request"] = 17, ["address-mask-reply"] = 18,
    }.ToFrozenDictionary();

    /// <summary>ICMPv6 type by word (RFC 4443, 4861, 2710, 3810).</summary>
    private static readonly FrozenDictionary<string, byte> s_icmpV6Types = new Dictionary<string, byte>
    {
        ["destination-unreachable"] = 1, ["packet-too-big"] = 2, ["time-exceeded"] = 3, ["parameter-problem"] = 4,
        ["echo-request"] = 128, ["echo-reply"] = 129, ["multicast-listener-query"] = 130, ["multicast-listener-report"] = 131,
        ["multicast-listener-done"] = 132, ["router-solicitation"] = 133, ["router-advertisement"] = 134,
        ["neighbour-solicitation"] = 135, ["neighbor-solicitation"] = 135, ["neighbour-advertisement"] = 136,
        ["neighbor-advertisement"] = 136, ["redirect"] = 137, ["multicast-listener-report-v2"] = 143,
    }.ToFrozenDictionary();

    private static readonly FrozenDictionary<string, ServiceSet> s_builtIn = new Dictionary<string, ServiceSet>
    {
        ["any"] = ServiceSet.Any,
        ["ping"] = ServiceSet.Of([Type(Icmp, 8), Type(IcmpV6, 128)]),
        ["dns"] = Of((Udp, 53, 53), (Tcp, 53, 53)),
        ["dhcp"] = Of((Udp, 67, 68)),
        ["dhcpv6"] = Of((Udp, 546, 547)),
        ["nd"] = ServiceSet.Of([Type(IcmpV6, 135), Type(IcmpV6, 136)]),
        ["ra"] = ServiceSet.Of([Type(IcmpV6, 133), Type(IcmpV6, 134)]),
        ["mld"] = ServiceSet.Of([Type(IcmpV6, 130), Type(IcmpV6, 131), Type(IcmpV6, 132), Type(IcmpV6, 143)]),
        ["ntp"] = Of((Udp, 123, 123)),
        ["http"] = Of((Tcp, 80, 80)),
        ["https"] = Of((Tcp, 443, 443)),
        ["ssh"] = Of((Tcp, 22, 22)),
        ["web"] = Of((Tcp, 80, 80), (Tcp, 443, 443), (Udp, 443, 443)),
        ["ike"] = Of((Udp, 500, 500), (Udp, 4500, 4500)),
        ["traceroute"] = Of((Udp, 33434, 33534)),
    }.ToFrozenDictionary();

    /// <summary>The built-in services by name; <c>igmp</c> is a protocol and so needs no entry.</summary>
    public static IReadOnlyDictionary<string, ServiceSet> BuiltIn => s_builtIn;

    /// <summary>Every word that is a protocol.</summary>
    public static ImmutableArray<string> Words { get; } = ["icmp", .. s_numbers.Keys.Order(StringComparer.Ordinal)];

    /// <summary>The word for a protocol number; <c>proto/N</c> if it has none.</summary>
    public static string Name(byte protocol)
    {
        foreach ((string word, byte number) in s_numbers)
        {
            if (number == protocol)
            {
                return word;
            }
        }

        return string.Create(CultureInfo.InvariantCulture, $"proto/{protocol}");
    }

    /// <summary>The protocols of a word: one, or ICMP of both families for <c>icmp</c>; empty if it is none.</summary>
    public static ReadOnlySpan<byte> Numbers(string word) =>
        word == "icmp" ? [Icmp, IcmpV6] : s_numbers.TryGetValue(word, out byte number) ? new byte[] { number } : [];

    /// <summary>The number of an ICMP type's word in the family of that protocol.</summary>
    public static bool TryIcmpType(byte protocol, string word, out byte type) =>
        (protocol == Icmp ? s_icmpTypes : s_icmpV6Types).TryGetValue(word, out type);

    /// <summary>The words for ICMP types of either family.</summary>
    public static IEnumerable<string> IcmpTypeWords => s_icmpTypes.Keys.Union(s_icmpV6Types.Keys).Order(StringComparer.Ordinal);

    private static Service Type(byte protocol, byte type) => new(protocol, new PortRange(type, type));

    private static ServiceSet Of(params (byte Protocol, ushort First, ushort Last)[] services) =>
        ServiceSet.Of(services.Select(static s => new Service(s.Protocol, new PortRange(s.First, s.Last))));
}

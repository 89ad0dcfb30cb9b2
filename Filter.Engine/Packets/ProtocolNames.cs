using System.Collections.Frozen;
using System.Collections.Immutable;
using Filter.Engine.Wire;

namespace Filter.Engine.Packets;

/// <summary>
/// The words for IP protocols, as packet lines and rulesets spell them. <c>icmp</c> is not among
/// them: it names ICMP or ICMPv6 after the addresses beside it, so whoever reads it decides.
/// </summary>
public static class ProtocolNames
{
    /// <summary>The word that stands for ICMP and ICMPv6 alike.</summary>
    public const string EitherIcmp = "icmp";

    private const byte Ospf = 89;
    private const byte EtherIp = 97;
    private const byte Pim = 103;
    private const byte IpComp = 108;
    private const byte Vrrp = 112;
    private const byte L2tp = 115;

    private static readonly FrozenDictionary<string, byte> s_numbers = new Dictionary<string, byte>
    {
        ["icmpv4"] = IpProtocol.Icmp, ["igmp"] = IpProtocol.Igmp, ["ipip"] = IpProtocol.IPv4, ["tcp"] = IpProtocol.Tcp,
        ["udp"] = IpProtocol.Udp, ["dccp"] = IpProtocol.Dccp, ["6in4"] = IpProtocol.IPv6, ["gre"] = IpProtocol.Gre,
        ["esp"] = IpProtocol.Esp, ["ah"] = IpProtocol.Ah, ["icmpv6"] = IpProtocol.IcmpV6, ["ospf"] = Ospf,
        ["etherip"] = EtherIp, ["pim"] = Pim, ["ipcomp"] = IpComp, ["vrrp"] = Vrrp, ["l2tp"] = L2tp,
        ["sctp"] = IpProtocol.Sctp, ["mobility"] = IpProtocol.Mobility, ["udplite"] = IpProtocol.UdpLite,
    }.ToFrozenDictionary();

    private static readonly FrozenDictionary<byte, string> s_words =
        s_numbers.ToFrozenDictionary(static pair => pair.Value, static pair => pair.Key);

    /// <summary>Every word, sorted; <see cref="EitherIcmp"/> is not among them.</summary>
    public static ImmutableArray<string> Words { get; } = [.. s_numbers.Keys.Order(StringComparer.Ordinal)];

    /// <summary>The number of a protocol's word; false for a word that is none.</summary>
    public static bool TryParse(string word, out byte protocol) => s_numbers.TryGetValue(word, out protocol);

    /// <summary>The word for a protocol number (<c>icmpv4</c> for 1), or null where it has none.</summary>
    public static string? Word(byte protocol) => s_words.GetValueOrDefault(protocol);
}

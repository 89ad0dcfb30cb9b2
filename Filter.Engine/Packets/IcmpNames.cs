using System.Collections.Frozen;
using System.Collections.Immutable;
using Filter.Engine.Wire;

namespace Filter.Engine.Packets;

/// <summary>The words for ICMP and ICMPv6 types, which share words but not numbers.</summary>
public static class IcmpNames
{
    /// <summary>RFC 792, 950, 1256, 8335.</summary>
    private static readonly FrozenDictionary<string, byte> s_v4 = new Dictionary<string, byte>
    {
        ["echo-reply"] = 0, ["destination-unreachable"] = 3, ["source-quench"] = 4, ["redirect"] = 5,
        ["echo-request"] = 8, ["router-advertisement"] = 9, ["router-solicitation"] = 10, ["time-exceeded"] = 11,
        ["parameter-problem"] = 12, ["timestamp-request"] = 13, ["timestamp-reply"] = 14,
        ["information-request"] = 15, ["information-reply"] = 16,
        ["address-mask-request"] = 17, ["address-mask-reply"] = 18,
        ["extended-echo-request"] = 42, ["extended-echo-reply"] = 43,
    }.ToFrozenDictionary();

    /// <summary>RFC 4443, 2710, 4861, 2894, 3122, 3810, 6275, 3971, 4286, 6550, 8335.</summary>
    private static readonly FrozenDictionary<string, byte> s_v6 = new Dictionary<string, byte>
    {
        ["destination-unreachable"] = 1, ["packet-too-big"] = 2, ["time-exceeded"] = 3, ["parameter-problem"] = 4,
        ["echo-request"] = 128, ["echo-reply"] = 129, ["multicast-listener-query"] = 130,
        ["multicast-listener-report"] = 131, ["multicast-listener-done"] = 132, ["router-solicitation"] = 133,
        ["router-advertisement"] = 134, ["neighbour-solicitation"] = 135, ["neighbour-advertisement"] = 136,
        ["redirect"] = 137, ["router-renumbering"] = 138, ["inverse-neighbour-solicitation"] = 141,
        ["inverse-neighbour-advertisement"] = 142, ["multicast-listener-report-v2"] = 143,
        ["home-agent-request"] = 144, ["home-agent-reply"] = 145, ["mobile-prefix-solicitation"] = 146,
        ["mobile-prefix-advertisement"] = 147, ["certification-path-solicitation"] = 148,
        ["certification-path-advertisement"] = 149, ["multicast-router-advertisement"] = 151,
        ["multicast-router-solicitation"] = 152, ["multicast-router-termination"] = 153, ["rpl-control"] = 155,
        ["extended-echo-request"] = 160, ["extended-echo-reply"] = 161,
    }.ToFrozenDictionary();

    private static readonly FrozenDictionary<byte, string> s_v4Words =
        s_v4.ToFrozenDictionary(static pair => pair.Value, static pair => pair.Key);

    private static readonly FrozenDictionary<byte, string> s_v6Words =
        s_v6.ToFrozenDictionary(static pair => pair.Value, static pair => pair.Key);

    /// <summary>The words for types of either family, sorted.</summary>
    public static ImmutableArray<string> Words { get; } =
        [.. s_v4.Keys.Union(s_v6.Keys).Order(StringComparer.Ordinal)];

    /// <summary>The number of a type's word; both spellings of "neighbour" are taken.</summary>
    /// <param name="protocol">ICMP (1) or ICMPv6 (58): the family whose numbers are meant.</param>
    /// <param name="word">A word of <see cref="Words"/>.</param>
    /// <param name="type">The type.</param>
    public static bool TryParse(byte protocol, string word, out byte type) =>
        (protocol == IpProtocol.IcmpV6 ? s_v6 : s_v4).TryGetValue(
            word.Replace("neighbor", "neighbour", StringComparison.Ordinal), out type);

    /// <summary>The word for a type of that family, or null where it has none.</summary>
    public static string? Word(byte protocol, byte type) =>
        (protocol == IpProtocol.IcmpV6 ? s_v6Words : s_v4Words).GetValueOrDefault(type);
}

using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy;

/// <summary>The algorithms of an SA. HMAC-SHA2-256-128 (RFC 4868) goes with each cipher.</summary>
public enum IpsecSuite : byte
{
    /// <summary>AES-CBC with a key of 128 bits (RFC 3602).</summary>
    AesCbc128HmacSha256,

    /// <summary>AES-CBC with a key of 192 bits.</summary>
    AesCbc192HmacSha256,

    /// <summary>AES-CBC with a key of 256 bits.</summary>
    AesCbc256HmacSha256,
}

/// <summary>What the names of suites mean.</summary>
public static class IpsecSuites
{
    /// <summary>Bytes of an HMAC-SHA2-256-128 key (RFC 4868 §2.1.1).</summary>
    public const int IntegrityKeyLength = 32;

    /// <summary>The suites by the names that rulesets use.</summary>
    public static IReadOnlyDictionary<string, IpsecSuite> ByName { get; } = new Dictionary<string, IpsecSuite>(StringComparer.Ordinal)
    {
        ["aes-cbc-128+hmac-sha2-256-128"] = IpsecSuite.AesCbc128HmacSha256,
        ["aes-cbc-192+hmac-sha2-256-128"] = IpsecSuite.AesCbc192HmacSha256,
        ["aes-cbc-256+hmac-sha2-256-128"] = IpsecSuite.AesCbc256HmacSha256,
    };

    /// <summary>Bytes of the suite's encryption key: 16, 24 or 32.</summary>
    public static int EncryptionKeyLength(this IpsecSuite suite) => suite switch
    {
        IpsecSuite.AesCbc128HmacSha256 => 16,
        IpsecSuite.AesCbc192HmacSha256 => 24,
        _ => 32,
    };

    /// <summary>The suite's name in a ruleset.</summary>
    public static string Name(this IpsecSuite suite) => ByName.First(pair => pair.Value == suite).Key;
}

/// <summary>The SPD and the manual SAs (RFC 4301 §4.4.1, §4.5.1).</summary>
/// <param name="Policies">In order; the first match wins, and no match drops.</param>
/// <param name="Sas">The SA pairs that policies name.</param>
public sealed record IpsecConfig(ImmutableArray<IpsecPolicy> Policies, ImmutableArray<SaConfig> Sas);

/// <summary>One SPD entry. Selectors are written from the protected side: outbound, local is the source.</summary>
public sealed record IpsecPolicy
{
    /// <summary>Unique among policies.</summary>
    public required string Name { get; init; }

    /// <summary>Where it starts.</summary>
    public required SourceMark At { get; init; }

    /// <summary>From 1, in file order: the number that packets and flows carry.</summary>
    public required ushort Number { get; init; }

    /// <summary>Bypass, Protect or Drop.</summary>
    public required IpsecAction Action { get; init; }

    /// <summary>Addresses on the protected side; null for any.</summary>
    public AddressSet? Local { get; init; }

    /// <summary>Addresses on the unprotected side; null for any.</summary>
    public AddressSet? Remote { get; init; }

    /// <summary>Protocols and remote ports; null for any.</summary>
    public ServiceSet? Service { get; init; }

    /// <summary>Ports on the protected side, of protocols that have them; empty for any.</summary>
    public ImmutableArray<PortRange> LocalPorts { get; init; } = [];

    /// <summary>It speaks of what goes out.</summary>
    public required bool Outbound { get; init; }

    /// <summary>It speaks of what comes in.</summary>
    public required bool Inbound { get; init; }

    /// <summary>
    /// The SA pairs of a protecting policy, in the order in which they are tried; empty where a key manager is to bring them, and of
    /// the others.
    /// </summary>
    public ImmutableArray<SaConfig> Sas { get; init; } = [];

    /// <summary>Which of an SA's selectors are populated from the packet it is made for (RFC 4301 §4.4.1.2).</summary>
    public PopulatedSelectors Populate { get; init; }
}

/// <summary>Selectors that an SA has from the packet, and not from its policy: "PFP" of RFC 4301 §4.4.1.2.</summary>
[Flags]
public enum PopulatedSelectors : byte
{
    /// <summary>None: one SA carries all that the policy names.</summary>
    None = 0,

    /// <summary>An SA for each local address.</summary>
    Local = 1,

    /// <summary>An SA for each remote address.</summary>
    Remote = 2,

    /// <summary>An SA for each protocol.</summary>
    Protocol = 4,

    /// <summary>An SA for each local port.</summary>
    LocalPort = 8,

    /// <summary>An SA for each remote port, or ICMP type and code.</summary>
    RemotePort = 16,
}

/// <summary>One direction of an SA pair.</summary>
public sealed record SaKeys
{
    /// <summary>256..2^32-1.</summary>
    public required uint Spi { get; init; }

    /// <summary>As long as the suite's cipher wants it.</summary>
    public required SecretKey EncryptionKey { get; init; }

    /// <summary>32 bytes.</summary>
    public required SecretKey IntegrityKey { get; init; }

    /// <summary>Overwrites both keys with zeros.</summary>
    public void Wipe()
    {
        EncryptionKey.Wipe();
        IntegrityKey.Wipe();
    }
}

/// <summary>A pair of manual SAs, one for each direction.</summary>
public sealed record SaConfig
{
    /// <summary>Unique.</summary>
    public required string Name { get; init; }

    /// <summary>Where it starts.</summary>
    public required SourceMark At { get; init; }

    /// <summary>From 1, in file order.</summary>
    public required ushort Number { get; init; }

    /// <summary>Everything but SPIs and keys.</summary>
    public required SaSettings Settings { get; init; }

    /// <summary>What we send with.</summary>
    public required SaKeys Out { get; init; }

    /// <summary>What we receive with.</summary>
    public required SaKeys In { get; init; }

    /// <summary>
    /// Whether this is the same SA as one of an earlier ruleset, wherever it is written now: if so it keeps its counter
    /// and its window.
    /// </summary>
    public bool IsUnchangedFrom(SaConfig earlier) =>
        Settings.IsSameSaAs(earlier.Settings)
        && this with { At = earlier.At, Number = earlier.Number, Settings = earlier.Settings } == earlier;
}

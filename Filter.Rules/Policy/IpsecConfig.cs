using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy;

/// <summary>Transport or tunnel (RFC 4301 §4.1).</summary>
public enum IpsecMode : byte
{
    /// <summary>The packet keeps its own IP header.</summary>
    Transport,

    /// <summary>The packet is carried whole in another.</summary>
    Tunnel,
}

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

    /// <summary>It speaks of what goes out.</summary>
    public required bool Outbound { get; init; }

    /// <summary>It speaks of what comes in.</summary>
    public required bool Inbound { get; init; }

    /// <summary>The SA pair of a protecting policy; null for the others.</summary>
    public SaConfig? Sa { get; init; }
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

    /// <summary>Tunnel or transport.</summary>
    public required IpsecMode Mode { get; init; }

    /// <summary>Tunnel: our outer address. Transport: the protected end, if said.</summary>
    public Address? Local { get; init; }

    /// <summary>Tunnel: the peer's outer address. Transport: the far end, if said.</summary>
    public Address? Remote { get; init; }

    /// <summary>The algorithms.</summary>
    public required IpsecSuite Suite { get; init; }

    /// <summary>What we send with.</summary>
    public required SaKeys Out { get; init; }

    /// <summary>What we receive with.</summary>
    public required SaKeys In { get; init; }

    /// <summary>Replay window in packets, 32..65536; 0 for no replay check.</summary>
    public int ReplayWindow { get; init; }

    /// <summary>Whether the MSS of TCP handshakes is lowered to what fits.</summary>
    public bool ClampMss { get; init; }

    /// <summary>
    /// Whether this is the same SA as one of an earlier ruleset, wherever it is written now: if so it keeps its counter
    /// and its window.
    /// </summary>
    public bool IsUnchangedFrom(SaConfig earlier) =>
        this with { At = earlier.At, Number = earlier.Number, ClampMss = earlier.ClampMss } == earlier;
}

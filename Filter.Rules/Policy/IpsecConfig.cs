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

    /// <summary>As long as the suite wants it: empty where nothing is encrypted.</summary>
    public SecretKey EncryptionKey { get; init; } = SecretKey.None;

    /// <summary>As long as the suite wants it: empty where the cipher authenticates.</summary>
    public SecretKey IntegrityKey { get; init; } = SecretKey.None;

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

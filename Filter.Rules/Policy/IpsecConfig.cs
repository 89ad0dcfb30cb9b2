using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy;

/// <summary>The SPD and the manual SAs (RFC 4301 §4.4.1, §4.5.1).</summary>
/// <param name="Policies">In order; the first match wins, and no match drops.</param>
/// <param name="Sas">The SA pairs that policies name.</param>
public sealed record IpsecConfig(ImmutableArray<IpsecPolicy> Policies, ImmutableArray<SaConfig> Sas)
{
    /// <summary>With whom keys are negotiated; null where with nobody.</summary>
    public IkeConfig? Ike { get; init; }
}

/// <summary>One SPD entry. Selectors are written from the protected side: outbound, local is the source.</summary>
public sealed record IpsecPolicy
{
    /// <summary>
    /// The number of the first policy that a key manager has brought (PF_KEY); those of a ruleset are smaller, so that they keep
    /// theirs whatever is brought. To rules, what came by any of these came by this one.
    /// </summary>
    public const ushort FirstBrought = 0xc000;

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

    /// <summary>
    /// It selects what shows no ports: the pieces behind the first of packets that other policies protect by their ports (RFC 4301
    /// §7.2), and nothing else.
    /// </summary>
    public bool Opaque { get; init; }

    /// <summary>It speaks of what goes out.</summary>
    public required bool Outbound { get; init; }

    /// <summary>It speaks of what comes in.</summary>
    public required bool Inbound { get; init; }

    /// <summary>
    /// The SA pairs of a protecting policy, in the order in which they are tried; empty where a key manager is to bring them, and of
    /// the others.
    /// </summary>
    public ImmutableArray<SaConfig> Sas { get; init; } = [];

    /// <summary>Who is asked for SAs of a protecting policy without any of its own; null where an outside key manager is.</summary>
    public IkePeer? Peer { get; init; }

    /// <summary>What these are like; null for what <see cref="Peer"/> says.</summary>
    public ChildTemplate? Child { get; init; }

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

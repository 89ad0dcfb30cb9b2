using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy;

/// <summary>Whom Filter negotiates keys with, and how (RFC 7296; the PAD of RFC 4301 §4.4.3).</summary>
/// <param name="Peers">In file order. Who comes from an unknown place is the first whose remote ends and identity allow it.</param>
/// <param name="Pools">Addresses that are given to peers that ask for one (RFC 7296 §2.19).</param>
/// <param name="Limits">What strangers may cost.</param>
public sealed record IkeConfig(ImmutableArray<IkePeer> Peers, ImmutableArray<AddressPool> Pools, IkeLimits Limits);

/// <summary>What those may cost who have not proved who they are (RFC 7296 §2.6).</summary>
/// <param name="CookieThreshold">Half-open IKE SAs above which a cookie is asked for; 0 for always.</param>
/// <param name="HalfOpen">Half-open IKE SAs at most.</param>
/// <param name="HalfOpenPerSource">Half-open IKE SAs of one address (IPv6: of one /64) at most.</param>
public sealed record IkeLimits(int CookieThreshold = 32, int HalfOpen = 1024, int HalfOpenPerSource = 16);

/// <summary>One entry of the PAD: who somebody is, how he proves it, what is agreed with him, and which children he may have.</summary>
public sealed record IkePeer
{
    /// <summary>Unique among peers.</summary>
    public required string Name { get; init; }

    /// <summary>Where it starts.</summary>
    public required SourceMark At { get; init; }

    /// <summary>Our address; null for any of our own.</summary>
    public Address? Local { get; init; }

    /// <summary>The far end to begin with; null where it comes to us, and we only answer.</summary>
    public Address? Remote { get; init; }

    /// <summary>Where the peer may come from; null for <see cref="Remote"/> alone, or anywhere where that is null too.</summary>
    public AddressSet? RemoteRange { get; init; }

    /// <summary>Who we say we are.</summary>
    public required IkeIdentity LocalIdentity { get; init; }

    /// <summary>Who the peer has to be.</summary>
    public required IkeIdentityPattern RemoteIdentity { get; init; }

    /// <summary>How we prove it.</summary>
    public required IkeCredential LocalCredential { get; init; }

    /// <summary>How the peer has to prove it.</summary>
    public required IkeCredential RemoteCredential { get; init; }

    /// <summary>For the IKE SA, best first; at least one.</summary>
    public required ImmutableArray<IkeProposal> Proposals { get; init; }

    /// <summary>When it begins.</summary>
    public IkeStart Start { get; init; } = IkeStart.OnDemand;

    /// <summary>Nanoseconds until the IKE SA is replaced (jittered by a tenth); 0 for never.</summary>
    public long Rekey { get; init; } = 14_400_000_000_000;

    /// <summary>Nanoseconds of silence after which the peer is asked whether it lives; 0 for never (RFC 7296 §2.4).</summary>
    public long DeadPeerAfter { get; init; } = 30_000_000_000;

    /// <summary>ESP goes in UDP even where nobody translates addresses.</summary>
    public bool ForceUdp { get; init; }

    /// <summary>Bytes of an IP packet above which IKE messages are sent in fragments (RFC 7383).</summary>
    public int FragmentSize { get; init; } = 1280;

    /// <summary>An address for ourselves is asked for: of IPv4, of IPv6 (RFC 7296 §2.19).</summary>
    public RequestedAddresses Requests { get; init; }

    /// <summary>The pools that the peer's own addresses come from, by name; empty where it gets none.</summary>
    public ImmutableArray<AddressPool> Pools { get; init; } = [];

    /// <summary>What its children are like, where their policy says nothing else.</summary>
    public required ChildTemplate Child { get; init; }

    /// <summary>Overwrites what is secret with zeros.</summary>
    public void Wipe()
    {
        LocalCredential.Wipe();
        RemoteCredential.Wipe();
    }
}

/// <summary>Families of which an address is asked for.</summary>
[Flags]
public enum RequestedAddresses : byte
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>INTERNAL_IP4_ADDRESS.</summary>
    IPv4 = 1,

    /// <summary>INTERNAL_IP6_ADDRESS.</summary>
    IPv6 = 2,
}

/// <summary>When an IKE SA with a peer, and its children, begin.</summary>
public enum IkeStart : byte
{
    /// <summary>When a packet needs it; the packet waits.</summary>
    OnDemand,

    /// <summary>At once, and again whenever it ends.</summary>
    AtOnce,

    /// <summary>Never by us: the peer begins, or a person by `filterctl ike up`.</summary>
    Never,
}

/// <summary>Addresses to give away.</summary>
/// <param name="Name">Unique among pools.</param>
/// <param name="At">Where it starts.</param>
/// <param name="Range">First to last.</param>
public sealed record AddressPool(string Name, SourceMark At, AddressRange Range);

/// <summary>What an identity is (RFC 7296 §3.5).</summary>
public enum IkeIdentityKind : byte
{
    /// <summary>ID_IPV4_ADDR: 4 bytes.</summary>
    IPv4Address = 1,

    /// <summary>ID_FQDN: ASCII, <c>gw.example.com</c>.</summary>
    DomainName = 2,

    /// <summary>ID_RFC822_ADDR: ASCII, <c>anna@example.com</c>.</summary>
    MailAddress = 3,

    /// <summary>ID_IPV6_ADDR: 16 bytes.</summary>
    IPv6Address = 5,

    /// <summary>ID_DER_ASN1_DN: a distinguished name as DER.</summary>
    DistinguishedName = 9,

    /// <summary>ID_DER_ASN1_GN.</summary>
    GeneralName = 10,

    /// <summary>ID_KEY_ID: bytes that both ends know.</summary>
    KeyId = 11,

    /// <summary>ID_NULL (RFC 7619): anonymous; never accepted, parsed only.</summary>
    None = 13,
}

/// <summary>An identity as it is sent.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Bytes">As they go into the ID payload.</param>
/// <param name="Text">As people write it: <c>gw.example.com</c>, <c>CN=gw, O=Example</c>, <c>192.0.2.1</c>, <c>keyid:0x0102</c>.</param>
public sealed record IkeIdentity(IkeIdentityKind Kind, ImmutableArray<byte> Bytes, string Text)
{
    /// <summary>Kind and bytes; what the text looks like does not matter.</summary>
    public bool Equals(IkeIdentity? other) => other is not null && Kind == other.Kind && Bytes.AsSpan().SequenceEqual(other.Bytes.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        HashCode hash = default;
        hash.Add(Kind);
        hash.AddBytes(Bytes.AsSpan());
        return hash.ToHashCode();
    }

    /// <inheritdoc/>
    public override string ToString() => Text;
}

/// <summary>Which identities are meant.</summary>
/// <param name="Exactly">This one; null where <paramref name="Suffix"/> says.</param>
/// <param name="Suffix">
/// With <c>*.example.com</c> every domain name below that, with <c>*@example.com</c> every mail address there; null with an exact
/// identity. Both null: whoever has proved himself by the credential (never with a PSK).
/// </param>
public sealed record IkeIdentityPattern(IkeIdentity? Exactly, string? Suffix)
{
    /// <inheritdoc/>
    public override string ToString() => Exactly?.Text ?? (Suffix is null ? "any" : "*" + Suffix);
}

/// <summary>How somebody proves who he is.</summary>
public abstract record IkeCredential
{
    /// <summary>Where it is written.</summary>
    public required SourceMark At { get; init; }

    /// <summary>Overwrites what is secret with zeros.</summary>
    public virtual void Wipe()
    {
    }
}

/// <summary>A key that both know (RFC 7296 §2.15).</summary>
public sealed record PskCredential : IkeCredential
{
    /// <summary>The key.</summary>
    public required SecretKey Key { get; init; }

    /// <inheritdoc/>
    public override void Wipe() => Key.Wipe();
}

/// <summary>Our private key and, where there is one, its certificate with those up to the root, or the bare public key.</summary>
public sealed record PrivateKeyCredential : IkeCredential
{
    /// <summary>PKCS#8, DER, not encrypted.</summary>
    public required SecretKey PrivateKey { get; init; }

    /// <summary>DER; our own first, then its issuers; empty for a raw public key (RFC 7670).</summary>
    public ImmutableArray<ImmutableArray<byte>> Certificates { get; init; } = [];

    /// <inheritdoc/>
    public override void Wipe() => PrivateKey.Wipe();
}

/// <summary>The peer's certificate must lead to one of these.</summary>
public sealed record TrustCredential : IkeCredential
{
    /// <summary>Roots, DER.</summary>
    public required ImmutableArray<ImmutableArray<byte>> Anchors { get; init; }

    /// <summary>CRLs, DER.</summary>
    public ImmutableArray<ImmutableArray<byte>> RevocationLists { get; init; } = [];

    /// <summary>A certificate whose issuer has no CRL here is refused.</summary>
    public bool RequiresRevocationList { get; init; }
}

/// <summary>The peer's public key is this one, whatever certificate it sends.</summary>
public sealed record PublicKeyCredential : IkeCredential
{
    /// <summary>SubjectPublicKeyInfo, DER.</summary>
    public required ImmutableArray<byte> PublicKey { get; init; }
}

/// <summary>One proposal for the IKE SA: each of these lists is of alternatives, best first (RFC 7296 §3.3).</summary>
/// <param name="At">Where it is written.</param>
/// <param name="Text">As it is written: <c>aes-gcm-16-256+prf-hmac-sha2-256+x25519</c>.</param>
/// <param name="Ciphers">Of one kind: all combined, or none.</param>
/// <param name="Integrity">Empty with combined ciphers.</param>
/// <param name="Prfs">At least one.</param>
/// <param name="Groups">At least one.</param>
public sealed record IkeProposal(
    SourceMark At, string Text, ImmutableArray<IkeTransform> Ciphers, ImmutableArray<IkeTransform> Integrity, ImmutableArray<IkeTransform> Prfs,
    ImmutableArray<IkeTransform> Groups);

/// <summary>Types of transforms, IANA's numbers (RFC 7296 §3.3.2).</summary>
public enum IkeTransformType : byte
{
    /// <summary>ENCR.</summary>
    Encryption = 1,

    /// <summary>PRF.</summary>
    Prf = 2,

    /// <summary>INTEG.</summary>
    Integrity = 3,

    /// <summary>KE, Diffie-Hellman groups before.</summary>
    KeyExchange = 4,

    /// <summary>ESN: 0 without, 1 with.</summary>
    SequenceNumbers = 5,
}

/// <summary>An algorithm as IKE numbers it.</summary>
/// <param name="Type">What it is for.</param>
/// <param name="Id">IANA's number within the type.</param>
/// <param name="KeyBits">The Key Length attribute; 0 for none.</param>
/// <param name="Name">As rulesets write it.</param>
/// <param name="IsLegacy">Only where `legacy: true` stands.</param>
public sealed record IkeTransform(IkeTransformType Type, ushort Id, int KeyBits, string Name, bool IsLegacy = false)
{
    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>What children, pairs of ESP or AH SAs, are like.</summary>
public sealed record ChildTemplate
{
    /// <summary>Where it is written.</summary>
    public required SourceMark At { get; init; }

    /// <summary>Algorithms, best first; all ESP or all AH; at least one.</summary>
    public required ImmutableArray<IpsecSuite> Suites { get; init; }

    /// <summary>Groups for a fresh exchange with each child but the first, and each re-key (PFS); empty for none.</summary>
    public ImmutableArray<IkeTransform> Groups { get; init; } = [];

    /// <summary>Extended sequence numbers: offered and preferred (null), or only with, or only without.</summary>
    public bool? ExtendedSequence { get; init; }

    /// <summary>
    /// Mode, lifetime, window, outer header, padding and the like. Ends, suite, ESN and UDP encapsulation in it are replaced by what
    /// is negotiated.
    /// </summary>
    public required SaSettings Settings { get; init; }
}

using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Ipsec.PfKey.Messages;

/// <summary>What a message says after its header (RFC 2367 §2.3).</summary>
/// <param name="Type">Which extension it is.</param>
public abstract record PfKeyExtension(PfKeyExtensionType Type);

/// <summary>struct sadb_sa: 16 bytes (§2.3.1).</summary>
/// <param name="Spi">As a number; on the socket it is in network order.</param>
/// <param name="Replay">The window's size in bytes of a bitmap (RFC 2367) or packets (Linux); see <see cref="PfKeySa"/>.</param>
/// <param name="State">How far its life has come.</param>
/// <param name="Authentication">SADB_AALG_*.</param>
/// <param name="Encryption">SADB_EALG_*.</param>
/// <param name="Flags">Further words.</param>
public sealed record SaExtension(uint Spi, byte Replay, PfKeySaState State, byte Authentication, byte Encryption, PfKeySaFlags Flags)
    : PfKeyExtension(PfKeyExtensionType.Sa);

/// <summary>struct sadb_lifetime: 32 bytes (§2.3.2). Zero is no limit.</summary>
/// <param name="Type">Current, hard or soft.</param>
/// <param name="Allocations">Connections that may use it; of a current one, that do.</param>
/// <param name="Bytes">Bytes.</param>
/// <param name="Added">Seconds since it was made; of a current one, when: seconds since 1970.</param>
/// <param name="Used">Seconds since its first use; of a current one, when that was.</param>
public sealed record LifetimeExtension(PfKeyExtensionType Type, uint Allocations, ulong Bytes, ulong Added, ulong Used) : PfKeyExtension(Type);

/// <summary>struct sadb_address with its sockaddr (§2.3.3).</summary>
/// <param name="Type">Source, destination, proxy, or an original address.</param>
/// <param name="Protocol">Of a selector: IANA number, 255 or 0 for any.</param>
/// <param name="PrefixLength">Bits of the address that count.</param>
/// <param name="Address">IPv4 or IPv6.</param>
/// <param name="Port">0 for any.</param>
public sealed record AddressExtension(PfKeyExtensionType Type, byte Protocol, byte PrefixLength, Address Address, ushort Port) : PfKeyExtension(Type)
{
    /// <summary>An address that stands for itself.</summary>
    public AddressExtension(PfKeyExtensionType type, Address address)
        : this(type, 0, (byte)(address.IsIPv4 ? 32 : 128), address, 0)
    {
    }

    /// <summary>The addresses that it names.</summary>
    public Prefix Prefix => Prefix.Around(Address, PrefixLength);
}

/// <summary>struct sadb_key (§2.3.4).</summary>
/// <param name="Type">Of integrity, or of encryption.</param>
/// <param name="Bits">Its length in bits, from 1.</param>
/// <param name="Key">Its bytes, padding left off.</param>
public sealed record KeyExtension(PfKeyExtensionType Type, ushort Bits, SecretKey Key) : PfKeyExtension(Type);

/// <summary>struct sadb_ident (§2.3.5).</summary>
/// <param name="Type">Source or destination.</param>
/// <param name="Kind">SADB_IDENTTYPE_*: 1 a prefix, 2 a domain name, 3 a mail address; others are key managers' own.</param>
/// <param name="Id">A number that operating systems may give.</param>
/// <param name="Name">As it came, with the zeros at its end.</param>
public sealed record IdentityExtension(PfKeyExtensionType Type, ushort Kind, ulong Id, ImmutableArray<byte> Name) : PfKeyExtension(Type);

/// <summary>struct sadb_prop with its combinations (§2.3.7).</summary>
/// <param name="Replay">The window, as in <see cref="SaExtension"/>.</param>
/// <param name="Combinations">Best first.</param>
public sealed record ProposalExtension(byte Replay, ImmutableArray<PfKeyCombination> Combinations) : PfKeyExtension(PfKeyExtensionType.Proposal);

/// <summary>struct sadb_comb: 72 bytes. Lengths are bits, times seconds.</summary>
/// <param name="Authentication">SADB_AALG_*; 0 for none.</param>
/// <param name="Encryption">SADB_EALG_*; 0 for none.</param>
/// <param name="AuthenticationBits">Shortest and longest integrity key.</param>
/// <param name="EncryptionBits">Shortest and longest encryption key.</param>
/// <param name="Soft">Its soft limit.</param>
/// <param name="Hard">Its hard limit.</param>
public readonly record struct PfKeyCombination(
    byte Authentication, byte Encryption, (ushort Least, ushort Most) AuthenticationBits, (ushort Least, ushort Most) EncryptionBits,
    (uint Allocations, ulong Bytes, ulong Added, ulong Used) Soft, (uint Allocations, ulong Bytes, ulong Added, ulong Used) Hard);

/// <summary>struct sadb_supported with its algorithms (§2.3.8).</summary>
/// <param name="Type">Of integrity, or of encryption.</param>
/// <param name="Algorithms">All there are.</param>
public sealed record SupportedExtension(PfKeyExtensionType Type, ImmutableArray<PfKeyAlgorithm> Algorithms) : PfKeyExtension(Type);

/// <summary>struct sadb_alg: 8 bytes.</summary>
/// <param name="Id">SADB_AALG_* or SADB_EALG_*.</param>
/// <param name="IvLength">Bytes.</param>
/// <param name="LeastBits">Shortest key.</param>
/// <param name="MostBits">Longest key.</param>
public readonly record struct PfKeyAlgorithm(byte Id, byte IvLength, ushort LeastBits, ushort MostBits);

/// <summary>struct sadb_spirange: 16 bytes (§2.3.9).</summary>
/// <param name="Least">The first that may be given.</param>
/// <param name="Most">The last.</param>
public sealed record SpiRangeExtension(uint Least, uint Most) : PfKeyExtension(PfKeyExtensionType.SpiRange);

/// <summary>struct sadb_x_policy: 16 bytes, and its requests.</summary>
/// <param name="Kind">What becomes of what it selects.</param>
/// <param name="Direction">Which way that goes.</param>
/// <param name="Id">The system's number of it.</param>
/// <param name="Priority">Lower ones come first.</param>
/// <param name="Requests">What protects, outermost last; pairs of old and new in a migration.</param>
public sealed record PolicyExtension(PfKeyPolicyType Kind, PfKeyDirection Direction, uint Id, uint Priority, ImmutableArray<PfKeyRequest> Requests)
    : PfKeyExtension(PfKeyExtensionType.Policy);

/// <summary>struct sadb_x_ipsecrequest: 16 bytes and, of a tunnel, two addresses.</summary>
/// <param name="Protocol">50, ESP; 51, AH; 108, IPComp.</param>
/// <param name="Mode">Transport or tunnel.</param>
/// <param name="Level">Whether it must be.</param>
/// <param name="RequestId">An SA for it has this number; 0 for whatever it has.</param>
/// <param name="Ends">A tunnel's source and destination; null where none are named.</param>
public readonly record struct PfKeyRequest(byte Protocol, PfKeyMode Mode, PfKeyLevel Level, uint RequestId, (Address Source, Address Destination)? Ends);

/// <summary>struct sadb_x_sa2: 16 bytes.</summary>
/// <param name="Mode">Transport or tunnel.</param>
/// <param name="Sequence">The number of its last packet; 0 where that is not told.</param>
/// <param name="RequestId">The request that it is for; 0 for any.</param>
public sealed record Sa2Extension(PfKeyMode Mode, uint Sequence, uint RequestId) : PfKeyExtension(PfKeyExtensionType.Sa2);

/// <summary>struct sadb_x_nat_t_type: 8 bytes.</summary>
/// <param name="Kind">2: ESP in UDP as RFC 3948 has it.</param>
public sealed record NatTypeExtension(byte Kind) : PfKeyExtension(PfKeyExtensionType.NatType)
{
    /// <summary>UDP_ENCAP_ESPINUDP.</summary>
    public const byte EspInUdp = 2;
}

/// <summary>struct sadb_x_nat_t_port: 8 bytes.</summary>
/// <param name="Type">Of the source, or of the destination.</param>
/// <param name="Port">The port.</param>
public sealed record NatPortExtension(PfKeyExtensionType Type, ushort Port) : PfKeyExtension(Type);

/// <summary>struct sadb_x_kmaddress: 8 bytes, and two sockaddrs.</summary>
/// <param name="Local">Where our key manager speaks from.</param>
/// <param name="Remote">Where the far one does.</param>
public sealed record KeyManagerAddressExtension(Address Local, Address Remote) : PfKeyExtension(PfKeyExtensionType.KeyManagerAddress);

/// <summary>One that means nothing to us: it is handed on as it came.</summary>
/// <param name="Type">Sensitivity, a security context, what key managers say to each other, a filter.</param>
/// <param name="Bytes">What stands behind length and type; a multiple of 8, less 4.</param>
public sealed record OpaqueExtension(PfKeyExtensionType Type, ImmutableArray<byte> Bytes) : PfKeyExtension(Type);

using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Ipsec.PfKey.Messages;

/// <summary>Why a message is not done; nothing is wrong with one of zeros.</summary>
/// <param name="Error">What its answer says.</param>
/// <param name="Why">For people.</param>
public readonly record struct PfKeyFault(PfKeyError Error, string Why)
{
    /// <summary>Whether something is wrong.</summary>
    public bool IsFault => Error != PfKeyError.None;
}

/// <summary>
/// Bytes to a message. Every length is held against what is there before anything behind it is looked at; what cannot be is an
/// error with its reason, never an exception.
/// </summary>
public static class PfKeyReader
{
    /// <summary>Bytes of an extension's length and type.</summary>
    private const int Head = 4;

    /// <summary>What extension lengths are counted in, in bytes.</summary>
    private const int Unit = 8;

    /// <summary>Most algorithms, combinations or requests of one extension.</summary>
    private const int MostEntries = 256;

    /// <summary>Reads the base header alone; false where there are not enough bytes for one.</summary>
    public static bool TryReadHeader(ReadOnlySpan<byte> bytes, out PfKeyHeader header)
    {
        header = default;
        if (bytes.Length < PfKeyHeader.Length)
        {
            return false;
        }

        header = new PfKeyHeader((PfKeyType)bytes[1], (PfKeyError)bytes[2], (PfKeySaType)bytes[3], U32(bytes, 8), U32(bytes, 12));
        return true;
    }

    /// <summary>Reads a whole message.</summary>
    /// <param name="bytes">One message, as it came.</param>
    /// <param name="message">It; its keys are its own, to be disposed.</param>
    /// <param name="fault">What is wrong with it, and the error to answer with.</param>
    public static bool TryRead(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out PfKeyMessage? message, out PfKeyFault fault)
    {
        message = null;
        if (!TryReadHeader(bytes, out PfKeyHeader header) || U16(bytes, 4) * Unit != bytes.Length)
        {
            fault = new(PfKeyError.MessageSize, "its length is not what it says");
            return false;
        }

        if (bytes[0] != PfKeyHeader.Version || U16(bytes, 6) != 0)
        {
            fault = new(PfKeyError.Invalid, "it is no message of version 2");
            return false;
        }

        if (header.Type is PfKeyType.Reserved or > PfKeyType.Migrate || header.SaType > PfKeySaType.IpComp)
        {
            fault = new(PfKeyError.Invalid, "there is no such message, or no such type of SA");
            return false;
        }

        ImmutableArray<PfKeyExtension>.Builder extensions = ImmutableArray.CreateBuilder<PfKeyExtension>();
        fault = ReadAll(bytes[PfKeyHeader.Length..], extensions);
        PfKeyMessage read = new(header, extensions.ToImmutable());
        if (fault.IsFault)
        {
            read.Dispose();
            return false;
        }

        message = read;
        return true;
    }

    private static PfKeyFault ReadAll(ReadOnlySpan<byte> rest, ImmutableArray<PfKeyExtension>.Builder extensions)
    {
        uint seen = 0;
        while (!rest.IsEmpty)
        {
            int length = rest.Length < Head ? 0 : U16(rest, 0) * Unit;
            if (length < Unit || length > rest.Length)
            {
                return new(PfKeyError.Invalid, "an extension's length is wrong");
            }

            PfKeyExtensionType type = (PfKeyExtensionType)U16(rest, 2);
            ReadOnlySpan<byte> body = rest[..length];
            rest = rest[length..];
            if (type > PfKeyExtensionType.Filter)
            {
                continue;       // RFC 2367 §2.3: what is not known is passed over
            }

            uint bit = 1U << (int)type;
            if (type == PfKeyExtensionType.Reserved || (seen & bit) != 0)
            {
                return new(PfKeyError.Invalid, $"the extension {type} stands twice, or is none");
            }

            seen |= bit;
            if (Read(type, body) is not { } extension)
            {
                return new(PfKeyError.Invalid, $"the extension {type} is malformed");
            }

            extensions.Add(extension);
        }

        return default;
    }

    /// <summary>One extension, head and all; null where it is malformed.</summary>
    private static PfKeyExtension? Read(PfKeyExtensionType type, ReadOnlySpan<byte> body) => type switch
    {
        PfKeyExtensionType.Sa => body.Length != 16 || body[9] > (byte)PfKeySaState.Dead
            ? null
            : new SaExtension(SocketAddress.SpiAt(body[4..]), body[8], (PfKeySaState)body[9], body[10], body[11], (PfKeySaFlags)U32(body, 12)),
        PfKeyExtensionType.LifetimeCurrent or PfKeyExtensionType.LifetimeHard or PfKeyExtensionType.LifetimeSoft =>
            body.Length != 32 ? null : new LifetimeExtension(type, U32(body, 4), U64(body, 8), U64(body, 16), U64(body, 24)),
        PfKeyExtensionType.AddressSource or PfKeyExtensionType.AddressDestination or PfKeyExtensionType.AddressProxy or PfKeyExtensionType.NatOriginalAddress =>
            ReadAddress(type, body),
        PfKeyExtensionType.KeyAuthentication or PfKeyExtensionType.KeyEncryption => ReadKey(type, body),
        PfKeyExtensionType.IdentitySource or PfKeyExtensionType.IdentityDestination =>
            body.Length < 16 ? null : new IdentityExtension(type, U16(body, 4), U64(body, 8), [.. body[16..]]),
        PfKeyExtensionType.Proposal => ReadProposal(body),
        PfKeyExtensionType.SupportedAuthentication or PfKeyExtensionType.SupportedEncryption => ReadSupported(type, body),
        PfKeyExtensionType.SpiRange => body.Length != 16 ? null : new SpiRangeExtension(U32(body, 4), U32(body, 8)),
        PfKeyExtensionType.Policy => ReadPolicy(body),
        PfKeyExtensionType.Sa2 => body.Length != 16 ? null : new Sa2Extension((PfKeyMode)body[4], U32(body, 8), U32(body, 12)),
        PfKeyExtensionType.NatType => body.Length != 8 ? null : new NatTypeExtension(body[4]),
        PfKeyExtensionType.NatSourcePort or PfKeyExtensionType.NatDestinationPort =>
            body.Length != 8 ? null : new NatPortExtension(type, SocketAddress.PortAt(body[4..])),
        PfKeyExtensionType.KeyManagerAddress => SocketAddress.TryReadPair(body[8..], out var ends, out _) ? new KeyManagerAddressExtension(ends.Source, ends.Destination) : null,
        _ => new OpaqueExtension(type, [.. body[Head..]]),
    };

    private static AddressExtension? ReadAddress(PfKeyExtensionType type, ReadOnlySpan<byte> body)
    {
        if (body.Length < 8 + SocketAddress.LengthV4 || !SocketAddress.TryRead(body[8..], out var address, out ushort port, out int length))
        {
            return null;
        }

        int padded = 8 + ((length + Unit - 1) & ~(Unit - 1));
        return body.Length != padded || body[5] > (address.IsIPv4 ? 32 : 128) ? null : new AddressExtension(type, body[4], body[5], address, port);
    }

    private static KeyExtension? ReadKey(PfKeyExtensionType type, ReadOnlySpan<byte> body)
    {
        ushort bits = U16(body, 4);
        int padded = 8 + ((bits + 63) / 64 * Unit);
        return bits == 0 || body.Length != padded ? null : new KeyExtension(type, bits, new SecretKey(body.Slice(8, (bits + 7) / 8)));
    }

    private static ProposalExtension? ReadProposal(ReadOnlySpan<byte> body)
    {
        const int Size = 72;
        if ((body.Length - 8) % Size != 0 || (body.Length - 8) / Size > MostEntries)
        {
            return null;
        }

        ImmutableArray<PfKeyCombination>.Builder all = ImmutableArray.CreateBuilder<PfKeyCombination>();
        for (ReadOnlySpan<byte> at = body[8..]; !at.IsEmpty; at = at[Size..])
        {
            all.Add(new PfKeyCombination(
                at[0], at[1], (U16(at, 4), U16(at, 6)), (U16(at, 8), U16(at, 10)),
                (U32(at, 16), U64(at, 24), U64(at, 40), U64(at, 56)), (U32(at, 20), U64(at, 32), U64(at, 48), U64(at, 64))));
        }

        return new ProposalExtension(body[4], all.ToImmutable());
    }

    private static SupportedExtension? ReadSupported(PfKeyExtensionType type, ReadOnlySpan<byte> body)
    {
        if ((body.Length - 8) / Unit > MostEntries)
        {
            return null;
        }

        ImmutableArray<PfKeyAlgorithm>.Builder all = ImmutableArray.CreateBuilder<PfKeyAlgorithm>();
        for (ReadOnlySpan<byte> at = body[8..]; !at.IsEmpty; at = at[Unit..])
        {
            all.Add(new PfKeyAlgorithm(at[0], at[1], U16(at, 2), U16(at, 4)));
        }

        return new SupportedExtension(type, all.ToImmutable());
    }

    /// <summary>Its requests have their lengths in bytes, each by itself.</summary>
    private static PolicyExtension? ReadPolicy(ReadOnlySpan<byte> body)
    {
        const int Size = 16;
        if (body.Length < Size)
        {
            return null;
        }

        ImmutableArray<PfKeyRequest>.Builder requests = ImmutableArray.CreateBuilder<PfKeyRequest>();
        for (ReadOnlySpan<byte> at = body[Size..]; !at.IsEmpty;)
        {
            int length = at.Length < Size ? 0 : U16(at, 0);
            if (length < Size || length > at.Length || length % Unit != 0 || U16(at, 2) > byte.MaxValue || requests.Count == MostEntries)
            {
                return null;
            }

            (Address Source, Address Destination)? ends = null;
            if (length > Size)
            {
                if (!SocketAddress.TryReadPair(at[Size..length], out var pair, out _))
                {
                    return null;
                }

                ends = pair;
            }

            requests.Add(new PfKeyRequest((byte)U16(at, 2), (PfKeyMode)at[4], (PfKeyLevel)at[5], U32(at, 8), ends));
            at = at[length..];
        }

        return new PolicyExtension((PfKeyPolicyType)U16(body, 4), (PfKeyDirection)body[6], U32(body, 8), U32(body, 12), requests.ToImmutable());
    }

    private static ushort U16(ReadOnlySpan<byte> bytes, int at) => MemoryMarshal.Read<ushort>(bytes[at..]);

    private static uint U32(ReadOnlySpan<byte> bytes, int at) => MemoryMarshal.Read<uint>(bytes[at..]);

    private static ulong U64(ReadOnlySpan<byte> bytes, int at) => MemoryMarshal.Read<ulong>(bytes[at..]);
}

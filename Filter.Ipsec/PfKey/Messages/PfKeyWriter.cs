using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Filter.Engine.Packets;

namespace Filter.Ipsec.PfKey.Messages;

/// <summary>A message to bytes, as <see cref="PfKeyReader"/> reads it back.</summary>
public static class PfKeyWriter
{
    private const int Unit = 8;

    /// <summary>The bytes. They hold the keys that the message holds: whoever is done with them wipes them.</summary>
    public static byte[] Write(PfKeyMessage message)
    {
        int length = PfKeyHeader.Length + message.Extensions.Sum(static extension => LengthOf(extension));
        byte[] bytes = GC.AllocateArray<byte>(length, pinned: true);
        PfKeyHeader header = message.Header;
        (bytes[0], bytes[1], bytes[2], bytes[3]) = (PfKeyHeader.Version, (byte)header.Type, (byte)header.Error, (byte)header.SaType);
        Put(bytes, 4, (ushort)(length / Unit));
        Put(bytes, 8, header.Sequence);
        Put(bytes, 12, header.Process);
        int at = PfKeyHeader.Length;
        foreach (PfKeyExtension extension in message.Extensions)
        {
            int its = LengthOf(extension);
            Span<byte> body = bytes.AsSpan(at, its);
            Put(body, 0, (ushort)(its / Unit));
            Put(body, 2, (ushort)extension.Type);
            Write(extension, body);
            at += its;
        }

        return bytes;
    }

    private static int LengthOf(PfKeyExtension extension) => extension switch
    {
        SaExtension or SpiRangeExtension or Sa2Extension => 16,
        LifetimeExtension => 32,
        AddressExtension address => 8 + Padded(SocketAddress.LengthOf(address.Address)),
        KeyExtension key => 8 + Padded(key.Key.Length),
        IdentityExtension identity => 16 + Padded(identity.Name.Length),
        ProposalExtension proposal => 8 + (72 * proposal.Combinations.Length),
        SupportedExtension supported => 8 + (8 * supported.Algorithms.Length),
        PolicyExtension policy => 16 + policy.Requests.Sum(static request => LengthOf(request)),
        KeyManagerAddressExtension ends => 8 + Padded(2 * SocketAddress.LengthOf(ends.Local)),
        OpaqueExtension opaque => Padded(4 + opaque.Bytes.Length),
        _ => 8,
    };

    private static int LengthOf(PfKeyRequest request) => 16 + (request.Ends is { } ends ? Padded(2 * SocketAddress.LengthOf(ends.Source)) : 0);

    private static int Padded(int length) => (length + Unit - 1) & ~(Unit - 1);

    private static void Write(PfKeyExtension extension, Span<byte> body)
    {
        switch (extension)
        {
            case SaExtension sa:
                BinaryPrimitives.WriteUInt32BigEndian(body[4..], sa.Spi);
                (body[8], body[9], body[10], body[11]) = (sa.Replay, (byte)sa.State, sa.Authentication, sa.Encryption);
                Put(body, 12, (uint)sa.Flags);
                break;
            case LifetimeExtension life:
                Put(body, 4, life.Allocations);
                Put(body, 8, life.Bytes);
                Put(body, 16, life.Added);
                Put(body, 24, life.Used);
                break;
            case AddressExtension address:
                (body[4], body[5]) = (address.Protocol, address.PrefixLength);
                SocketAddress.Write(body[8..], address.Address, address.Port);
                break;
            case KeyExtension key:
                Put(body, 4, key.Bits);
                key.Key.Reveal().CopyTo(body[8..]);
                break;
            case IdentityExtension identity:
                Put(body, 4, identity.Kind);
                Put(body, 8, identity.Id);
                identity.Name.AsSpan().CopyTo(body[16..]);
                break;
            case ProposalExtension proposal:
                Write(proposal, body);
                break;
            case SupportedExtension supported:
                for (int i = 0; i < supported.Algorithms.Length; i++)
                {
                    PfKeyAlgorithm algorithm = supported.Algorithms[i];
                    Span<byte> at = body[(8 + (i * 8))..];
                    (at[0], at[1]) = (algorithm.Id, algorithm.IvLength);
                    Put(at, 2, algorithm.LeastBits);
                    Put(at, 4, algorithm.MostBits);
                }

                break;
            case SpiRangeExtension range:
                Put(body, 4, range.Least);
                Put(body, 8, range.Most);
                break;
            case PolicyExtension policy:
                Write(policy, body);
                break;
            case Sa2Extension sa2:
                body[4] = (byte)sa2.Mode;
                Put(body, 8, sa2.Sequence);
                Put(body, 12, sa2.RequestId);
                break;
            case NatTypeExtension nat:
                body[4] = nat.Kind;
                break;
            case NatPortExtension port:
                BinaryPrimitives.WriteUInt16BigEndian(body[4..], port.Port);
                break;
            case KeyManagerAddressExtension ends:
                WritePair(body[8..], ends.Local, ends.Remote);
                break;
            case OpaqueExtension opaque:
                opaque.Bytes.AsSpan().CopyTo(body[4..]);
                break;
        }
    }

    private static void Write(ProposalExtension proposal, Span<byte> body)
    {
        body[4] = proposal.Replay;
        for (int i = 0; i < proposal.Combinations.Length; i++)
        {
            PfKeyCombination each = proposal.Combinations[i];
            Span<byte> at = body[(8 + (i * 72))..];
            (at[0], at[1]) = (each.Authentication, each.Encryption);
            Put(at, 4, each.AuthenticationBits.Least);
            Put(at, 6, each.AuthenticationBits.Most);
            Put(at, 8, each.EncryptionBits.Least);
            Put(at, 10, each.EncryptionBits.Most);
            Put(at, 16, each.Soft.Allocations);
            Put(at, 20, each.Hard.Allocations);
            Put(at, 24, each.Soft.Bytes);
            Put(at, 32, each.Hard.Bytes);
            Put(at, 40, each.Soft.Added);
            Put(at, 48, each.Hard.Added);
            Put(at, 56, each.Soft.Used);
            Put(at, 64, each.Hard.Used);
        }
    }

    private static void Write(PolicyExtension policy, Span<byte> body)
    {
        Put(body, 4, (ushort)policy.Kind);
        body[6] = (byte)policy.Direction;
        Put(body, 8, policy.Id);
        Put(body, 12, policy.Priority);
        Span<byte> at = body[16..];
        foreach (PfKeyRequest request in policy.Requests)
        {
            int length = LengthOf(request);
            Put(at, 0, (ushort)length);
            Put(at, 2, (ushort)request.Protocol);
            (at[4], at[5]) = ((byte)request.Mode, (byte)request.Level);
            Put(at, 8, request.RequestId);
            if (request.Ends is { } ends)
            {
                WritePair(at[16..], ends.Source, ends.Destination);
            }

            at = at[length..];
        }
    }

    private static void WritePair(Span<byte> to, Address first, Address second) =>
        SocketAddress.Write(to[SocketAddress.Write(to, first, 0)..], second, 0);

    private static void Put<T>(Span<byte> to, int at, T value)
        where T : struct => MemoryMarshal.Write(to[at..], value);
}

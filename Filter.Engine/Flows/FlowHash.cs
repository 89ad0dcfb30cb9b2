using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;
using Filter.Engine.Packets;
using Aes = System.Runtime.Intrinsics.X86.Aes;

namespace Filter.Engine.Flows;

/// <summary>
/// The flow table's keyed hash: random per process, so that nobody outside can choose keys that
/// collide. Not a cryptographic primitive: no output of it leaves the table.
/// </summary>
public readonly struct FlowHash
{
    private const int KeyLength = 4 * 16;

    private readonly Vector128<byte> _first;
    private readonly Vector128<byte> _second;
    private readonly Vector128<byte> _third;
    private readonly Vector128<byte> _fourth;

    private FlowHash(ReadOnlySpan<byte> key)
    {
        _first = Vector128.Create(key[..16]);
        _second = Vector128.Create(key[16..32]);
        _third = Vector128.Create(key[32..48]);
        _fourth = Vector128.Create(key[48..KeyLength]);
    }

    /// <summary>A hash with a fresh random key.</summary>
    public static FlowHash Create()
    {
        Span<byte> key = stackalloc byte[KeyLength];
        RandomNumberGenerator.Fill(key);
        return new FlowHash(key);
    }

    /// <summary>64 bits of a key; direction-dependent.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Of(in FlowKey key)
    {
        Vector128<byte> source = Vector128.Create(key.Source.High, key.Source.Low).AsByte();
        Vector128<byte> destination = Vector128.Create(key.Destination.High, key.Destination.Low).AsByte();
        Vector128<byte> rest = Vector128.Create(
            ((ulong)key.SourcePort << 48) | ((ulong)key.DestinationPort << 32) | key.Segment, key.Protocol).AsByte();
        if (Aes.IsSupported)
        {
            // Two rounds spread a byte over all sixteen, so what differs in one address can't be made up for in the
            // other, which goes beside it. After one round it can, by guessing one byte.
            Vector128<byte> near = Aes.Encrypt(Aes.Encrypt(source ^ _first, _second), rest);
            Vector128<byte> far = Aes.Encrypt(Aes.Encrypt(destination ^ _third, _fourth), _first);
            Vector128<byte> state = Aes.Encrypt(near ^ far, _third);
            state = Aes.Encrypt(state, _second);
            return state.AsUInt64().ToScalar();
        }

        return Portable(source.AsUInt64(), destination.AsUInt64(), rest.AsUInt64());
    }

    /// <summary>64 bits of a key, the same for its reverse.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong OfEither(in FlowKey key)
    {
        Vector128<byte> source = Vector128.Create(key.Source.High, key.Source.Low).AsByte();
        Vector128<byte> destination = Vector128.Create(key.Destination.High, key.Destination.Low).AsByte();
        Vector128<byte> from = Vector128.CreateScalar((uint)key.SourcePort).AsByte(), to = Vector128.CreateScalar((uint)key.DestinationPort).AsByte();
        Vector128<byte> rest = Vector128.Create(key.Segment, key.Protocol).AsByte();
        if (Aes.IsSupported)
        {
            // Each end by itself, port and all, spread over all its bytes before the two are added: what differs in one end can't
            // be made up for in the other.
            Vector128<byte> near = Aes.Encrypt(Aes.Encrypt(Aes.Encrypt(source ^ _first, _second ^ from), _third), _fourth);
            Vector128<byte> far = Aes.Encrypt(Aes.Encrypt(Aes.Encrypt(destination ^ _first, _second ^ to), _third), _fourth);
            Vector128<byte> state = (near.AsUInt64() + far.AsUInt64()).AsByte() ^ rest;
            state = Aes.Encrypt(Aes.Encrypt(state, _first), _third);
            return state.AsUInt64().ToScalar();
        }

        Vector128<ulong> first = _first.AsUInt64(), second = _second.AsUInt64();
        ulong ends = PortableEnd(source.AsUInt64(), key.SourcePort) + PortableEnd(destination.AsUInt64(), key.DestinationPort);
        return Fold(Fold(ends ^ rest.AsUInt64()[0], rest.AsUInt64()[1] ^ second[0]) ^ second[1], first[0] | 1);
    }

    private ulong PortableEnd(Vector128<ulong> address, ushort port) =>
        Fold(Fold(address[0] ^ _first.AsUInt64()[0], address[1] ^ _first.AsUInt64()[1]) ^ port, _second.AsUInt64()[0] | 1);

    /// <summary>The same purpose without AES instructions: keyed multiply and fold.</summary>
    private ulong Portable(Vector128<ulong> source, Vector128<ulong> destination, Vector128<ulong> rest)
    {
        Vector128<ulong> first = _first.AsUInt64(), second = _second.AsUInt64();
        ulong state = Fold(source[0] ^ first[0], source[1] ^ first[1]);
        state = Fold(state ^ destination[0] ^ second[0], destination[1] ^ second[1]);
        state = Fold(state ^ rest[0] ^ first[1], rest[1] ^ second[0]);
        return Fold(state ^ second[1], first[0] | 1);
    }

    private static ulong Fold(ulong left, ulong right)
    {
        ulong high = Math.BigMul(left, right, out ulong low);
        return high ^ low ^ BitOperations.RotateLeft(left, 32);
    }
}

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
    private readonly Vector128<byte> _first;
    private readonly Vector128<byte> _second;

    private FlowHash(ReadOnlySpan<byte> key)
    {
        _first = Vector128.Create(key[..16]);
        _second = Vector128.Create(key[16..32]);
    }

    /// <summary>A hash with a fresh random key.</summary>
    public static FlowHash Create()
    {
        Span<byte> key = stackalloc byte[32];
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
            // Each input is covered by at least three rounds.
            Vector128<byte> state = Aes.Encrypt(source ^ _first, destination ^ _second);
            state = Aes.Encrypt(state, rest);
            state = Aes.Encrypt(state, _second);
            state = Aes.Encrypt(state, _first);
            return state.AsUInt64().ToScalar();
        }

        return Portable(source.AsUInt64(), destination.AsUInt64(), rest.AsUInt64());
    }

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

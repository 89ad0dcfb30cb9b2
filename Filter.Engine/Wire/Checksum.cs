using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// The Internet checksum (RFC 1071). Sums are kept in 64 bits and folded at the end; they are sums
/// of 16-bit words in wire order, so they may be added in any order at even offsets.
/// </summary>
public static class Checksum
{
    /// <summary>The sum of the bytes as big-endian 16-bit words, an odd last byte padded with zero.</summary>
    public static ulong Sum(ReadOnlySpan<byte> bytes, ulong start = 0)
    {
        // The one's complement sum is the same in either byte order but for a swap (RFC 1071 §2 B),
        // so many bytes at a time in the machine's order and one swap at the end.
        ulong sum = 0;
        if (bytes.Length >= Vector256<byte>.Count)
        {
            // Thirty-two bits at a time into lanes of sixty-four: no carry is lost in any packet.
            Vector256<ulong> even = default, odd = default;
            for (; bytes.Length >= Vector256<byte>.Count; bytes = bytes[Vector256<byte>.Count..])
            {
                Vector256<ulong> some = Vector256.Create(bytes).AsUInt64();
                even += some & Vector256.Create(0xffff_ffffUL);
                odd += some >>> 32;
            }

            sum = Vector256.Sum(even + odd);
        }

        for (; bytes.Length >= sizeof(uint); bytes = bytes[sizeof(uint)..])
        {
            sum += MemoryMarshal.Read<uint>(bytes);
        }

        if (bytes.Length >= sizeof(ushort))
        {
            sum += MemoryMarshal.Read<ushort>(bytes);
            bytes = bytes[sizeof(ushort)..];
        }

        if (!bytes.IsEmpty)
        {
            sum += BitConverter.IsLittleEndian ? bytes[0] : (uint)bytes[0] << 8;
        }

        ushort folded = Fold(sum);
        return start + (BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(folded) : folded);
    }

    /// <summary>The sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1), the same for both families.</summary>
    /// <param name="source">Source address.</param>
    /// <param name="destination">Destination address (with a routing header: the final one).</param>
    /// <param name="protocol">Upper layer protocol.</param>
    /// <param name="length">Upper layer length in bytes.</param>
    public static ulong PseudoHeader(Address source, Address destination, byte protocol, int length) =>
        Words(source) + Words(destination) + protocol + ((uint)length & 0xffff) + ((uint)length >> 16);

    /// <summary>Folds a sum to 16 bits, without complement.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort Fold(ulong sum)
    {
        // Each half is added to the other, and what was carried comes back in the upper half.
        sum += BitOperations.RotateLeft(sum, 32);
        uint half = (uint)(sum >> 32);
        half += BitOperations.RotateLeft(half, 16);
        return (ushort)(half >> 16);
    }

    /// <summary>The checksum of a sum: folded and complemented.</summary>
    public static ushort Finish(ulong sum) => (ushort)~Fold(sum);

    /// <summary>A checksum updated for one changed 16-bit word (RFC 1624, equation 3).</summary>
    public static ushort Update(ushort checksum, ushort before, ushort after) =>
        (ushort)~Fold((ulong)(ushort)~checksum + (ushort)~before + after);

    /// <summary>Where the checksum stands in the SCTP header.</summary>
    internal const int SctpOffset = 8;

    /// <summary>CRC32c of the bytes (RFC 9260 appendix A).</summary>
    public static uint Crc32C(ReadOnlySpan<byte> bytes) => ~Crc32C(uint.MaxValue, bytes);

    /// <summary>
    /// The CRC32c of an SCTP packet, as if its own checksum field were zero; it stands there in little endian (RFC 9260 §6.8).
    /// </summary>
    /// <param name="packet">The common header of twelve bytes, and all chunks.</param>
    public static uint Sctp(ReadOnlySpan<byte> packet)
    {
        uint crc = Crc32C(uint.MaxValue, packet[..SctpOffset]);
        return ~Crc32C(BitOperations.Crc32C(crc, 0u), packet[(SctpOffset + sizeof(uint))..]);
    }

    private static uint Crc32C(uint crc, ReadOnlySpan<byte> bytes)
    {
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..])
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        }

        foreach (byte one in bytes)
        {
            crc = BitOperations.Crc32C(crc, one);
        }

        return crc;
    }

    private static ulong Words(Address address)
    {
        if (address.IsIPv4)
        {
            return (address.IPv4 >> 16) + (address.IPv4 & 0xffff);
        }

        ulong high = address.High, low = address.Low;
        return (high >> 48) + ((high >> 32) & 0xffff) + ((high >> 16) & 0xffff) + (high & 0xffff)
             + (low >> 48) + ((low >> 32) & 0xffff) + ((low >> 16) & 0xffff) + (low & 0xffff);
    }
}

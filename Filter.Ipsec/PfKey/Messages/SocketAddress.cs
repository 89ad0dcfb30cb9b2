using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Filter.Engine.Packets;

namespace Filter.Ipsec.PfKey.Messages;

/// <summary>struct sockaddr_in and sockaddr_in6 of Linux, whose family is in the machine's order and all else in the network's.</summary>
internal static class SocketAddress
{
    /// <summary>Bytes of a sockaddr_in.</summary>
    public const int LengthV4 = 16;

    /// <summary>Bytes of a sockaddr_in6.</summary>
    public const int LengthV6 = 28;

    private const ushort V4 = 2;
    private const ushort V6 = 10;

    /// <summary>How long an address's structure is.</summary>
    public static int LengthOf(Address address) => address.IsIPv4 ? LengthV4 : LengthV6;

    /// <summary>Reads one; false where there is none, or of another family.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out Address address, out ushort port, out int length)
    {
        (address, port, length) = (default, 0, 0);
        ushort family = bytes.Length < 2 ? (ushort)0 : MemoryMarshal.Read<ushort>(bytes);
        if (family == V4 && bytes.Length >= LengthV4)
        {
            (address, port, length) = (Address.ReadIPv4(bytes[4..]), PortAt(bytes[2..]), LengthV4);
        }
        else if (family == V6 && bytes.Length >= LengthV6)
        {
            address = Address.ReadIPv6(bytes[8..]);
            (port, length) = (PortAt(bytes[2..]), LengthV6);
            return !address.IsIPv4;         // ::ffff:a.b.c.d is not on any wire, and IPv4 here
        }

        return length > 0;
    }

    /// <summary>Reads two of one family, close behind each other; they need the bytes that there are but for padding to eight.</summary>
    public static bool TryReadPair(ReadOnlySpan<byte> bytes, out (Address Source, Address Destination) pair, out int length)
    {
        pair = default;
        length = 0;
        if (!TryRead(bytes, out Address first, out _, out int one) || !TryRead(bytes[one..], out Address second, out _, out int other) || one != other)
        {
            return false;
        }

        (pair, length) = ((first, second), one + other);
        return bytes.Length - length < 8;
    }

    /// <summary>Writes one; all its bytes were zero.</summary>
    public static int Write(Span<byte> to, Address address, ushort port)
    {
        ushort family = address.IsIPv4 ? V4 : V6;
        MemoryMarshal.Write(to, family);
        BinaryPrimitives.WriteUInt16BigEndian(to[2..], port);
        address.Write(to[(address.IsIPv4 ? 4 : 8)..]);
        return LengthOf(address);
    }

    /// <summary>A port, in network order.</summary>
    public static ushort PortAt(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt16BigEndian(bytes);

    /// <summary>An SPI, in network order.</summary>
    public static uint SpiAt(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt32BigEndian(bytes);
}

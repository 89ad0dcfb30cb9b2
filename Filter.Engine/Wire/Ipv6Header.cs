using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>IPv6 fixed header over the packet's own bytes (RFC 8200 §3).</summary>
public readonly ref struct Ipv6Header
{
    /// <summary>Bytes of the header.</summary>
    public const int Length = 40;

    /// <summary>Where it says what follows.</summary>
    public const int NextHeaderOffset = 6;

    private readonly Span<byte> _bytes;

    private Ipv6Header(Span<byte> bytes) => _bytes = bytes;

    /// <summary>Reads the header; false where version or payload length contradict the bytes.</summary>
    /// <param name="packet">From the header on; what is behind the payload length is padding.</param>
    /// <param name="header">The header.</param>
    /// <param name="payload">What the payload length covers: extension headers first.</param>
    public static bool TryRead(Span<byte> packet, out Ipv6Header header, out Span<byte> payload)
    {
        header = default;
        payload = default;
        if (packet.Length < Length || packet[0] >> 4 != 6)
        {
            return false;
        }

        int length = BinaryPrimitives.ReadUInt16BigEndian(packet[4..]);
        if (Length + length > packet.Length)
        {
            return false;
        }

        header = new Ipv6Header(packet[..Length]);
        payload = packet.Slice(Length, length);
        return true;
    }

    /// <summary>Begins a header in zeroed bytes of at least <see cref="Length"/>.</summary>
    public static Ipv6Header Begin(Span<byte> packet)
    {
        packet[0] = 0x60;
        return new Ipv6Header(packet[..Length]);
    }

    /// <summary>DSCP in the upper six bits, ECN in the lower two (RFC 2474 §3, RFC 3168 §5).</summary>
    public byte TrafficClass
    {
        get => (byte)(BinaryPrimitives.ReadUInt16BigEndian(_bytes) >> 4);
        set => BinaryPrimitives.WriteUInt16BigEndian(
            _bytes, (ushort)((BinaryPrimitives.ReadUInt16BigEndian(_bytes) & 0xf00f) | (value << 4)));
    }

    /// <summary>Bytes behind this header, extension headers included.</summary>
    public ushort PayloadLength
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[4..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[4..], value);
    }

    /// <summary>Protocol of the header that follows.</summary>
    public byte NextHeader { get => _bytes[6]; set => _bytes[6] = value; }

    /// <summary>Hops that remain.</summary>
    public byte HopLimit { get => _bytes[7]; set => _bytes[7] = value; }

    /// <summary>Source address.</summary>
    public Address Source { get => Address.ReadIPv6(_bytes[8..]); set => Write(value, _bytes[8..]); }

    /// <summary>Destination address; with a routing header the next one, not the last.</summary>
    public Address Destination { get => Address.ReadIPv6(_bytes[24..]); set => Write(value, _bytes[24..]); }

    /// <summary>All sixteen bytes, of an IPv4-mapped address too.</summary>
    private static void Write(Address address, Span<byte> to)
    {
        BinaryPrimitives.WriteUInt64BigEndian(to, address.High);
        BinaryPrimitives.WriteUInt64BigEndian(to[8..], address.Low);
    }
}

using System.Buffers.Binary;

namespace Filter.Engine.Wire;

/// <summary>
/// ICMP and ICMPv6 header over the message's own bytes (RFC 792, RFC 4443 §2.1): type, code,
/// checksum, and four bytes whose meaning is the type's.
/// </summary>
public readonly ref struct IcmpHeader
{
    /// <summary>Bytes of the header.</summary>
    public const int Length = 8;

    private readonly Span<byte> _bytes;

    private IcmpHeader(Span<byte> bytes) => _bytes = bytes;

    /// <summary>Reads the header; false where the bytes are too few.</summary>
    public static bool TryRead(Span<byte> message, out IcmpHeader header, out Span<byte> payload)
    {
        bool whole = message.Length >= Length;
        header = whole ? new IcmpHeader(message[..Length]) : default;
        payload = whole ? message[Length..] : default;
        return whole;
    }

    /// <summary>Type; see <see cref="Packets.IcmpNames"/>.</summary>
    public byte Type { get => _bytes[0]; set => _bytes[0] = value; }

    /// <summary>Code.</summary>
    public byte Code { get => _bytes[1]; set => _bytes[1] = value; }

    /// <summary>Checksum; ICMPv6's is over a pseudo-header too (RFC 4443 §2.3).</summary>
    public ushort Checksum
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[2..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[2..], value);
    }

    /// <summary>Identifier of a query.</summary>
    public ushort Identifier
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[4..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[4..], value);
    }

    /// <summary>Sequence number of a query.</summary>
    public ushort Sequence
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[6..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[6..], value);
    }

    /// <summary>
    /// The MTU of fragmentation needed (16 bits, RFC 1191 §4) or packet too big (32 bits, RFC 4443
    /// §3.2): all four bytes, of which IPv4 leaves the upper two zero.
    /// </summary>
    public uint Mtu
    {
        get => BinaryPrimitives.ReadUInt32BigEndian(_bytes[4..]);
        set => BinaryPrimitives.WriteUInt32BigEndian(_bytes[4..], value);
    }
}

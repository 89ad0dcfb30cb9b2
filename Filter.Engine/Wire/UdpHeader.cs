using System.Buffers.Binary;

namespace Filter.Engine.Wire;

/// <summary>UDP header over the datagram's own bytes (RFC 768); UDP-Lite's too (RFC 3828 §3).</summary>
public readonly ref struct UdpHeader
{
    /// <summary>Bytes of the header.</summary>
    public const int Length = 8;

    /// <summary>Where the checksum stands in the header.</summary>
    public const int ChecksumOffset = 6;

    private readonly Span<byte> _bytes;

    private UdpHeader(Span<byte> bytes) => _bytes = bytes;

    /// <summary>Reads the header; false where the bytes are too few. The length field is not believed.</summary>
    public static bool TryRead(Span<byte> datagram, out UdpHeader header, out Span<byte> payload)
    {
        bool whole = datagram.Length >= Length;
        header = whole ? new UdpHeader(datagram[..Length]) : default;
        payload = whole ? datagram[Length..] : default;
        return whole;
    }

    /// <summary>Source port; 0 where no answer is expected.</summary>
    public ushort SourcePort
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes, value);
    }

    /// <summary>Destination port.</summary>
    public ushort DestinationPort
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[2..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[2..], value);
    }

    /// <summary>Bytes of header and payload; in UDP-Lite the bytes that the checksum covers, 0 for all.</summary>
    public ushort DatagramLength
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[4..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[4..], value);
    }

    /// <summary>Checksum over pseudo-header and datagram; 0 for none (UDP).</summary>
    public ushort Checksum
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[ChecksumOffset..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[ChecksumOffset..], value);
    }
}

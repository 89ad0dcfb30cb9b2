using System.Buffers.Binary;

namespace Filter.Engine.Wire;

/// <summary>
/// SPI and sequence number: the first eight bytes of ESP (RFC 4303 §2), and of AH behind its first
/// four (RFC 4302 §2).
/// </summary>
public readonly ref struct SpiHeader
{
    /// <summary>Bytes of the two fields.</summary>
    public const int Length = 8;

    /// <summary>Where they stand in AH.</summary>
    public const int OffsetInAh = 4;

    private readonly Span<byte> _bytes;

    private SpiHeader(Span<byte> bytes) => _bytes = bytes;

    /// <summary>Reads the two fields; false where the bytes are too few.</summary>
    public static bool TryRead(Span<byte> bytes, out SpiHeader header, out Span<byte> payload)
    {
        bool whole = bytes.Length >= Length;
        header = whole ? new SpiHeader(bytes[..Length]) : default;
        payload = whole ? bytes[Length..] : default;
        return whole;
    }

    /// <summary>Security parameters index.</summary>
    public uint Spi
    {
        get => BinaryPrimitives.ReadUInt32BigEndian(_bytes);
        set => BinaryPrimitives.WriteUInt32BigEndian(_bytes, value);
    }

    /// <summary>Sequence number, its low 32 bits.</summary>
    public uint Sequence
    {
        get => BinaryPrimitives.ReadUInt32BigEndian(_bytes[4..]);
        set => BinaryPrimitives.WriteUInt32BigEndian(_bytes[4..], value);
    }
}

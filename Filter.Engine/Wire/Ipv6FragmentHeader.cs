using System.Buffers.Binary;

namespace Filter.Engine.Wire;

/// <summary>IPv6 fragment header over its own bytes (RFC 8200 §4.5).</summary>
public readonly ref struct Ipv6FragmentHeader
{
    /// <summary>Bytes of the header.</summary>
    public const int Length = 8;

    private readonly Span<byte> _bytes;

    private Ipv6FragmentHeader(Span<byte> bytes) => _bytes = bytes;

    /// <summary>Reads the header; false where the bytes are too few.</summary>
    public static bool TryRead(Span<byte> bytes, out Ipv6FragmentHeader header, out Span<byte> payload)
    {
        bool whole = bytes.Length >= Length;
        header = whole ? new Ipv6FragmentHeader(bytes[..Length]) : default;
        payload = whole ? bytes[Length..] : default;
        return whole;
    }

    /// <summary>Protocol of the first header of the fragmentable part.</summary>
    public byte NextHeader { get => _bytes[0]; set => _bytes[0] = value; }

    /// <summary>Offset in bytes, a multiple of 8.</summary>
    public int Offset
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[2..]) & 0xfff8;
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[2..], (ushort)((value & 0xfff8) | (_bytes[3] & 7)));
    }

    /// <summary>More fragments follow.</summary>
    public bool MoreFragments { get => (_bytes[3] & 1) != 0; set => _bytes[3] = (byte)((_bytes[3] & ~1) | (value ? 1 : 0)); }

    /// <summary>The identification that fragments of one datagram share.</summary>
    public uint Identification
    {
        get => BinaryPrimitives.ReadUInt32BigEndian(_bytes[4..]);
        set => BinaryPrimitives.WriteUInt32BigEndian(_bytes[4..], value);
    }
}

using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>TCP header over the segment's own bytes (RFC 9293 §3.1).</summary>
public readonly ref struct TcpHeader
{
    /// <summary>Bytes of a header without options.</summary>
    public const int Length = 20;

    /// <summary>Where the checksum stands in the header.</summary>
    public const int ChecksumOffset = 16;

    private readonly Span<byte> _bytes;

    private TcpHeader(Span<byte> bytes) => _bytes = bytes;

    /// <summary>Reads the header, options included; false where its length contradicts the bytes.</summary>
    public static bool TryRead(Span<byte> segment, out TcpHeader header, out Span<byte> payload)
    {
        header = default;
        payload = default;
        if (segment.Length < Length)
        {
            return false;
        }

        int length = (segment[12] >> 4) * 4;
        if (length < Length || length > segment.Length)
        {
            return false;
        }

        header = new TcpHeader(segment[..length]);
        payload = segment[length..];
        return true;
    }

    /// <summary>Begins a header without options in zeroed bytes of at least <see cref="Length"/>.</summary>
    public static TcpHeader Begin(Span<byte> segment)
    {
        segment[12] = Length / 4 << 4;
        return new TcpHeader(segment[..Length]);
    }

    /// <summary>Bytes of the header with its options.</summary>
    public int HeaderLength => _bytes.Length;

    /// <summary>Source port.</summary>
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

    /// <summary>Number of the first byte, or of the SYN.</summary>
    public uint Sequence
    {
        get => BinaryPrimitives.ReadUInt32BigEndian(_bytes[4..]);
        set => BinaryPrimitives.WriteUInt32BigEndian(_bytes[4..], value);
    }

    /// <summary>The next number expected; counts where ACK is set.</summary>
    public uint Acknowledgment
    {
        get => BinaryPrimitives.ReadUInt32BigEndian(_bytes[8..]);
        set => BinaryPrimitives.WriteUInt32BigEndian(_bytes[8..], value);
    }

    /// <summary>The flags.</summary>
    public TcpFlags Flags { get => (TcpFlags)_bytes[13]; set => _bytes[13] = (byte)value; }

    /// <summary>Receive window, unscaled.</summary>
    public ushort Window
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[14..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[14..], value);
    }

    /// <summary>Checksum over pseudo-header and segment.</summary>
    public ushort Checksum
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[ChecksumOffset..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[ChecksumOffset..], value);
    }
}

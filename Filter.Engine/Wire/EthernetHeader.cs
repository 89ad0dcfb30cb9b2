using System.Buffers.Binary;

namespace Filter.Engine.Wire;

/// <summary>Ethernet II header over the frame's own bytes (IEEE 802.3 §3.2), without tags.</summary>
public readonly ref struct EthernetHeader
{
    /// <summary>Bytes of the header.</summary>
    public const int Length = 14;

    private readonly Span<byte> _bytes;

    private EthernetHeader(Span<byte> bytes) => _bytes = bytes;

    /// <summary>Reads the header; false where the frame is shorter.</summary>
    public static bool TryRead(Span<byte> frame, out EthernetHeader header, out Span<byte> payload)
    {
        bool whole = frame.Length >= Length;
        header = whole ? new EthernetHeader(frame[..Length]) : default;
        payload = whole ? frame[Length..] : default;
        return whole;
    }

    /// <summary>Destination link address, 48 bits in numeric order.</summary>
    public ulong Destination
    {
        get => LinkAddress.Read(_bytes);
        set => LinkAddress.Write(value, _bytes);
    }

    /// <summary>Source link address, 48 bits in numeric order.</summary>
    public ulong Source
    {
        get => LinkAddress.Read(_bytes[6..]);
        set => LinkAddress.Write(value, _bytes[6..]);
    }

    /// <summary>Ethertype; a length below <see cref="EtherTypes.FirstType"/>; a tag's where the frame has one.</summary>
    public ushort Type
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[12..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[12..], value);
    }
}

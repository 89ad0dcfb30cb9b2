using System.Buffers.Binary;

namespace Filter.Engine.Wire;

/// <summary>
/// A VLAN tag as it stands behind the tag's ethertype (IEEE 802.1Q §9.6): control information, then
/// the ethertype of what follows.
/// </summary>
public readonly ref struct VlanTag
{
    /// <summary>Bytes of a tag.</summary>
    public const int Length = 4;

    /// <summary>The largest identifier that may be used.</summary>
    public const int LastIdentifier = 4094;

    private readonly Span<byte> _bytes;

    private VlanTag(Span<byte> bytes) => _bytes = bytes;

    /// <summary>Reads the tag; false where the bytes are too few.</summary>
    public static bool TryRead(Span<byte> behindType, out VlanTag tag, out Span<byte> payload)
    {
        bool whole = behindType.Length >= Length;
        tag = whole ? new VlanTag(behindType[..Length]) : default;
        payload = whole ? behindType[Length..] : default;
        return whole;
    }

    /// <summary>VLAN identifier, 0..4095; setting it keeps the priority bits.</summary>
    public int Identifier
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes) & 0xfff;
        set => BinaryPrimitives.WriteUInt16BigEndian(
            _bytes, (ushort)((BinaryPrimitives.ReadUInt16BigEndian(_bytes) & 0xf000) | (value & 0xfff)));
    }

    /// <summary>Ethertype of what follows.</summary>
    public ushort Type
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[2..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[2..], value);
    }
}

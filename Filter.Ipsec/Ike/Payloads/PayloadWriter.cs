using System.Buffers.Binary;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>Bytes of a message in the making, in wire order; it grows.</summary>
internal sealed class PayloadWriter
{
    private byte[] _bytes = new byte[512];

    /// <summary>How many bytes there are.</summary>
    internal int Length { get; private set; }

    /// <summary>What is written so far.</summary>
    internal ReadOnlySpan<byte> Written => _bytes.AsSpan(0, Length);

    internal void Byte(byte value) => Room(1)[0] = value;

    internal void UInt16(ushort value) => BinaryPrimitives.WriteUInt16BigEndian(Room(sizeof(ushort)), value);

    internal void UInt32(uint value) => BinaryPrimitives.WriteUInt32BigEndian(Room(sizeof(uint)), value);

    internal void UInt64(ulong value) => BinaryPrimitives.WriteUInt64BigEndian(Room(sizeof(ulong)), value);

    internal void Bytes(ReadOnlySpan<byte> value) => value.CopyTo(Room(value.Length));

    internal void Zeros(int count) => Room(count).Clear();

    /// <summary>Writes into a field of 16 bits how many bytes there are from a place up to here.</summary>
    /// <param name="at">Where the field is.</param>
    /// <param name="from">Where counting starts.</param>
    internal void SetLength(int at, int from) => BinaryPrimitives.WriteUInt16BigEndian(_bytes.AsSpan(at), checked((ushort)(Length - from)));

    private Span<byte> Room(int count)
    {
        if (Length + count > _bytes.Length)
        {
            Array.Resize(ref _bytes, Math.Max(Length + count, 2 * _bytes.Length));
        }

        Length += count;
        return _bytes.AsSpan(Length - count, count);
    }
}

using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>IPv4 header over the packet's own bytes (RFC 791 §3.1).</summary>
public readonly ref struct Ipv4Header
{
    /// <summary>Bytes of a header without options.</summary>
    public const int Length = 20;

    private readonly Span<byte> _bytes;

    private Ipv4Header(Span<byte> bytes) => _bytes = bytes;

    /// <summary>Reads the header, options included; false where version or lengths contradict the bytes.</summary>
    /// <param name="packet">From the header on; what is behind the total length is padding.</param>
    /// <param name="header">The header.</param>
    /// <param name="payload">What the total length covers behind it.</param>
    public static bool TryRead(Span<byte> packet, out Ipv4Header header, out Span<byte> payload)
    {
        header = default;
        payload = default;
        if (packet.Length < Length || packet[0] >> 4 != 4)
        {
            return false;
        }

        int length = (packet[0] & 15) * 4;
        int total = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        if (length < Length || total < length || total > packet.Length)
        {
            return false;
        }

        header = new Ipv4Header(packet[..length]);
        payload = packet[length..total];
        return true;
    }

    /// <summary>Begins a header without options in zeroed bytes of at least <see cref="Length"/>.</summary>
    public static Ipv4Header Begin(Span<byte> packet)
    {
        packet[0] = 0x45;
        return new Ipv4Header(packet[..Length]);
    }

    /// <summary>Bytes of the header with its options.</summary>
    public int HeaderLength => _bytes.Length;

    /// <summary>DSCP in the upper six bits, ECN in the lower two (RFC 2474 §3, RFC 3168 §5).</summary>
    public byte TrafficClass { get => _bytes[1]; set => _bytes[1] = value; }

    /// <summary>Bytes of header and payload.</summary>
    public ushort TotalLength
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[2..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[2..], value);
    }

    /// <summary>The identification that fragments of one datagram share.</summary>
    public ushort Identification
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[4..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[4..], value);
    }

    /// <summary>The don't-fragment bit.</summary>
    public bool DontFragment { get => (_bytes[6] & 0x40) != 0; set => SetFlag(0x40, value); }

    /// <summary>The more-fragments bit.</summary>
    public bool MoreFragments { get => (_bytes[6] & 0x20) != 0; set => SetFlag(0x20, value); }

    /// <summary>Fragment offset in bytes, a multiple of 8.</summary>
    public int FragmentOffset
    {
        get => (BinaryPrimitives.ReadUInt16BigEndian(_bytes[6..]) & 0x1fff) * 8;
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[6..], (ushort)(((_bytes[6] & 0xe0) << 8) | ((value / 8) & 0x1fff)));
    }

    /// <summary>Time to live, in hops.</summary>
    public byte TimeToLive { get => _bytes[8]; set => _bytes[8] = value; }

    /// <summary>Protocol of the payload.</summary>
    public byte Protocol { get => _bytes[9]; set => _bytes[9] = value; }

    /// <summary>Header checksum as it stands.</summary>
    public ushort HeaderChecksum
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[10..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[10..], value);
    }

    /// <summary>Source address.</summary>
    public Address Source { get => Address.ReadIPv4(_bytes[12..]); set => value.Write(_bytes[12..]); }

    /// <summary>Destination address.</summary>
    public Address Destination { get => Address.ReadIPv4(_bytes[16..]); set => value.Write(_bytes[16..]); }

    /// <summary>Computes the header checksum anew; last, when all else is set.</summary>
    public void FinishChecksum()
    {
        HeaderChecksum = 0;
        HeaderChecksum = Checksum.Finish(Checksum.Sum(_bytes));
    }

    private void SetFlag(int bit, bool on) => _bytes[6] = (byte)(on ? _bytes[6] | bit : _bytes[6] & ~bit);
}

using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>ARP for Ethernet and IPv4, over its own bytes (RFC 826).</summary>
public readonly ref struct ArpPacket
{
    /// <summary>Bytes of the packet; padding may follow.</summary>
    public const int Length = 28;

    /// <summary>Operation: who has it?</summary>
    public const ushort Request = 1;

    /// <summary>Operation: I have it.</summary>
    public const ushort Reply = 2;

    /// <summary>Hardware Ethernet, protocol IPv4, address lengths 6 and 4: the first six bytes.</summary>
    private const ulong EthernetIPv4 = 0x0001_0800_0604;

    private readonly Span<byte> _bytes;

    private ArpPacket(Span<byte> bytes) => _bytes = bytes;

    /// <summary>Reads the packet; false where it is cut short or not Ethernet and IPv4.</summary>
    public static bool TryRead(Span<byte> payload, out ArpPacket arp)
    {
        bool whole = payload.Length >= Length && LinkAddress.Read(payload) == EthernetIPv4;
        arp = whole ? new ArpPacket(payload[..Length]) : default;
        return whole;
    }

    /// <summary>Begins a packet in zeroed bytes of at least <see cref="Length"/>.</summary>
    public static ArpPacket Begin(Span<byte> payload)
    {
        LinkAddress.Write(EthernetIPv4, payload);
        return new ArpPacket(payload[..Length]);
    }

    /// <summary>Request, reply or one of the rarer operations.</summary>
    public ushort Operation
    {
        get => BinaryPrimitives.ReadUInt16BigEndian(_bytes[6..]);
        set => BinaryPrimitives.WriteUInt16BigEndian(_bytes[6..], value);
    }

    /// <summary>Sender's link address, 48 bits in numeric order.</summary>
    public ulong SenderMac
    {
        get => LinkAddress.Read(_bytes[8..]);
        set => LinkAddress.Write(value, _bytes[8..]);
    }

    /// <summary>Sender's IPv4 address.</summary>
    public Address Sender
    {
        get => Address.ReadIPv4(_bytes[14..]);
        set => value.Write(_bytes[14..]);
    }

    /// <summary>Target's link address, 48 bits in numeric order; zero in a request.</summary>
    public ulong TargetMac
    {
        get => LinkAddress.Read(_bytes[18..]);
        set => LinkAddress.Write(value, _bytes[18..]);
    }

    /// <summary>Target's IPv4 address.</summary>
    public Address Target
    {
        get => Address.ReadIPv4(_bytes[24..]);
        set => value.Write(_bytes[24..]);
    }
}

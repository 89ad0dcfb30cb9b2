using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <content>
/// Most packets are Ethernet, IP without options or extensions, and TCP, UDP or ESP under way. Those are read in one go, a header at a
/// time. Whatever is rarer, or wrong, goes the long way, which alone knows reasons; a test holds both to the same fields.
/// </content>
public static partial class Parser
{
    private const int EspLength = 8;
    private const int OrdinaryIPv4 = EthernetLength + IpHeader.IPv4Length, OrdinaryIPv6 = EthernetLength + IpHeader.IPv6Length;

    /// <summary>Reads a packet of the ordinary kind; false, and nothing but scratch in the packet, where it is of another.</summary>
    private static bool TryReadOrdinary(ref Packet packet, ReadOnlySpan<byte> frame)
    {
        if (frame.Length < OrdinaryIPv4)
        {
            return false;
        }

        int transport, end, protocol;
        Address source, destination;
        ushort type = BinaryPrimitives.ReadUInt16BigEndian(frame[(EthernetLength - sizeof(ushort))..]);
        if (type == EtherTypes.IPv4)
        {
            ref readonly IPv4Words ip = ref MemoryMarshal.AsRef<IPv4Words>(frame[EthernetLength..]);
            ulong sum = (ulong)ip.First + ip.Second + ip.Third + ip.Source + ip.Destination;
            uint first = BigEndian(ip.First), second = BigEndian(ip.Second), third = BigEndian(ip.Third);
            uint from = BigEndian(ip.Source), to = BigEndian(ip.Destination);
            int length = (ushort)first;
            end = EthernetLength + length;
            protocol = (byte)(third >> 16);

            // No options, no fragment.
            if (first >> 24 != 0x45 || (second & 0x3fff) != 0 || length < IpHeader.IPv4Length || end > frame.Length
                || Checksum.Fold(sum) != 0xffff || !IsOrdinary(from) || !IsOrdinary(to))
            {
                return false;
            }

            (source, destination) = (Address.FromIPv4(from), Address.FromIPv4(to));
            transport = OrdinaryIPv4;
            packet.TrafficClass = (byte)(first >> 16);
            packet.HopLimit = (byte)(third >> 24);
            packet.DontFragment = (second & 0x4000) != 0;
            packet.FragmentOffset = 0;
            packet.MoreFragments = false;
            packet.FragmentId = second >> 16;
        }
        else
        {
            if (type != EtherTypes.IPv6 || frame.Length < OrdinaryIPv6 || packet.Assembly != 0)
            {
                return false;
            }

            ref readonly IPv6Words ip = ref MemoryMarshal.AsRef<IPv6Words>(frame[EthernetLength..]);
            uint first = BigEndian(ip.First), second = BigEndian(ip.Second);
            end = OrdinaryIPv6 + (int)(second >> 16);
            protocol = (byte)(second >> 8);
            source = new Address(BigEndian(ip.SourceHigh), BigEndian(ip.SourceLow));
            destination = new Address(BigEndian(ip.DestinationHigh), BigEndian(ip.DestinationLow));
            if (first >> 28 != 6 || end > frame.Length || !IsOrdinary(source) || !IsOrdinary(destination))
            {
                return false;
            }

            transport = OrdinaryIPv6;
            packet.TrafficClass = (byte)(first >> 20);
            packet.HopLimit = (byte)second;
            packet.DontFragment = true;
        }

        if (source == destination)
        {
            return false;
        }

        uint ports;
        if (protocol == IpProtocol.Tcp && end - transport >= TcpHeader.Length)
        {
            ref readonly TcpWords tcp = ref MemoryMarshal.AsRef<TcpWords>(frame[transport..]);
            uint fourth = BigEndian(tcp.Fourth);
            int length = (int)(fourth >> 28) * 4;
            var flags = (TcpFlags)(byte)(fourth >> 16);

            // Under way, or at its end: what opens a connection is looked at for options.
            if (length < TcpHeader.Length || length > end - transport
                || (flags & Judged) is not (TcpFlags.Ack or (TcpFlags.Fin | TcpFlags.Ack) or TcpFlags.Rst or (TcpFlags.Rst | TcpFlags.Ack)))
            {
                return false;
            }

            ports = BigEndian(tcp.Ports);
            packet.Sequence = BigEndian(tcp.Sequence);
            packet.Acknowledgment = BigEndian(tcp.Acknowledgment);
            packet.Window = (ushort)fourth;
            packet.TcpFlags = flags;
            packet.Payload = transport + length;
        }
        else if (protocol == IpProtocol.Udp && end - transport >= UdpHeader.Length)
        {
            ref readonly UdpWords udp = ref MemoryMarshal.AsRef<UdpWords>(frame[transport..]);
            int length = (int)(BigEndian(udp.LengthAndChecksum) >> 16);
            ports = BigEndian(udp.Ports);
            if (length < UdpHeader.Length || length > end - transport || DhcpMessage.IsItsPort((ushort)ports))
            {
                return false;
            }

            packet.Payload = transport + UdpHeader.Length;
            packet.SpeaksToLink = false;
        }
        else if (protocol == IpProtocol.Esp && end - transport >= EspLength)
        {
            ref readonly UdpWords esp = ref MemoryMarshal.AsRef<UdpWords>(frame[transport..]);
            ports = 0;
            packet.Spi = BigEndian(esp.Ports);
            packet.Sequence = BigEndian(esp.LengthAndChecksum);
            packet.Payload = transport;
        }
        else
        {
            return false;
        }

        if (protocol != IpProtocol.Esp && (ports >> 16 == 0 || (ushort)ports == 0))
        {
            return false;
        }

        packet.Kind = PacketKind.Tracked;
        packet.Extensions = ExtensionHeaders.None;
        packet.EtherType = type;
        packet.Network = EthernetLength;
        packet.Transport = (ushort)transport;
        packet.End = end;
        packet.Key = new FlowKey(source, destination, (ushort)(ports >> 16), (ushort)ports, (byte)protocol, 0);
        return ((packet.Offload.Gso == GsoKind.None && packet.Offload.Checksum != ChecksumState.Partial) || CheckOffload(packet) == DropReason.None)
            && (packet.Offload.Checksum != ChecksumState.Unknown
                || VerifyChecksum(ref packet, frame[transport..end], source, destination) == DropReason.None);
    }

    /// <summary>Neither unspecified, loopback, multicast nor reserved: nothing that the long way would look at twice.</summary>
    private static bool IsOrdinary(uint address) => address >> 24 is > 0 and < 127 or > 127 and < 224;

    /// <inheritdoc cref="IsOrdinary(uint)"/>
    private static bool IsOrdinary(Address address) => address.High >> 56 is > 0 and < 0xff;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint BigEndian(uint word) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(word) : word;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong BigEndian(ulong word) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(word) : word;

    /// <summary>RFC 791 §3.1, by words: version, header length, class, length; identification, flags, offset; TTL, protocol, checksum.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private readonly struct IPv4Words
    {
        public readonly uint First, Second, Third, Source, Destination;
    }

    /// <summary>RFC 8200 §3, by words: version, class, label; length, next header, hop limit.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private readonly struct IPv6Words
    {
        public readonly uint First, Second;
        public readonly ulong SourceHigh, SourceLow, DestinationHigh, DestinationLow;
    }

    /// <summary>RFC 9293 §3.1, by words; the fourth: data offset, flags, window; the fifth: checksum, urgent pointer.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private readonly struct TcpWords
    {
        public readonly uint Ports, Sequence, Acknowledgment, Fourth, Fifth;
    }

    /// <summary>RFC 768, by words; and as many of ESP: SPI and number (RFC 4303 §2).</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private readonly struct UdpWords
    {
        public readonly uint Ports, LengthAndChecksum;
    }
}

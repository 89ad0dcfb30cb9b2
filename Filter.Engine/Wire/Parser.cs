using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// Reads a frame once, from Ethernet to the transport header, and writes what it found into the
/// packet. Every length is checked before it is used; what does not fit gets a reason of its own.
/// Together with the header views this is the only place that knows IPv4 from IPv6.
/// </summary>
public static partial class Parser
{
    private const int EthernetLength = 14;

    // 01:80:c2:00:00:00 and the two next to it, and the address of per-VLAN spanning tree.
    private const ulong SpanningTree = 0x0180_c200_0000;
    private const ulong Pause = 0x0180_c200_0001;
    private const ulong SlowProtocols = 0x0180_c200_0002;
    private const ulong PerVlanSpanningTree = 0x0100_0ccc_cccd;

    /// <summary>Parses a frame; see <see cref="Packet"/> for what it sets.</summary>
    /// <returns>None, or why the frame must be dropped. The fields read so far are set all the same.</returns>
    public static DropReason Parse(ref Packet packet) =>
        TryReadOrdinary(ref packet, packet.Bytes) ? DropReason.None : ParseThoroughly(ref packet);

    /// <summary>The same, of any kind of frame: where <see cref="Parse"/> has a short way, the long one.</summary>
    /// <inheritdoc cref="Parse"/>
    public static DropReason ParseThoroughly(ref Packet packet)
    {
        ReadOnlySpan<byte> frame = packet.Bytes;
        packet.Kind = PacketKind.Link;
        packet.End = frame.Length;
        if (frame.Length < EthernetLength)
        {
            return DropReason.Truncated;
        }

        int at = 12;
        uint segment = 0;
        int tags = 0;
        ushort type = BinaryPrimitives.ReadUInt16BigEndian(frame[at..]);
        at += 2;
        while (type is EtherTypes.Vlan or EtherTypes.ServiceVlan or EtherTypes.OldServiceVlan)
        {
            if (++tags > VlanStack.Most)
            {
                return DropReason.TooManyTags;
            }

            if (at + 4 > frame.Length)
            {
                return DropReason.Truncated;
            }

            segment = VlanStack.Push(segment, BinaryPrimitives.ReadUInt16BigEndian(frame[at..]) & 0xfff);
            type = BinaryPrimitives.ReadUInt16BigEndian(frame[(at + 2)..]);
            at += 4;
        }

        packet.EtherType = type;
        packet.Network = (ushort)at;
        packet.Transport = (ushort)at;
        packet.Payload = at;
        packet.Key = new FlowKey(default, default, 0, 0, 0, segment);
        return type switch
        {
            EtherTypes.IPv4 => ParseIPv4(ref packet, frame),
            EtherTypes.IPv6 => ParseIPv6(ref packet, frame),
            EtherTypes.Arp => ParseArp(ref packet, frame[at..]),
            _ => CheckLinkFrame(frame, type),
        };
    }

    /// <summary>The destination link address, 48 bits in numeric order.</summary>
    public static ulong DestinationMac(ReadOnlySpan<byte> frame) =>
        ((ulong)BinaryPrimitives.ReadUInt16BigEndian(frame) << 32) | BinaryPrimitives.ReadUInt32BigEndian(frame[2..]);

    /// <summary>The source link address, 48 bits in numeric order.</summary>
    public static ulong SourceMac(ReadOnlySpan<byte> frame) => DestinationMac(frame[6..]);

    /// <summary>Whether the frame is spanning tree, which a bridge lets pass whatever its policy.</summary>
    public static bool IsSpanningTree(in Packet packet) =>
        packet.Kind == PacketKind.Link && packet.EtherType < EtherTypes.FirstType
        && DestinationMac(packet.Bytes) is SpanningTree or PerVlanSpanningTree;

    private static DropReason CheckLinkFrame(ReadOnlySpan<byte> frame, ushort type)
    {
        // Pause and LACP speak to the next device on the wire alone (IEEE 802.1Q §8.6.3).
        ulong destination = DestinationMac(frame);
        return type is EtherTypes.MacControl or EtherTypes.SlowProtocols || destination is Pause or SlowProtocols
            ? DropReason.LinkLocalFrame
            : DropReason.None;
    }

    private static DropReason ParseArp(ref Packet packet, ReadOnlySpan<byte> arp)
    {
        // RFC 826, Ethernet and IPv4 only: 28 bytes, anything behind them is padding.
        if (arp.Length < 28 || BinaryPrimitives.ReadUInt64BigEndian(arp) >> 16 != 0x0001_0800_0604)
        {
            return DropReason.BadArp;
        }

        packet.Key = packet.Key with
        {
            Source = Address.ReadIPv4(arp[14..]),
            Destination = Address.ReadIPv4(arp[24..]),
        };
        packet.End = packet.Network + 28;
        packet.SpeaksToLink = true;
        return DropReason.None;
    }

    private static DropReason ParseIPv4(ref Packet packet, ReadOnlySpan<byte> frame)
    {
        int at = packet.Network;
        ReadOnlySpan<byte> ip = frame[at..];
        packet.Kind = PacketKind.Unknown;
        if (ip.Length < 20)
        {
            return DropReason.Truncated;
        }

        if (ip[0] >> 4 != 4)
        {
            return DropReason.BadVersion;
        }

        int headerLength = (ip[0] & 15) * 4;
        if (headerLength < 20 || headerLength > ip.Length)
        {
            return DropReason.BadHeaderLength;
        }

        int totalLength = BinaryPrimitives.ReadUInt16BigEndian(ip[2..]);
        if (totalLength < headerLength || totalLength > ip.Length)
        {
            return DropReason.BadLength;
        }

        packet.TrafficClass = ip[1];
        packet.Extensions = ExtensionHeaders.None;
        packet.HopLimit = ip[8];
        packet.Transport = (ushort)(at + headerLength);
        packet.Payload = packet.Transport;
        packet.End = at + totalLength;
        byte protocol = ip[9];
        packet.Key = packet.Key with
        {
            Source = Address.ReadIPv4(ip[12..]),
            Destination = Address.ReadIPv4(ip[16..]),
            Protocol = protocol,
        };

        if (Checksum.Fold(Checksum.Sum(ip[..headerLength])) != 0xffff)
        {
            return DropReason.BadHeaderChecksum;
        }

        DropReason why = CheckOptions(ip[20..headerLength]);
        why = why == DropReason.None ? CheckAddresses(packet.Key.Source, packet.Key.Destination) : why;
        if (why != DropReason.None)
        {
            return why;
        }

        int flags = BinaryPrimitives.ReadUInt16BigEndian(ip[6..]);
        packet.DontFragment = (flags & 0x4000) != 0;
        packet.FragmentOffset = (flags & 0x1fff) * 8;
        packet.MoreFragments = (flags & 0x2000) != 0;
        packet.FragmentId = BinaryPrimitives.ReadUInt16BigEndian(ip[4..]);
        if (packet.FragmentOffset != 0 || packet.MoreFragments)
        {
            packet.Kind = PacketKind.Fragment;
            packet.Fragmented = true;
            ReadFirstPorts(ref packet, frame[..packet.End]);
            return DropReason.None;
        }

        return ParseTransport(ref packet, frame[..packet.End], packet.Key.Source, packet.Key.Destination);
    }

    private static DropReason CheckOptions(ReadOnlySpan<byte> options)
    {
        while (!options.IsEmpty)
        {
            byte kind = options[0];
            if (kind == 0)
            {
                break;
            }

            if (kind == 1)
            {
                options = options[1..];
                continue;
            }

            if (options.Length < 2 || options[1] < 2 || options[1] > options.Length)
            {
                return DropReason.BadOption;
            }

            // Loose and strict source routing: RFC 7126 §4.3 and §4.4 say drop.
            if (kind is 131 or 137)
            {
                return DropReason.SourceRoute;
            }

            options = options[options[1]..];
        }

        return DropReason.None;
    }

    private static DropReason CheckAddresses(Address source, Address destination)
    {
        if (source.IsMulticast || source.IsLimitedBroadcast)
        {
            return DropReason.BadSource;
        }

        if (source.IsLoopback || destination.IsLoopback)
        {
            return DropReason.Martian;
        }

        return source == destination ? DropReason.Land : DropReason.None;
    }
}

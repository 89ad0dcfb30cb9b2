using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// Writes the frame that a packet line describes, lengths and checksums right unless the line says
/// otherwise. For tests and explanations, off the data path.
/// </summary>
/// <remarks>
/// Payloads are a fixed pattern by their place in the whole datagram, so pieces of a fragmented one
/// fit together, and its transport checksum is right where the first line gives <c>total=</c>.
/// </remarks>
public static class FrameBuilder
{
    /// <summary>Ports, verification tag, checksum (RFC 9260 §3.1).</summary>
    private const int SctpLength = 12;
    private const int SctpChecksumOffset = 8;

    /// <summary>The generic header with short sequence numbers (RFC 4340 §5.1).</summary>
    private const int DccpLength = 12;
    private const int MobilityLength = 8;
    private const int DccpChecksumOffset = 6;

    /// <summary>An extension header without content: padding, or a routing header that leads nowhere any more.</summary>
    private const int ExtensionLength = 8;

    /// <summary>AH up to its ICV (RFC 4302 §2).</summary>
    private const int AhLength = SpiHeader.OffsetInAh + SpiHeader.Length;

    /// <summary>Options that say nothing: PadN (RFC 8200 §4.2).</summary>
    private static ReadOnlySpan<byte> Padding => [0, 0, 1, 4, 0, 0, 0, 0];

    /// <summary>A routing header with no segments left, of a type that no rule of ours refuses (RFC 8754).</summary>
    private static ReadOnlySpan<byte> SpentRouting => [0, 0, 4, 0, 0, 0, 0, 0];

    /// <summary>Bytes of the whole frame.</summary>
    public static int Length(PacketLine line) => LinkLength(line) + line.Kind switch
    {
        LineKind.Arp => ArpPacket.Length,
        LineKind.Ether => line.Length,
        _ => DatagramLength(line),
    };

    /// <summary>Bytes of the IP packet, headers included.</summary>
    public static int DatagramLength(PacketLine line) =>
        NetworkLength(line) + (line.HasTransport ? TransportLength(line.Protocol) : 0) + line.Length;

    /// <summary>Appends the line's frame to a burst, as if it had come in by a port.</summary>
    /// <param name="line">The packet.</param>
    /// <param name="burst">Where to.</param>
    /// <param name="ingress">Number of the port.</param>
    /// <param name="index">Its place in the burst.</param>
    /// <returns>False where the burst is full.</returns>
    public static bool TryAppend(PacketLine line, Burst burst, byte ingress, out int index)
    {
        int length = Length(line);
        if (!burst.TryAppend(length, out index))
        {
            return false;
        }

        ref Packet packet = ref burst.Packets[index];
        packet.Length = length;
        packet.Ingress = ingress;
        packet.Offload = Write(line, packet.Bytes);
        return true;
    }

    /// <summary>Writes the frame.</summary>
    /// <param name="line">The packet.</param>
    /// <param name="frame">At least <see cref="Length"/> bytes; that many are written.</param>
    /// <returns>The metadata that goes with it: a super-frame's, else none.</returns>
    public static Offload Write(PacketLine line, Span<byte> frame)
    {
        frame = frame[..Length(line)];
        frame.Clear();
        EthernetHeader.TryRead(frame, out EthernetHeader ethernet, out Span<byte> rest);
        ulong source = line.SourceMac != 0 || line.Kind == LineKind.Ether ? line.SourceMac : LinkAddress.Of(line.Source);
        ethernet.Source = source;
        ethernet.Destination = Destination(line);
        ethernet.Type = line.EtherType;
        for (int tag = 0; tag < VlanStack.Depth(line.Segment); tag++)
        {
            // The outer of two is a service tag (IEEE 802.1ad).
            ushort type = tag == 0 && VlanStack.Depth(line.Segment) > 1 ? EtherTypes.ServiceVlan : EtherTypes.Vlan;
            BinaryPrimitives.WriteUInt16BigEndian(frame[(EthernetHeader.Length - 2 + (tag * VlanTag.Length))..], type);
            VlanTag.TryRead(rest, out VlanTag vlan, out rest);
            vlan.Identifier = tag == 0 ? VlanStack.Outer(line.Segment) : VlanStack.Inner(line.Segment);
            vlan.Type = line.EtherType;
        }

        switch (line.Kind)
        {
            case LineKind.Arp:
                ArpPacket arp = ArpPacket.Begin(rest);
                arp.Operation = line.ArpOperation;
                arp.Sender = line.Source;
                arp.SenderMac = source;
                arp.Target = line.Destination;
                arp.TargetMac = line.ArpOperation == ArpPacket.Request ? 0 : ethernet.Destination;
                return default;

            case LineKind.Ether:
                Fill(rest, 0);
                return default;

            default:
                WriteDatagram(line, rest);
                return SuperFrame(line, frame);
        }
    }

    private static ulong Destination(PacketLine line)
    {
        if (line.DestinationMac != 0 || line.Kind == LineKind.Ether)
        {
            return line.DestinationMac;
        }

        return line.Kind == LineKind.Arp && line.ArpOperation == ArpPacket.Request
            ? LinkAddress.Broadcast
            : LinkAddress.Of(line.Destination);
    }

    private static int LinkLength(PacketLine line) => EthernetHeader.Length + (VlanStack.Depth(line.Segment) * VlanTag.Length);

    private static int NetworkLength(PacketLine line) => line.IsIPv4
        ? Ipv4Header.Length
        : Ipv6Header.Length + ChainLength(line) + (line.IsFragment ? Ipv6FragmentHeader.Length : 0);

    /// <summary>Bytes of the extension headers beside that of a fragment: eight each.</summary>
    private static int ChainLength(PacketLine line) =>
        ExtensionLength * (BitOperations.PopCount((uint)line.Extensions) + (LinkSpeech.IsAlerting(line) ? 1 : 0));

    /// <summary>Bytes of the transport header that it writes; 0 for a protocol without one.</summary>
    internal static int TransportLength(byte protocol) => protocol switch
    {
        IpProtocol.Tcp => TcpHeader.Length,
        IpProtocol.Udp or IpProtocol.UdpLite => UdpHeader.Length,
        IpProtocol.Sctp => SctpLength,
        IpProtocol.Dccp => DccpLength,
        IpProtocol.Icmp or IpProtocol.IcmpV6 or IpProtocol.Igmp => IcmpHeader.Length,
        IpProtocol.Esp => SpiHeader.Length,
        IpProtocol.Mobility => MobilityLength,
        IpProtocol.Ah => AhLength,
        _ => 0,
    };

    private static void WriteDatagram(PacketLine line, Span<byte> datagram)
    {
        Span<byte> behind = datagram[NetworkLength(line)..];
        if (!line.HasTransport)
        {
            Fill(behind, line.FragmentOffset - TransportLength(line.Protocol));
        }
        else if (line.TotalLength <= line.Length)
        {
            WriteTransport(line, behind, line.Length);
        }
        else
        {
            byte[] whole = new byte[TransportLength(line.Protocol) + line.TotalLength];
            WriteTransport(line, whole, line.TotalLength);
            whole.AsSpan(0, behind.Length).CopyTo(behind);
        }

        if (line.IsIPv4)
        {
            WriteIPv4(line, datagram);
        }
        else
        {
            WriteIPv6(line, datagram);
        }
    }

    private static void WriteIPv4(PacketLine line, Span<byte> datagram)
    {
        Ipv4Header ip = Ipv4Header.Begin(datagram);
        ip.TrafficClass = line.TrafficClass;
        ip.TotalLength = (ushort)datagram.Length;
        ip.Identification = (ushort)line.FragmentId;
        ip.DontFragment = line.DontFragment;
        ip.MoreFragments = line.MoreFragments;
        ip.FragmentOffset = line.FragmentOffset;
        ip.TimeToLive = line.HopLimit;
        ip.Protocol = line.Protocol;
        ip.Source = line.Source;
        ip.Destination = line.Destination;
        ip.FinishChecksum();
        if (line.Checksum == LineChecksum.BadHeader)
        {
            ip.HeaderChecksum ^= 0x5555;
        }
    }

    private static void WriteIPv6(PacketLine line, Span<byte> datagram)
    {
        Ipv6Header ip = Ipv6Header.Begin(datagram);
        ip.TrafficClass = line.TrafficClass;
        ip.PayloadLength = (ushort)(datagram.Length - Ipv6Header.Length);
        ip.HopLimit = line.HopLimit;
        ip.Source = line.Source;
        ip.Destination = line.Destination;
        Span<byte> behind = datagram[Ipv6Header.Length..];
        Span<byte> pointer = datagram[Ipv6Header.NextHeaderOffset..];
        if (LinkSpeech.IsAlerting(line))
        {
            Link(ref pointer, ref behind, IpProtocol.HopByHop, LinkSpeech.RouterAlert);
        }
        else if (line.Extensions.HasFlag(ExtensionHeaders.HopByHop))
        {
            Link(ref pointer, ref behind, IpProtocol.HopByHop, Padding);
        }

        // All of them before the fragment header, so that every fragment has them.
        if (line.Extensions.HasFlag(ExtensionHeaders.DestinationOptions))
        {
            Link(ref pointer, ref behind, IpProtocol.DestinationOptions, Padding);
        }

        if (line.Extensions.HasFlag(ExtensionHeaders.Routing))
        {
            Link(ref pointer, ref behind, IpProtocol.Routing, SpentRouting);
        }

        if (line.IsFragment)
        {
            pointer[0] = IpProtocol.Fragment;
            Ipv6FragmentHeader.TryRead(behind, out Ipv6FragmentHeader fragment, out _);
            fragment.Offset = line.FragmentOffset;
            fragment.MoreFragments = line.MoreFragments;
            fragment.Identification = line.FragmentId;
            pointer = behind;
        }

        pointer[0] = line.Protocol;
    }

    /// <summary>Puts an extension header behind the one before, whose next header field is at <paramref name="pointer"/>.</summary>
    private static void Link(ref Span<byte> pointer, ref Span<byte> behind, byte kind, ReadOnlySpan<byte> header)
    {
        pointer[0] = kind;
        header.CopyTo(behind);
        pointer = behind;
        behind = behind[header.Length..];
    }

    /// <summary>Header and payload of the upper layer.</summary>
    private static void WriteTransport(PacketLine line, Span<byte> segment, int payloadLength)
    {
        Span<byte> payload = segment[TransportLength(line.Protocol)..];
        if (line.Data is not null)
        {
            Encoding.Latin1.GetBytes(line.Data, payload);
        }
        else if (line.Quote is null)
        {
            if (!LinkSpeech.TryWrite(line, payload))
            {
                Fill(payload, 0);
            }
        }
        else
        {
            byte[] quote = new byte[DatagramLength(line.Quote)];
            WriteDatagram(line.Quote, quote);
            quote.AsSpan(0, Math.Min(quote.Length, payload.Length)).CopyTo(payload);
        }

        int checksumAt = -1;
        switch (line.Protocol)
        {
            case IpProtocol.Tcp:
                TcpHeader tcp = TcpHeader.Begin(segment);
                tcp.SourcePort = line.SourcePort;
                tcp.DestinationPort = line.DestinationPort;
                tcp.Sequence = line.Sequence;
                tcp.Acknowledgment = line.Acknowledgment;
                tcp.Flags = line.Flags;
                tcp.Window = line.Window;
                checksumAt = TcpHeader.ChecksumOffset;
                break;

            case IpProtocol.Udp:
            case IpProtocol.UdpLite:
                UdpHeader.TryRead(segment, out UdpHeader udp, out _);
                udp.SourcePort = line.SourcePort;
                udp.DestinationPort = line.DestinationPort;
                // UDP-Lite: the checksum covers all (RFC 3828 §3.1).
                udp.DatagramLength = line.Protocol == IpProtocol.Udp ? (ushort)(UdpHeader.Length + payloadLength) : (ushort)0;
                checksumAt = UdpHeader.ChecksumOffset;
                break;

            case IpProtocol.Sctp:
                BinaryPrimitives.WriteUInt16BigEndian(segment, line.SourcePort);
                BinaryPrimitives.WriteUInt16BigEndian(segment[2..], line.DestinationPort);
                BinaryPrimitives.WriteUInt32BigEndian(segment[4..], line.Tag);
                WriteChunk(line, payload);
                BinaryPrimitives.WriteUInt32LittleEndian(
                    segment[SctpChecksumOffset..], Checksum.Crc32C(segment) ^ (line.Checksum == LineChecksum.Bad ? 0x5555u : 0));
                break;

            case IpProtocol.Dccp:
                BinaryPrimitives.WriteUInt16BigEndian(segment, line.SourcePort);
                BinaryPrimitives.WriteUInt16BigEndian(segment[2..], line.DestinationPort);
                segment[4] = DccpLength / 4;
                checksumAt = DccpChecksumOffset;
                break;

            case IpProtocol.Gre when line.GreKey is { } key && payload.Length >= GreKey.KeyedLength:
                GreKey.Write(payload, key);
                break;

            case IpProtocol.Icmp:
            case IpProtocol.IcmpV6:
            case IpProtocol.Igmp:
                IcmpHeader.TryRead(segment, out IcmpHeader icmp, out _);
                icmp.Type = line.IcmpType;
                icmp.Code = line.IcmpCode;
                icmp.Mtu = line.Mtu;
                if (line.IsIcmpQuery)
                {
                    icmp.Identifier = line.IcmpId;
                    icmp.Sequence = (ushort)line.Sequence;
                }

                checksumAt = 2;
                break;

            case IpProtocol.Mobility:
                // Whole words of 64 bits, the first not counted (RFC 6275 §6.1.1).
                int words = Math.Min(payload.Length / MobilityLength, byte.MaxValue);
                (segment[0], segment[1], segment[2]) = (IpProtocol.NoNext, (byte)words, line.IcmpType);
                segment = segment[..((words + 1) * MobilityLength)];
                checksumAt = 4;
                break;

            case IpProtocol.Esp:
            case IpProtocol.Ah:
                int at = line.Protocol == IpProtocol.Esp ? 0 : SpiHeader.OffsetInAh;
                SpiHeader.TryRead(segment[at..], out SpiHeader spi, out _);
                spi.Spi = line.Spi;
                spi.Sequence = line.Sequence;
                if (at > 0)
                {
                    // Nothing inside, and no ICV: length in words of 32 bits, less 2 (RFC 4302 §2.2).
                    segment[0] = IpProtocol.NoNext;
                    segment[1] = (AhLength / 4) - 2;
                }

                break;

            default:
                break;
        }

        if (checksumAt >= 0)
        {
            FinishChecksum(line, segment, checksumAt);
        }
    }

    /// <summary>One chunk as long as the payload, where there is room for its header.</summary>
    private static void WriteChunk(PacketLine line, Span<byte> chunk)
    {
        if (chunk.Length < SctpChunk.HeaderLength)
        {
            return;
        }

        chunk[0] = line.Chunk;
        chunk[1] = line.TagReflected ? SctpChunk.TagReflected : (byte)0;
        BinaryPrimitives.WriteUInt16BigEndian(chunk[2..], (ushort)chunk.Length);
        if (line.IsSctpInit && chunk.Length >= SctpChunk.HeaderLength + sizeof(uint))
        {
            BinaryPrimitives.WriteUInt32BigEndian(chunk[SctpChunk.HeaderLength..], line.InitiateTag);
        }
    }

    private static void FinishChecksum(PacketLine line, Span<byte> segment, int at)
    {
        bool pseudo = line.Protocol is not (IpProtocol.Icmp or IpProtocol.Igmp);
        ulong sum = pseudo ? Checksum.PseudoHeader(line.Source, line.Destination, line.Protocol, segment.Length) : 0;
        if (line.SegmentSize > 0)
        {
            BinaryPrimitives.WriteUInt16BigEndian(segment[at..], Checksum.Fold(sum));
            return;
        }

        ushort checksum = Checksum.Finish(Checksum.Sum(segment, sum));
        checksum ^= (ushort)(line.Checksum == LineChecksum.Bad ? 0x5555 : 0);
        checksum = checksum == 0 && pseudo ? ushort.MaxValue : checksum;           // RFC 768: zero means none
        BinaryPrimitives.WriteUInt16BigEndian(segment[at..], checksum);
    }

    private static Offload SuperFrame(PacketLine line, Span<byte> frame)
    {
        if (line.SegmentSize == 0 || !line.HasTransport)
        {
            return default;
        }

        bool tcp = line.Protocol == IpProtocol.Tcp;
        int transport = LinkLength(line) + NetworkLength(line);
        return new Offload
        {
            Checksum = ChecksumState.Partial,
            Gso = !tcp ? GsoKind.Udp : line.IsIPv4 ? GsoKind.TcpV4 : GsoKind.TcpV6,
            HeaderLength = (ushort)(frame.Length - line.Length),
            SegmentSize = line.SegmentSize,
            ChecksumStart = (ushort)transport,
            ChecksumOffset = (ushort)(tcp ? TcpHeader.ChecksumOffset : UdpHeader.ChecksumOffset),
        };
    }

    /// <summary>The pattern of payloads; no first byte of it looks like an IP header.</summary>
    private static void Fill(Span<byte> payload, int from)
    {
        for (int i = 0; i < payload.Length; i++)
        {
            payload[i] = (byte)(0x80 | ((from + i) % 61));
        }
    }
}

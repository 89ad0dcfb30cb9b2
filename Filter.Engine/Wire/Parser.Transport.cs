using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <content>Transport headers.</content>
public static partial class Parser
{
    private const byte SourceQuench = 4;
    private const int LeastIPv4Mtu = 68;
    private const int LeastIPv6Mtu = 1280;
    private const int DccpLength = 12;

    private const TcpFlags Judged = TcpFlags.Syn | TcpFlags.Fin | TcpFlags.Rst | TcpFlags.Ack | TcpFlags.Urg;

    /// <param name="packet">Addresses, protocol, transport offset and end are set.</param>
    /// <param name="frame">The frame, up to the IP packet's end.</param>
    /// <param name="source">Source for the checksum's pseudo-header: the home address of a mobile node.</param>
    /// <param name="destination">Destination for it: the final one behind a routing header.</param>
    private static DropReason ParseTransport(
        ref Packet packet, ReadOnlySpan<byte> frame, Address source, Address destination)
    {
        ReadOnlySpan<byte> segment = frame[packet.Transport..];
        packet.Kind = PacketKind.Tracked;
        DropReason why = packet.Key.Protocol switch
        {
            IpProtocol.Tcp => ParseTcp(ref packet, segment),
            IpProtocol.Udp or IpProtocol.UdpLite => ParseUdp(ref packet, segment),
            IpProtocol.Sctp => ParseSctp(ref packet, segment),
            IpProtocol.Icmp or IpProtocol.IcmpV6 => ParseIcmp(ref packet, segment),
            IpProtocol.Esp => ParseSpi(ref packet, segment, 0),
            IpProtocol.Ah => ParseAh(ref packet, segment),
            IpProtocol.Igmp => ParseIgmp(ref packet, segment),
            IpProtocol.Mobility when !packet.IsIPv4 => ParseMobility(ref packet, segment),
            IpProtocol.Gre => ParseGre(ref packet, segment),
            IpProtocol.Dccp => ParseDccp(ref packet, segment),
            _ => DropReason.None,
        };
        why = why == DropReason.None ? CheckOffload(packet) : why;
        return why == DropReason.None && packet.Offload.Checksum == ChecksumState.Unknown
            ? VerifyChecksum(ref packet, segment, source, destination)
            : why;
    }

    /// <summary>
    /// Offload metadata may come from a guest. A super-frame must be of the protocol it says; an unfinished checksum must
    /// be the transport's own or lie in the payload, else finishing it would change what was judged here.
    /// </summary>
    private static DropReason CheckOffload(in Packet packet)
    {
        byte protocol = packet.Key.Protocol;
        bool fits = packet.Offload.Gso switch
        {
            GsoKind.None => true,
            GsoKind.TcpV4 => protocol == IpProtocol.Tcp && packet.IsIPv4,
            GsoKind.TcpV6 => protocol == IpProtocol.Tcp && !packet.IsIPv4,
            _ => protocol == IpProtocol.Udp,
        };
        if (!fits || (packet.Offload.Gso != GsoKind.None && packet.Offload.SegmentSize == 0))
        {
            return DropReason.BadLength;
        }

        if (packet.Offload.Checksum != ChecksumState.Partial)
        {
            return DropReason.None;
        }

        int start = packet.Offload.ChecksumStart, field = start + packet.Offload.ChecksumOffset;
        int own = protocol switch
        {
            IpProtocol.Tcp => 16,
            IpProtocol.Udp or IpProtocol.UdpLite => 6,
            IpProtocol.Icmp or IpProtocol.IcmpV6 => 2,
            IpProtocol.Sctp => 8,
            IpProtocol.Dccp => 6,
            _ => -1,
        };
        bool isOwn = start == packet.Transport && packet.Offload.ChecksumOffset == own;
        bool inPayload = start >= packet.Payload && packet.Offload.Gso == GsoKind.None && !ShowsMore(packet.Kind);
        return (isOwn || inPayload) && field + 2 <= packet.End ? DropReason.None : DropReason.BadChecksum;
    }

    /// <summary>Whether what follows the header is looked at too: quotes, targets of discovery.</summary>
    private static bool ShowsMore(PacketKind kind) => kind is PacketKind.IcmpError or PacketKind.Untracked;

    private static DropReason ParseTcp(ref Packet packet, ReadOnlySpan<byte> tcp)
    {
        if (tcp.Length < 20)
        {
            return DropReason.Truncated;
        }

        int headerLength = (tcp[12] >> 4) * 4;
        if (headerLength < 20 || headerLength > tcp.Length)
        {
            return DropReason.BadHeaderLength;
        }

        ReadPorts(ref packet, tcp);
        packet.Sequence = BinaryPrimitives.ReadUInt32BigEndian(tcp[4..]);
        packet.Acknowledgment = BinaryPrimitives.ReadUInt32BigEndian(tcp[8..]);
        packet.Window = BinaryPrimitives.ReadUInt16BigEndian(tcp[14..]);
        packet.TcpFlags = (TcpFlags)tcp[13];
        packet.Payload = packet.Transport + headerLength;
        if (packet.Key.SourcePort == 0 || packet.Key.DestinationPort == 0)
        {
            return DropReason.PortZero;
        }

        // A connection has two ends, each with an address of its own (RFC 9293 §3.9.2.3, RFC 1122 §4.2.3.10).
        if (packet.Key.Source.IsUnspecified || packet.Key.Destination.IsMulticast || packet.Key.Destination.IsLimitedBroadcast)
        {
            return DropReason.Martian;
        }

        if ((packet.TcpFlags & TcpFlags.Syn) != 0)
        {
            packet.WindowScale = ReadWindowScale(tcp[20..headerLength]);
        }

        // What RFC 9293 §3.10 lets a sender form; all else is a scanner's or a broken stack's.
        return (packet.TcpFlags & Judged) switch
        {
            TcpFlags.Syn => DropReason.None,
            TcpFlags.Syn | TcpFlags.Urg => DropReason.None,
            TcpFlags.Syn | TcpFlags.Ack => DropReason.None,
            TcpFlags.Rst => DropReason.None,
            TcpFlags.Rst | TcpFlags.Ack => DropReason.None,
            TcpFlags.Fin | TcpFlags.Ack => DropReason.None,
            TcpFlags.Fin | TcpFlags.Ack | TcpFlags.Urg => DropReason.None,
            TcpFlags.Ack => DropReason.None,
            TcpFlags.Ack | TcpFlags.Urg => DropReason.None,
            _ => DropReason.BadFlags,
        };
    }

    /// <summary>RFC 7323 §2.2. Options that are cut or malformed end the search: the receiver must look to them.</summary>
    private static byte ReadWindowScale(ReadOnlySpan<byte> options)
    {
        while (!options.IsEmpty && options[0] != 0)
        {
            int length = options[0] == 1 ? 1 : options.Length < 2 ? 0 : options[1];
            if (length == 0 || length > options.Length || (length == 1 && options[0] != 1))
            {
                break;
            }

            if (options[0] == 3 && length == 3)
            {
                return Math.Min(options[2], (byte)14);      // §2.3: more counts as 14
            }

            options = options[length..];
        }

        return Packet.NoWindowScale;
    }

    private static DropReason ParseUdp(ref Packet packet, ReadOnlySpan<byte> udp)
    {
        if (udp.Length < 8)
        {
            return DropReason.Truncated;
        }

        ReadPorts(ref packet, udp);
        packet.Payload = packet.Transport + 8;
        int length = BinaryPrimitives.ReadUInt16BigEndian(udp[4..]);

        // UDP-Lite has the checksum's coverage in this place: 0 is all, below 8 is an error (RFC 3828
        // §3.1). UDP may leave a surplus behind its length (RFC 9868 §7).
        bool wrong = packet.Key.Protocol == IpProtocol.UdpLite
            ? length != 0 && (length < 8 || length > udp.Length)
            : (length < 8 || length > udp.Length)
                && (packet.Offload.Gso != GsoKind.Udp || packet.Offload.Checksum == ChecksumState.Unknown);
        if (wrong)
        {
            return DropReason.BadLength;
        }

        packet.SpeaksToLink = DhcpMessage.MayBe(packet);

        // A source port of 0 means that no answer is expected (RFC 768).
        return packet.Key.DestinationPort == 0 ? DropReason.PortZero : DropReason.None;
    }

    /// <summary>
    /// A first fragment mostly shows its ports. Nothing is decided by them before the datagram is
    /// whole; they are for people.
    /// </summary>
    private static void ReadFirstPorts(ref Packet packet, ReadOnlySpan<byte> frame)
    {
        if (packet.FragmentOffset == 0 && IpProtocol.HasPorts(packet.Key.Protocol) && frame.Length - packet.Transport >= 4)
        {
            ReadPorts(ref packet, frame[packet.Transport..]);
        }
    }

    private static void ReadPorts(ref Packet packet, ReadOnlySpan<byte> header) =>
        packet.Key = packet.Key with
        {
            SourcePort = BinaryPrimitives.ReadUInt16BigEndian(header),
            DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(header[2..]),
        };

    private static DropReason ParseSpi(ref Packet packet, ReadOnlySpan<byte> header, int offset)
    {
        if (header.Length < offset + 8)
        {
            return DropReason.Truncated;
        }

        packet.Spi = BinaryPrimitives.ReadUInt32BigEndian(header[offset..]);
        packet.Sequence = BinaryPrimitives.ReadUInt32BigEndian(header[(offset + 4)..]);
        return DropReason.None;
    }

    private static DropReason ParseAh(ref Packet packet, ReadOnlySpan<byte> ah)
    {
        DropReason why = ParseSpi(ref packet, ah, 4);
        packet.SpeaksToLink = why == DropReason.None && !packet.IsIPv4 && HidesRouter(ah);
        return why;
    }

    /// <summary>
    /// Whether behind AH somebody speaks as a router or a DHCPv6 server: AH hides nothing (RFC 7113 §3). Beyond it rules do not
    /// look, so this is for the port's role alone.
    /// </summary>
    private static bool HidesRouter(ReadOnlySpan<byte> header)
    {
        byte kind = IpProtocol.Ah;
        for (int count = 0; count < MaxExtensionHeaders && kind is IpProtocol.Ah or IpProtocol.DestinationOptions && header.Length >= 8; count++)
        {
            int length = kind == IpProtocol.Ah ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
            kind = header[0];
            header = header[Math.Min(length, header.Length)..];
        }

        return kind switch
        {
            IpProtocol.IcmpV6 => header.Length > 0 && header[0] is Discovery.RouterAdvertisement or Discovery.Redirect,
            IpProtocol.Udp => header.Length >= 4 && DhcpMessage.IsToClient(BinaryPrimitives.ReadUInt16BigEndian(header[2..])),
            _ => false,
        };
    }

    /// <summary>A mobility header ends its packet, and says so (RFC 6275 §6.1.1).</summary>
    private static DropReason ParseMobility(ref Packet packet, ReadOnlySpan<byte> header)
    {
        if (header.Length < 8 || (header[1] + 1) * 8 > header.Length)
        {
            return DropReason.Truncated;
        }

        packet.IcmpType = header[2];
        return header[0] == IpProtocol.NoNext ? DropReason.None : DropReason.BadExtensionChain;
    }

    private static DropReason ParseIgmp(ref Packet packet, ReadOnlySpan<byte> igmp)
    {
        packet.Kind = PacketKind.Untracked;
        if (igmp.Length < 8)
        {
            return DropReason.Truncated;
        }

        packet.IcmpType = igmp[0];
        return DropReason.None;
    }

    private static DropReason ParseIcmp(ref Packet packet, ReadOnlySpan<byte> icmp)
    {
        // Each ICMP belongs to its own IP; the other's packets mean nothing there.
        bool v6 = packet.Key.Protocol == IpProtocol.IcmpV6;
        if (v6 == packet.IsIPv4)
        {
            return DropReason.IcmpForbidden;
        }

        if (icmp.Length < (v6 ? 4 : 8))
        {
            return DropReason.Truncated;
        }

        packet.IcmpType = icmp[0];
        packet.IcmpCode = icmp[1];
        packet.Payload = packet.Transport + Math.Min(8, icmp.Length);
        packet.SpeaksToLink = IcmpClasses.Of(packet.Key.Protocol, icmp[0]) == IcmpClass.Link;
        packet.Kind = icmp[0] switch
        {
            _ when IcmpErrorCodes.IsError(packet.Key.Protocol, icmp[0]) => PacketKind.IcmpError,
            _ when IcmpQueries.Asks(packet.Key.Protocol, icmp[0]) => PacketKind.Tracked,
            _ when IcmpQueries.Answers(packet.Key.Protocol, icmp[0]) => PacketKind.Tracked,
            _ => PacketKind.Untracked,
        };
        if (packet.Kind is PacketKind.Tracked or PacketKind.IcmpError && icmp.Length < 8)
        {
            return DropReason.Truncated;
        }

        if (packet.Kind == PacketKind.IcmpError ? !IsSoundError(packet, icmp) : !v6 && icmp[0] == SourceQuench)
        {
            return DropReason.IcmpForbidden;
        }

        if (packet.Kind == PacketKind.Tracked)
        {
            packet.Key = IcmpQueries.Key(packet.Key, icmp[0], BinaryPrimitives.ReadUInt16BigEndian(icmp[4..]));
        }

        return DropReason.None;
    }

    /// <summary>
    /// A code that somebody defined, and an MTU that a link may have: no receiver believes less (RFC 8201 §4, RFC 791 §3.2). IPv4
    /// routers from before RFC 1191 tell none.
    /// </summary>
    private static bool IsSoundError(in Packet packet, ReadOnlySpan<byte> icmp)
    {
        byte protocol = packet.Key.Protocol;
        if (!IcmpErrorCodes.IsKnown(protocol, packet.IcmpType, packet.IcmpCode))
        {
            return false;
        }

        if (!PacketFacts.TellsMtu(protocol, packet.IcmpType, packet.IcmpCode))
        {
            return true;
        }

        return protocol == IpProtocol.IcmpV6
            ? BinaryPrimitives.ReadUInt32BigEndian(icmp[4..]) >= LeastIPv6Mtu
            : BinaryPrimitives.ReadUInt16BigEndian(icmp[6..]) is 0 or >= LeastIPv4Mtu;
    }

    private static DropReason ParseGre(ref Packet packet, ReadOnlySpan<byte> gre)
    {
        if (!GreKey.TryRead(gre, out uint? key))
        {
            return DropReason.Truncated;
        }

        packet.Key = key is { } number ? GreKey.Of(packet.Key, number) : packet.Key;
        return DropReason.None;
    }

    /// <summary>The generic header, short or long sequence numbers (RFC 4340 §5.1).</summary>
    private static DropReason ParseDccp(ref Packet packet, ReadOnlySpan<byte> dccp)
    {
        if (dccp.Length < DccpLength)
        {
            return DropReason.Truncated;
        }

        int dataOffset = dccp[4] * 4;
        if (dataOffset < DccpLength || dataOffset > dccp.Length || DccpCoverage(dccp) > dccp.Length)
        {
            return DropReason.BadHeaderLength;
        }

        ReadPorts(ref packet, dccp);
        packet.Payload = packet.Transport + dataOffset;
        return packet.Key.SourcePort == 0 || packet.Key.DestinationPort == 0 ? DropReason.PortZero : DropReason.None;
    }

    /// <summary>What the checksum covers: all, or the header and some words behind it (RFC 4340 §9.2).</summary>
    private static int DccpCoverage(ReadOnlySpan<byte> dccp)
    {
        int coverage = dccp[5] & 15;
        return coverage == 0 ? dccp.Length : (dccp[4] + coverage - 1) * 4;
    }

    private static DropReason VerifyChecksum(
        ref Packet packet, ReadOnlySpan<byte> segment, Address source, Address destination)
    {
        ulong sum;
        switch (packet.Key.Protocol)
        {
            case IpProtocol.Tcp:
            case IpProtocol.IcmpV6:
                sum = Checksum.PseudoHeader(source, destination, packet.Key.Protocol, segment.Length);
                break;

            case IpProtocol.Udp:
                // Zero means none: RFC 768; over IPv6 a middlebox lets it pass (RFC 6936 §5).
                if (BinaryPrimitives.ReadUInt16BigEndian(segment[6..]) == 0)
                {
                    return DropReason.None;
                }

                segment = segment[..Math.Min(BinaryPrimitives.ReadUInt16BigEndian(segment[4..]), segment.Length)];
                sum = Checksum.PseudoHeader(source, destination, packet.Key.Protocol, segment.Length);
                break;

            case IpProtocol.Mobility when !packet.IsIPv4:
                segment = segment[..((segment[1] + 1) * 8)];
                sum = Checksum.PseudoHeader(source, destination, packet.Key.Protocol, segment.Length);
                break;

            case IpProtocol.UdpLite:
                int coverage = BinaryPrimitives.ReadUInt16BigEndian(segment[4..]);
                sum = Checksum.PseudoHeader(source, destination, packet.Key.Protocol, segment.Length);
                segment = coverage == 0 ? segment : segment[..coverage];
                break;

            case IpProtocol.Dccp:
                sum = Checksum.PseudoHeader(source, destination, packet.Key.Protocol, segment.Length);
                segment = segment[..DccpCoverage(segment)];
                break;

            case IpProtocol.Icmp:
            case IpProtocol.Igmp:
                sum = 0;
                break;

            case IpProtocol.Sctp:
                if (Checksum.Sctp(segment) != BinaryPrimitives.ReadUInt32LittleEndian(segment[Checksum.SctpOffset..]))
                {
                    return DropReason.BadChecksum;
                }

                packet.Offload.Checksum = ChecksumState.Valid;
                return DropReason.None;

            default:
                return DropReason.None;
        }

        if (Checksum.Fold(Checksum.Sum(segment, sum)) != 0xffff)
        {
            return DropReason.BadChecksum;
        }

        packet.Offload.Checksum = ChecksumState.Valid;
        return DropReason.None;
    }
}

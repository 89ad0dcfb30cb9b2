using System.Buffers.Binary;
using Filter.Engine.Wire;

namespace Filter.Engine.Packets;

/// <summary>
/// What is needed to print a packet's line later, when its bytes are gone. Without references, so it
/// is copied into a ring of events without allocation.
/// </summary>
public struct PacketFacts
{
    private const byte QuotedFlagsEnd = 14;

    private FlowKey _key;
    private FlowKey _quoted;
    private Address _target;
    private ulong _sourceMac;
    private ulong _destinationMac;
    private uint _sequence;
    private uint _acknowledgment;
    private uint _quotedSequence;
    private uint _spi;
    private uint _mtu;
    private uint _tag;
    private uint _initiateTag;
    private uint _fragmentId;
    private int _length;
    private int _fragmentOffset;
    private ushort _etherType;
    private ushort _window;
    private ushort _segmentSize;
    private ushort _arpOperation;
    private LineKind _kind;
    private TcpFlags _flags;
    private TcpFlags _quotedFlags;
    private byte _icmpType;
    private byte _icmpCode;
    private byte _quotedType;
    private byte _trafficClass;
    private byte _hopLimit;
    private LineChecksum _checksum;
    private bool _isFragment;
    private bool _moreFragments;
    private bool _hasTransport;
    private bool _dontFragment;
    private bool _hasQuote;
    private bool _tagReflected;
    private bool _hasGreKey;
    private byte _chunk;
    private ExtensionHeaders _extensions;

    /// <summary>
    /// The facts of a parsed packet: what parsing found and, where its bytes are still there, the
    /// few that parsing has no use for.
    /// </summary>
    public static PacketFacts Of(in Packet packet)
    {
        ReadOnlySpan<byte> frame = packet.Slab is { Length: > 0 } ? packet.Bytes : default;
        PacketFacts facts = default;
        facts._etherType = packet.EtherType;
        facts._key = packet.Key;
        if (frame.Length >= EthernetHeader.Length)
        {
            facts._destinationMac = LinkAddress.Read(frame);
            facts._sourceMac = LinkAddress.Read(frame[6..]);
        }

        facts._kind = Classify(packet);
        switch (facts._kind)
        {
            case LineKind.Ip:
                // Once it was sealed in a tunnel, the header before it may be of the other family.
                facts._etherType = packet.Ipsec != IpsecAction.Protect ? packet.EtherType
                    : packet.Key.Source.IsIPv4 ? EtherTypes.IPv4 : EtherTypes.IPv6;
                facts.TakeIp(packet, frame);
                break;

            case LineKind.Arp:
                facts._arpOperation = Word(frame, packet.Network + 6);
                break;

            default:
                facts._length = Math.Max(0, packet.Length - (packet.Network == 0 ? EthernetHeader.Length : packet.Network));
                break;
        }

        return facts;
    }

    /// <summary>The line of the packet.</summary>
    /// <param name="port">The name of the port it came in by, or null.</param>
    public readonly PacketLine Line(string? port)
    {
        bool ether = _kind == LineKind.Ether;
        bool query = _kind == LineKind.Ip && _hasTransport && IsQuery(_key.Protocol, _icmpType);
        bool ports = IpProtocol.HasPorts(_key.Protocol);
        PacketLine line = new()
        {
            Port = port,
            Kind = _kind,
            EtherType = _etherType,
            Segment = _key.Segment,
            Source = _key.Source,
            Destination = _key.Destination,
            Protocol = _key.Protocol,
            SourcePort = ports ? _key.SourcePort : (ushort)0,
            DestinationPort = ports ? _key.DestinationPort : (ushort)0,
            Flags = _flags,
            Sequence = _sequence,
            Acknowledgment = _acknowledgment,
            Window = _window,
            IcmpType = _icmpType,
            IcmpCode = _icmpCode,
            IcmpId = query ? IcmpQueries.Identifier(_key, _icmpType) : (ushort)0,
            Mtu = _mtu,
            Spi = _hasQuote ? 0 : _spi,
            Target = _target,
            Chunk = _chunk,
            Tag = _hasGreKey ? 0 : _tag,
            InitiateTag = _initiateTag,
            TagReflected = _tagReflected,
            GreKey = _hasGreKey && !_hasQuote ? _tag : null,
            ArpOperation = _arpOperation,
            Length = _length,
            SegmentSize = _segmentSize,
            IsFragment = _isFragment,
            FragmentOffset = _fragmentOffset,
            MoreFragments = _moreFragments,
            FragmentId = _isFragment ? _fragmentId : 0,
            HasTransport = _hasTransport || _kind != LineKind.Ip,
            DontFragment = _dontFragment,
            Extensions = _extensions,
            TrafficClass = _trafficClass,
            HopLimit = _kind == LineKind.Ip ? _hopLimit : PacketLine.DefaultHopLimit,
            Checksum = _checksum,
            SourceMac = ether ? _sourceMac : 0,
            DestinationMac = ether ? _destinationMac : 0,
            Quote = _hasQuote ? QuotedLine() : null,
        };
        return LinkSpeech.IsAlerting(line) ? line with { Extensions = line.Extensions & ~ExtensionHeaders.HopByHop } : line;
    }

    /// <summary>Whether an ICMP or ICMPv6 type has an identifier and a sequence number.</summary>
    internal static bool IsQuery(byte protocol, byte type) =>
        IcmpQueries.Asks(protocol, type) || IcmpQueries.Answers(protocol, type);

    /// <summary>Whether an ICMP message tells an MTU (RFC 1191 §4, RFC 4443 §3.2).</summary>
    internal static bool TellsMtu(byte protocol, byte type, byte code) =>
        protocol == IpProtocol.IcmpV6 ? type == 2 : protocol == IpProtocol.Icmp && type == 3 && code == 4;

    /// <summary>Whether an ICMP message quotes a packet.</summary>
    internal static bool IsError(byte protocol, byte type) => IcmpErrorCodes.IsError(protocol, type);

    private static LineKind Classify(in Packet packet)
    {
        // Cut before its addresses, an IP packet is no more than a frame.
        bool shown = packet.Key.Source != default || packet.Key.Destination != default;
        return packet.EtherType switch
        {
            EtherTypes.IPv4 when shown => LineKind.Ip,
            EtherTypes.IPv6 when shown => LineKind.Ip,
            EtherTypes.Arp when shown => LineKind.Arp,
            _ => LineKind.Ether,
        };
    }

    private void TakeIp(in Packet packet, ReadOnlySpan<byte> frame)
    {
        byte protocol = packet.Key.Protocol;
        _trafficClass = packet.TrafficClass;
        _hopLimit = packet.HopLimit;
        _extensions = _etherType == EtherTypes.IPv6 ? packet.Extensions & ~ExtensionHeaders.Fragment : ExtensionHeaders.None;
        _dontFragment = packet.DontFragment && _etherType == EtherTypes.IPv4;
        _fragmentOffset = packet.FragmentOffset;
        _moreFragments = packet.MoreFragments;
        _fragmentId = packet.FragmentId;
        bool piece = packet.FragmentOffset != 0 || packet.MoreFragments;
        _isFragment = piece || (packet.FragmentHeader != 0 && packet.Assembly == 0);
        bool first = piece && packet.FragmentOffset == 0 && IpProtocol.HasPorts(protocol)
            && packet.End - packet.Transport >= FrameBuilder.TransportLength(protocol);
        _hasTransport = !piece || first;
        _segmentSize = packet.Offload.Gso == GsoKind.None || protocol is not (IpProtocol.Tcp or IpProtocol.Udp)
            ? (ushort)0
            : packet.Offload.SegmentSize;
        _checksum = packet.Reason switch
        {
            DropReason.BadChecksum => LineChecksum.Bad,
            DropReason.BadHeaderChecksum => LineChecksum.BadHeader,
            _ => LineChecksum.Good,
        };

        // Where parsing gave up early, it did not come to the transport header.
        bool read = (piece && !first) || packet.Payload > packet.Transport;
        int start = packet.Payload == packet.Network ? packet.Network + Ipv6Header.Length : packet.Payload;
        _length = Math.Max(0, packet.End - start - (read ? 0 : FrameBuilder.TransportLength(protocol)));
        if (!read && !piece && packet.Transport > packet.Network && IpProtocol.HasPorts(protocol))
        {
            _key = _key with { SourcePort = Word(frame, packet.Transport), DestinationPort = Word(frame, packet.Transport + 2) };
        }

        _window = PacketLine.DefaultWindow;
        switch (protocol)
        {
            case IpProtocol.Tcp when !piece:
                _flags = packet.TcpFlags;
                _sequence = packet.Sequence;
                _acknowledgment = packet.Acknowledgment;
                _window = packet.Window;
                break;

            case IpProtocol.Tcp when first && packet.Transport + TcpHeader.Length <= frame.Length:
                ReadOnlySpan<byte> tcp = frame[packet.Transport..];
                _sequence = BinaryPrimitives.ReadUInt32BigEndian(tcp[4..]);
                _acknowledgment = BinaryPrimitives.ReadUInt32BigEndian(tcp[8..]);
                _flags = (TcpFlags)tcp[13];
                _window = BinaryPrimitives.ReadUInt16BigEndian(tcp[14..]);
                break;

            case IpProtocol.Sctp when _hasTransport && packet.Transport + FrameBuilder.TransportLength(protocol) <= Math.Min(packet.End, frame.Length):
                TakeSctp(frame[packet.Transport..Math.Min(packet.End, frame.Length)]);
                break;

            case IpProtocol.Gre when _hasTransport && packet.Transport < Math.Min(packet.End, frame.Length):
                GreKey.TryRead(frame[packet.Transport..Math.Min(packet.End, frame.Length)], out uint? key);
                (_hasGreKey, _tag) = (key is not null, key ?? 0);
                break;

            case IpProtocol.Esp or IpProtocol.Ah:
                _spi = packet.Spi;
                _sequence = packet.Sequence;
                break;

            case IpProtocol.Igmp or IpProtocol.Mobility:
                _icmpType = packet.IcmpType;
                break;

            case IpProtocol.Icmp or IpProtocol.IcmpV6 when !piece:
                TakeIcmp(packet, frame);
                break;

            default:
                break;
        }
    }

    /// <summary>The tag, and the first chunk.</summary>
    private void TakeSctp(ReadOnlySpan<byte> sctp)
    {
        _tag = BinaryPrimitives.ReadUInt32BigEndian(sctp[4..]);
        ReadOnlySpan<byte> chunk = sctp[FrameBuilder.TransportLength(IpProtocol.Sctp)..];
        if (chunk.Length < SctpChunk.HeaderLength)
        {
            return;
        }

        _chunk = chunk[0];
        _tagReflected = _chunk is SctpChunk.Abort or SctpChunk.ShutdownComplete && (chunk[1] & SctpChunk.TagReflected) != 0;
        _initiateTag = _chunk is SctpChunk.Init or SctpChunk.InitAck && chunk.Length >= SctpChunk.HeaderLength + sizeof(uint)
            ? BinaryPrimitives.ReadUInt32BigEndian(chunk[SctpChunk.HeaderLength..])
            : 0;
    }

    private void TakeIcmp(in Packet packet, ReadOnlySpan<byte> frame)
    {
        byte protocol = packet.Key.Protocol;
        _icmpType = packet.IcmpType;
        _icmpCode = packet.IcmpCode;
        if (IsQuery(protocol, packet.IcmpType))
        {
            _sequence = Word(frame, packet.Transport + 6);
        }
        else if (TellsMtu(protocol, packet.IcmpType, packet.IcmpCode))
        {
            _mtu = ((uint)Word(frame, packet.Transport + 4) << 16) | Word(frame, packet.Transport + 6);
        }

        if (packet.End <= frame.Length && packet.Transport <= packet.End && Discovery.TryReadTarget(packet, out Address target))
        {
            _target = target;
        }

        if (packet.Kind == PacketKind.IcmpError && packet.End <= frame.Length && packet.Payload <= packet.End
            && Parser.TryReadQuote(packet, out _quoted))
        {
            _hasQuote = true;
            TakeQuote(frame[packet.Payload..packet.End]);
        }
    }

    /// <summary>What the quoted transport header shows beyond the key.</summary>
    private void TakeQuote(ReadOnlySpan<byte> quote)
    {
        bool v4 = quote[0] >> 4 == 4;
        int at = v4 ? (quote[0] & 15) * 4 : Ipv6Header.Length;
        if (!v4 && quote[6] != _quoted.Protocol)
        {
            return;                                         // behind extension headers: the key must do
        }

        ReadOnlySpan<byte> header = quote[at..];
        switch (_quoted.Protocol)
        {
            case IpProtocol.Tcp:
                _quotedSequence = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
                _quotedFlags = header.Length >= QuotedFlagsEnd ? (TcpFlags)header[13] : TcpFlags.Ack;
                break;

            case IpProtocol.Icmp or IpProtocol.IcmpV6:
                _quotedType = header[0];
                _quotedSequence = BinaryPrimitives.ReadUInt16BigEndian(header[6..]);
                break;

            case IpProtocol.Sctp:
                _quotedSequence = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
                break;

            case IpProtocol.Gre when GreKey.TryRead(header, out uint? key) && key is { } number:
                (_hasGreKey, _quotedSequence) = (true, number);
                break;

            case IpProtocol.Esp:
                _spi = BinaryPrimitives.ReadUInt32BigEndian(header);
                _quotedSequence = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
                break;

            default:
                break;
        }
    }

    private readonly PacketLine QuotedLine()
    {
        bool ports = IpProtocol.HasPorts(_quoted.Protocol);
        bool query = IsQuery(_quoted.Protocol, _quotedType);
        return new PacketLine
        {
            Kind = LineKind.Ip,
            EtherType = _etherType,
            Source = _quoted.Source,
            Destination = _quoted.Destination,
            Protocol = _quoted.Protocol,
            SourcePort = ports ? _quoted.SourcePort : (ushort)0,
            DestinationPort = ports ? _quoted.DestinationPort : (ushort)0,
            Flags = _quotedFlags,
            IcmpType = _quotedType,
            IcmpId = query ? IcmpQueries.Identifier(_quoted, _quotedType) : (ushort)0,
            Spi = _quoted.Protocol == IpProtocol.Esp ? _spi : 0,
            Sequence = _quoted.Protocol is IpProtocol.Sctp or IpProtocol.Gre ? 0 : _quotedSequence,
            Tag = _quoted.Protocol == IpProtocol.Sctp ? _quotedSequence : 0,
            GreKey = _hasGreKey ? _quotedSequence : null,
            Length = _hasGreKey ? GreKey.KeyedLength : 0,
        };
    }

    private static ushort Word(ReadOnlySpan<byte> frame, int at) =>
        at + 2 <= frame.Length ? BinaryPrimitives.ReadUInt16BigEndian(frame[at..]) : (ushort)0;
}

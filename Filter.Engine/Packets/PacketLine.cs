using System.Globalization;
using System.Text;
using Filter.Engine.Wire;

namespace Filter.Engine.Packets;

/// <summary>What a packet line describes.</summary>
public enum LineKind : byte
{
    /// <summary>An IPv4 or IPv6 packet.</summary>
    Ip,
    /// <summary>ARP.</summary>
    Arp,
    /// <summary>Any other frame.</summary>
    Ether,
}

/// <summary>What is wrong with the checksums of a packet line's packet.</summary>
public enum LineChecksum : byte
{
    /// <summary>Nothing.</summary>
    Good,
    /// <summary>The transport's.</summary>
    Bad,
    /// <summary>The IPv4 header's.</summary>
    BadHeader,
}

/// <summary>
/// A packet as people write it and logs print it:
/// <c>[PORT:] PROTO SRC[:PORT] > DST[:PORT] [flags] [key=value...]</c>. Fields that a line does not
/// give have the values that <see cref="ToString"/> leaves out, so a printed line reads as the same.
/// </summary>
public sealed record PacketLine
{
    internal const byte DefaultHopLimit = 64;
    internal const ushort DefaultWindow = 65535;

    private static readonly (TcpFlags Flag, string Word)[] s_flags =
    [
        (TcpFlags.Syn, "syn"), (TcpFlags.Ack, "ack"), (TcpFlags.Fin, "fin"), (TcpFlags.Rst, "rst"),
        (TcpFlags.Psh, "psh"), (TcpFlags.Urg, "urg"), (TcpFlags.Ece, "ece"), (TcpFlags.Cwr, "cwr"),
    ];

    /// <summary>The port it comes in by; null where the line does not say.</summary>
    public string? Port { get; init; }

    /// <summary>What it describes.</summary>
    public LineKind Kind { get; init; }

    /// <summary>IPv4 or IPv6 as <see cref="Kind"/> Ip; ARP; else any, also an LLC length below 0x600.</summary>
    public ushort EtherType { get; init; }

    /// <summary>Protocol of the upper layer.</summary>
    public byte Protocol { get; init; }

    /// <summary>Source address; sender of ARP.</summary>
    public Address Source { get; init; }

    /// <summary>Destination address; target of ARP.</summary>
    public Address Destination { get; init; }

    /// <summary>Source port, where the protocol has ports.</summary>
    public ushort SourcePort { get; init; }

    /// <summary>Destination port, where the protocol has ports.</summary>
    public ushort DestinationPort { get; init; }

    /// <summary>TCP flags.</summary>
    public TcpFlags Flags { get; init; }

    /// <summary>Sequence number: of TCP, of an ICMP query (16 bits), of ESP or AH.</summary>
    public uint Sequence { get; init; }

    /// <summary>TCP acknowledgment number.</summary>
    public uint Acknowledgment { get; init; }

    /// <summary>TCP window.</summary>
    public ushort Window { get; init; } = DefaultWindow;

    /// <summary>Type of ICMP, ICMPv6 or IGMP.</summary>
    public byte IcmpType { get; init; }

    /// <summary>Code of ICMP or ICMPv6.</summary>
    public byte IcmpCode { get; init; }

    /// <summary>Identifier of an ICMP query.</summary>
    public ushort IcmpId { get; init; }

    /// <summary>MTU that packet too big or fragmentation needed tells.</summary>
    public uint Mtu { get; init; }

    /// <summary>SPI of ESP or AH.</summary>
    public uint Spi { get; init; }

    /// <summary>The address that a neighbour solicitation or advertisement, or a redirect, speaks of.</summary>
    public Address Target { get; init; }

    /// <summary>Type of an SCTP packet's first chunk, see <see cref="SctpChunk"/>.</summary>
    public byte Chunk { get; init; }

    /// <summary>SCTP verification tag.</summary>
    public uint Tag { get; init; }

    /// <summary>Initiate tag of INIT or INIT ACK.</summary>
    public uint InitiateTag { get; init; }

    /// <summary>ABORT or SHUTDOWN COMPLETE with the T bit: the tag is the one that its receiver sends.</summary>
    public bool TagReflected { get; init; }

    /// <summary>The key of GRE; null where its header has none.</summary>
    public uint? GreKey { get; init; }

    /// <summary>ARP operation.</summary>
    public ushort ArpOperation { get; init; }

    /// <summary>
    /// Payload bytes: behind the transport header (of SCTP: all chunks); of a protocol without one (and of a later
    /// fragment) behind the IP headers; of a frame behind Ethernet and tags.
    /// </summary>
    public int Length { get; init; }

    /// <summary>The payload, a byte a character; null where it is a pattern of <see cref="Length"/> bytes. Logs never show it.</summary>
    public string? Data { get; init; }

    /// <summary>Payload bytes of each segment of a super-frame; 0 for an ordinary packet.</summary>
    public ushort SegmentSize { get; init; }

    /// <summary>It is a fragment (in IPv6 perhaps the only one of its datagram, RFC 6946).</summary>
    public bool IsFragment { get; init; }

    /// <summary>Fragment offset in bytes, a multiple of 8.</summary>
    public int FragmentOffset { get; init; }

    /// <summary>More fragments follow.</summary>
    public bool MoreFragments { get; init; }

    /// <summary>Identification of the fragmented datagram: 16 bits in IPv4, 32 in IPv6.</summary>
    public uint FragmentId { get; init; }

    /// <summary>
    /// Payload bytes of the whole datagram of which this is the first fragment, for its transport
    /// header's length and checksum; 0 where the fragment's own are meant.
    /// </summary>
    public int TotalLength { get; init; }

    /// <summary>It holds its transport header; not so later fragments.</summary>
    public bool HasTransport { get; init; } = true;

    /// <summary>IPv4 with the don't-fragment bit.</summary>
    public bool DontFragment { get; init; }

    /// <summary>VLAN stack, see <see cref="VlanStack"/>.</summary>
    public uint Segment { get; init; }

    /// <summary>DSCP in the upper six bits, ECN in the lower two.</summary>
    public byte TrafficClass { get; init; }

    /// <summary>TTL or hop limit.</summary>
    public byte HopLimit { get; init; } = DefaultHopLimit;

    /// <summary>Whether a checksum is wrong on purpose.</summary>
    public LineChecksum Checksum { get; init; }

    /// <summary>Source link address, 48 bits; 0 where it is derived from <see cref="Source"/>.</summary>
    public ulong SourceMac { get; init; }

    /// <summary>Destination link address, 48 bits; 0 where it is derived from <see cref="Destination"/>.</summary>
    public ulong DestinationMac { get; init; }

    /// <summary>IPv6 extension headers beside that of a fragment, and the router alert of what speaks to its link.</summary>
    public ExtensionHeaders Extensions { get; init; }

    /// <summary>The IPsec policy that it has come by, sealed; null for the clear. Only rehearsals take it so.</summary>
    public string? ArrivedBy { get; init; }

    /// <summary>The packet that an ICMP error quotes; null where it quotes none.</summary>
    public PacketLine? Quote { get; init; }

    /// <summary>Whether the IP header is IPv4's.</summary>
    public bool IsIPv4 => EtherType == EtherTypes.IPv4;

    /// <summary>The length that a line means which does not say.</summary>
    internal int UsualLength => Data is not null ? Data.Length
        : Quote is not null ? FrameBuilder.DatagramLength(Quote)
        : Kind == LineKind.Ip && Protocol == IpProtocol.Sctp && HasTransport ? SctpChunk.UsualLength(Chunk)
        : GreKey is not null ? Wire.GreKey.KeyedLength
        : 0;

    /// <summary>SCTP with a chunk that offers a tag.</summary>
    internal bool IsSctpInit => Kind == LineKind.Ip && Protocol == IpProtocol.Sctp && Chunk is SctpChunk.Init or SctpChunk.InitAck;

    /// <summary>SCTP with a chunk that has the T bit.</summary>
    internal bool IsSctpEnd => Kind == LineKind.Ip && Protocol == IpProtocol.Sctp && Chunk is SctpChunk.Abort or SctpChunk.ShutdownComplete;

    /// <summary>ICMP over IPv4 or ICMPv6.</summary>
    internal bool IsIcmp => Kind == LineKind.Ip && Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6;

    /// <summary>An ICMP query: its header holds an identifier and a sequence number.</summary>
    internal bool IsIcmpQuery => IsIcmp && HasTransport && PacketFacts.IsQuery(Protocol, IcmpType);

    /// <summary>Reads a packet line.</summary>
    /// <param name="text">The line.</param>
    /// <param name="line">What it says.</param>
    /// <param name="error">Else what is wrong with it, for people, beginning with the column (from 1).</param>
    public static bool TryParse(
        string text,
        [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out PacketLine? line,
        [System.Diagnostics.CodeAnalysis.NotNullWhen(false)] out string? error)
    {
        var reader = new PacketLineReader(text);
        line = reader.Read();
        error = line is null ? reader.Error : null;
        return line is not null;
    }

    /// <summary>Reads a packet line that is known to be one; throws <see cref="FormatException"/> where it is not.</summary>
    public static PacketLine Parse(string text) =>
        TryParse(text, out PacketLine? line, out string? error) ? line : throw new FormatException($"'{text}': {error}");

    /// <summary>The line of a packet, with as much as parsing and its bytes show.</summary>
    /// <param name="packet">A parsed packet; its bytes may be gone.</param>
    /// <param name="port">The name of the port it came in by, or null.</param>
    public static PacketLine Of(in Packet packet, string? port) => PacketFacts.Of(packet).Line(port);

    /// <summary>The words for TCP flags, in canonical order.</summary>
    public static IReadOnlyList<string> FlagWords { get; } = [.. s_flags.Select(static flag => flag.Word)];

    /// <summary>The flag of a word; <c>none</c> is a word too.</summary>
    public static bool TryFlag(string word, out TcpFlags flag)
    {
        foreach ((TcpFlags one, string name) in s_flags)
        {
            if (name == word)
            {
                flag = one;
                return true;
            }
        }

        flag = TcpFlags.None;
        return word == "none";
    }

    /// <summary>The line as it is printed; reads back as the same.</summary>
    public override string ToString()
    {
        var text = new StringBuilder(96);
        if (Port is not null)
        {
            text.Append(Port).Append(": ");
        }

        switch (Kind)
        {
            case LineKind.Arp:
                text.Append("arp ").Append(Source).Append(" > ").Append(Destination);
                text.Append(ArpOperation switch
                {
                    ArpPacket.Request => " request",
                    ArpPacket.Reply => " reply",
                    _ => string.Create(CultureInfo.InvariantCulture, $" op={ArpOperation}"),
                });
                break;

            case LineKind.Ether:
                text.Append("ether ").Append(LinkAddress.Format(SourceMac)).Append(" > ").Append(LinkAddress.Format(DestinationMac));
                Key(text, "type", $"0x{EtherType:x4}");
                Key(text, "len", Length, 0);
                break;

            default:
                WriteIp(text);
                break;
        }

        if (Segment != 0)
        {
            Key(text, "vlan", VlanStack.Depth(Segment) == 1
                ? $"{VlanStack.Outer(Segment)}" : $"{VlanStack.Outer(Segment)}.{VlanStack.Inner(Segment)}");
        }

        if (Kind == LineKind.Ip)
        {
            Key(text, "dscp", TrafficClass >> 2, 0);
            Key(text, "ecn", TrafficClass & 3, 0);
            Key(text, "ttl", HopLimit, DefaultHopLimit);
            if (Checksum != LineChecksum.Good)
            {
                Key(text, "csum", Checksum == LineChecksum.Bad ? "bad" : "bad-header");
            }
        }

        if (ArrivedBy is not null)
        {
            Key(text, "ipsec", ArrivedBy);
        }

        if (Kind != LineKind.Ether && SourceMac != 0)
        {
            Key(text, "src-mac", LinkAddress.Format(SourceMac));
        }

        if (Kind != LineKind.Ether && DestinationMac != 0)
        {
            Key(text, "dst-mac", LinkAddress.Format(DestinationMac));
        }

        if (Data is not null)
        {
            text.Append(" data=\"").Append(PacketLineData.Write(Data)).Append('"');
        }

        if (Quote is not null)
        {
            text.Append(" quote=\"").Append(Quote).Append('"');
        }

        return text.ToString();
    }

    private void WriteIp(StringBuilder text)
    {
        text.Append(ProtocolWord()).Append(' ');
        bool ports = HasTransport && IpProtocol.HasPorts(Protocol);
        WriteEndpoint(text, Source, ports ? SourcePort : null);
        text.Append(" > ");
        WriteEndpoint(text, Destination, ports ? DestinationPort : null);
        if (HasTransport)
        {
            WriteTransport(text);
        }

        Key(text, "len", Length, UsualLength);
        Key(text, "gso", SegmentSize, 0);
        if (IsFragment)
        {
            Key(text, "frag", $"{FragmentOffset}{(MoreFragments ? "+" : "")}");
            Key(text, IsIcmpQuery ? "frag-id" : "id", FragmentId, IsIcmpQuery ? IcmpId : 0);
            Key(text, "total", TotalLength, 0);
        }

        if (Extensions != ExtensionHeaders.None)
        {
            Key(text, "ext", string.Join(',', ExtensionWords.Of(Extensions)));
        }

        if (DontFragment && IsIPv4)
        {
            text.Append(" df");
        }
    }

    private void WriteTransport(StringBuilder text)
    {
        switch (Protocol)
        {
            case IpProtocol.Tcp:
                WriteFlags(text);
                Key(text, "seq", Sequence, 0);
                Key(text, "ack", Acknowledgment, 0);
                Key(text, "win", Window, DefaultWindow);
                break;

            case IpProtocol.Icmp:
            case IpProtocol.IcmpV6:
                if (IcmpNames.Word(Protocol, IcmpType) is { } word)
                {
                    text.Append(' ').Append(word);
                }
                else
                {
                    Key(text, "type", $"{IcmpType}");
                }

                Key(text, "code", IcmpCode, 0);
                Key(text, "id", IcmpId, 0);
                Key(text, "seq", IsIcmpQuery ? Sequence : 0, 0);
                Key(text, "mtu", Mtu, 0);
                if (LinkSpeech.HasTarget(this) && Target != default)
                {
                    Key(text, "target", Target.ToString());
                }

                break;

            case IpProtocol.Sctp:
                if (Chunk != SctpChunk.Data)
                {
                    Key(text, "chunk", SctpChunk.Word(Chunk) ?? $"{Chunk}");
                }

                if (Tag != 0)
                {
                    Key(text, "tag", $"0x{Tag:x}");
                }

                if (InitiateTag != 0)
                {
                    Key(text, "itag", $"0x{InitiateTag:x}");
                }

                text.Append(TagReflected ? " t-bit" : "");
                break;

            case IpProtocol.Gre when GreKey is { } key:
                Key(text, "key", $"0x{key:x}");
                break;

            case IpProtocol.Igmp:
                Key(text, "type", $"{IcmpType}");
                break;

            case IpProtocol.Mobility:
                Key(text, "type", IcmpType, 0);
                break;

            case IpProtocol.Esp:
            case IpProtocol.Ah:
                Key(text, "spi", $"0x{Spi:x}");
                Key(text, "seq", Sequence, 0);
                break;

            default:
                break;
        }
    }

    private void WriteFlags(StringBuilder text)
    {
        char separator = ' ';
        foreach ((TcpFlags flag, string word) in s_flags)
        {
            if ((Flags & flag) != 0)
            {
                text.Append(separator).Append(word);
                separator = ',';
            }
        }

        if (Flags == TcpFlags.None)
        {
            text.Append(" none");
        }
    }

    private string ProtocolWord()
    {
        if (Protocol == (IsIPv4 ? IpProtocol.Icmp : IpProtocol.IcmpV6))
        {
            return ProtocolNames.EitherIcmp;
        }

        return ProtocolNames.Word(Protocol) ?? string.Create(CultureInfo.InvariantCulture, $"proto-{Protocol}");
    }

    private void WriteEndpoint(StringBuilder text, Address address, ushort? port)
    {
        string written = !IsIPv4 && address.IsIPv4 ? $"::ffff:{address}" : address.ToString();
        if (port is null)
        {
            text.Append(written);
        }
        else if (IsIPv4)
        {
            text.Append(CultureInfo.InvariantCulture, $"{written}:{port}");
        }
        else
        {
            text.Append(CultureInfo.InvariantCulture, $"[{written}]:{port}");
        }
    }

    private static void Key(StringBuilder text, string key, long value, long unless)
    {
        if (value != unless)
        {
            text.Append(CultureInfo.InvariantCulture, $" {key}={value}");
        }
    }

    private static void Key(StringBuilder text, string key, FormattableString value) =>
        text.Append(' ').Append(key).Append('=').Append(value.ToString(CultureInfo.InvariantCulture));

    private static void Key(StringBuilder text, string key, string value) => text.Append(' ').Append(key).Append('=').Append(value);
}

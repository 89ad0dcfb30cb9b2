using System.Globalization;
using Filter.Engine.Wire;

namespace Filter.Engine.Packets;

/// <summary>Reads one packet line; the first mistake ends it.</summary>
internal sealed partial class PacketLineReader(string text, bool quoted = false)
{
    private const int LongestDatagram = 65535;

    /// <summary>No capture holds longer ones.</summary>
    private const int LongestFrame = 262_144;
    private const int FirstPortlessWord = 3;

    private readonly List<Token> _tokens = [];
    private readonly HashSet<string> _given = [];
    private long _id;
    private int _quoteColumn;
    private string? _quote;

    /// <summary>What is wrong, beginning with the column; empty while nothing is.</summary>
    public string Error { get; private set; } = "";

    /// <summary>The line, or null where <see cref="Error"/> says what is wrong with it.</summary>
    public PacketLine? Read()
    {
        if (!Tokenize())
        {
            return null;
        }

        string? port = null;
        int at = 0;
        if (!quoted && _tokens.Count > 0 && _tokens[0].Text.Length > 1 && _tokens[0].Text[^1] == ':')
        {
            port = _tokens[0].Text[..^1];
            at = 1;
        }

        PacketLine? line = ReadEnds(at);
        for (at += FirstPortlessWord + 1; line is not null && at < _tokens.Count; at++)
        {
            line = ReadWord(line, _tokens[at]);
        }

        return line is null ? null : Finish(line with { Port = port });
    }

    private bool Tokenize()
    {
        int at = 0;
        while (at < text.Length)
        {
            char c = text[at];
            if (char.IsWhiteSpace(c))
            {
                at++;
            }
            else if (c == '>')
            {
                _tokens.Add(new Token(">", ++at));
            }
            else
            {
                int start = at;
                for (bool inQuotes = false; at < text.Length; at++)
                {
                    if (inQuotes && text[at] == '\\' && at + 1 < text.Length)
                    {
                        at++;                               // a quote behind it ends nothing
                        continue;
                    }

                    inQuotes ^= text[at] == '"';
                    if (!inQuotes && (char.IsWhiteSpace(text[at]) || text[at] == '>'))
                    {
                        break;
                    }
                }

                _tokens.Add(new Token(text[start..at], start + 1));
            }
        }

        return _tokens.Count > 0 || Fail(1, "the packet line is empty; it reads [PORT:] PROTO SRC[:PORT] > DST[:PORT] [flags] [key=value...]");
    }

    /// <summary>Protocol, source, '>' and destination.</summary>
    private PacketLine? ReadEnds(int at)
    {
        if (at >= _tokens.Count)
        {
            return Refuse(text.Length + 1, "a protocol is missing: tcp, udp, icmp, esp, proto-47, arp, ether ...");
        }

        Token protocol = _tokens[at];
        string word = protocol.Text.ToLowerInvariant();
        if (_tokens.Count < at + FirstPortlessWord + 1 || _tokens[at + 2].Text != ">")
        {
            int column = _tokens.Count > at + 2 ? _tokens[at + 2].Column : text.Length + 1;
            return IsProtocol(word)
                ? Refuse(column, $"'{word}' is followed by SOURCE > DESTINATION")
                : Refuse(protocol.Column, $"'{protocol.Text}' is not a protocol{PortHint(protocol.Text)}");
        }

        Token source = _tokens[at + 1], destination = _tokens[at + 3];
        return word switch
        {
            "arp" => ReadArp(source, destination),
            "ether" => ReadEther(source, destination),
            _ => ReadIp(protocol, word, source, destination),
        };
    }

    private static bool IsProtocol(string word) =>
        word is "arp" or "ether" || word == ProtocolNames.EitherIcmp || ProtocolNames.TryParse(word, out _) || TryNumbered(word, out _);

    private static string PortHint(string word)
    {
        int colon = word.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 && IsProtocol(word[(colon + 1)..]) ? $"; a space is missing behind '{word[..(colon + 1)]}'" : "";
    }

    /// <summary>proto-47, or as rulesets write it, proto/47.</summary>
    private static bool TryNumbered(string word, out byte protocol)
    {
        protocol = 0;
        return (word.StartsWith("proto-", StringComparison.Ordinal) || word.StartsWith("proto/", StringComparison.Ordinal))
            && byte.TryParse(word.AsSpan(6), NumberStyles.None, CultureInfo.InvariantCulture, out protocol);
    }

    private PacketLine? ReadArp(Token source, Token destination)
    {
        if (!Address.TryParse(source.Text, out Address sender) || !sender.IsIPv4)
        {
            return Refuse(source.Column, $"'{source.Text}' is not an IPv4 address");
        }

        if (!Address.TryParse(destination.Text, out Address target) || !target.IsIPv4)
        {
            return Refuse(destination.Column, $"'{destination.Text}' is not an IPv4 address");
        }

        return new PacketLine
        {
            Kind = LineKind.Arp,
            EtherType = EtherTypes.Arp,
            Source = sender,
            Destination = target,
            ArpOperation = ArpPacket.Request,
        };
    }

    private PacketLine? ReadEther(Token source, Token destination)
    {
        if (!LinkAddress.TryParse(source.Text, out ulong from))
        {
            return Refuse(source.Column, $"'{source.Text}' is not a MAC address such as 02:00:00:00:00:01");
        }

        return LinkAddress.TryParse(destination.Text, out ulong to)
            ? new PacketLine { Kind = LineKind.Ether, SourceMac = from, DestinationMac = to }
            : Refuse(destination.Column, $"'{destination.Text}' is not a MAC address such as 02:00:00:00:00:01");
    }

    private PacketLine? ReadIp(Token place, string word, Token source, Token destination)
    {
        bool known = ProtocolNames.TryParse(word, out byte protocol) || TryNumbered(word, out protocol)
            || word == ProtocolNames.EitherIcmp;
        if (!known)
        {
            return Refuse(place.Column, $"'{place.Text}' is not a protocol{PortHint(place.Text)}");
        }

        if (!TryEndpoint(source, out Endpoint from) || !TryEndpoint(destination, out Endpoint to))
        {
            return null;
        }

        if (from.IsIPv4 != to.IsIPv4)
        {
            return Refuse(destination.Column, "source and destination are of different families");
        }

        if (word == ProtocolNames.EitherIcmp)
        {
            protocol = from.IsIPv4 ? IpProtocol.Icmp : IpProtocol.IcmpV6;
        }

        bool hasPorts = IpProtocol.HasPorts(protocol);
        foreach ((Token token, Endpoint end) in new[] { (source, from), (destination, to) })
        {
            if (!hasPorts && end.Port is not null)
            {
                return Refuse(token.Column, $"{word} has no ports");
            }
        }

        if (from.Port is null != to.Port is null)
        {
            Token portless = from.Port is null ? source : destination;
            return Refuse(portless.Column, $"'{portless.Text}' needs a port{(from.IsIPv4 ? "" : $": [{portless.Text.Trim('[', ']')}]:PORT")}");
        }

        bool v6 = !from.IsIPv4;
        return new PacketLine
        {
            Kind = LineKind.Ip,
            EtherType = v6 ? EtherTypes.IPv6 : EtherTypes.IPv4,
            Protocol = protocol,
            Source = from.Address,
            Destination = to.Address,
            SourcePort = from.Port ?? 0,
            DestinationPort = to.Port ?? 0,
            HasTransport = !hasPorts || from.Port is not null,
            Flags = protocol == IpProtocol.Tcp ? TcpFlags.Syn : TcpFlags.None,
            IcmpType = protocol == IpProtocol.Icmp ? (byte)8 : protocol == IpProtocol.IcmpV6 ? (byte)128 : (byte)0,
        };
    }

    /// <summary>a.b.c.d, a.b.c.d:port, v6, [v6] or [v6]:port.</summary>
    private bool TryEndpoint(Token token, out Endpoint end)
    {
        end = default;
        string address = token.Text;
        string? port = null;
        if (address[0] == '[')
        {
            int close = address.IndexOf(']', StringComparison.Ordinal);
            if (close < 0)
            {
                return Fail(token.Column, $"'{address}' lacks its ']'");
            }

            string behind = address[(close + 1)..];
            if (behind.Length > 0 && behind[0] != ':')
            {
                return Fail(token.Column + close + 1, $"behind ']' stands ':PORT', not '{behind}'");
            }

            port = behind.Length > 0 ? behind[1..] : null;
            address = address[1..close];
            if (!address.Contains(':', StringComparison.Ordinal))
            {
                return Fail(token.Column, "brackets are for IPv6 addresses");
            }
        }
        else if (address.Contains('.', StringComparison.Ordinal) && address.Split(':') is { Length: 2 } parts)
        {
            (address, port) = (parts[0], parts[1]);
        }

        if (!Address.TryParse(address, out Address parsed))
        {
            return Fail(token.Column, $"'{address}' is not an address");
        }

        ushort number = 0;
        if (port is not null && !ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out number))
        {
            return Fail(token.Column + token.Text.Length - port.Length, $"'{port}' is not a port (0 to 65535)");
        }

        end = new Endpoint(parsed, port is null ? null : number, !address.Contains(':', StringComparison.Ordinal));
        return true;
    }

    /// <summary>What only the whole line can decide.</summary>
    private PacketLine? Finish(PacketLine line)
    {
        if (line.Kind == LineKind.Ether && !_given.Contains("type"))
        {
            return Refuse(text.Length + 1, "type=0x... is missing: the frame's ethertype");
        }

        if (line.IsFragment && (line.FragmentOffset != 0 || line.MoreFragments))
        {
            // A first fragment holds the transport header that the line shows, if it shows one.
            bool shown = line.HasTransport && (IpProtocol.HasPorts(line.Protocol) || _given.Contains("type") || _given.Contains("spi"));
            if (line.FragmentOffset != 0 && shown && !IpProtocol.HasPorts(line.Protocol))
            {
                return Refuse(1, "a later fragment has no transport header to show a type or an SPI");
            }

            // Ports beside a later fragment say whose it is; its bytes do not hold them.
            line = line with { HasTransport = shown && line.FragmentOffset == 0 };
        }
        else if (!line.HasTransport)
        {
            return Refuse(1, $"{ProtocolNames.Word(line.Protocol)} needs ports: SRC:PORT > DST:PORT");
        }

        line = Normalize(line);
        line = _given.Contains("len") ? line : line with { Length = line.UsualLength };
        if (line.IsIcmpQuery && _id > ushort.MaxValue)
        {
            return Refuse(1, $"id={_id} is too large: an ICMP identifier has 16 bits; write frag-id= for the fragment's");
        }

        if (_given.Contains("target") && !LinkSpeech.HasTarget(line))
        {
            return Refuse(1, "only neighbour solicitations, neighbour advertisements and redirects have a target");
        }

        if (LinkSpeech.HasTarget(line))
        {
            line = line with
            {
                Target = _given.Contains("target") ? line.Target : LinkSpeech.Target(line),
                Length = _given.Contains("len") ? line.Length : LinkSpeech.LeastLength(line),
            };
        }

        if (_quote is not null && !TryQuote(ref line))
        {
            return null;
        }

        if (line.Data is not null && (line.IsFragment || _quote is not null || _given.Contains("len")))
        {
            return Refuse(1, "data=\"...\" is the whole payload: it goes with no len=, frag= or quote=");
        }

        int length = line.Kind == LineKind.Ip ? FrameBuilder.DatagramLength(line) : 0;
        int most = line.IsIPv4 ? LongestDatagram : LongestDatagram + Ipv6Header.Length;
        return length > most
            ? Refuse(1, $"the packet would have {length} bytes; an IP packet has {most} at most")
            : line;
    }

    /// <summary>Fields that this packet does not have are zero, whatever defaults the way here set.</summary>
    private static PacketLine Normalize(PacketLine line)
    {
        if (line.Kind != LineKind.Ip)
        {
            return line;
        }

        if (!line.HasTransport)
        {
            line = line with
            {
                SourcePort = 0, DestinationPort = 0, Flags = TcpFlags.None, IcmpType = 0, IcmpCode = 0, IcmpId = 0, Sequence = 0,
                Acknowledgment = 0, Window = PacketLine.DefaultWindow, Mtu = 0, Spi = 0, TotalLength = 0, Chunk = 0, Tag = 0,
                InitiateTag = 0, TagReflected = false, GreKey = null,
            };
        }

        return line with
        {
            IcmpId = line.IsIcmpQuery ? line.IcmpId : (ushort)0,
            Sequence = line.IsIcmp && !line.IsIcmpQuery ? 0 : line.Sequence,
            FragmentId = line.IsFragment ? line.FragmentId : 0,
            InitiateTag = line.IsSctpInit ? line.InitiateTag : 0,
            TagReflected = line.TagReflected && line.IsSctpEnd,
            Extensions = LinkSpeech.IsAlerting(line) ? line.Extensions & ~ExtensionHeaders.HopByHop : line.Extensions,
        };
    }

    private bool TryQuote(ref PacketLine line)
    {
        if (!PacketFacts.IsError(line.Protocol, line.IcmpType))
        {
            return Fail(_quoteColumn, "only ICMP errors quote a packet: destination-unreachable, time-exceeded, packet-too-big, parameter-problem");
        }

        string inner = _quote!;
        if (inner.Length < 2 || inner[0] != '"' || inner[^1] != '"')
        {
            return Fail(_quoteColumn, "a quoted packet stands in double quotes: quote=\"udp 10.0.0.5:4000 > 9.9.9.9:53\"");
        }

        var reader = new PacketLineReader(inner[1..^1], quoted: true);
        if (reader.Read() is not { } quote)
        {
            return Fail(_quoteColumn, "in the quote, " + reader.Error);
        }

        if (quote.Kind != LineKind.Ip || quote.EtherType != line.EtherType)
        {
            return Fail(_quoteColumn, "the quoted packet is not of the error's family");
        }

        line = line with { Quote = quote, Length = _given.Contains("len") ? line.Length : FrameBuilder.DatagramLength(quote) };
        return true;
    }

    private bool Fail(int column, string what)
    {
        Error = string.Create(CultureInfo.InvariantCulture, $"column {column}: {what}");
        return false;
    }

    private PacketLine? Refuse(int column, string what)
    {
        Fail(column, what);
        return null;
    }

    private readonly record struct Token(string Text, int Column);

    private readonly record struct Endpoint(Address Address, ushort? Port, bool IsIPv4);
}

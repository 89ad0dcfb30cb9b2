using System.Globalization;
using Filter.Engine.Wire;

namespace Filter.Engine.Packets;

/// <content>The words and keys behind the addresses.</content>
internal sealed partial class PacketLineReader
{
    /// <summary>One flag, ICMP type or key=value.</summary>
    private PacketLine? ReadWord(PacketLine line, Token token)
    {
        int equals = token.Text.IndexOf('=', StringComparison.Ordinal);
        if (equals > 0)
        {
            return ReadKey(line, token, token.Text[..equals].ToLowerInvariant(), new Token(token.Text[(equals + 1)..], token.Column + equals + 1));
        }

        string word = token.Text.ToLowerInvariant();
        switch (line.Kind)
        {
            case LineKind.Arp when word is "request" or "reply":
                return line with { ArpOperation = word == "reply" ? ArpPacket.Reply : ArpPacket.Request };

            case LineKind.Ip when word == "df" && line.IsIPv4:
                return line with { DontFragment = true };

            case LineKind.Ip when word == "t-bit" && line.Protocol == IpProtocol.Sctp:
                return line with { TagReflected = true };

            case LineKind.Ip when line.Protocol == IpProtocol.Tcp:
                return ReadFlags(line, token, word);

            case LineKind.Ip when line.IsIcmp:
                if (IcmpNames.TryParse(line.Protocol, word, out byte type))
                {
                    _given.Add("type");
                    return line with { IcmpType = type };
                }

                return Refuse(token.Column, IcmpNames.Words.Contains(word)
                    ? $"'{word}' is not a type of {(line.Protocol == IpProtocol.Icmp ? "ICMP; it is one of ICMPv6" : "ICMPv6; it is one of ICMP")}"
                    : $"'{token.Text}' is not an ICMP type; write a word such as echo-request, or type=N");

            default:
                return Refuse(token.Column, $"'{token.Text}' means nothing here");
        }
    }

    private PacketLine? ReadFlags(PacketLine line, Token token, string word)
    {
        TcpFlags flags = _given.Add("flags") ? TcpFlags.None : line.Flags;
        int column = token.Column;
        foreach (string part in word.Split(','))
        {
            if (part.Length > 0)
            {
                if (!PacketLine.TryFlag(part, out TcpFlags flag))
                {
                    return Refuse(column, $"'{part}' is not a TCP flag (syn, ack, fin, rst, psh, urg, ece, cwr, none)");
                }

                flags |= flag;
            }

            column += part.Length + 1;
        }

        return line with { Flags = flags };
    }

    private PacketLine? ReadKey(PacketLine line, Token whole, string key, Token value)
    {
        if (!_given.Add(key))
        {
            return Refuse(whole.Column, $"'{key}' is given twice");
        }

        bool ip = line.Kind == LineKind.Ip;
        byte protocol = ip ? line.Protocol : (byte)0;
        bool tcp = ip && protocol == IpProtocol.Tcp, sctp = ip && protocol == IpProtocol.Sctp, spi = ip && protocol is IpProtocol.Esp or IpProtocol.Ah;
        long n;
        switch (key)
        {
            case "seq" when tcp || spi || line.IsIcmp:
                return Number(value, line.IsIcmp ? ushort.MaxValue : uint.MaxValue, out n) ? line with { Sequence = (uint)n } : null;
            case "ack" when tcp:
                return Number(value, uint.MaxValue, out n) ? line with { Acknowledgment = (uint)n } : null;
            case "win" when tcp:
                return Number(value, ushort.MaxValue, out n) ? line with { Window = (ushort)n } : null;
            case "len" when line.Kind != LineKind.Arp:
                return Number(value, ip ? LongestDatagram : LongestFrame, out n) ? line with { Length = (int)n } : null;
            case "total" when ip:
                return Number(value, LongestDatagram, out n) ? line with { TotalLength = (int)n } : null;
            case "gso" when tcp || (ip && protocol == IpProtocol.Udp):
                return Number(value, ushort.MaxValue, out n) ? line with { SegmentSize = (ushort)n } : null;
            case "ttl" when ip:
                return Number(value, byte.MaxValue, out n) ? line with { HopLimit = (byte)n } : null;
            case "dscp" when ip:
                return Number(value, 63, out n) ? line with { TrafficClass = (byte)((n << 2) | (line.TrafficClass & 3u)) } : null;
            case "ecn" when ip:
                return Number(value, 3, out n) ? line with { TrafficClass = (byte)((line.TrafficClass & 0xfc) | (int)n) } : null;
            case "vlan":
                return ReadVlan(line, value);
            case "id" when line.IsIcmp:
                return Number(value, uint.MaxValue, out n)
                    ? line with { IcmpId = (ushort)(_id = n), FragmentId = _given.Contains("frag-id") ? line.FragmentId : (uint)n }
                    : null;
            case "id" or "frag-id" when ip:
                return Number(value, line.IsIPv4 ? ushort.MaxValue : uint.MaxValue, out n) ? line with { FragmentId = (uint)n } : null;
            case "mtu" when line.IsIcmp:
                return Number(value, uint.MaxValue, out n) ? line with { Mtu = (uint)n } : null;
            case "target" when line.Protocol == IpProtocol.IcmpV6 && ip:
                return Address.TryParse(value.Text, out Address target) && !target.IsIPv4
                    ? line with { Target = target }
                    : Refuse(value.Column, $"'{value.Text}' is not an IPv6 address");
            case "spi" when spi:
                return Number(value, uint.MaxValue, out n) ? line with { Spi = (uint)n } : null;
            case "chunk" when sctp:
                return SctpChunk.TryParse(value.Text.ToLowerInvariant(), out byte chunk) ? line with { Chunk = chunk }
                    : !char.IsAsciiDigit(value.Text.FirstOrDefault())
                        ? Refuse(value.Column, $"'{value.Text}' is not a chunk ({string.Join(", ", SctpChunk.Words)}, or its number)")
                    : Number(value, byte.MaxValue, out n) ? line with { Chunk = (byte)n } : null;
            case "tag" when sctp:
                return Number(value, uint.MaxValue, out n) ? line with { Tag = (uint)n } : null;
            case "itag" when sctp:
                return Number(value, uint.MaxValue, out n) ? line with { InitiateTag = (uint)n } : null;
            case "key" when ip && protocol == IpProtocol.Gre:
                return Number(value, uint.MaxValue, out n) ? line with { GreKey = (uint)n } : null;
            case "type" when line.Kind == LineKind.Ether:
                return Number(value, ushort.MaxValue, out n) ? line with { EtherType = (ushort)n } : null;
            case "type" when line.IsIcmp || (ip && protocol is IpProtocol.Igmp or IpProtocol.Mobility):
                return Number(value, byte.MaxValue, out n) ? line with { IcmpType = (byte)n } : null;
            case "code" when line.IsIcmp:
                return Number(value, byte.MaxValue, out n) ? line with { IcmpCode = (byte)n } : null;
            case "op" when line.Kind == LineKind.Arp:
                return Number(value, ushort.MaxValue, out n) ? line with { ArpOperation = (ushort)n } : null;
            case "frag" when ip:
                return ReadFragment(line, value);
            case "ext" when ip && !line.IsIPv4 && !quoted:
                return ReadExtensions(line, value);
            case "ext" when ip && line.IsIPv4:
                return Refuse(whole.Column, "IPv4 has no extension headers");
            case "ipsec" when ip && !quoted && value.Text.Length > 0:
                return line with { ArrivedBy = value.Text };
            case "csum" when ip:
                return ReadChecksum(line, value);
            case "src-mac" or "dst-mac" when line.Kind != LineKind.Ether:
                if (!LinkAddress.TryParse(value.Text, out ulong mac))
                {
                    return Refuse(value.Column, $"'{value.Text}' is not a MAC address such as 02:00:00:00:00:01");
                }

                return key == "src-mac" ? line with { SourceMac = mac } : line with { DestinationMac = mac };
            case "data" when ip && !quoted && protocol is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.UdpLite:
                return ReadData(line, value);
            case "quote" when line.IsIcmp && !quoted:
                _quoteColumn = value.Column;
                _quote = value.Text;
                return line;
            default:
                return Refuse(whole.Column, KeyMeansNothing(key, line));
        }
    }

    private static string KeyMeansNothing(string key, PacketLine line)
    {
        string[] keys =
        [
            "seq", "ack", "win", "len", "ttl", "dscp", "ecn", "vlan", "id", "spi", "type", "code", "mtu", "frag", "frag-id", "total",
            "gso", "csum", "op", "chunk", "tag", "itag", "key", "src-mac", "dst-mac", "target", "ext", "ipsec", "data", "quote",
        ];
        string what = line.Kind switch
        {
            LineKind.Arp => "ARP",
            LineKind.Ether => "a frame",
            _ => ProtocolNames.Word(line.Protocol) ?? "this protocol",
        };
        return keys.Contains(key) ? $"'{key}' means nothing for {what}" : $"unknown key '{key}'; the keys are {string.Join(' ', keys)}";
    }

    private PacketLine? ReadExtensions(PacketLine line, Token value)
    {
        ExtensionHeaders headers = ExtensionHeaders.None;
        foreach (string word in value.Text.ToLowerInvariant().Split(','))
        {
            if (!ExtensionWords.TryParse(word, out ExtensionHeaders header) || header == ExtensionHeaders.Fragment)
            {
                return Refuse(value.Column, word == "fragment"
                    ? "a fragment header is written frag=OFFSET"
                    : $"'{word}' is not an extension header (hop-by-hop, routing, destination-options)");
            }

            headers |= header;
        }

        return line with { Extensions = headers };
    }

    private PacketLine? ReadData(PacketLine line, Token value)
    {
        string text = value.Text;
        return text.Length >= 2 && text[0] == '"' && text[^1] == '"' && PacketLineData.TryRead(text.AsSpan(1, text.Length - 2), out string? data)
            ? line with { Data = data, Length = data.Length }
            : Refuse(value.Column, $"data is text in double quotes, at most {PacketLineData.Most} bytes; \\r \\n \\t \\\" \\\\ and \\xNN stand for what can't be written");
    }

    private PacketLine? ReadVlan(PacketLine line, Token value)
    {
        uint stack = 0;
        string[] tags = value.Text.Split('.');
        foreach (string tag in tags)
        {
            if (tags.Length > VlanStack.Most
                || !int.TryParse(tag, NumberStyles.None, CultureInfo.InvariantCulture, out int identifier)
                || identifier is 0 or > VlanTag.LastIdentifier + 1)
            {
                return Refuse(value.Column, $"'{value.Text}' is not a VLAN (1 to 4094) or OUTER.INNER");
            }

            stack = VlanStack.Push(stack, identifier);
        }

        return line with { Segment = stack };
    }

    private PacketLine? ReadFragment(PacketLine line, Token value)
    {
        bool more = value.Text.EndsWith('+');
        if (!int.TryParse(more ? value.Text[..^1] : value.Text, NumberStyles.None, CultureInfo.InvariantCulture, out int offset)
            || offset % 8 != 0 || offset > 0xfff8)
        {
            return Refuse(value.Column, $"'{value.Text}' is not a fragment's OFFSET (a multiple of 8 to 65528), with + where more follow");
        }

        return line.IsIPv4 && offset == 0 && !more
            ? Refuse(value.Column, "an IPv4 packet with offset 0 is no fragment unless more follow: frag=0+")
            : line with { IsFragment = true, FragmentOffset = offset, MoreFragments = more };
    }

    private PacketLine? ReadChecksum(PacketLine line, Token value) => value.Text switch
    {
        "bad" => line with { Checksum = LineChecksum.Bad },
        "bad-header" when line.IsIPv4 => line with { Checksum = LineChecksum.BadHeader },
        _ => Refuse(value.Column, line.IsIPv4 ? "csum is 'bad' or 'bad-header'" : "csum is 'bad' in IPv6"),
    };

    private bool Number(Token value, long most, out long number)
    {
        string digits = value.Text;
        bool hex = digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        bool good = hex
            ? long.TryParse(digits.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out number)
            : long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out number);
        return (good && number >= 0 && number <= most) || Fail(value.Column, $"'{digits}' is not a number from 0 to {most}");
    }
}

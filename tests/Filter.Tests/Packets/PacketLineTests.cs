using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Packets;

/// <summary>The text form of a packet: read, printed, built, parsed and printed again.</summary>
public sealed class PacketLineTests
{
    public static TheoryData<string> CanonicalLines => new(
        "tcp 10.0.0.5:40000 > 203.0.113.9:443 syn",
        "outside: tcp 203.0.113.9:4444 > 10.0.0.5:22 syn,ack seq=99 ack=4294967295 win=0 len=1400",
        "tcp 10.0.0.5:1 > 203.0.113.9:2 none",
        "tcp 10.0.0.5:1 > 203.0.113.9:2 syn,ack,fin,rst,psh,urg,ece,cwr",
        "tcp [2001:db8::5]:40000 > [2001:db8:9::9]:443 ack,psh seq=7 ack=8 len=3000 gso=1428",
        "udp 10.0.0.5:4000 > 9.9.9.9:53 len=40 df vlan=10 dscp=46 ecn=1 ttl=1",
        "udp [2001:db8::5]:4000 > [2001:db8:9::9]:53 len=40 vlan=10.20",
        "udp 10.0.0.5:0 > 9.9.9.9:53 csum=bad",
        "tcp [2001:db8::5]:40000 > [2001:db8:9::9]:443 syn ext=hop-by-hop",
        "udp [2001:db8::5]:4000 > [2001:db8:9::9]:53 len=40 ext=hop-by-hop,routing,destination-options vlan=7",
        "udp [2001:db8::5]:4000 > [2001:db8:9::9]:53 len=8 frag=0+ id=9 total=16 ext=routing",
        "udp 2001:db8::5 > 2001:db8:9::9 len=8 frag=16 id=9 ext=destination-options",
        "icmp fe80::1 > ff02::16 multicast-listener-report-v2 ext=destination-options ttl=1",
        "udp 10.0.0.5:4000 > 9.9.9.9:53 csum=bad-header",
        "udp 10.0.0.5:4000 > 9.9.9.9:53 len=64 frag=0+ id=77 total=128",
        "udp 10.0.0.5 > 9.9.9.9 len=64 frag=72 id=77",
        "tcp 10.0.0.5:4000 > 9.9.9.9:53 syn,ack seq=1 ack=2 win=3 len=12 frag=0+ id=77",
        "tcp 10.0.0.5 > 9.9.9.9 len=16 frag=0+ id=77",
        "udp [2001:db8::5]:4000 > [2001:db8:9::9]:53 len=8 frag=0 id=4000000000",
        "udp 2001:db8::5 > 2001:db8:9::9 len=64 frag=72+ id=4000000000",
        "icmp 2001:db8::5 > 2001:db8:9::9 len=64 frag=72 id=4000000000",
        "icmp 10.0.0.5 > 9.9.9.9 echo-request id=7 seq=1 len=24 frag=0+ frag-id=9",
        "icmp 10.0.0.5 > 9.9.9.9 echo-request id=7 seq=1",
        "icmp 2001:db8::5 > 2001:db8:9::9 echo-reply id=65535 seq=65535 len=56",
        "icmp 10.0.0.5 > 9.9.9.9 type=200 code=3",
        "icmp 10.0.0.5 > 9.9.9.9 destination-unreachable code=4 mtu=1400",
        "icmpv6 10.0.0.5 > 9.9.9.9 echo-request id=1",
        "icmpv4 2001:db8::5 > 2001:db8:9::9 echo-request id=1",
        "icmp fe80::1 > ff02::1:ff00:5 neighbour-solicitation target=fe80::5 len=16 ttl=255",
        "icmp 2001:db8::1 > 2001:db8::5 packet-too-big mtu=1280 quote=\"udp [2001:db8::5]:4000 > [2001:db8:9::9]:53 len=40\"",
        "icmp 198.51.100.1 > 10.0.0.5 destination-unreachable code=1 len=28 quote=\"udp 10.0.0.5:4000 > 9.9.9.9:53 len=40\"",
        "icmp 198.51.100.1 > 10.0.0.5 time-exceeded quote=\"tcp 10.0.0.5:4000 > 9.9.9.9:53 ack seq=5\"",
        "igmp 10.0.0.5 > 224.0.0.22 type=34 len=8 ttl=1",
        "esp 192.0.2.1 > 198.51.100.1 spi=0x1001 seq=1 len=100",
        "ah 192.0.2.1 > 198.51.100.1 spi=0x1001 seq=1 len=12",
        "sctp [2001:db8::5]:4000 > [2001:db8:9::9]:53 tag=0x1001",
        "sctp 10.0.0.5:4000 > 9.9.9.9:53 tag=0x1001 len=100",
        "sctp 10.0.0.5:4000 > 9.9.9.9:53 chunk=init itag=0xfffffffe",
        "sctp [2001:db8::5]:4000 > [2001:db8:9::9]:53 chunk=init-ack tag=0x7 itag=0x8 len=80",
        "sctp 10.0.0.5:4000 > 9.9.9.9:53 chunk=abort tag=0x7 t-bit",
        "sctp 10.0.0.5:4000 > 9.9.9.9:53 chunk=193 tag=0x7 len=12",
        "sctp 10.0.0.5:4000 > 9.9.9.9:53 chunk=shutdown-complete tag=0x7 csum=bad",
        "sctp 10.0.0.5 > 9.9.9.9 len=64 frag=72 id=77",
        "udplite 10.0.0.5:4000 > 9.9.9.9:53 len=20",
        "gre 10.0.0.5 > 9.9.9.9 len=20",
        "gre 10.0.0.5 > 9.9.9.9 key=0x10007",
        "gre 2001:db8::5 > 2001:db8:9::9 key=0x0 len=100",
        "dccp [2001:db8::5]:4000 > [2001:db8:9::9]:5001 len=8",
        "dccp 10.0.0.5:4000 > 9.9.9.9:5001 csum=bad",
        "proto-253 10.0.0.5 > 9.9.9.9 len=20",
        "udp [::ffff:1.2.3.4]:5 > [2001:db8::1]:6",
        "arp 10.0.0.1 > 10.0.0.2 request",
        "inside: arp 10.0.0.1 > 10.0.0.2 reply vlan=5 src-mac=02:00:00:00:00:09 dst-mac=02:00:00:00:00:0a",
        "arp 10.0.0.1 > 10.0.0.2 op=9",
        "ether 02:00:00:00:00:01 > 02:00:00:00:00:02 type=0x88cc len=46",
        "ether 02:00:00:00:00:01 > 01:80:c2:00:00:00 type=0x0026 len=38 vlan=4094");

    [Theory]
    [MemberData(nameof(CanonicalLines))]
    public void A_canonical_line_reads_back_as_itself(string text)
    {
        PacketLine line = Read(text);
        Assert.Equal(text, line.ToString());
        Assert.Equal(line, Read(line.ToString()));
    }

    [Theory]
    [MemberData(nameof(CanonicalLines))]
    public void The_line_of_a_built_packet_builds_the_same_packet(string text)
    {
        PacketLine line = Read(text);
        Packet first = Parsed(line, out DropReason firstWhy);
        string printed = PacketLine.Of(first, line.Port).ToString();
        Packet second = Parsed(Read(printed), out DropReason secondWhy);
        Assert.Equal(firstWhy, secondWhy);
        if (firstWhy == DropReason.None)
        {
            Assert.Equal(Facts(first), Facts(second));
        }

        Assert.Equal(printed, PacketLine.Of(second, line.Port).ToString());
    }

    [Theory]
    [MemberData(nameof(CanonicalLines))]
    public void What_is_kept_without_bytes_prints_the_same_line(string text)
    {
        Packet packet = Parsed(Read(text), out _);
        PacketFacts facts = PacketFacts.Of(packet);
        string now = PacketLine.Of(packet, "outside").ToString();
        packet.Bytes.Clear();
        Assert.Equal(now, facts.Line("outside").ToString());
    }

    [Theory]
    [InlineData("tcp 10.0.0.5:1 > 9.9.9.9:2", "tcp 10.0.0.5:1 > 9.9.9.9:2 syn")]
    [InlineData("TCP 10.0.0.5:1 > 9.9.9.9:2 SYN ACK seq=0x10", "tcp 10.0.0.5:1 > 9.9.9.9:2 syn,ack seq=16")]
    [InlineData("tcp 10.0.0.5:1>9.9.9.9:2 ACK,FIN", "tcp 10.0.0.5:1 > 9.9.9.9:2 ack,fin")]
    [InlineData("  udp   10.0.0.5:1 > 9.9.9.9:2\tttl=64 ", "udp 10.0.0.5:1 > 9.9.9.9:2")]
    [InlineData("icmp 10.0.0.5 > 9.9.9.9", "icmp 10.0.0.5 > 9.9.9.9 echo-request")]
    [InlineData("icmpv6 [2001:db8::1] > 2001:db8::2 neighbor-advertisement", "icmp 2001:db8::1 > 2001:db8::2 neighbour-advertisement target=2001:db8::1 len=16")]
    [InlineData("icmpv4 10.0.0.5 > 9.9.9.9 type=8 id=3", "icmp 10.0.0.5 > 9.9.9.9 echo-request id=3")]
    [InlineData("proto/47 10.0.0.5 > 9.9.9.9", "gre 10.0.0.5 > 9.9.9.9")]
    [InlineData("proto-6 10.0.0.5:1 > 9.9.9.9:2 rst", "tcp 10.0.0.5:1 > 9.9.9.9:2 rst")]
    [InlineData("arp 10.0.0.1 > 10.0.0.2", "arp 10.0.0.1 > 10.0.0.2 request")]
    public void People_may_write_a_line_more_freely_than_it_is_printed(string written, string printed) =>
        Assert.Equal(printed, Read(written).ToString());

    [Theory]
    [InlineData("", 1, "empty")]
    [InlineData("inside:", 8, "protocol is missing")]
    [InlineData("outside:tcp 1.2.3.4:1 > 5.6.7.8:2", 1, "a space is missing behind 'outside:'")]
    [InlineData("tpc 1.2.3.4:1 > 5.6.7.8:2", 1, "'tpc' is not a protocol")]
    [InlineData("tcp 1.2.3.4:1 5.6.7.8:2", 15, "SOURCE > DESTINATION")]
    [InlineData("tcp 10.0.0.300:1 > 5.6.7.8:2", 5, "'10.0.0.300' is not an address")]
    [InlineData("tcp 10.0.0.3:70000 > 5.6.7.8:2", 14, "'70000' is not a port")]
    [InlineData("tcp 10.0.0.3 > 5.6.7.8:2", 5, "needs a port")]
    [InlineData("udp 2001:db8::1 > [2001:db8::2]:53", 5, "[2001:db8::1]:PORT")]
    [InlineData("udp 10.0.0.3 > 5.6.7.8", 1, "needs ports")]
    [InlineData("esp 10.0.0.3:1 > 5.6.7.8:2", 5, "esp has no ports")]
    [InlineData("tcp 10.0.0.3:1 > [2001:db8::2]:53", 18, "different families")]
    [InlineData("tcp [2001:db8::1:1 > [2001:db8::2]:53", 5, "lacks its ']'")]
    [InlineData("tcp 1.2.3.4:1 > 5.6.7.8:2 sin", 27, "'sin' is not a TCP flag")]
    [InlineData("tcp 1.2.3.4:1 > 5.6.7.8:2 syn,akc", 31, "'akc' is not a TCP flag")]
    [InlineData("tcp 1.2.3.4:1 > 5.6.7.8:2 sequence=1", 27, "unknown key 'sequence'")]
    [InlineData("udp 1.2.3.4:1 > 5.6.7.8:2 seq=1", 27, "'seq' means nothing for udp")]
    [InlineData("tcp 1.2.3.4:1 > 5.6.7.8:2 seq=1 seq=2", 33, "given twice")]
    [InlineData("tcp 1.2.3.4:1 > 5.6.7.8:2 win=70000", 31, "'70000' is not a number from 0 to 65535")]
    [InlineData("udp 1.2.3.4:1 > 5.6.7.8:2 len=65530", 1, "65535 at most")]
    [InlineData("udp 1.2.3.4:1 > 5.6.7.8:2 frag=12", 32, "multiple of 8")]
    [InlineData("udp 1.2.3.4:1 > 5.6.7.8:2 frag=0", 32, "frag=0+")]
    [InlineData("udp 1.2.3.4:1 > 5.6.7.8:2 vlan=1.2.3", 32, "is not a VLAN")]
    [InlineData("udp [2001:db8::1]:1 > [2001:db8::2]:53 csum=bad-header", 45, "csum is 'bad' in IPv6")]
    [InlineData("icmp 1.2.3.4 > 5.6.7.8 packet-too-big", 24, "it is one of ICMPv6")]
    [InlineData("icmp 1.2.3.4 > 5.6.7.8 ping", 24, "'ping' is not an ICMP type")]
    [InlineData("icmp 1.2.3.4 > 5.6.7.8 echo-request quote=\"udp 1.2.3.4:1 > 5.6.7.8:2\"", 43, "only ICMP errors quote")]
    [InlineData("icmp 1.2.3.4 > 5.6.7.8 time-exceeded quote=\"udp 1.2.3.4:1 > 5.6.7.8:x\"", 44, "in the quote, column")]
    [InlineData("icmp 1.2.3.4 > 5.6.7.8 time-exceeded quote=udp", 44, "double quotes")]
    [InlineData("arp 1.2.3.4 > 2001:db8::1", 15, "is not an IPv4 address")]
    [InlineData("ether 1.2.3.4 > 02:00:00:00:00:01 type=1", 7, "is not a MAC address")]
    [InlineData("ether 02:00:00:00:00:02 > 02:00:00:00:00:01", 44, "type=0x... is missing")]
    public void A_wrong_line_says_where_and_what(string text, int column, string what)
    {
        Assert.False(PacketLine.TryParse(text, out PacketLine? line, out string? error));
        Assert.Null(line);
        Assert.StartsWith($"column {column}: ", error, StringComparison.Ordinal);
        Assert.Contains(what, error, StringComparison.Ordinal);
    }

    [Fact]
    public void No_text_makes_the_reader_throw_and_what_it_reads_it_prints_again()
    {
        Random random = Fuzzing.Seeded(out _);
        string[] lines = [.. CanonicalLines.Select(row => row.Data)];
        const string Alphabet = "0123456789abcdefx:.[]>=,\"+- \tsynackfrgquotevlan";
        int read = 0;
        for (int i = 0; i < Fuzzing.Rounds(40_000); i++)
        {
            char[] text = lines[random.Next(lines.Length)].ToCharArray();
            for (int change = random.Next(4); change > 0; change--)
            {
                text[random.Next(text.Length)] = Alphabet[random.Next(Alphabet.Length)];
            }

            string mutated = random.Next(8) == 0 ? new string(text)[..random.Next(text.Length)] : new string(text);
            if (PacketLine.TryParse(mutated, out PacketLine? line, out string? error))
            {
                read++;
                Assert.True(line == Read(line.ToString()), $"'{mutated}' prints as '{line}'");
                Parsed(line, out _);
            }
            else
            {
                Assert.Matches("^column [0-9]+: .", error);
            }
        }

        Assert.True(read > 1000, "most lines should survive a change or none");
    }

    private static PacketLine Read(string text)
    {
        Assert.True(PacketLine.TryParse(text, out PacketLine? line, out string? error), $"'{text}': {error}");
        return line!;
    }

    private static Packet Parsed(PacketLine line, out DropReason why)
    {
        byte[] frame = new byte[FrameBuilder.Length(line)];
        var packet = new Packet { Slab = frame, Length = frame.Length, Ceiling = frame.Length };
        packet.Offload = FrameBuilder.Write(line, frame);
        packet.Reason = why = Parser.Parse(ref packet);
        return packet;
    }

    /// <summary>All that parsing found; the bytes are compared by what they mean.</summary>
    private static Packet Facts(Packet packet)
    {
        packet.Slab = [];
        packet.FragmentId = packet.Fragmented ? packet.FragmentId : 0;
        return packet;
    }
}

using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Wire;

/// <summary>Frames that are wrong in one way each, and the reason each gets.</summary>
public sealed class MalformedTests
{
    private const int Ip = EthernetHeader.Length;
    private const string Tcp4 = "tcp 10.0.0.5:1000 > 203.0.113.9:80 syn len=20";
    private const string Tcp6 = "tcp [2001:db8::5]:1000 > [2001:db8:f::9]:80 syn len=20";
    private const string Udp4 = "udp 10.0.0.5:1000 > 203.0.113.9:53 len=20";
    private const string Udp6 = "udp [2001:db8::5]:1000 > [2001:db8:f::9]:53 len=20";

    [Theory]
    [InlineData(Tcp4)]
    [InlineData(Tcp6)]
    [InlineData(Udp4)]
    [InlineData(Udp6)]
    [InlineData("icmp 10.0.0.5 > 203.0.113.9 echo-request len=20")]
    [InlineData("icmp 2001:db8::5 > 2001:db8:f::9 echo-request len=20")]
    [InlineData("esp 10.0.0.5 > 203.0.113.9 spi=1 len=20")]
    [InlineData("ah 2001:db8::5 > 2001:db8:f::9 spi=1 len=20")]
    [InlineData("sctp 10.0.0.5:1 > 203.0.113.9:2 len=20")]
    [InlineData("igmp 10.0.0.5 > 224.0.0.1 type=17")]
    [InlineData("arp 10.0.0.5 > 10.0.0.6 request")]
    [InlineData("udp 10.0.0.5:1 > 203.0.113.9:2 vlan=5.6")]
    public void A_frame_cut_anywhere_is_dropped_and_never_read_beyond(string line)
    {
        byte[] whole = Build(line);
        for (int length = 0; length < whole.Length; length++)
        {
            DropReason why = Parse(whole[..length]);
            Assert.True(
                why is DropReason.Truncated or DropReason.BadLength or DropReason.BadHeaderLength or DropReason.BadArp,
                $"cut to {length} of {whole.Length} bytes: {why}");
        }

        Assert.Equal(DropReason.None, Parse(whole));
        Assert.Equal(DropReason.None, Parse([.. whole, .. new byte[30]]));
    }

    [Theory]
    [InlineData(Tcp4)]
    [InlineData(Tcp6)]
    public void An_ip_packet_shorter_than_its_transport_header_is_truncated(string line)
    {
        byte[] frame = Build(line);
        bool v4 = frame[Ip] >> 4 == 4;
        for (int left = 0; left < 20; left++)
        {
            byte[] cut = frame[..(Ip + (v4 ? 20 : 40) + left)];
            if (v4)
            {
                BinaryPrimitives.WriteUInt16BigEndian(cut.AsSpan(Ip + 2), (ushort)(20 + left));
                Refresh(cut);
            }
            else
            {
                BinaryPrimitives.WriteUInt16BigEndian(cut.AsSpan(Ip + 4), (ushort)left);
            }

            Assert.Equal(DropReason.Truncated, Parse(cut));
        }
    }

    [Theory]
    [InlineData(DropReason.LinkLocalFrame, "ether 02:00:00:00:00:01 > 01:80:c2:00:00:01 type=0x8808 len=46")]
    [InlineData(DropReason.LinkLocalFrame, "ether 02:00:00:00:00:01 > 02:00:00:00:00:02 type=0x8808 len=46")]
    [InlineData(DropReason.LinkLocalFrame, "ether 02:00:00:00:00:01 > 01:80:c2:00:00:02 type=0x8809 len=46")]
    [InlineData(DropReason.LinkLocalFrame, "ether 02:00:00:00:00:01 > 01:80:c2:00:00:02 type=0x0026 len=46")]
    [InlineData(DropReason.None, "ether 02:00:00:00:00:01 > 01:80:c2:00:00:00 type=0x0026 len=46")]
    [InlineData(DropReason.BadHeaderChecksum, "udp 10.0.0.5:1 > 203.0.113.9:2 csum=bad-header")]
    [InlineData(DropReason.BadChecksum, "tcp 10.0.0.5:1 > 203.0.113.9:2 syn csum=bad")]
    [InlineData(DropReason.BadChecksum, "tcp [2001:db8::5]:1 > [2001:db8:f::9]:2 syn csum=bad")]
    [InlineData(DropReason.BadChecksum, "udp 10.0.0.5:1 > 203.0.113.9:2 csum=bad len=5")]
    [InlineData(DropReason.BadChecksum, "udp [2001:db8::5]:1 > [2001:db8:f::9]:2 csum=bad len=5")]
    [InlineData(DropReason.BadChecksum, "udplite 10.0.0.5:1 > 203.0.113.9:2 csum=bad len=5")]
    [InlineData(DropReason.BadChecksum, "icmp 10.0.0.5 > 203.0.113.9 echo-request csum=bad")]
    [InlineData(DropReason.BadChecksum, "icmp 2001:db8::5 > 2001:db8:f::9 echo-request csum=bad")]
    [InlineData(DropReason.BadChecksum, "igmp 10.0.0.5 > 224.0.0.1 type=17 csum=bad")]
    [InlineData(DropReason.MappedAddress, "udp [::ffff:10.0.0.5]:1 > [2001:db8::1]:2")]
    [InlineData(DropReason.MappedAddress, "udp [2001:db8::1]:1 > [::ffff:10.0.0.5]:2")]
    [InlineData(DropReason.BadSource, "udp 224.0.0.1:1 > 203.0.113.9:2")]
    [InlineData(DropReason.BadSource, "udp 255.255.255.255:1 > 203.0.113.9:2")]
    [InlineData(DropReason.BadSource, "udp [ff02::1]:1 > [2001:db8::1]:2")]
    [InlineData(DropReason.Martian, "udp 127.0.0.1:1 > 203.0.113.9:2")]
    [InlineData(DropReason.Martian, "udp 203.0.113.9:1 > 127.8.0.1:2")]
    [InlineData(DropReason.Martian, "udp [::1]:1 > [2001:db8::1]:2")]
    [InlineData(DropReason.Martian, "udp [2001:db8::1]:1 > [::1]:2")]
    [InlineData(DropReason.Land, "tcp 10.0.0.5:1 > 10.0.0.5:1 syn")]
    [InlineData(DropReason.Land, "udp [2001:db8::1]:1 > [2001:db8::1]:2")]
    [InlineData(DropReason.PortZero, "tcp 10.0.0.5:0 > 203.0.113.9:2 syn")]
    [InlineData(DropReason.PortZero, "tcp [2001:db8::5]:1 > [2001:db8:f::9]:0 syn")]
    [InlineData(DropReason.PortZero, "udp 10.0.0.5:1 > 203.0.113.9:0")]
    [InlineData(DropReason.None, "udp 10.0.0.5:0 > 203.0.113.9:1")]
    [InlineData(DropReason.PortZero, "sctp 10.0.0.5:0 > 203.0.113.9:1")]
    [InlineData(DropReason.IcmpForbidden, "icmpv6 10.0.0.5 > 203.0.113.9 echo-request")]
    [InlineData(DropReason.IcmpForbidden, "icmpv4 2001:db8::5 > 2001:db8:f::9 echo-request")]
    public void A_packet_that_can_be_written_as_a_line_gets_its_reason(DropReason expected, string line) =>
        Assert.Equal(expected, Parse(Build(line)));

    [Fact]
    public void Every_combination_of_tcp_flags_is_decided_as_rfc_9293_lets_senders_form_it()
    {
        for (int flags = 0; flags < 256; flags++)
        {
            var given = (TcpFlags)flags;
            bool syn = given.HasFlag(TcpFlags.Syn), fin = given.HasFlag(TcpFlags.Fin), rst = given.HasFlag(TcpFlags.Rst);
            bool ack = given.HasFlag(TcpFlags.Ack), urg = given.HasFlag(TcpFlags.Urg);
            bool legal = (syn, fin, rst) switch
            {
                (true, false, false) => !(ack && urg),
                (false, true, false) => ack,
                (false, false, true) => !urg,
                (false, false, false) => ack,
                _ => false,
            };
            PacketLine line = PacketLine.Parse(Tcp4) with { Flags = given };
            Assert.Equal(legal ? DropReason.None : DropReason.BadFlags, Parse(Build(line)));
        }
    }

    [Theory]
    [InlineData(Udp4, 6)]
    [InlineData(Udp6, 4)]
    [InlineData(Udp4, 0)]
    [InlineData(Udp6, 15)]
    public void A_version_that_contradicts_the_ethertype_is_dropped(string line, int version)
    {
        byte[] frame = Build(line);
        frame[Ip] = (byte)((version << 4) | (frame[Ip] & 15));
        Assert.Equal(DropReason.BadVersion, Parse(frame));
    }

    [Fact]
    public void Three_tags_are_one_too_many_and_a_priority_tag_is_no_vlan()
    {
        byte[] frame = Build("udp 10.0.0.5:1 > 203.0.113.9:2 vlan=5.6");
        Assert.Equal(DropReason.TooManyTags, Parse([.. frame[..12], 0x81, 0, 0, 7, .. frame[12..]]));
        byte[] plain = Build("udp 10.0.0.5:1 > 203.0.113.9:2");
        Packet packet = Read([.. plain[..12], 0x81, 0, 0xe0, 0, .. plain[12..]], out DropReason why);
        Assert.Equal((DropReason.None, 0u), (why, packet.Key.Segment));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    [InlineData(15)]
    public void An_ipv4_header_length_below_its_least_or_beyond_the_packet_is_dropped(int words)
    {
        byte[] frame = Build("proto-253 10.0.0.5 > 203.0.113.9 len=20");
        frame[Ip] = (byte)(0x40 | words);
        DropReason why = Parse(frame);
        Assert.Equal(DropReason.BadHeaderLength, why);
    }

    [Fact]
    public void A_length_that_the_frame_does_not_hold_is_dropped()
    {
        byte[] v4 = Build(Udp4);
        BinaryPrimitives.WriteUInt16BigEndian(v4.AsSpan(Ip + 2), (ushort)(v4.Length - Ip + 1));
        Assert.Equal(DropReason.BadLength, Parse(v4));
        BinaryPrimitives.WriteUInt16BigEndian(v4.AsSpan(Ip + 2), 19);
        Assert.Equal(DropReason.BadLength, Parse(v4));
        byte[] v6 = Build(Udp6);
        BinaryPrimitives.WriteUInt16BigEndian(v6.AsSpan(Ip + 4), (ushort)(v6.Length - Ip - 40 + 1));
        Assert.Equal(DropReason.BadLength, Parse(v6));
        byte[] jumbo = Build("proto-0 2001:db8::5 > 2001:db8:f::9 len=16");
        BinaryPrimitives.WriteUInt16BigEndian(jumbo.AsSpan(Ip + 4), 0);
        Assert.Equal(DropReason.BadLength, Parse(jumbo));
    }

    [Theory]
    [InlineData(Udp4, 7, DropReason.BadLength)]
    [InlineData(Udp6, 0, DropReason.BadLength)]
    [InlineData(Udp4, 29, DropReason.BadLength)]
    [InlineData("udplite 10.0.0.5:1 > 203.0.113.9:2 len=20", 7, DropReason.BadLength)]
    [InlineData("udplite 10.0.0.5:1 > 203.0.113.9:2 len=20", 29, DropReason.BadLength)]
    public void A_udp_length_that_cannot_be_is_dropped(string line, ushort length, DropReason expected)
    {
        byte[] frame = Build(line);
        int udp = Ip + (frame[Ip] >> 4 == 4 ? 20 : 40);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(udp + 4), length);
        Assert.Equal(expected, Parse(frame));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    [InlineData(11)]
    public void A_tcp_header_length_that_cannot_be_is_dropped(int words)
    {
        byte[] frame = Build(Tcp6);
        frame[Ip + 40 + 12] = (byte)(words << 4);
        Assert.Equal(DropReason.BadHeaderLength, Parse(frame));
    }

    [Theory]
    [InlineData(DropReason.None, 1, 1, 1, 0)]
    [InlineData(DropReason.None, 0x94, 4, 0, 0)]
    [InlineData(DropReason.BadOption, 7, 0, 0, 0)]
    [InlineData(DropReason.BadOption, 7, 1, 0, 0)]
    [InlineData(DropReason.BadOption, 7, 5, 0, 0)]
    [InlineData(DropReason.BadOption, 1, 1, 1, 7)]
    [InlineData(DropReason.SourceRoute, 131, 3, 4, 0)]
    [InlineData(DropReason.SourceRoute, 1, 137, 3, 4)]
    public void Ipv4_options_are_checked(DropReason expected, int first, int second, int third, int fourth)
    {
        byte[] frame = Build(Udp4);
        byte[] options = [(byte)first, (byte)second, (byte)third, (byte)fourth];
        byte[] with = [.. frame[..(Ip + 20)], .. options, .. frame[(Ip + 20)..]];
        with[Ip] = 0x46;
        BinaryPrimitives.WriteUInt16BigEndian(with.AsSpan(Ip + 2), (ushort)(with.Length - Ip));
        Refresh(with);
        Assert.Equal(expected, Parse(with));
    }

    [Fact]
    public void Arp_of_another_kind_is_dropped()
    {
        for (int i = 0; i < 6; i++)
        {
            byte[] frame = Build("arp 10.0.0.5 > 10.0.0.6 request");
            frame[Ip + i] ^= 1;
            Assert.Equal(DropReason.BadArp, Parse(frame));
        }
    }

    [Theory]
    [InlineData(DropReason.None, "00")]
    [InlineData(DropReason.None, "00 3c 2b2 2c")]
    [InlineData(DropReason.None, "3c 3c")]
    [InlineData(DropReason.BadExtensionChain, "3c 3c 3c")]
    [InlineData(DropReason.BadExtensionChain, "2c 2b4")]
    [InlineData(DropReason.BadExtensionChain, "3c 00")]
    [InlineData(DropReason.BadExtensionChain, "00 00")]
    [InlineData(DropReason.BadExtensionChain, "2b2 2b2")]
    [InlineData(DropReason.BadExtensionChain, "2c 2c")]
    [InlineData(DropReason.RoutingHeader0, "2b0")]
    public void Extension_headers_stand_in_order_and_not_too_many(DropReason expected, string chain)
    {
        string[] headers = chain.Split(' ');
        byte[] udp = Build(Udp6);
        var extensions = new List<byte>();
        for (int i = 0; i < headers.Length; i++)
        {
            byte next = i + 1 < headers.Length ? Convert.ToByte(headers[i + 1][..2], 16) : IpProtocol.Udp;
            byte kind = Convert.ToByte(headers[i][..2], 16);
            byte routing = headers[i].Length > 2 ? (byte)(headers[i][2] - '0') : (byte)0;
            // Options hold one PadN of six bytes; a routing header its type and no segments left.
            extensions.AddRange(kind switch
            {
                IpProtocol.Fragment => [next, 0, 0, 0, 0, 0, 0, 7],
                IpProtocol.Routing => [next, 0, routing, 0, 0, 0, 0, 0],
                _ => new byte[] { next, 0, 1, 4, 0, 0, 0, 0 },
            });
        }

        Packet packet = Read(WithExtensions(udp, Convert.ToByte(headers[0][..2], 16), [.. extensions]), out DropReason why);
        Assert.Equal(expected, why);
        if (expected == DropReason.None)
        {
            Assert.Equal((IpProtocol.Udp, 53), (packet.Key.Protocol, packet.Key.DestinationPort));
        }
    }

    [Theory]
    [InlineData(new byte[] { 17, 1, 1, 4, 0, 0, 0, 0 }, DropReason.BadChecksum)]
    [InlineData(new byte[] { 17, 200, 1, 4, 0, 0, 0, 0 }, DropReason.BadExtensionChain)]
    [InlineData(new byte[] { 17, 0, 1, 5, 0, 0, 0, 0 }, DropReason.BadExtensionChain)]
    [InlineData(new byte[] { 17, 0, 0, 0, 0, 0, 0, 1 }, DropReason.BadExtensionChain)]
    public void An_extension_header_and_its_options_must_fit(byte[] extension, DropReason expected)
    {
        DropReason why = Parse(WithExtensions(Build(Udp6), IpProtocol.DestinationOptions, extension));
        // One that swallows the UDP header leaves something that is no UDP datagram any more.
        Assert.True(why == expected || (expected == DropReason.BadChecksum && why != DropReason.None), $"{why}");
    }

    [Fact]
    public void A_chain_of_very_long_headers_is_given_up()
    {
        byte[] header = new byte[8 * 200];
        byte[] last = new byte[8 * 200];
        header[0] = IpProtocol.DestinationOptions;
        last[0] = IpProtocol.Udp;
        header[1] = last[1] = 199;
        Assert.Equal(
            DropReason.BadExtensionChain,
            Parse(WithExtensions(Build(Udp6), IpProtocol.DestinationOptions, [.. header, .. last])));
    }

    private static byte[] WithExtensions(byte[] udp, byte first, byte[] extensions)
    {
        byte[] frame = [.. udp[..(Ip + 40)], .. extensions, .. udp[(Ip + 40)..]];
        frame[Ip + 6] = first;
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(Ip + 4), (ushort)(frame.Length - Ip - 40));
        return frame;
    }

    private static byte[] Build(string line) => Build(PacketLine.Parse(line));

    private static byte[] Build(PacketLine line)
    {
        byte[] frame = new byte[FrameBuilder.Length(line)];
        FrameBuilder.Write(line, frame);
        return frame;
    }

    /// <summary>Makes the IPv4 header's checksum right again.</summary>
    private static void Refresh(byte[] frame)
    {
        Span<byte> header = frame.AsSpan(Ip, (frame[Ip] & 15) * 4);
        header[10..12].Clear();
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], Checksum.Finish(Checksum.Sum(header)));
    }

    private static DropReason Parse(byte[] frame)
    {
        Read(frame, out DropReason why);
        return why;
    }

    private static Packet Read(byte[] frame, out DropReason why)
    {
        var packet = new Packet { Slab = frame, Length = frame.Length, Ceiling = frame.Length };
        why = Parser.Parse(ref packet);
        return packet;
    }
}

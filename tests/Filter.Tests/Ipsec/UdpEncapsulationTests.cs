using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

public sealed class UdpEncapsulationTests
{
    private const long Second = 1_000_000_000;

    private static readonly Address s_client4 = Address.Parse("10.1.0.5");
    private static readonly Address s_server4 = Address.Parse("10.2.0.9");
    private static readonly Address s_client6 = Address.Parse("2001:db8:1::5");
    private static readonly Address s_server6 = Address.Parse("2001:db8:2::9");
    private static readonly Address s_translated = Address.Parse("203.0.113.7");

    [Theory]
    [InlineData("transport")]
    [InlineData("tunnel4")]
    [InlineData("tunnel6")]
    public void ESP_crosses_in_UDP_in_every_size(string mode)
    {
        (Gateway left, Gateway right) = Pair(mode);
        using Gateway a = left, b = right;
        byte[][] frames = [.. Enumerable.Range(0, 60).SelectMany(n => new[] { PlainFrames.Udp(s_client4, s_server4, n * 20), PlainFrames.Udp(s_client6, s_server6, n * 20) })];

        List<byte[]> wire = [.. frames.Chunk(40).SelectMany(some => left.Send(some))];

        Assert.Equal(frames.Length, wire.Count);
        foreach (byte[] frame in wire)
        {
            Packet packet = PlainFrames.Parsed(frame);
            Assert.Equal((IpProtocol.Udp, (ushort)4500, (ushort)4501), (packet.Key.Protocol, packet.Key.SourcePort, packet.Key.DestinationPort));
            Assert.Equal("00001001", Convert.ToHexString(packet.Segment[8..12]));
            Assert.Equal(packet.Segment.Length, BinaryPrimitives.ReadUInt16BigEndian(packet.Segment[4..]));

            // Zero over IPv4; over IPv6 there is one, and it is right.
            Assert.Equal(packet.IsIPv4, packet.Segment[6] == 0 && packet.Segment[7] == 0);
            Assert.Equal(packet.IsIPv4 ? ChecksumState.Unknown : ChecksumState.Valid, packet.Offload.Checksum);
        }

        Assert.Equal(frames, wire.Chunk(40).SelectMany(some => right.Receive(some)));
    }

    [Theory]
    [InlineData("transport")]
    [InlineData("tunnel4")]
    [InlineData("tunnel6")]
    public void What_just_fits_crosses_and_one_byte_more_is_answered(string mode)
    {
        (Gateway left, Gateway right) = Pair(mode);
        using Gateway a = left, b = right;
        (List<byte[]> wire, List<byte[]> back) = left.Send([PlainFrames.Udp(s_client6, s_server6, 1440)], null);
        Assert.Empty(wire);
        int told = (int)BinaryPrimitives.ReadUInt32BigEndian(PlainFrames.Parsed(Assert.Single(back)).Segment[4..]);

        byte[] fits = PlainFrames.Udp(s_client6, s_server6, told - 48);
        byte[] outer = Assert.Single(left.Send(fits));
        Assert.InRange(outer.Length - 14, 1485, 1500);
        Assert.Equal([fits], right.Receive(outer));
        Assert.Empty(left.Send(PlainFrames.Udp(s_client6, s_server6, told - 47)));
    }

    [Theory]
    [InlineData("tunnel4")]
    [InlineData("tunnel6")]
    public void A_super_frame_of_ESP_in_UDP_is_the_packets_that_came_in_it(string mode)
    {
        (Gateway left, Gateway right) = Pair(mode);
        using Gateway a = left, b = right;
        byte[][] frames = [.. Enumerable.Range(0, 40).Select(n => PlainFrames.Udp(s_client4, s_server4, n is 0 or 38 or 39 ? 60 : 1000, trafficClass: (byte)(n * 4)))];
        List<byte[]> wire = left.Send(frames);

        // One before it, thirty-eight in it, of which the last is shorter, and one behind it.
        (byte[] whole, Offload offload) = SuperFrame([.. wire[1..39]]);
        List<byte[]> inside = right.Receive([wire[0], whole, wire[39]], n => n == 1 ? offload : default);

        Assert.Equal(frames, inside);
        Assert.Equal(40, right.Inbound.Statistics.Packets);
    }

    [Fact]
    public void IKE_passes_as_the_datagram_that_it_is_and_a_keep_alive_ends_silently()
    {
        using Gateway right = WithIke();
        Address peer = Address.Parse("192.0.2.1"), own = Address.Parse("198.51.100.1");
        byte[] ike = Datagram(peer, own, [0, 0, 0, 0, .. new byte[28]]), short1 = Datagram(peer, own, [0]), short8 = Datagram(peer, own, [0, 0, 16, 1, 0, 0, 0, 1]);

        Assert.Equal([ike, short1, short8], right.Receive(ike, short1, short8));
        Assert.Empty(right.Receive(Datagram(peer, own, [0xff])));
        Assert.Equal([Verdict.Consumed], right.Verdicts);
        Assert.Equal(1, right.Stage.KeepAlivesHeard);
    }

    [Fact]
    public void An_unknown_SPI_in_UDP_is_dropped_and_what_goes_to_others_is_left_alone()
    {
        using Gateway right = WithIke();
        Address peer = Address.Parse("192.0.2.1"), own = Address.Parse("198.51.100.1");

        Assert.Empty(right.Receive(Datagram(peer, own, [0, 0, 16, 2, .. new byte[60]])));
        Assert.Equal([DropReason.UnknownSpi], right.Ended);

        byte[] other = Datagram(peer, s_server4, [0, 0, 16, 1, .. new byte[60]]), keepAlive = Datagram(peer, s_server4, [0xff]);
        Assert.Equal([other, keepAlive], right.Receive(other, keepAlive));
    }

    [Fact]
    public void An_SA_takes_ESP_in_UDP_or_bare_and_never_both()
    {
        (Gateway left, Gateway right) = Pair("tunnel4");
        (Gateway bareLeft, Gateway bareRight) = Gateway.Pair(Gateway.Sa(IpsecMode.Tunnel, "192.0.2.1", "198.51.100.1"));
        using Gateway a = left, b = right, c = bareLeft, d = bareRight;
        byte[] frame = PlainFrames.Udp(s_client4, s_server4, 30);
        byte[] inUdp = Assert.Single(left.Send(frame)), bare = Assert.Single(bareLeft.Send(frame));

        Assert.Empty(right.Receive(bare));
        Assert.Equal([DropReason.UnknownSpi], right.Ended);
        Assert.Empty(bareRight.Receive(inUdp));
        Assert.Equal([DropReason.ClearForProtected], bareRight.Ended);
        Assert.Equal([frame], right.Receive(inUdp));
        Assert.Equal([frame], bareRight.Receive(bare));
    }

    [Fact]
    public void A_translators_new_address_and_port_do_not_matter_to_a_tunnel()
    {
        (Gateway left, Gateway right) = Pair("tunnel4");
        using Gateway a = left, b = right;
        byte[] frame = PlainFrames.Udp(s_client4, s_server4, 30);

        Assert.Equal([frame], right.Receive(Translated(Assert.Single(left.Send(frame)), s_translated, 61000)));

        // It is not followed, as nobody said so.
        Packet answer = PlainFrames.Parsed(Assert.Single(right.Send(PlainFrames.Udp(s_server4, s_client4, 30))));
        Assert.Equal((Address.Parse("192.0.2.1"), (ushort)4500), (answer.Key.Destination, answer.Key.DestinationPort));
    }

    [Fact]
    public void What_is_sent_follows_the_newest_good_packet_where_it_may()
    {
        (Gateway left, Gateway right) = Pair("tunnel4", static udp => udp with { FollowsPeer = true }, replay: 64);
        using Gateway a = left, b = right;
        byte[][] wire = [.. Enumerable.Range(0, 4).Select(_ => Assert.Single(left.Send(PlainFrames.Udp(s_client4, s_server4, 30))))];
        byte[] forged = Translated(wire[3], Address.Parse("203.0.113.66"), 666);
        forged[^1] ^= 1;

        Assert.Single(right.Receive(Translated(wire[1], s_translated, 61000)));
        Assert.Equal((s_translated, (ushort)61000), To());
        Assert.Empty(right.Receive(forged));
        Assert.Single(right.Receive(Translated(wire[0], Address.Parse("203.0.113.66"), 666)));      // good, but late
        Assert.Empty(right.Receive(Translated(wire[1], Address.Parse("203.0.113.66"), 666)));       // replayed
        Assert.Equal((s_translated, (ushort)61000), To());
        Assert.Single(right.Receive(Translated(wire[2], s_translated, 61001)));
        Assert.Equal((s_translated, (ushort)61001), To());

        (Address, ushort) To()
        {
            Packet sent = PlainFrames.Parsed(Assert.Single(right.Send(PlainFrames.Udp(s_server4, s_client4, 30))));
            Assert.Equal(sent.Key.Destination, right.Burst.Packets[0].NextHop);
            return (sent.Key.Destination, sent.Key.DestinationPort);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Checksums_that_a_translator_made_wrong_are_mended_in_transport_mode(bool known)
    {
        (Gateway left, Gateway right) = Pair("transport", udp => known ? udp with { OriginalRemote = s_client4, OriginalLocal = s_server4 } : udp);
        using Gateway a = left, b = right;
        byte[] udp = PlainFrames.Udp(s_client4, s_server4, 31), tcp = PlainFrames.Tcp(s_client4, s_server4, 30, TcpFlags.Ack);
        byte[] without = PlainFrames.Udp(s_client4, s_server4, 31);
        without[14 + 26] = without[14 + 27] = 0;

        byte[][] inside = [.. right.Receive(left.Send(udp, tcp, without).Select(static f => Translated(f, s_translated, 61000)))];

        Assert.Equal(3, inside.Length);
        Assert.All(inside, static f => Assert.Equal(s_translated, PlainFrames.Parsed(f).Key.Source));
        Assert.Equal(ChecksumState.Valid, PlainFrames.Parsed(inside[0]).Offload.Checksum);
        Assert.Equal(ChecksumState.Valid, PlainFrames.Parsed(inside[1]).Offload.Checksum);
        Assert.Equal(0, BinaryPrimitives.ReadUInt16BigEndian(inside[2].AsSpan(14 + 26)));
    }

    [Fact]
    public void A_silent_tunnel_keeps_its_translators_entry_alive()
    {
        foreach (string mode in new[] { "tunnel4", "tunnel6" })
        {
            (Gateway left, Gateway right) = Pair(mode);
            using Gateway a = left, b = right;
            left.Send(PlainFrames.Udp(s_client4, s_server4, 30));
            long sent = left.Burst.Now;

            Assert.Empty(Tick(left, sent + (19 * Second)));
            byte[] frame = Assert.Single(Tick(left, sent + (20 * Second)));
            Packet packet = PlainFrames.Parsed(frame);
            Assert.Equal((IpProtocol.Udp, (ushort)4500, (ushort)4501), (packet.Key.Protocol, packet.Key.SourcePort, packet.Key.DestinationPort));
            Assert.Equal([0xff], packet.Segment[8..].ToArray());
            Assert.Equal(left.Outbound.Remote, packet.Key.Destination);
            Assert.Empty(right.Receive(frame));
            Assert.Equal([Verdict.Consumed], right.Verdicts);

            // And again after as long; not before.
            Assert.Empty(Tick(left, sent + (39 * Second)));
            Assert.Single(Tick(left, sent + (40 * Second)));
            Assert.Equal(2, left.Stage.KeepAlivesSent);
        }
    }

    [Fact]
    public void A_bridge_in_transport_mode_has_no_address_to_keep_anything_alive_from()
    {
        (Gateway left, _) = Pair("transport");
        using Gateway a = left;
        left.Send(PlainFrames.Udp(s_client4, s_server4, 30));

        Assert.Empty(Tick(left, left.Burst.Now + (60 * Second)));
    }

    [Fact]
    public void Many_silent_tunnels_speak_a_few_at_a_time()
    {
        SaConfig[] sas = [.. Enumerable.Range(0, 200).Select(i => Encapsulated(Gateway.Sa(
            IpsecMode.Tunnel, "192.0.2.1", "198.51.100.1", spiOut: (uint)(0x1000 + (2 * i)), spiIn: (uint)(0x1001 + (2 * i)), name: $"sa-{i}"), null))];
        using var gateway = new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, sas[0])], sas));

        Tick(gateway, Second);
        int[] spoken = [.. Enumerable.Range(0, 5).Select(i => Tick(gateway, (21 + i) * Second).Count)];

        Assert.All(spoken, static n => Assert.InRange(n, 0, 64));
        Assert.Equal(200, spoken.Sum());
    }

    [Fact]
    public void Ports_are_known_as_long_as_an_SA_has_them()
    {
        SaConfig sa = Encapsulated(Gateway.Sa(IpsecMode.Tunnel, "198.51.100.1", "192.0.2.1"), null);
        using var gateway = new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, sa), Gateway.Policy(2, IpsecAction.Bypass)], sa));
        Address own = Address.Parse("198.51.100.1");
        Assert.True(gateway.Stage.Sad.Encapsulates(own, 4500));
        Assert.False(gateway.Stage.Sad.Encapsulates(own, 4501));

        gateway.Stage.Adopt(IpsecDatabases.Build(Gateway.Config([Gateway.Policy(1, IpsecAction.Bypass)]), []));

        Assert.False(gateway.Stage.Sad.Encapsulates(own, 4500));
    }

    /// <summary>Datagrams to the port of every length and beginning, and super-frames whose lengths lie: never an exception.</summary>
    [Fact]
    public void Nothing_that_arrives_throws()
    {
        Random random = Fuzzing.Seeded(out int seed);
        (Gateway left, Gateway right) = Pair("tunnel4");
        using Gateway a = left, b = right;
        byte[] good = Assert.Single(left.Send(PlainFrames.Udp(s_client4, s_server4, 30)));
        for (int round = 0; round < Fuzzing.Rounds(2_000); round++)
        {
            byte[] frame = [.. good];
            for (int harm = random.Next(4); harm > 0; harm--)
            {
                frame[34 + random.Next(frame.Length - 34)] = (byte)random.Next(256);
            }

            frame = random.Next(2) == 0 ? frame[..random.Next(42, frame.Length)] : frame;
            IpHeader.SetLength(frame.AsSpan(14));
            if (random.Next(2) == 0)
            {
                BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(38), (ushort)random.Next(random.Next(2) == 0 ? 20 : 65536));
            }

            var offload = new Offload
            {
                Gso = GsoKind.Udp, Checksum = ChecksumState.Valid, SegmentSize = (ushort)random.Next(100),
            };
            try
            {
                right.Receive([frame], _ => random.Next(2) == 0 ? offload : default);
            }
            catch (Exception e) when (e is not Xunit.Sdk.XunitException)
            {
                Assert.Fail($"seed {seed}, round {round}: {e}");
            }
        }
    }

    private static (Gateway Left, Gateway Right) Pair(string mode, Func<UdpEncapsulation, UdpEncapsulation>? with = null, int replay = 0)
    {
        SaConfig sa = mode switch
        {
            "transport" => Gateway.Sa(IpsecMode.Transport, replay: replay),
            "tunnel4" => Gateway.Sa(IpsecMode.Tunnel, "192.0.2.1", "198.51.100.1", replay: replay),
            _ => Gateway.Sa(IpsecMode.Tunnel, "2001:db8:ffff::1", "2001:db8:ffff::2", replay: replay),
        };
        SaConfig left = sa with { Settings = sa.Settings with { Encapsulation = new UdpEncapsulation(4500, 4501) } };
        SaConfig right = Gateway.Mirror(sa);
        var back = new UdpEncapsulation(4501, 4500);
        right = right with { Settings = right.Settings with { Encapsulation = with?.Invoke(back) ?? back } };
        return (
            new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, left)], left)),
            new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, right)], right)));
    }

    /// <summary>A tunnel's far end that lets datagrams to port 4500 in.</summary>
    private static Gateway WithIke()
    {
        SaConfig sa = Encapsulated(Gateway.Sa(IpsecMode.Tunnel, "198.51.100.1", "192.0.2.1", spiIn: 0x1001, spiOut: 0x1002), null);
        ServiceSet ike = ServiceSet.Of([new Service(IpProtocol.Udp, new PortRange(4500, 4500))]);
        return new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Bypass, service: ike), Gateway.Policy(2, IpsecAction.Protect, sa)], sa));
    }

    private static SaConfig Encapsulated(SaConfig sa, Func<UdpEncapsulation, UdpEncapsulation>? with) =>
        sa with { Settings = sa.Settings with { Encapsulation = with?.Invoke(new UdpEncapsulation(4500, 4500)) ?? new UdpEncapsulation(4500, 4500) } };

    private static byte[] Datagram(Address from, Address to, byte[] inside)
    {
        byte[] udp = [0x11, 0x94, 0x11, 0x94, 0, (byte)(8 + inside.Length), 0, 0, .. inside];
        return PlainFrames.Ip(from, to, IpProtocol.Udp, udp, dontFragment: false, 0);
    }

    /// <summary>Datagrams of one flow and size, the last perhaps shorter, as a NIC or another machine's stack hands them over.</summary>
    internal static (byte[] Frame, Offload Offload) SuperFrame(byte[][] datagrams)
    {
        Packet first = PlainFrames.Parsed(datagrams[0]);
        int transport = first.Transport, header = first.Payload;
        byte[] whole = [.. datagrams[0][..header], .. datagrams.SelectMany(frame => frame[header..])];
        IpHeader.SetLength(whole.AsSpan(14));
        BinaryPrimitives.WriteUInt16BigEndian(whole.AsSpan(transport + 4), (ushort)(whole.Length - transport));
        ulong pseudo = Checksum.PseudoHeader(first.Key.Source, first.Key.Destination, IpProtocol.Udp, whole.Length - transport);
        BinaryPrimitives.WriteUInt16BigEndian(whole.AsSpan(transport + 6), Checksum.Fold(pseudo));
        return (whole, new Offload
        {
            Checksum = ChecksumState.Partial,
            Gso = GsoKind.Udp,
            HeaderLength = (ushort)header,
            SegmentSize = (ushort)(datagrams[0].Length - header),
            ChecksumStart = (ushort)transport,
            ChecksumOffset = 6,
        });
    }

    /// <summary>The frame as a translator sends it on.</summary>
    private static byte[] Translated(byte[] frame, Address source, ushort port)
    {
        byte[] changed = [.. frame];
        source.Write(changed.AsSpan(26));
        BinaryPrimitives.WriteUInt16BigEndian(changed.AsSpan(34), port);
        IpHeader.FinishIPv4(changed.AsSpan(14));
        return changed;
    }

    /// <summary>What the stage sends by itself at that time.</summary>
    private static List<byte[]> Tick(Gateway gateway, long now)
    {
        gateway.Burst.Reset();
        gateway.Burst.Now = now;
        gateway.Stage.Tick(gateway.Burst);
        return [.. Enumerable.Range(0, gateway.Burst.Count).Select(i =>
        {
            ref readonly Packet packet = ref gateway.Burst.Packets[i];
            Assert.True(packet is { Own: true, Verdict: Verdict.Pass, Egress: 1 << Gateway.Outside });
            return packet.Bytes.ToArray();
        })];
    }
}

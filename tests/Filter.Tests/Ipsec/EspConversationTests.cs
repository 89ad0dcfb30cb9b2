using System.Buffers.Binary;
using System.Security.Cryptography;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

public sealed class EspConversationTests
{
    private static readonly Address s_client4 = Address.Parse("10.1.0.5");
    private static readonly Address s_server4 = Address.Parse("10.2.0.9");
    private static readonly Address s_client6 = Address.Parse("2001:db8:1::5");
    private static readonly Address s_server6 = Address.Parse("2001:db8:2::9");

    /// <summary>Transport, and tunnels of both families.</summary>
    public static TheoryData<string> Modes => ["transport", "tunnel4", "tunnel6"];

    [Theory]
    [MemberData(nameof(Modes))]
    public void Every_size_crosses_in_both_families_and_comes_out_as_it_went_in(string mode)
    {
        foreach (IpsecSuite suite in IpsecSuite.All.Where(static s => !s.IsAh).DistinctBy(static s => (s.BlockLength, s.IvLength, s.IcvLength)))
        {
            (Gateway left, Gateway right) = Gateway.Pair(Sa(mode, suite), mtu: 2000);
            using Gateway disposeLeft = left, disposeRight = right;
            for (int size = 0; size <= 1500; size += 50)
            {
                byte[][] frames =
                [
                    .. Enumerable.Range(size, 50).SelectMany(n => new[]
                    {
                        PlainFrames.Udp(s_client4, s_server4, n), PlainFrames.Udp(s_client6, s_server6, n, trafficClass: 0xb8),
                    }),
                ];
                List<byte[]> wire = [.. frames.Chunk(40).SelectMany(some => left.Send(some))];
                Assert.Equal(frames.Length, wire.Count);
                Assert.All(wire, frame => Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(frame).Key.Protocol));
                List<byte[]> inside = [.. wire.Chunk(40).SelectMany(some => right.Receive(some))];
                Assert.Equal(frames, inside);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void Every_size_from_1200_to_1500_crosses_an_Ethernet_or_is_answered_with_what_would_fit(string mode)
    {
        (Gateway left, Gateway right) = Gateway.Pair(Sa(mode));
        using Gateway disposeLeft = left, disposeRight = right;
        foreach ((Address from, Address to) in new[] { (s_client4, s_server4), (s_client6, s_server6) })
        {
            int header = from.IsIPv4 ? 28 : 48;
            for (int length = 1200; length <= 1500; length++)
            {
                byte[] frame = PlainFrames.Udp(from, to, length - header, dontFragment: true);
                (List<byte[]> wire, List<byte[]> back) = left.Send([frame], null);
                if (wire.Count == 0)
                {
                    // Told: and a packet of just that size passes, one byte more does not.
                    Assert.Equal([Verdict.Answered], left.Verdicts);
                    int told = MtuTold(Assert.Single(back), from, to, length);
                    Assert.InRange(told, 1280, length - 1);
                    Assert.Single(left.Send(PlainFrames.Udp(from, to, told - header, dontFragment: true)));
                    Assert.Empty(left.Send(PlainFrames.Udp(from, to, told + 1 - header, dontFragment: true)));
                    continue;
                }

                Assert.Empty(back);
                Packet outer = PlainFrames.Parsed(Assert.Single(wire));
                Assert.InRange(outer.Datagram.Length, length, 1500);
                Assert.Equal([frame], right.Receive(wire));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void IPv4_that_may_be_fragmented_is(string mode)
    {
        (Gateway left, Gateway right) = Gateway.Pair(Sa(mode));
        using Gateway disposeLeft = left, disposeRight = right;
        byte[] frame = PlainFrames.Udp(s_client4, s_server4, 1472);

        (List<byte[]> wire, List<byte[]> back) = left.Send([frame], null);

        Assert.Empty(back);
        Assert.Equal(2, wire.Count);
        Assert.All(wire, f => Assert.InRange(PlainFrames.Parsed(f).Datagram.Length, 60, 1500));
        if (mode == "transport")
        {
            Assert.Equal(PlainFrames.Datagram(frame), PlainFrames.Datagram(Assert.Single(right.Receive(Joined(wire)))));
        }
        else
        {
            // The pieces are inside: each is whole to the far gateway.
            Assert.Equal(PlainFrames.Datagram(frame), PlainFrames.Datagram(Joined(right.Receive(wire))));
        }
    }

    [Fact]
    public void IPv6_of_the_least_MTU_is_never_refused_but_fragmented_outside()
    {
        foreach (string mode in new[] { "transport", "tunnel4", "tunnel6" })
        {
            (Gateway left, Gateway right) = Gateway.Pair(Sa(mode), mtu: 1280);
            using Gateway disposeLeft = left, disposeRight = right;
            byte[] frame = PlainFrames.Udp(s_client6, s_server6, 1280 - 48);

            (List<byte[]> wire, List<byte[]> back) = left.Send([frame], null);

            Assert.Empty(back);
            Assert.Equal(2, wire.Count);
            Assert.Equal([frame], right.Receive(Joined(wire)));
            Assert.Equal(1280, MtuTold(
                Assert.Single(left.Send([PlainFrames.Udp(s_client6, s_server6, 1281 - 48)], null).Back), s_client6, s_server6, 1281));
        }
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void A_TCP_super_frame_is_cut_and_each_segment_is_whole(string mode)
    {
        (Gateway left, Gateway right) = Gateway.Pair(Sa(mode));
        using Gateway disposeLeft = left, disposeRight = right;
        foreach ((Address from, Address to) in new[] { (s_client4, s_server4), (s_client6, s_server6) })
        {
            byte[] options = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
            TcpFlags flags = TcpFlags.Ack | TcpFlags.Psh | TcpFlags.Fin | TcpFlags.Cwr;
            byte[] frame = PlainFrames.Tcp(from, to, 30_000, flags, options);
            int header = 14 + (from.IsIPv4 ? 20 : 40) + 32;

            List<byte[]> wire = left.Send([frame], _ => Partial(from.IsIPv4 ? GsoKind.TcpV4 : GsoKind.TcpV6, header - 32, 16, 1300)).Wire;
            List<byte[]> inside = right.Receive(wire);

            Assert.Equal(24, inside.Count);
            var payload = new List<byte>();
            for (int i = 0; i < inside.Count; i++)
            {
                Packet segment = PlainFrames.Parsed(inside[i]);
                Assert.Equal(ChecksumState.Valid, segment.Offload.Checksum);
                Assert.Equal(0xffff_ff00 + (uint)(1300 * i), segment.Sequence);
                Assert.Equal(i == 0, segment.TcpFlags.HasFlag(TcpFlags.Cwr));
                Assert.Equal(i == 23, segment.TcpFlags.HasFlag(TcpFlags.Fin));
                Assert.Equal(i == 23, segment.TcpFlags.HasFlag(TcpFlags.Psh));
                Assert.Equal(options, inside[i][(header - 12)..header]);
                if (from.IsIPv4)
                {
                    Assert.Equal(0x1234 + i, BinaryPrimitives.ReadUInt16BigEndian(inside[i].AsSpan(18)));
                }

                payload.AddRange(inside[i][header..]);
            }

            Assert.Equal(frame[header..], payload);
        }
    }

    [Fact]
    public void A_UDP_super_frame_becomes_datagrams()
    {
        (Gateway left, Gateway right) = Gateway.Pair(Sa("tunnel4"));
        using Gateway disposeLeft = left, disposeRight = right;
        byte[] frame = PlainFrames.Udp(s_client6, s_server6, 5000);

        List<byte[]> inside = right.Receive(left.Send([frame], _ => Partial(GsoKind.Udp, 54, 6, 1200)).Wire);

        Assert.Equal([1200, 1200, 1200, 1200, 200], inside.Select(f => f.Length - 62));
        Assert.All(inside, f => Assert.Equal(ChecksumState.Valid, PlainFrames.Parsed(f).Offload.Checksum));
        Assert.Equal(frame[62..], inside.SelectMany(f => f[62..]));
    }

    [Fact]
    public void A_super_frame_whose_segments_do_not_fit_is_answered_once()
    {
        (Gateway left, _) = Gateway.Pair(Sa("tunnel4"));
        using Gateway disposeLeft = left;
        byte[] frame = PlainFrames.Tcp(s_client4, s_server4, 30_000, TcpFlags.Ack);

        (List<byte[]> wire, List<byte[]> back) = left.Send([frame], _ => Partial(GsoKind.TcpV4, 34, 16, 1460));

        Assert.Empty(wire);
        Assert.Equal(1438, MtuTold(Assert.Single(back), s_client4, s_server4, 1500));
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void A_checksum_left_to_the_NIC_is_finished_before_sealing(string mode)
    {
        (Gateway left, Gateway right) = Gateway.Pair(Sa(mode));
        using Gateway disposeLeft = left, disposeRight = right;
        byte[] good = PlainFrames.Tcp(s_client6, s_server6, 100, TcpFlags.Ack);
        byte[] partial = [.. good];
        ushort pseudo = Checksum.Fold(Checksum.PseudoHeader(s_client6, s_server6, 6, 120));
        BinaryPrimitives.WriteUInt16BigEndian(partial.AsSpan(54 + 16), pseudo);

        List<byte[]> wire = left.Send([partial], _ => Partial(GsoKind.None, 54, 16, 0)).Wire;

        Assert.Equal([good], right.Receive(wire));
    }

    [Fact]
    public void What_stands_on_the_wire_is_ESP_as_RFC_4303_draws_it()
    {
        SaConfig sa = Sa("tunnel4", IpsecSuite.AesCbc256HmacSha256);
        (Gateway left, _) = Gateway.Pair(sa);
        using Gateway disposeLeft = left;
        byte[] frame = PlainFrames.Udp(s_client6, s_server6, 33, trafficClass: 0xba);

        byte[] first = Assert.Single(left.Send(frame));
        byte[] second = Assert.Single(left.Send(frame));

        ReadOnlySpan<byte> ip = first.AsSpan(14);
        Assert.Equal(0x45, ip[0]);
        Assert.Equal(0xba, ip[1]);
        Assert.Equal(64, ip[8]);
        Assert.Equal(50, ip[9]);
        Assert.Equal("C0000201C6336401", Convert.ToHexString(ip[12..20]));
        ReadOnlySpan<byte> esp = ip[20..];
        Assert.Equal("0000100100000001", Convert.ToHexString(esp[..8]));
        Assert.Equal("0000100100000002", Convert.ToHexString(second.AsSpan(34, 8)));
        Assert.NotEqual(Convert.ToHexString(first.AsSpan(42, 16)), Convert.ToHexString(second.AsSpan(42, 16)));

        Assert.Equal(
            HMACSHA256.HashData(sa.Out.IntegrityKey.Reveal(), esp[..^16])[..16], esp[^16..].ToArray());
        using var aes = Aes.Create();
        aes.Key = sa.Out.EncryptionKey.Reveal().ToArray();
        byte[] text = aes.DecryptCbc(esp[24..^16], esp[8..24], PaddingMode.None);
        Assert.Equal(frame[14..], text[..81]);
        Assert.Equal("0102030405060708090A0B0C0D0D29", Convert.ToHexString(text.AsSpan(81)));
    }

    [Fact]
    public void ESP_stands_behind_options_and_routing_and_before_destination_options()
    {
        // RFC 4303 §3.1.1: hop-by-hop and routing stay outside, destination options for the end go inside.
        byte[] chain =
        [
            43, 0, 1, 4, 0, 0, 0, 0,                // hop-by-hop
            60, 0, 4, 0, 0, 0, 0, 0,                // routing, type 4, no segments left
            17, 0, 1, 4, 0, 0, 0, 0,                // destination options
        ];
        (Gateway left, Gateway right) = Gateway.Pair(Sa("transport"));
        using Gateway disposeLeft = left, disposeRight = right;
        byte[] six = PlainFrames.Udp(s_client6, s_server6, 20, chain: chain, firstNext: 0);
        byte[] four = PlainFrames.Ip(s_client4, s_server4, 99, new byte[30], dontFragment: true, 0, options: [148, 4, 0, 0]);

        List<byte[]> wire = left.Send(six, four);

        Assert.Equal(54 + 16, PlainFrames.Parsed(wire[0]).Transport);
        Assert.Equal([0, 43, 50], [wire[0][20], wire[0][54], wire[0][62]]);
        Assert.Equal(14 + 24, PlainFrames.Parsed(wire[1]).Transport);
        Assert.Equal([six, four], right.Receive(wire));
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void VLAN_tags_stay_where_they_are(string mode)
    {
        (Gateway left, Gateway right) = Gateway.Pair(Sa(mode));
        using Gateway disposeLeft = left, disposeRight = right;
        byte[] plain = PlainFrames.Udp(s_client6, s_server6, 20);
        byte[] tagged = [.. plain[..12], 0x81, 0x00, 0x20, 0x0a, .. plain[12..]];

        byte[] wire = Assert.Single(left.Send(tagged));

        Assert.Equal(tagged[..16], wire[..16]);
        Assert.Equal([tagged], right.Receive(wire));
    }

    [Theory]
    [InlineData(0b10, 0b11, 0b11)]
    [InlineData(0b01, 0b11, 0b11)]
    [InlineData(0b10, 0b01, 0b01)]
    [InlineData(0b01, 0b10, 0b01)]
    [InlineData(0b11, 0b10, 0b11)]
    [InlineData(0b00, 0b10, 0b00)]
    [InlineData(0b10, 0b00, 0b10)]
    [InlineData(0b00, 0b11, -1)]
    public void Congestion_marked_on_the_way_reaches_the_inside(int inner, int outer, int expected)
    {
        foreach ((Address from, Address to) in new[] { (s_client4, s_server4), (s_client6, s_server6) })
        {
            (Gateway left, Gateway right) = Gateway.Pair(Sa("tunnel4"));
            using Gateway disposeLeft = left, disposeRight = right;
            byte[] wire = Assert.Single(left.Send(PlainFrames.Udp(from, to, 100, trafficClass: (byte)(0x28 | inner))));
            Assert.Equal(0x28 | inner, wire[15]);
            wire[15] = (byte)(0x28 | outer);
            IpHeader.FinishIPv4(wire.AsSpan(14));

            List<byte[]> inside = right.Receive(wire);

            if (expected < 0)
            {
                Assert.Equal([DropReason.BadEcn], right.Ended);
            }
            else
            {
                Assert.Equal(0x28 | expected, PlainFrames.Parsed(Assert.Single(inside)).TrafficClass);
            }
        }
    }

    [Fact]
    public void A_tunnel_names_its_next_hops()
    {
        (Gateway left, Gateway right) = Gateway.Pair(Sa("tunnel6"));
        using Gateway disposeLeft = left, disposeRight = right;

        List<byte[]> wire = left.Send(PlainFrames.Udp(s_client4, s_server4, 20));
        Assert.True(left.Burst.Packets[0].NeedsNextHop);
        Assert.Equal(Address.Parse("2001:db8:ffff::2"), left.Burst.Packets[0].NextHop);

        right.Receive(wire);
        Assert.True(right.Burst.Packets[0].NeedsNextHop);
        Assert.Equal(s_server4, right.Burst.Packets[0].NextHop);
        Assert.Equal((ushort)1, right.Burst.Packets[0].ArrivedBy);
        Assert.Equal(IpsecAction.Opened, right.Burst.Packets[0].Ipsec);
    }

    [Fact]
    public void MSS_is_lowered_to_what_fits_both_ways_at_even_and_odd_places()
    {
        foreach (byte[] options in new byte[][] { [2, 4, 5, 0xb4], [1, 2, 4, 5, 0xb4, 1, 1, 0] })
        {
            foreach ((Address from, Address to) in new[] { (s_client4, s_server4), (s_client6, s_server6) })
            {
                // The left clamps what it seals; the right, unclamped outwards, clamps what it opened.
                SaConfig still = Sa("tunnel4"), clamping = still with { Settings = still.Settings with { ClampMss = true } };
                (Gateway one, Gateway other) = Gateway.Pair(clamping);
                (Gateway plain, _) = Gateway.Pair(still);
                using Gateway a = one, b = other, c = plain;
                byte[] syn = PlainFrames.Tcp(from, to, 0, TcpFlags.Syn, options);
                foreach (Gateway sender in new[] { one, plain })
                {
                    byte[] inside = Assert.Single(other.Receive(sender.Send(syn)));
                    Packet packet = PlainFrames.Parsed(inside);
                    Assert.Equal(ChecksumState.Valid, packet.Offload.Checksum);
                    int at = packet.Transport + 20 + (options[0] == 1 ? 3 : 2);
                    Assert.Equal(1438 - (from.IsIPv4 ? 40 : 60), BinaryPrimitives.ReadUInt16BigEndian(inside.AsSpan(at)));
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void A_burst_of_any_mix_allocates_nothing(string mode)
    {
        (Gateway left, Gateway right) = Gateway.Pair(Sa(mode));
        using Gateway disposeLeft = left, disposeRight = right;
        byte[][] frames = [.. Enumerable.Range(0, 32).Select(i => i % 2 == 0 ? PlainFrames.Udp(s_client4, s_server4, i * 40) : PlainFrames.Udp(s_client6, s_server6, i * 40))];
        byte[][] wire = [.. left.Send(frames, null).Wire];
        long least = long.MaxValue;
        for (int round = 0; round < 60; round++)
        {
            right.Receive(wire);
            right.Burst.Reset();
            foreach (byte[] frame in wire)
            {
                Assert.True(right.Burst.TryAppend(frame.Length, out int index));
                right.Burst.Packets[index].Length = frame.Length;
                right.Burst.Packets[index].Ingress = Gateway.Outside;
                frame.CopyTo(right.Burst.Packets[index].Bytes);
                Parser.Parse(ref right.Burst.Packets[index]);
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            int opened = right.Stage.Open(right.Burst, 0);
            for (int i = 0; i < right.Burst.Count; i++)
            {
                ref Packet packet = ref right.Burst.Packets[i];
                Parser.Parse(ref packet);
                Assert.True(right.Stage.Fits(ref packet));
                packet.Verdict = Verdict.Pass;
                packet.Ipsec = IpsecAction.Protect;
                packet.Policy = 1;
                packet.Egress = 1 << Gateway.Outside;
            }

            right.Stage.Protect(right.Burst);
            least = round < 30 ? least : Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            Assert.Equal(wire.Length, opened);
        }

        Assert.Equal(0, least);             // a collection may add to any one round; see Allocations
    }

    private static SaConfig Sa(string mode, IpsecSuite? suite = null) => mode switch
    {
        "transport" => Gateway.Sa(IpsecMode.Transport, suite: suite),
        "tunnel4" => Gateway.Sa(IpsecMode.Tunnel, "192.0.2.1", "198.51.100.1", suite),
        _ => Gateway.Sa(IpsecMode.Tunnel, "2001:db8:ffff::1", "2001:db8:ffff::2", suite),
    };

    private static Offload Partial(GsoKind gso, int start, int offset, int size) => new()
    {
        Checksum = ChecksumState.Partial,
        Gso = gso,
        ChecksumStart = (ushort)start,
        ChecksumOffset = (ushort)offset,
        SegmentSize = (ushort)size,
    };

    /// <summary>What an ICMP error says, once all of it is as it should be.</summary>
    private static int MtuTold(byte[] frame, Address sender, Address receiver, int quotedLength)
    {
        Packet error = PlainFrames.Parsed(frame);
        Assert.Equal("020000000001020000000002", Convert.ToHexStringLower(frame.AsSpan(0, 12)));
        Assert.Equal((receiver, sender), (error.Key.Source, error.Key.Destination));
        Assert.True(Parser.TryReadQuote(error, out FlowKey quoted));
        Assert.Equal((sender, receiver), (quoted.Source, quoted.Destination));
        Span<byte> icmp = error.Segment;
        if (sender.IsIPv4)
        {
            Assert.Equal([3, 4], icmp[..2].ToArray());
            Assert.Equal(quotedLength, BinaryPrimitives.ReadUInt16BigEndian(icmp[10..]));
            Assert.InRange(error.Datagram.Length, 56, 576);
            return BinaryPrimitives.ReadUInt16BigEndian(icmp[6..]);
        }

        Assert.Equal([2, 0], icmp[..2].ToArray());
        Assert.Equal(quotedLength - 40, BinaryPrimitives.ReadUInt16BigEndian(icmp[12..]));
        Assert.InRange(error.Datagram.Length, 96, 1280);
        return (int)BinaryPrimitives.ReadUInt32BigEndian(icmp[4..]);
    }

    /// <summary>The whole of which the frames are fragments.</summary>
    private static byte[] Joined(List<byte[]> fragments)
    {
        Packet[] parts = [.. fragments.Select(PlainFrames.Parsed).OrderBy(p => p.FragmentOffset)];
        Packet first = parts[0];
        Assert.Equal(0, first.FragmentOffset);
        var frame = new List<byte>(first.Slab[..first.Network]);
        int header = first.FragmentHeader == 0 ? first.Transport - first.Network : first.FragmentHeader - first.Network;
        frame.AddRange(first.Datagram[..header]);
        int at = 0;
        foreach (Packet part in parts)
        {
            Assert.Equal(at, part.FragmentOffset);
            Assert.Equal(part.FragmentOffset != parts[^1].FragmentOffset, part.MoreFragments);
            Assert.Equal(first.FragmentId, part.FragmentId);
            frame.AddRange(part.Segment);
            at += part.Segment.Length;
        }

        byte[] whole = [.. frame];
        Span<byte> ip = whole.AsSpan(first.Network);
        if (first.IsIPv4)
        {
            ip[6] &= 0x40;
            ip[7] = 0;
        }
        else
        {
            ip[IpHeader.NextHeaderField(first.Datagram, header)] = first.Slab[first.FragmentHeader];
        }

        IpHeader.SetLength(ip);
        return whole;
    }
}

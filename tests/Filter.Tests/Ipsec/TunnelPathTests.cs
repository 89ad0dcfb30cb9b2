using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

/// <summary>What a tunnel's outer header says, and what it learns of its path.</summary>
public sealed class TunnelPathTests
{
    private static readonly Address s_client4 = Address.Parse("10.1.0.5"), s_server4 = Address.Parse("10.2.0.9");
    private static readonly Address s_client6 = Address.Parse("2001:db8:a::5"), s_server6 = Address.Parse("2001:db8:b::9");
    private static readonly SaConfig s_over4 = Gateway.Sa(IpsecMode.Tunnel, "192.0.2.1", "198.51.100.1");
    private static readonly SaConfig s_over6 = Gateway.Sa(IpsecMode.Tunnel, "2001:db8:ffff::1", "2001:db8:ffff::2");
    private static readonly Address s_router4 = Address.Parse("203.0.113.9"), s_router6 = Address.Parse("2001:db8:eeee::9");

    // ---- hops

    [Fact]
    public void A_tunnel_is_one_hop_for_machines_and_none_for_the_box_itself()
    {
        using Gateway machines = Sealing(s_over4, behindMachines: true), box = Sealing(s_over4), far = Opening(s_over4);
        foreach (byte[] frame in (byte[][])[Udp(s_client4, s_server4), Udp(s_client6, s_server6)])
        {
            byte before = IpHeader.HopLimit(frame.AsSpan(14));
            Assert.Equal(before - 1, IpHeader.HopLimit(far.Receive(machines.Send(frame))[0].AsSpan(14)));
            Assert.Equal(before, IpHeader.HopLimit(far.Receive(box.Send(frame))[0].AsSpan(14)));
        }
    }

    [Fact]
    public void What_has_no_hop_left_is_answered_and_does_not_enter_the_tunnel()
    {
        using Gateway gateway = Sealing(s_over4, behindMachines: true);
        foreach (byte[] frame in (byte[][])[Hops(Udp(s_client4, s_server4), 1), Hops(Udp(s_client6, s_server6), 1)])
        {
            (List<byte[]> wire, List<byte[]> back) = gateway.Send([frame], null);

            Assert.Empty(wire);
            Packet error = PlainFrames.Parsed(Assert.Single(back));
            Assert.Equal(error.IsIPv4 ? (11, 0) : (3, 0), (error.IcmpType, error.IcmpCode));
            Assert.Equal([DropReason.HopLimit], gateway.Ended);
        }
    }

    // ---- the outer header

    [Theory]
    [InlineData(DontFragmentBit.Copy, true, true)]
    [InlineData(DontFragmentBit.Copy, false, false)]
    [InlineData(DontFragmentBit.Set, false, true)]
    [InlineData(DontFragmentBit.Clear, true, false)]
    public void DF_is_copied_set_or_cleared(DontFragmentBit said, bool inner, bool outer)
    {
        using Gateway gateway = Sealing(With(s_over4, OuterHeader.Default with { DontFragment = said }));

        byte[] wire = Assert.Single(gateway.Send(PlainFrames.Udp(s_client4, s_server4, 30, dontFragment: inner)));

        Assert.Equal(outer, (wire[20] & 0x40) != 0);
    }

    [Fact]
    public void What_is_IPv6_inside_goes_with_DF_unless_that_is_cleared()
    {
        using Gateway copying = Sealing(s_over4), clearing = Sealing(With(s_over4, OuterHeader.Default with { DontFragment = DontFragmentBit.Clear }));

        Assert.NotEqual(0, copying.Send(Udp(s_client6, s_server6))[0][20] & 0x40);
        Assert.Equal(0, clearing.Send(Udp(s_client6, s_server6))[0][20] & 0x40);
    }

    [Theory]
    [InlineData(null, true, 0xb9, 0xb9)]
    [InlineData((byte)10, true, 0xb9, (10 << 2) | 1)]
    [InlineData(null, false, 0xb9, 0xb8)]
    [InlineData((byte)0, false, 0xbb, 0)]
    public void DSCP_and_ECN_are_as_the_SA_says_in_both_families(byte? dscp, bool ecn, int inner, int outer)
    {
        OuterHeader made = OuterHeader.Default with { Dscp = dscp, CopyEcn = ecn, HopLimit = 33 };
        foreach (SaConfig sa in (SaConfig[])[s_over4, s_over6])
        {
            using Gateway gateway = Sealing(With(sa, made));
            foreach ((Address from, Address to) in ((Address, Address)[])[(s_client4, s_server4), (s_client6, s_server6)])
            {
                byte[] wire = Assert.Single(gateway.Send(PlainFrames.Udp(from, to, 30, trafficClass: (byte)inner)));

                Assert.Equal(outer, IpHeader.TrafficClass(wire.AsSpan(14)));
                Assert.Equal(33, IpHeader.HopLimit(wire.AsSpan(14)));
            }
        }
    }

    // ---- the path's MTU

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_path_that_takes_less_is_learnt_and_told_to_the_sender_so_that_no_size_vanishes(bool over4)
    {
        SaConfig sa = over4 ? s_over4 : s_over6;
        using Gateway left = Sealing(sa), right = Opening(sa);
        byte[] large = PlainFrames.Udp(s_client4, s_server4, 1300, dontFragment: true);
        byte[] wire = Assert.Single(left.Send(large));

        Assert.True(Learns(left, TooBig(wire, 1300, over4)));
        (List<byte[]> sent, List<byte[]> back) = left.Send([large], null);
        Assert.Empty(sent);
        Packet told = PlainFrames.Parsed(Assert.Single(back));
        Assert.Equal((3, 4), (told.IcmpType, told.IcmpCode));
        int fits = BinaryPrimitives.ReadUInt16BigEndian(back[0].AsSpan(14 + 20 + 6));

        // What was told fits exactly, one byte more does not, in either family; what may be cut is.
        Assert.True(left.Send(PlainFrames.Udp(s_client4, s_server4, fits - 28, dontFragment: true))[0].Length - 14 <= 1300);
        Assert.Empty(left.Send(PlainFrames.Udp(s_client4, s_server4, fits - 27, dontFragment: true)));
        List<byte[]> pieces = left.Send(PlainFrames.Udp(s_client4, s_server4, 1400));
        Assert.Equal(2, pieces.Count);
        Assert.All(pieces, static piece => Assert.True(piece.Length - 14 <= 1300));
        List<byte[]> least = left.Send(PlainFrames.Udp(s_client6, s_server6, 1280 - 48));
        Assert.Equal(2, least.Count);                           // RFC 8200 §5: 1,280 must pass, so the outer packet is cut
        Assert.All(least, static piece => Assert.True(piece.Length - 14 <= 1300));

        // Ten minutes later the path may have become better.
        left.Burst.Now += 601_000_000_000;
        Assert.Single(left.Send(large));
    }

    [Fact]
    public void A_router_that_does_not_say_its_MTU_means_the_next_lower_step()
    {
        using Gateway left = Sealing(s_over4);
        byte[] wire = Assert.Single(left.Send(PlainFrames.Udp(s_client4, s_server4, 1300, dontFragment: true)));

        Assert.True(Learns(left, TooBig(wire, 0, over4: true)));

        Assert.Equal(1006, left.Outbound.PathMtu);
    }

    [Theory]
    [InlineData("spi")]
    [InlineData("source")]
    [InlineData("destination")]
    [InlineData("sequence")]
    [InlineData("before the first")]
    [InlineData("receiver")]
    [InlineData("it would pass")]
    [InlineData("longer than any")]
    [InlineData("other type")]
    public void An_error_that_quotes_nothing_we_sent_changes_nothing(string wrong)
    {
        using Gateway left = Sealing(s_over4);
        byte[] wire = Assert.Single(left.Send(PlainFrames.Udp(s_client4, s_server4, 1300, dontFragment: true)));
        byte[] error = TooBig(wire, 1300, over4: true);
        int quote = 14 + 28;
        switch (wrong)
        {
            case "spi": error[quote + 20]++; break;
            case "source": error[quote + 15]++; break;
            case "destination": error[quote + 19]++; break;
            case "sequence": error[quote + 27] += 2; break;
            case "before the first": error[quote + 27] = 0; break;
            case "receiver": error[14 + 19]++; break;
            case "it would pass": error[14 + 20 + 6] = (byte)((wire.Length - 14) >> 8); error[14 + 20 + 7] = (byte)(wire.Length - 14); break;
            case "longer than any": error[quote + 2] = 1501 >> 8; error[quote + 3] = 1501 & 0xff; break;
            default: error[14 + 21] = 13; break;
        }

        Finish(error, over4: true);

        Assert.False(Learns(left, error));
        Assert.Equal(int.MaxValue, left.Outbound.PathMtu);
    }

    [Fact]
    public void No_error_makes_a_path_smaller_than_any_path_is_or_larger_again()
    {
        using Gateway left = Sealing(s_over4), six = Sealing(s_over6);
        byte[] wire = Assert.Single(left.Send(PlainFrames.Udp(s_client4, s_server4, 1300, dontFragment: true)));
        byte[] wire6 = Assert.Single(six.Send(PlainFrames.Udp(s_client4, s_server4, 1300, dontFragment: true)));

        Assert.True(Learns(left, TooBig(wire, 100, over4: true)));
        Assert.True(Learns(left, TooBig(wire, 1400, over4: true)));
        Assert.True(Learns(six, TooBig(wire6, 1280, over4: false)));

        Assert.Equal((552, 1280), (left.Outbound.PathMtu, six.Outbound.PathMtu));
    }

    [Fact]
    public void What_is_sealed_whole_is_cut_outside()
    {
        SaConfig whole = s_over4 with { Settings = s_over4.Settings with { FragmentAfterSealing = true } };
        using Gateway left = Sealing(whole);

        List<byte[]> pieces = left.Send(PlainFrames.Udp(s_client4, s_server4, 1472));

        Assert.Equal(2, pieces.Count);
        Assert.All(pieces, static piece => Assert.Equal(50, piece[23]));
        Assert.NotEqual(0, pieces[0][20] & 0x20);               // more fragments: one ESP packet in two pieces
        Assert.Equal(1UL, left.Outbound.Counter);
    }

    // ---- traffic flow confidentiality

    [Fact]
    public void Short_packets_seem_as_long_as_others_and_come_out_as_they_went_in()
    {
        SaConfig padded = s_over4 with { Settings = s_over4.Settings with { Padding = new TrafficPadding(1000, 0) } };
        using Gateway left = Sealing(padded), right = Opening(s_over4);
        byte[][] frames = [Udp(s_client4, s_server4), PlainFrames.Udp(s_client4, s_server4, 700), PlainFrames.Udp(s_client6, s_server6, 1), PlainFrames.Udp(s_client4, s_server4, 1200)];

        List<byte[]> wire = left.Send(frames);

        Assert.Equal(4, wire.Count);
        Assert.Equal(2, wire.Select(static w => w.Length).Distinct().Count());
        Assert.Equal(frames.Select(PlainFrames.Datagram), right.Receive(wire).Select(PlainFrames.Datagram));      // none overtakes another

        Assert.Equal(frames.Sum(static f => f.Length - 14), left.Outbound.Statistics.Bytes);
    }

    [Fact]
    public void Silence_is_filled_with_dummies_that_the_far_end_consumes()
    {
        SaConfig filled = s_over4 with { Settings = s_over4.Settings with { Padding = new TrafficPadding(600, 5_000_000_000) } };
        using Gateway left = Sealing(filled), right = Opening(s_over4);
        byte[] real = left.Send(PlainFrames.Udp(s_client4, s_server4, 500))[0];

        Assert.Empty(Ticked(left, 4_000_000_000));
        byte[] dummy = Assert.Single(Ticked(left, 2_000_000_000));
        Assert.Empty(Ticked(left, 4_000_000_000));

        Assert.Equal(real.Length, dummy.Length);
        Assert.Empty(right.Receive(dummy));
        Assert.Equal([Verdict.Consumed], right.Verdicts);
        Assert.Equal(1, right.Inbound.Statistics.Dummies);
        Assert.Single(right.Receive(real));
    }

    private static List<byte[]> Ticked(Gateway gateway, long later)
    {
        gateway.Burst.Reset();
        gateway.Burst.Now += later;
        gateway.Stage.Tick(gateway.Burst);
        List<byte[]> sent = [];
        for (int i = 0; i < gateway.Burst.Count; i++)
        {
            Assert.Equal((Verdict.Pass, 1 << Gateway.Outside), (gateway.Burst.Packets[i].Verdict, gateway.Burst.Packets[i].Egress));
            sent.Add(gateway.Burst.Packets[i].Bytes.ToArray());
        }

        return sent;
    }

    private static Gateway Sealing(SaConfig sa, bool behindMachines = false) =>
        new(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, sa)], sa), behindMachines: behindMachines);

    private static Gateway Opening(SaConfig sa)
    {
        SaConfig mirror = Gateway.Mirror(sa);
        return new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, mirror)], mirror));
    }

    private static SaConfig With(SaConfig sa, OuterHeader outer) => sa with { Settings = sa.Settings with { Outer = outer } };

    private static byte[] Udp(Address from, Address to) => PlainFrames.Udp(from, to, 30);

    private static byte[] Hops(byte[] frame, byte left)
    {
        bool isIPv4 = frame[14] >> 4 == 4;
        frame[isIPv4 ? 22 : 21] = left;
        if (isIPv4)
        {
            IpHeader.FinishIPv4(frame.AsSpan(14));
        }

        return frame;
    }

    /// <summary>What a router on the path says of a sealed packet.</summary>
    private static byte[] TooBig(byte[] wire, int mtu, bool over4)
    {
        byte[] quoted = wire[14..Math.Min(wire.Length, 14 + 500)];
        byte[] icmp = [(byte)(over4 ? 3 : 2), (byte)(over4 ? 4 : 0), 0, 0, 0, 0, (byte)(mtu >> 8), (byte)mtu, .. quoted];
        Address to = IpHeader.Source(wire.AsSpan(14));
        byte[] frame = PlainFrames.Ip(over4 ? s_router4 : s_router6, to, over4 ? (byte)1 : (byte)58, icmp, dontFragment: false, 0);
        Finish(frame, over4);
        return frame;
    }

    private static void Finish(byte[] frame, bool over4)
    {
        Span<byte> ip = frame.AsSpan(14), icmp = ip[(over4 ? 20 : 40)..];
        if (over4)
        {
            IpHeader.FinishIPv4(ip);
        }

        icmp[2..4].Clear();
        ulong pseudo = over4 ? 0 : Checksum.PseudoHeader(IpHeader.Source(ip), IpHeader.Destination(ip), 58, icmp.Length);
        BinaryPrimitives.WriteUInt16BigEndian(icmp[2..], Checksum.Finish(Checksum.Sum(icmp, pseudo)));
    }

    private static bool Learns(Gateway gateway, byte[] error)
    {
        Packet packet = PlainFrames.Parsed(error);
        packet.Ingress = Gateway.Outside;
        Assert.Equal(PacketKind.IcmpError, packet.Kind);
        bool learns = gateway.Stage.Learns(ref packet, gateway.Burst.Now);
        Assert.Equal(learns, packet.Done);
        return learns;
    }
}

using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

/// <summary>Pieces of packets through tunnels, the three ways of RFC 4301 §7.</summary>
public sealed class FragmentWaysTests
{
    private const ulong LeftMac = 0x0200_0000_0101, RightMac = 0x0200_0000_0102;
    private const string AnyPort = "- { protect: all, local: 10.OWN.0.0/16, remote: 10.PEER.0.0/16, sa: one }\n";
    private const string LeftFlow = "- { protect: flow, local: 10.1.0.0/16, remote: 10.2.0.0/16, service: udp, local-port: 4000, sa: one }\n";
    private const string RightFlow = "- { protect: flow, local: 10.2.0.0/16, remote: 10.1.0.0/16, service: udp/4000, sa: one }\n";
    private const string Pieces = "- { protect: pieces, local: 10.OWN.0.0/16, remote: 10.PEER.0.0/16, service: udp/opaque, sa: two }\n";

    private static readonly Address s_client = Address.Parse("10.1.0.5");
    private static readonly Address s_server = Address.Parse("10.2.0.1");

    [Fact]
    public void Way_1_a_policy_of_any_port_carries_all_pieces_by_its_SA()
    {
        using Site left = Left(AnyPort), right = Right(AnyPort);
        byte[][] pieces = Datagram(4000);

        byte[][] wire = Sealed(left, pieces);
        Assert.Equal([0x1001u, 0x1001u, 0x1001u], wire.Select(Spi));
        Assert.Equal(pieces.Select(Inner), Opened(right, wire));
    }

    [Fact]
    public void Way_3_pieces_go_by_the_SA_of_their_packet_whose_ports_only_the_first_shows()
    {
        using Site left = Left(LeftFlow), right = Right(RightFlow);
        byte[][] pieces = Datagram(4000);

        byte[][] wire = Sealed(left, pieces);
        Assert.Equal([0x1001u, 0x1001u, 0x1001u], wire.Select(Spi));
        Assert.Equal(pieces.Select(Inner), Opened(right, wire));
        Assert.Empty(Sealed(left, Datagram(4001)));
    }

    [Fact]
    public void Way_2_pieces_without_ports_go_by_an_SA_of_their_own()
    {
        using Site left = Left(LeftFlow + Pieces), right = Right(RightFlow + Pieces);
        byte[][] pieces = Datagram(4000);

        byte[][] wire = Sealed(left, pieces);
        Assert.Equal([0x1001u, 0x2001u, 0x2001u], wire.Select(Spi));
        Assert.Equal(pieces.Select(Inner), Opened(right, wire));

        // In whichever order they come.
        pieces = Datagram(4000, identification: 78);
        Assert.Equal(3, Opened(right, [.. Sealed(left, pieces).Reverse()]).Length);
        Assert.Equal(0, right.Path.HeldNow);
    }

    [Fact]
    public void What_Filter_cuts_itself_to_fit_the_tunnel_goes_the_same_way()
    {
        using Site left = Left(LeftFlow + Pieces), right = Right(RightFlow + Pieces);

        byte[][] wire = Sealed(left, [Whole(4000, 1460)]);

        Assert.Equal([0x1001u, 0x2001u], wire.Select(Spi));
        Assert.Equal(2, Opened(right, wire).Length);
    }

    [Fact]
    public void A_peer_that_lets_pieces_go_with_their_packet_is_understood()
    {
        using Site left = Left(LeftFlow), right = Right(RightFlow + Pieces);

        Assert.Equal(3, Opened(right, Sealed(left, Datagram(4000))).Length);
    }

    [Fact]
    public void A_first_piece_by_the_SA_for_those_without_ports_is_refused_with_all_others()
    {
        using Site left = Left(LeftFlow.Replace("sa: one", "sa: two", StringComparison.Ordinal)), right = Right(RightFlow + Pieces);

        byte[][] wire = Sealed(left, Datagram(4000));
        Assert.Equal([0x2001u, 0x2001u, 0x2001u], wire.Select(Spi));
        Assert.Empty(Opened(right, wire));
        Assert.True(right.Path.Counters[DropReason.WrongSelectors] > 0);
        Assert.Equal(0, right.Path.HeldNow);
    }

    [Fact]
    public void A_piece_by_the_SA_of_another_policy_is_not_put_to_the_others()
    {
        const string Others = "- { protect: others, local: 10.OWN.0.0/16, remote: 10.PEER.0.0/16, service: tcp/80, sa: three }\n";
        using Site left = Left(LeftFlow + Pieces), stranger = Left(LeftFlow.Replace("sa: one", "sa: three", StringComparison.Ordinal)), right = Right(RightFlow + Pieces + Others);
        byte[][] pieces = Datagram(4000);

        Assert.Empty(Opened(right, Sealed(left, pieces)[0]));
        Assert.Empty(Opened(right, Sealed(stranger, pieces)[1..]));
        Assert.Equal(0, right.Path.Flows.Count);
    }

    [Fact]
    public void A_piece_of_others_than_its_SA_carries_is_refused_and_leaves_their_datagram_alone()
    {
        // Two far ends under one policy; the SA of the second is for another host than the first's.
        Address theirs = Address.Parse("10.1.0.6");
        var settings = new SaSettings
        {
            Mode = IpsecMode.Tunnel, Local = Address.Parse("192.0.2.1"), Remote = Address.Parse("192.0.2.2"), Suite = IpsecSuite.AesCbc128HmacSha256,
        };
        var forOne = new SaSelectors(AddressRange.Everything, new AddressRange(theirs, theirs), null, PortRange.All, PortRange.All);
        using Site left = Left(AnyPort), stranger = Left(AnyPort), right = Right(AnyPort);
        Assert.Null(stranger.Stage.Add(new OutboundSa("out", settings, 0x5001, Key()), "all"));
        Assert.Null(right.Stage.Add(new InboundSa("in", settings with { Local = settings.Remote, Remote = settings.Local }, 0x5001, Key(), forOne), "all"));
        byte[][] pieces = Datagram(4000), wire = Sealed(left, pieces), forged = Sealed(stranger, pieces);
        Assert.Equal([0x5001u, 0x5001u, 0x5001u], forged.Select(Spi));

        Assert.Empty(Opened(right, wire[0]));
        Assert.Empty(Opened(right, forged[1..]));
        Assert.Equal(2, right.Path.Counters[DropReason.WrongSelectors]);
        Assert.Equal(pieces.Select(Inner), Opened(right, wire[1..]));
    }

    [Fact]
    public void A_number_that_another_SA_has_by_now_vouches_for_no_piece_of_the_one_before()
    {
        var settings = new SaSettings
        {
            Mode = IpsecMode.Tunnel, Local = Address.Parse("192.0.2.1"), Remote = Address.Parse("192.0.2.2"), Suite = IpsecSuite.AesCbc128HmacSha256,
        };
        SaSettings back = settings with { Local = settings.Remote, Remote = settings.Local };
        using Site left = Left(AnyPort), before = Left(AnyPort), right = Right(AnyPort);
        Assert.Null(before.Stage.Add(new OutboundSa("out", settings, 0x5001, Key()), "all"));
        var old = new InboundSa("old", back, 0x5001, Key());
        Assert.Null(right.Stage.Add(old, "all"));
        byte[][] pieces = Datagram(4000);
        int number = old.Number;

        Assert.Empty(Opened(right, Sealed(before, pieces)[0]));
        Assert.True(right.Stage.Remove(old));
        var fresh = new InboundSa("fresh", back, 0x5002, Key());
        Assert.Null(right.Stage.Add(fresh, "all"));
        Assert.Equal(number, fresh.Number);

        Assert.Empty(Opened(right, Sealed(left, pieces)[1..]));
        Assert.Equal(3, right.Path.Counters[DropReason.WrongSelectors]);
        Assert.Equal(0, right.Path.HeldNow);
    }

    [Fact]
    public void An_ICMP_error_of_a_router_outside_the_policy_comes_in_pieces_by_one_SA_or_not_at_all()
    {
        Address router = Address.Parse("10.77.0.1");
        using Site left = Left(AnyPort), right = Right(AnyPort), stranger = Left(AnyPort);
        right.Carry("outside", Frames.Arp(1, LeftMac, "192.0.2.1", 0, "192.0.2.2", 0xffff_ffff_ffff));
        byte[] asked = PlainFrames.Udp(s_server, s_client, 1200);
        Frames.WriteMac(asked, LeftMac);
        right.Carry("self", asked);
        right.Carry("outside", Frames.Arp(2, LeftMac, "192.0.2.1", RightMac, "192.0.2.2", RightMac));
        byte[][] wire = [.. right.Carry("self", asked)["outside"]];
        Assert.NotEmpty(left.Carry("outside", wire));
        stranger.Carry("outside", wire);
        byte[][] pieces = Cut(BroughtSaTests.ErrorAbout(router, s_server, asked), 77);

        Assert.Equal(3, pieces.Length);
        byte[][] sealed_ = Sealed(left, pieces);
        Assert.Equal(3, sealed_.Length);
        Assert.Equal(pieces.Select(Inner), Opened(right, sealed_));

        // Nobody else adds to it, though the same policy lets both speak.
        var settings = new SaSettings
        {
            Mode = IpsecMode.Tunnel, Local = Address.Parse("192.0.2.1"), Remote = Address.Parse("192.0.2.2"), Suite = IpsecSuite.AesCbc128HmacSha256,
        };
        Assert.Null(stranger.Stage.Add(new OutboundSa("out", settings, 0x5001, Key()), "all"));
        Assert.Null(right.Stage.Add(new InboundSa("in", settings with { Local = settings.Remote, Remote = settings.Local }, 0x5001, Key()), "all"));
        pieces = Cut(BroughtSaTests.ErrorAbout(router, s_server, asked), 78);
        byte[][] forged = Sealed(stranger, pieces);
        Assert.Equal([0x5001u, 0x5001u, 0x5001u], forged.Select(Spi));
        Assert.Empty(Opened(right, Sealed(left, pieces)[0]));
        Assert.Empty(Opened(right, forged[1..]));
        Assert.Equal(3, right.Path.Counters[DropReason.WrongSelectors]);
        Assert.Equal(0, right.Path.HeldNow);
    }

    private static SaKey Key() => new(IpsecSuite.AesCbc128HmacSha256, new byte[16], new byte[32]);

    private static byte[][] Datagram(ushort port, ushort identification = 77)
    {
        return Cut(Whole(port, 1400), identification);
    }

    private static byte[][] Cut(byte[] frame, ushort identification)
    {
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(18), identification);
        IpHeader.FinishIPv4(frame.AsSpan(14));
        Frames.WriteMac(frame, LeftMac);
        var burst = new Burst();
        Assert.True(burst.TryAppend(frame.Length, out int index));
        ref Packet packet = ref burst.Packets[index];
        packet.Length = frame.Length;
        frame.CopyTo(packet.Bytes);
        Assert.Equal(DropReason.None, Parser.Parse(ref packet));
        Assert.True(Fragmenter.TryCut(burst, index, 600, identification));
        return [.. Enumerable.Range(1, burst.Count - 1).Select(i => burst.Packets[i].Bytes.ToArray())];
    }

    private static byte[] Whole(ushort port, int length)
    {
        byte[] frame = PlainFrames.Udp(s_client, s_server, length);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(34), port);
        frame[40] = frame[41] = 0;
        IpHeader.FinishIPv4(frame.AsSpan(14));
        Frames.WriteMac(frame, LeftMac);
        return frame;
    }

    private static byte[][] Sealed(Site left, byte[][] pieces) =>
        left.Carry("inside", pieces).TryGetValue("outside", out List<byte[]>? wire) ? [.. wire] : [];

    private static byte[][] Opened(Site right, params byte[][] wire) =>
        right.Carry("outside", wire).TryGetValue("self", out List<byte[]>? frames) ? [.. frames.Select(Inner)] : [];

    private static byte[] Inner(byte[] frame)
    {
        byte[] datagram = frame[14..(14 + BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(16)))];
        datagram[8] = datagram[10] = datagram[11] = 0;       // a tunnel is a hop
        return datagram;
    }

    private static uint Spi(byte[] frame) => PlainFrames.Parsed(frame).Spi;

    private static Site Left(string policies)
    {
        Site site = new(Text(policies, "1", "2", @out: 0, @in: 1));

        // The far gateway's link address is asked for once.
        site.Carry("outside", Frames.Arp(1, RightMac, "192.0.2.2", 0, "192.0.2.1", 0xffff_ffff_ffff));
        site.Carry("inside", Whole(4000, 20));
        site.Carry("outside", Frames.Arp(2, RightMac, "192.0.2.2", LeftMac, "192.0.2.1", LeftMac));
        return site;
    }

    private static Site Right(string policies) => new(Text(policies, "2", "1", @out: 1, @in: 0));

    private static string Text(string policies, string own, string peer, int @out, int @in)
    {
        string Sa(string name, int number)
        {
            string Keys(int direction) => $"spi: 0x{number}00{direction + 1}, encryption-key: {new string((char)('a' + direction), 32)}, integrity-key: {new string((char)('c' + direction), 64)}";
            return $"    {name}: {{ mode: tunnel, local: 192.0.2.{own}, remote: 192.0.2.{peer}, suite: aes-cbc-128+hmac-sha2-256-128, replay: off, out: {{ {Keys(@out)} }}, in: {{ {Keys(@in)} }} }}\n";
        }

        return $"""
            filter: 1
            ports:
              outside: {"{ nic: eth0, side: unprotected }"}
              inside: {"{ nic: eth1, side: protected }"}
              self:
                tap: filter0
                side: protected
                mac: 02:00:00:00:01:0{own}
                addresses: [ 192.0.2.{own}/24, 10.{own}.0.1/16 ]
            rules:
              - allow: all
            ipsec:
              policies:

            """
            + string.Concat(policies.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => "    " + line.Replace("OWN", own, StringComparison.Ordinal).Replace("PEER", peer, StringComparison.Ordinal) + "\n"))
            + "    - { bypass: gateways, local: 192.0.2.0/24, remote: 192.0.2.0/24 }\n  sas:\n" + Sa("one", 1) + Sa("two", 2) + Sa("three", 3);
    }
}

using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Conversations;

/// <summary>
/// Hosts away from home (RFC 6275): flows are known by the home address, RFC 6092 REC-27, REC-28 and REC-30, and no rule is got round by one.
/// </summary>
public sealed class MobilityTests
{
    private const string Home = "2001:db8:a::1", Visiting = "2001:db8::77", Moved = "2001:db8::88", Peer = "2001:db8:f::9";

    [Fact]
    public void A_flow_is_known_by_the_home_address_and_outlives_a_move()
    {
        var net = new TestNet(Nets.OutOnly);
        net.Sends("inside", FromHome(Visiting));
        net.Sends("outside", ToHome(Visiting));
        net.Sends("inside", FromHome(Moved));
        net.Sends("outside", ToHome(Moved));
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
        Assert.Equal(Address.Parse(Home), net.Path.Flows[1].Key.Source);

        net.Sends($"inside: udp [{Home}]:4000 > [{Peer}]:53 len=10");       // at home again
        net.Sends($"outside: udp [{Peer}]:53 > [{Home}]:4000 len=10");
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Fact]
    public void An_answer_by_a_routing_header_goes_where_its_host_was_seen_and_nowhere_else()
    {
        var net = new TestNet(Nets.OutOnly);
        net.Sends("inside", FromHome(Visiting));
        net.Sends("outside", ToHome("2001:db8::66"));
        net.Expects(DropReason.WrongCareOf, 1);
        net.Sends("inside", FromHome(Moved));
        net.Sends("outside", ToHome(Visiting));
        net.Expects(DropReason.WrongCareOf, 2);
    }

    [Fact]
    public void A_routing_header_leads_nobody_into_a_network_by_the_flow_of_a_host_that_is_at_home()
    {
        var net = new TestNet(Nets.OutOnly);
        net.Sends($"inside: udp [{Home}]:4000 > [{Peer}]:53 len=10");
        net.Sends("outside", ToHome(Visiting));
        Assert.NotNull(net.Take("outside", null));
        net.HearsNothing("inside");
        net.Expects(DropReason.WrongCareOf, 1);
    }

    [Theory]
    [InlineData(Home, Visiting, true)]
    [InlineData(Home, Home, false)]             // the care-of address is not allowed
    [InlineData(Visiting, Visiting, false)]     // the home address is not
    public void The_rules_must_allow_both_addresses(string one, string other, bool passes)
    {
        var net = new TestNet(Nets.OutOnly.Replace("out: allow", "out: drop", StringComparison.Ordinal)
            + $"\nrules: [ {{ allow: them, source: [ \"{one}\", \"{(one == other ? "2001:db8:e::e" : other)}\" ] }} ]\n");
        net.Sends("inside", FromHome(Visiting));
        net.Expects(DropReason.DefaultDeny, passes ? 0 : 1);
    }

    [Fact]
    public void A_home_address_gets_nobody_past_a_rule_about_destinations()
    {
        var net = new TestNet(Nets.OutOnly + $"\nrules: [ {{ allow: server, from: outside, destination: \"{Home}\" }} ]\n");
        net.Sends("outside", ToHome(Visiting));
        net.HearsNothing("inside");
        net.Expects(DropReason.DefaultDeny, 1);
    }

    private const string Open = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - allow: games
            from: inside
            service: udp
            pinhole: address-dependent

        """;

    [Fact]
    public void A_routing_header_leads_nobody_into_a_network_by_a_pinhole_of_a_host_that_is_at_home()
    {
        var net = new TestNet(Open);
        net.Sends($"inside: udp [{Home}]:4000 > [{Peer}]:99 len=10");
        net.Sends("outside", ToHome(Visiting));
        net.HearsNothing("inside");
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Fact]
    public void A_home_address_option_does_not_stand_for_whom_a_pinhole_is_open()
    {
        var net = new TestNet(Open);
        net.Sends($"inside: udp [{Peer}]:53 > [{Home}]:99 len=10");
        net.Sends("outside", FromHome(Visiting));
        net.HearsNothing("inside");
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Fact]
    public void A_pinhole_of_a_host_away_from_home_leads_to_where_it_was_seen()
    {
        var net = new TestNet(Open);
        net.Sends("inside", FromHome(Visiting));
        net.Sends("outside", ToHome("2001:db8::66", from: 54));
        net.HearsNothing("inside");
        net.Expects(DropReason.DefaultDeny, 1);
        net.Sends("outside", ToHome(Visiting, from: 55));
        Assert.NotNull(net.Take("inside", null));
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData("ff0e::1", DropReason.Martian)]
    [InlineData("fe80::1", DropReason.Martian)]
    [InlineData("::1", DropReason.Martian)]
    [InlineData("::", DropReason.Martian)]
    [InlineData("::ffff:10.0.0.1", DropReason.MappedAddress)]
    [InlineData(Peer, DropReason.Land)]
    public void A_home_address_is_a_routable_one(string home, DropReason why)
    {
        var net = new TestNet(Nets.Open);
        net.Sends("inside", FromHome(Visiting, home));
        net.Expects(why, 1);
    }

    [Fact]
    public void Where_a_host_is_must_be_behind_its_port()
    {
        var net = new TestNet(Nets.Open.Replace("side: protected", "side: protected, antispoof: true, prefixes: [ \"2001:db8::/64\" ]", StringComparison.Ordinal));
        net.Sends("inside", FromHome(Visiting));
        net.ExpectsNoDrops();
        net.Sends("inside", FromHome("2001:db8:e::e", "2001:db8:a::2"));
        net.Expects(DropReason.SpoofedSource, 1);
    }

    [Theory]
    [InlineData(2, 2)]          // two segments left
    [InlineData(0, 1)]          // no room for an address
    [InlineData(4, 1)]          // two addresses
    public void A_routing_header_leads_to_one_home_address(byte length, byte left)
    {
        var net = new TestNet(Nets.Open);
        byte[] routing = new byte[(length + 1) * 8];
        (routing[0], routing[1], routing[2], routing[3]) = (IpProtocol.Udp, length, 2, left);
        net.Sends("outside", Frames.Behind($"udp [{Peer}]:53 > [{Visiting}]:4000 len=10", 43, routing));
        net.Expects(DropReason.BadExtensionChain, 1);
    }

    /// <summary>REC-28.</summary>
    [Fact]
    public void Binding_messages_that_went_out_are_answered()
    {
        var net = new TestNet(Nets.OutOnly);
        net.Sends("inside", Binding(Visiting, Peer, 2));
        net.Sends("outside", Binding(Peer, Visiting, 4));
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
        net.Sends("outside", Binding("2001:db8:f::7", Visiting, 5));
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Fact]
    public void A_binding_message_is_whole_and_last()
    {
        byte[] good = Binding(Visiting, Peer, 5), bad = [.. good], followed = [.. good], cut = [.. good];
        bad[14 + 40 + 9] ^= 1;
        followed[14 + 40] = 17;
        cut[14 + 40 + 1] = 9;
        foreach ((byte[] frame, DropReason why) in ((byte[], DropReason)[])[(bad, DropReason.BadChecksum), (followed, DropReason.BadExtensionChain), (cut, DropReason.Truncated)])
        {
            var net = new TestNet(Nets.Open);
            net.Sends("inside", frame);
            net.Expects(why, 1);
        }
    }

    /// <summary>REC-30.</summary>
    [Fact]
    public void An_error_about_a_host_away_from_home_belongs_to_its_flow()
    {
        var net = new TestNet(Nets.OutOnly);
        byte[] sent = FromHome(Visiting);
        net.Sends("inside", sent);
        byte[] error = Frames.Ethernet(Frames.Ip("2001:db8:f::1", Visiting, 58,
            Frames.Icmp("2001:db8:f::1", Visiting, 2, 0, [0, 0, 5, 0, .. sent[14..]])));
        net.Sends("outside", error);
        net.ExpectsNoDrops();
        Assert.NotNull(net.Take("inside", null));
        byte[] elsewhere = Frames.Ethernet(Frames.Ip("2001:db8:f::1", "2001:db8::66", 58,
            Frames.Icmp("2001:db8:f::1", "2001:db8::66", 2, 0, [0, 0, 5, 0, .. sent[14..]])));
        net.Sends("outside", elsewhere);
        net.Expects(DropReason.StrayIcmpError, 1);
    }

    [Fact]
    public void Who_is_away_from_home_is_told_where_it_is()
    {
        var net = new TestNet(Nets.OutOnly.Replace("out: allow", "out: reject", StringComparison.Ordinal));
        net.Sends("inside", FromHome(Visiting));
        net.Expects(DropReason.Rejected, 1);
        Assert.Equal(Address.Parse(Visiting), net.Take("inside", null)!.Destination);
    }

    /// <summary>A mobile node's datagram: from where it is, with its home address as an option.</summary>
    private static byte[] FromHome(string careOf, string home = Home)
    {
        byte[] option = [17, 2, 1, 2, 0, 0, 0xc9, 16, .. Bytes(home)];
        return Moving(Frames.Behind($"udp [{(home.Contains('.', StringComparison.Ordinal) ? Home : home)}]:4000 > [{Peer}]:53 len=10", 60, option), careOf, 22);
    }

    /// <summary>A datagram to a mobile node: to where it is, with its home address in a type 2 routing header.</summary>
    private static byte[] ToHome(string careOf, int from = 53)
    {
        byte[] header = [17, 2, 2, 1, 0, 0, 0, 0, .. Bytes(Home)];
        return Moving(Frames.Behind($"udp [{Peer}]:{from} > [{Home}]:4000 len=10", 43, header), careOf, 38);
    }

    private static byte[] Moving(byte[] frame, string careOf, int at)
    {
        Bytes(careOf).CopyTo(frame, at);
        return frame;
    }

    private static byte[] Bytes(string address) => System.Net.IPAddress.Parse(address).GetAddressBytes();

    private static byte[] Binding(string from, string to, byte type)
    {
        byte[] header = new byte[16];
        (header[0], header[1], header[2]) = (IpProtocol.NoNext, 1, type);
        ulong sum = Checksum.PseudoHeader(Address.Parse(from), Address.Parse(to), IpProtocol.Mobility, header.Length);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(4), Checksum.Finish(Checksum.Sum(header, sum)));
        return Frames.Ethernet(Frames.Ip(from, to, IpProtocol.Mobility, header));
    }
}

using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>With <c>verify-neighbours</c>, ARP and discovery may claim only what lives behind their port.</summary>
public sealed class NeighbourClaimTests
{
    private const string Ruleset = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected, prefixes: [ 0.0.0.0/0, "::/0", 10.0.0.254, "2001:db8::fe" ] }
          inside: { nic: eth1, side: protected, prefixes: [ 10.0.0.0/24, "2001:db8::/64" ] }
          self: { tap: filter0, side: protected, addresses: [ 10.0.0.1/24, "2001:db8::1/64", "fe80::1/64" ] }
        link: { verify-neighbours: true }
        defaults: { out: allow, in: allow, across: allow }
        """;

    [Theory]
    [InlineData("inside: arp 10.0.0.5 > 10.0.0.254 request")]
    [InlineData("inside: arp 10.0.0.5 > 10.0.0.254 reply")]
    [InlineData("inside: arp 0.0.0.0 > 10.0.0.5 request src-mac=02:00:00:00:00:05")]
    [InlineData("outside: arp 10.0.0.254 > 10.0.0.5 request")]
    [InlineData("self: arp 10.0.0.1 > 10.0.0.5 reply")]
    [InlineData("inside: icmp 2001:db8::5 > ff02::1:ff00:fe neighbour-solicitation len=24 ttl=255")]
    [InlineData("inside: icmp fe80::5 > ff02::1:ff00:fe neighbour-solicitation len=24 ttl=255")]
    [InlineData("inside: icmp :: > ff02::1:ff00:5 neighbour-solicitation target=2001:db8::5 ttl=255")]
    [InlineData("inside: icmp 2001:db8::5 > fe80::fe neighbour-advertisement len=24 ttl=255")]
    [InlineData("outside: icmp fe80::fe > fe80::5 neighbour-advertisement target=2001:db8::fe len=24 ttl=255")]
    [InlineData("self: icmp fe80::1 > fe80::5 neighbour-advertisement target=2001:db8::1 len=24 ttl=255")]
    public void Who_speaks_for_himself_passes(string line)
    {
        var net = new TestNet(Ruleset);
        net.Sends(line);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData("inside: arp 10.0.0.254 > 10.0.0.7 reply")]                     // a host says that it is the router
    [InlineData("inside: arp 10.0.0.254 > 10.0.0.254 request")]                 // and announces it
    [InlineData("outside: arp 10.0.0.5 > 10.0.0.254 reply")]                    // somebody outside says that it is a host
    [InlineData("inside: arp 10.0.0.1 > 10.0.0.5 reply")]                       // the gateway's own
    [InlineData("outside: arp 10.0.0.1 > 10.0.0.5 request")]
    [InlineData("inside: arp 0.0.0.0 > 10.0.0.254 request src-mac=02:00:00:00:00:05")]      // about to claim it
    [InlineData("inside: arp 192.168.7.7 > 10.0.0.254 request")]                // nobody's
    [InlineData("inside: icmp fe80::5 > fe80::7 neighbour-advertisement target=2001:db8::fe len=24 ttl=255")]
    [InlineData("outside: icmp fe80::fe > fe80::7 neighbour-advertisement target=2001:db8::5 len=24 ttl=255")]
    [InlineData("inside: icmp fe80::5 > fe80::7 neighbour-advertisement target=2001:db8::1 len=24 ttl=255")]
    [InlineData("outside: icmp fe80::fe > fe80::7 neighbour-advertisement target=fe80::1 len=24 ttl=255")]
    [InlineData("outside: icmp 2001:db8::5 > ff02::1:ff00:7 neighbour-solicitation len=24 ttl=255")]
    [InlineData("outside: icmp :: > ff02::1:ff00:5 neighbour-solicitation target=2001:db8::5 ttl=255")]
    public void Who_claims_anothers_address_is_dropped(string line)
    {
        var net = new TestNet(Ruleset);
        net.Sends(line);
        net.Expects(DropReason.NeighbourClaim, 1);
        foreach (string port in (string[])["outside", "inside", "self"])
        {
            net.HearsNothing(port);
        }
    }

    [Fact]
    public void Who_sends_an_ARP_packet_is_who_it_speaks_of()
    {
        var net = new TestNet(Ruleset);
        byte[] frame = Frames.Arp(2, 0x0200_0000_0005, "10.0.0.5", 0x0200_0000_00fe, "10.0.0.254", 0x0200_0000_00fe);
        frame[11] = 7;
        net.Sends("inside", frame);
        net.Sends("inside", Frames.Arp(2, 0x0300_0000_0005, "10.0.0.5", 0x0200_0000_00fe, "10.0.0.254", 0x0200_0000_00fe));
        net.Expects(DropReason.NeighbourClaim, 2);
    }

    [Fact]
    public void A_link_address_is_no_groups()
    {
        var net = new TestNet(Ruleset);
        byte[] advertisement = [0, 0, 0, 0, .. Convert.FromHexString("20010db8000000000000000000000005"), 2, 1, 0x33, 0x33, 0, 0, 0, 1];
        net.Sends("inside", Frames.Icmpv6("2001:db8::5", "fe80::fe", 255, 136, 0, advertisement));
        net.Expects(DropReason.NeighbourClaim, 1);
    }

    [Fact]
    public void Without_the_word_claims_are_the_receivers_to_judge()
    {
        var net = new TestNet(Ruleset.Replace("verify-neighbours: true", "arp: allow", StringComparison.Ordinal));
        net.Sends("inside: arp 10.0.0.254 > 10.0.0.7 reply");
        net.Sends("outside: icmp fe80::fe > fe80::7 neighbour-advertisement target=2001:db8::5 len=24 ttl=255");
        net.ExpectsNoDrops();
    }
}

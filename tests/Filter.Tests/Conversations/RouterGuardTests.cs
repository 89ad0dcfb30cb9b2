using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Who may announce routers and give addresses: RA-Guard (RFC 6105, 7113) and DHCP shields (RFC 7610).</summary>
public sealed class RouterGuardTests
{
    private const string Advertisement = "icmp fe80::1 > ff02::1 router-advertisement len=24 ttl=255";
    private const string Redirect = "icmp fe80::1 > 2001:db8::5 redirect target=fe80::bad len=40 ttl=255";
    private const string Ipv4Redirect = "icmp 10.0.0.1 > 10.0.0.5 redirect code=1 len=28";
    private const string Ipv4Advertisement = "icmp 10.0.0.1 > 224.0.0.1 router-advertisement len=8 ttl=1";
    private const string Advertise = "udp [fe80::1]:547 > [fe80::5]:546 len=100";
    private const string Offer = "udp 10.0.0.1:67 > 255.255.255.255:68 len=300";

    [Theory]
    [InlineData(Advertisement, DropReason.RogueRouter)]
    [InlineData(Redirect, DropReason.RogueRouter)]
    [InlineData(Ipv4Redirect, DropReason.RogueRouter)]
    [InlineData(Ipv4Advertisement, DropReason.RogueRouter)]
    [InlineData(Advertise, DropReason.RogueServer)]
    [InlineData(Offer, DropReason.RogueServer)]
    [InlineData("udp [fe80::1]:4000 > [fe80::5]:546 len=100", DropReason.RogueServer)]
    [InlineData("udp 10.0.0.1:4000 > 10.0.0.5:68 len=300", DropReason.RogueServer)]
    public void Behind_a_port_of_hosts_nobody_is_a_router_or_gives_addresses(string line, DropReason why)
    {
        var net = new TestNet(Guarded);
        net.Sends("inside: " + line);
        net.HearsNothing("outside");
        net.Expects(why, 1);
    }

    [Theory]
    [InlineData(Advertisement)]
    [InlineData(Redirect)]
    [InlineData(Ipv4Redirect)]
    [InlineData(Ipv4Advertisement)]
    [InlineData(Advertise)]
    [InlineData(Offer)]
    public void Behind_another_port_the_rules_decide(string line)
    {
        var net = new TestNet(Guarded);
        net.Sends("outside: " + line);
        net.Hears("inside", line);
        net.Reloads(Nets.OutOnly);
        net.Sends("outside: " + line.Replace(":546", ":546 dscp=1", StringComparison.Ordinal).Replace(":68 ", ":68 dscp=1 ", StringComparison.Ordinal));
        net.HearsNothing("inside");
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData(Advertisement)]
    [InlineData(Offer)]
    public void Unless_a_port_is_said_to_be_of_hosts_routers_may_stand_there(string line)
    {
        var net = new TestNet(Nets.Open);
        net.Sends("inside: " + line);
        net.Hears("outside", line);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData("icmp fe80::5 > ff02::2 router-solicitation len=8 ttl=255")]
    [InlineData("icmp fe80::5 > ff02::1:ff00:1 neighbour-solicitation len=24 ttl=255")]
    [InlineData("udp [fe80::5]:546 > [ff02::1:2]:547 len=100")]
    [InlineData("udp 0.0.0.0:68 > 255.255.255.255:67 len=300")]
    public void Hosts_ask_for_routers_neighbours_and_addresses(string line)
    {
        var net = new TestNet(Guarded);
        net.Sends("inside: " + line);
        net.Hears("outside", line);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(0x3c, "3a000104 00000000")]                      // destination options
    [InlineData(0x3c, "3c000104 00000000 3a000104 00000000")]    // twice
    [InlineData(0x2b, "3a000300 00000000")]                      // a routing header
    public void An_announcement_hides_behind_no_chain_of_headers(byte first, string chain)
    {
        var net = new TestNet(Guarded);
        byte[] headers = Convert.FromHexString(chain.Replace(" ", "", StringComparison.Ordinal));
        headers[^8] = 58;
        net.Sends("inside", Frames.Behind(Advertisement, first, headers));
        net.HearsNothing("outside");
        net.Expects(DropReason.RogueRouter, 1);
    }

    [Fact]
    public void An_announcement_in_fragments_is_found_when_it_is_whole()
    {
        var net = new TestNet(Guarded);
        foreach (byte[] piece in Frames.InPieces(Advertisement, 16))
        {
            net.Sends("inside", piece);
        }

        net.HearsNothing("outside");
        net.Expects(DropReason.RogueRouter, 2);
    }

    [Theory]
    [InlineData(13, true)]
    [InlineData(12, false)]
    public void What_a_server_says_through_a_relay_is_a_servers_too(byte type, bool rogue)
    {
        var net = new TestNet(Guarded);
        net.Sends("inside", Frames.WithPayload("udp [fe80::1]:547 > [fe80::5]:547 len=40", type));
        Assert.Equal(rogue ? 1 : 0, net.Path.Counters[DropReason.RogueServer]);
    }

    [Theory]
    [InlineData(2, true)]
    [InlineData(1, false)]
    public void A_boot_reply_through_a_relay_is_a_servers_too(byte operation, bool rogue)
    {
        var net = new TestNet(Guarded);
        net.Sends("inside", Frames.WithPayload("udp 10.0.0.1:67 > 10.0.0.5:67 len=300", operation));
        Assert.Equal(rogue ? 1 : 0, net.Path.Counters[DropReason.RogueServer]);
    }

    private static string Guarded => Nets.Open.Replace("side: protected }", "side: protected, role: hosts }", StringComparison.Ordinal);
}

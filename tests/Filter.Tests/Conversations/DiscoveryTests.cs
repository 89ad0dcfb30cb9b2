using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>What ICMPv6 says to its link must be what every receiver checks for: RFC 4861, 6980, 9777, 3122, 3971, 4286.</summary>
public sealed class DiscoveryTests
{
    private const string Link = "fe800000000000000000000000000005", Global = "20010db8000000000000000000000005";
    private const string Group = "ff0200000000000000000000000000fb", Lladdr = "0101020000000005", Nonce = "0e01000000000000";

    [Theory]
    [InlineData("icmp fe80::5 > ff02::2 router-solicitation len=8 ttl=255")]
    [InlineData("icmp :: > ff02::2 router-solicitation ttl=255")]
    [InlineData("icmp fe80::1 > ff02::1 router-advertisement len=24 ttl=255")]
    [InlineData("icmp fe80::5 > ff02::1:ff00:1 neighbour-solicitation len=24 ttl=255")]
    [InlineData("icmp :: > ff02::1:ff00:5 neighbour-solicitation target=2001:db8::5 ttl=255")]
    [InlineData("icmp 2001:db8::5 > 2001:db8::1 neighbour-solicitation ttl=255")]
    [InlineData("icmp fe80::1 > fe80::5 neighbour-advertisement len=24 ttl=255")]
    [InlineData("icmp fe80::1 > ff02::1 neighbour-advertisement len=24 ttl=255")]
    [InlineData("icmp fe80::1 > 2001:db8::5 redirect target=fe80::2 len=40 ttl=255")]
    [InlineData("icmp fe80::1 > 2001:db8::5 redirect target=2001:db8::7 len=32 ttl=255")]
    [InlineData("icmp fe80::5 > ff02::1 inverse-neighbour-solicitation len=16 ttl=255")]
    [InlineData("icmp fe80::5 > fe80::1 inverse-neighbour-advertisement len=40 ttl=255")]
    [InlineData("icmp fe80::5 > ff02::2 certification-path-solicitation len=8 ttl=255")]
    [InlineData("icmp fe80::1 > ff02::1 certification-path-advertisement len=12 ttl=255")]
    [InlineData("icmp fe80::1 > ff02::1 multicast-listener-query len=20 ttl=1")]
    [InlineData("icmp fe80::5 > ff02::fb multicast-listener-report len=16 ttl=1")]
    [InlineData("icmp fe80::5 > ff02::2 multicast-listener-done len=16 ttl=1")]
    [InlineData("icmp fe80::5 > ff02::16 multicast-listener-report-v2 len=20 ttl=1")]
    [InlineData("icmp :: > ff02::16 multicast-listener-report-v2 len=20 ttl=1")]
    [InlineData("icmp fe80::1 > ff02::6a multicast-router-advertisement ttl=1")]
    [InlineData("icmp fe80::5 > ff02::2 multicast-router-solicitation ttl=1")]
    [InlineData("icmp fe80::1 > ff02::6a multicast-router-termination ttl=1")]
    public void What_is_valid_passes_a_bridge_by_rule(string line)
    {
        var net = new TestNet(Nets.Open);
        net.Sends("outside: " + line);
        net.Hears("inside", line);
        net.Sends("inside: " + line);
        net.Hears("outside", line);
        net.ExpectsNoDrops();
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData("icmp fe80::5 > ff02::2 router-solicitation len=8 ttl=254")]
    [InlineData("icmp fe80::1 > ff02::1 router-advertisement len=24 ttl=64")]
    [InlineData("icmp fe80::5 > ff02::1:ff00:1 neighbour-solicitation len=24 ttl=254")]
    [InlineData("icmp fe80::1 > fe80::5 neighbour-advertisement len=24 ttl=1")]
    [InlineData("icmp fe80::1 > 2001:db8::5 redirect target=fe80::2 len=40 ttl=254")]
    [InlineData("icmp fe80::5 > fe80::1 inverse-neighbour-advertisement len=40 ttl=64")]
    [InlineData("icmp fe80::1 > ff02::1 certification-path-advertisement len=12 ttl=64")]
    [InlineData("icmp fe80::5 > ff02::16 multicast-listener-report-v2 len=20 ttl=64")]
    [InlineData("icmp fe80::1 > ff02::1 multicast-listener-query len=20 ttl=255")]
    [InlineData("icmp fe80::1 > ff02::6a multicast-router-advertisement ttl=64")]
    public void What_was_forwarded_by_anybody_is_dropped(string line) => Drops(line);

    [Theory]
    [InlineData("icmp fe80::5 > ff02::2 router-solicitation code=1 len=8 ttl=255")]
    [InlineData("icmp fe80::1 > ff02::1 router-advertisement code=1 len=24 ttl=255")]
    [InlineData("icmp fe80::5 > ff02::1:ff00:1 neighbour-solicitation code=1 len=24 ttl=255")]
    [InlineData("icmp fe80::1 > fe80::5 neighbour-advertisement code=1 len=24 ttl=255")]
    [InlineData("icmp fe80::1 > 2001:db8::5 redirect code=1 target=fe80::2 len=40 ttl=255")]
    public void Another_code_than_0_is_dropped(string line) => Drops(line);

    [Theory]
    [InlineData("icmp 2001:db8::1 > ff02::1 router-advertisement len=24 ttl=255")]
    [InlineData("icmp 2001:db8::1 > 2001:db8::5 redirect target=fe80::2 len=40 ttl=255")]
    [InlineData("icmp :: > ff02::1 neighbour-advertisement target=2001:db8::5 len=16 ttl=255")]
    [InlineData("icmp 2001:db8::1 > ff02::1 multicast-listener-query len=20 ttl=1")]
    [InlineData("icmp :: > ff02::1 multicast-listener-query len=20 ttl=1")]
    [InlineData("icmp 2001:db8::5 > ff02::16 multicast-listener-report-v2 len=20 ttl=1")]
    [InlineData("icmp :: > ff02::6a multicast-router-advertisement ttl=1")]
    public void A_sender_of_the_wrong_kind_is_dropped(string line) => Drops(line);

    [Theory]
    [InlineData("icmp fe80::5 > ff02::1:ff00:1 neighbour-solicitation target=ff02::fb len=24 ttl=255")]
    [InlineData("icmp fe80::1 > fe80::5 neighbour-advertisement target=ff02::fb len=24 ttl=255")]
    [InlineData("icmp fe80::1 > 2001:db8::5 redirect target=ff02::fb len=40 ttl=255")]
    public void A_target_is_no_group(string line) => Drops(line);

    [Theory]
    [InlineData("icmp :: > 2001:db8::5 neighbour-solicitation ttl=255")]
    [InlineData("icmp :: > ff02::1 neighbour-solicitation target=2001:db8::5 ttl=255")]
    public void Who_looks_whether_an_address_is_free_asks_its_own_group(string line) => Drops(line);

    [Theory]
    [InlineData("::", "ff02::2", 133, "00000000" + Lladdr)]                                     // §6.1.1: no address, no link address
    [InlineData("::", "ff02::1:ff00:5", 135, "00000000" + Global + Lladdr)]                     // §7.1.1
    [InlineData("fe80::1", "ff02::1", 136, "40000000" + Link)]                                  // §7.1.2: solicited, to all
    [InlineData("fe80::1", "2001:db8::5", 137, "00000000" + Global + Group)]                    // §8.1: a group's redirect
    [InlineData("fe80::1", "2001:db8::5", 137, "00000000" + "20010db8000000000000000000000007" + Global)]   // neither router nor neighbour
    public void What_contradicts_itself_is_dropped(string source, string destination, byte type, string body) =>
        Drops(Frames.Icmpv6(source, destination, 255, type, 0, Convert.FromHexString(body)));

    [Theory]
    [InlineData(133, "")]
    [InlineData(134, "0000000000000000")]
    [InlineData(135, "00000000" + "fe8000000000000000000000")]
    [InlineData(136, "00000000" + "fe8000000000000000000000")]
    [InlineData(137, "00000000" + Link)]
    [InlineData(141, "00000000" + Lladdr)]
    [InlineData(142, "00000000" + Lladdr + Lladdr)]
    public void What_is_too_short_is_dropped(byte type, string body) =>
        Drops(Frames.Icmpv6("fe80::1", "fe80::5", 255, type, 0, Convert.FromHexString(body)));

    [Theory]
    [InlineData("0100020000000005")]                    // length 0
    [InlineData("0102020000000005")]                    // longer than what is left
    [InlineData("0101020000")]                          // cut
    [InlineData("01")]
    [InlineData(Nonce + "0e00000000000000")]            // the second
    public void An_option_without_length_or_beyond_the_end_is_dropped(string options)
    {
        foreach ((byte type, string fixedPart) in ((byte, string)[])[(133, ""), (134, "0000000000000000"), (135, Link), (136, Link), (137, Link + Link)])
        {
            Drops(Frames.Icmpv6("fe80::1", "fe80::5", 255, type, 0, Convert.FromHexString("00000000" + fixedPart + options)));
        }
    }

    [Theory]
    [InlineData("", 58)]                                // no hop-by-hop header
    [InlineData("3a00010400000000", 0)]                 // one without the option
    public void What_listeners_say_without_router_alert_is_dropped(string header, byte first)
    {
        byte[] report = Frames.Ip("fe80::5", "ff02::16", first,
            [.. Convert.FromHexString(header), .. Frames.Icmp("fe80::5", "ff02::16", 143, 0, [0, 0, 0, 0])], hopLimit: 1);
        Drops(Frames.Ethernet(report));
    }

    [Theory]
    [InlineData("icmp fe80::5 > ff02::2 router-solicitation len=24 ttl=255")]
    [InlineData("icmp fe80::1 > ff02::1 router-advertisement len=24 ttl=255")]
    [InlineData("icmp fe80::5 > ff02::1:ff00:1 neighbour-solicitation len=24 ttl=255")]
    [InlineData("icmp fe80::1 > fe80::5 neighbour-advertisement len=24 ttl=255")]
    [InlineData("icmp fe80::1 > 2001:db8::5 redirect target=fe80::2 len=40 ttl=255")]
    [InlineData("icmp fe80::5 > ff02::2 certification-path-solicitation len=24 ttl=255")]
    public void Discovery_never_comes_in_fragments(string line)
    {
        var net = new TestNet(Nets.Open);
        foreach (byte[] piece in Frames.InPieces(line, 16))
        {
            net.Sends("outside", piece);
        }

        net.HearsNothing("inside");
        net.Expects(DropReason.BadDiscovery, 2);
        Drops(Frames.Behind(line, 44, [58, 0, 0, 0, 0, 0, 0, 1]));      // nor behind an atomic fragment's header
    }

    /// <summary>RFC 3971 §6.4.1 and §6.4.2: an advertisement has four bytes more before its options.</summary>
    [Theory]
    [InlineData(148, "0001ffff" + Nonce, true)]
    [InlineData(149, "0001000200000000" + Nonce, true)]
    [InlineData(149, "0001000200010000", true)]
    [InlineData(149, "0001000200000000" + "0e00000000000000", false)]
    [InlineData(149, "00010002", false)]
    public void Certification_paths_have_their_options_where_they_belong(byte type, string body, bool passes)
    {
        var net = new TestNet(Nets.Open);
        net.Sends("outside", Frames.Icmpv6("fe80::1", "ff02::1", 255, type, 0, Convert.FromHexString(body)));
        net.Expects(DropReason.BadDiscovery, passes ? 0 : 1);
    }

    [Fact]
    public void A_certification_path_may_be_long_and_come_in_fragments()
    {
        var net = new TestNet(Nets.Open);
        foreach (byte[] piece in Frames.InPieces("icmp fe80::1 > ff02::1 certification-path-advertisement len=28 ttl=255", 16))
        {
            net.Sends("outside", piece);
        }

        Assert.NotNull(net.Take("inside", null));
        Assert.NotNull(net.Take("inside", null));
        net.ExpectsNoDrops();
    }

    private static void Drops(string line) => Drops(Frames.Of(line));

    private static void Drops(byte[] frame)
    {
        var net = new TestNet(Nets.Open);
        net.Sends("outside", frame);
        net.HearsNothing("inside");
        net.Expects(DropReason.BadDiscovery, 1);
    }
}

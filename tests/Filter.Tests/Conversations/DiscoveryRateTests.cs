using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>A scan of a network makes its router ask for everybody: what crosses of that is bounded (RFC 6583).</summary>
public sealed class DiscoveryRateTests
{
    private static string Bounded => Nets.Open + "\nlimits: { solicitations: 10/s burst 5 }\n";

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_scan_is_cut_short_and_goes_on_as_its_rate_allows(int family)
    {
        var net = new TestNet(Bounded);
        for (int host = 1; host <= 50; host++)
        {
            net.Sends("outside: " + Asks(family, host));
        }

        net.Expects(DropReason.DiscoveryLimit, 45);
        net.After("300ms");
        for (int host = 1; host <= 50; host++)
        {
            net.Sends("outside: " + Asks(family, host));
        }

        net.Expects(DropReason.DiscoveryLimit, 45 + 47);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_scan_takes_nothing_from_neighbours_that_answered_before(int family)
    {
        var net = new TestNet(Bounded);
        net.Sends("outside: " + Asks(family, 99));
        net.Sends("inside: " + Answers(family, 99));
        for (int host = 1; host <= 50; host++)
        {
            net.Sends("outside: " + Asks(family, host));
        }

        net.Expects(DropReason.DiscoveryLimit, 46);
        for (int again = 0; again < 50; again++)
        {
            net.Sends("outside: " + Asks(family, 99));
        }

        net.Expects(DropReason.DiscoveryLimit, 46);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Who_scans_makes_nobody_known_by_answering_himself(int family)
    {
        var net = new TestNet(Bounded);
        for (int host = 1; host <= 50; host++)
        {
            net.Sends("outside: " + Answers(family, host));
            net.Sends("outside: " + Asks(family, host));
        }

        net.Expects(DropReason.DiscoveryLimit, 45);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void The_other_side_and_all_answers_have_their_own_way(int family)
    {
        var net = new TestNet(Bounded);
        for (int host = 1; host <= 50; host++)
        {
            net.Sends("outside: " + Asks(family, host));
            net.Sends("inside: " + Answers(family, host));
        }

        for (int host = 101; host <= 105; host++)
        {
            net.Sends("inside: " + Asks(family, host));
        }

        net.Expects(DropReason.DiscoveryLimit, 45);
    }

    [Fact]
    public void Whether_a_known_neighbour_is_still_there_may_always_be_asked()
    {
        var net = new TestNet(Bounded);
        for (int again = 0; again < 50; again++)
        {
            net.Sends("outside: icmp fe80::1 > fe80::5 neighbour-solicitation len=24 ttl=255");
            net.Sends("outside: arp 10.0.0.1 > 10.0.0.5 request dst-mac=02:00:00:00:00:05");
        }

        net.ExpectsNoDrops();
    }

    [Fact]
    public void Announcements_ask_nobody()
    {
        var net = new TestNet(Bounded);
        for (int host = 1; host <= 50; host++)
        {
            net.Sends($"inside: arp 10.0.0.{host} > 10.0.0.{host} request");
        }

        net.ExpectsNoDrops();
    }

    [Fact]
    public void Unless_it_is_said_otherwise_an_ordinary_network_is_never_bound()
    {
        var net = new TestNet(Nets.Open);
        for (int host = 0; host < 1000; host++)
        {
            net.Sends($"outside: icmp fe80::1 > ff02::1:ff00:{host:x} neighbour-solicitation target=fe80::{host:x} len=24 ttl=255");
        }

        net.ExpectsNoDrops();
        net.Sends("outside: icmp fe80::1 > ff02::1:ff00:1 neighbour-solicitation target=fe80::1:1 len=24 ttl=255");
        net.Expects(DropReason.DiscoveryLimit, 1);
    }

    private static string Asks(int family, int host) => family == 4
        ? $"arp 10.0.0.254 > 10.0.0.{host} request"
        : $"icmp fe80::fe > ff02::1:ff00:{host:x} neighbour-solicitation target=2001:db8::{host:x} len=24 ttl=255";

    private static string Answers(int family, int host) => family == 4
        ? $"arp 10.0.0.{host} > 10.0.0.254 reply"
        : $"icmp 2001:db8::{host:x} > fe80::fe neighbour-advertisement len=24 ttl=255";
}

using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Tests.Conversations;

/// <summary>What one source may take of the table, and how fast.</summary>
public sealed class SourceLimitTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_source_at_its_limit_gives_up_its_own_oldest_opening(int family)
    {
        TestNet net = With(FlowLimits.None with { PerSource = Portion.Flows(2) });
        net.Sends($"inside: tcp {Nets.At(family, 9, 1000)} > {Nets.At(family, 2, 443)} SYN seq=1");
        for (int port = 1000; port < 1003; port++)
        {
            net.Sends($"inside: tcp {Nets.At(family, 1, port)} > {Nets.At(family, 2, 443)} SYN seq=1");
        }

        net.ExpectsFlows(3);
        net.Sends($"outside: tcp {Nets.At(family, 2, 443)} > {Nets.At(family, 1, 1001)} SYN,ACK seq=9 ack=2");
        net.Sends($"outside: tcp {Nets.At(family, 2, 443)} > {Nets.At(family, 1, 1002)} SYN,ACK seq=9 ack=2");
        net.Sends($"outside: tcp {Nets.At(family, 2, 443)} > {Nets.At(family, 9, 1000)} SYN,ACK seq=9 ack=2");
        net.ExpectsNoDrops();
        net.Sends($"outside: tcp {Nets.At(family, 2, 443)} > {Nets.At(family, 1, 1000)} SYN,ACK seq=9 ack=2");
        net.Expects(DropReason.NoFlow, 1);
        Assert.Equal(1, net.Path.Counters.Limits.GivenUp(Limit.SourceFlows));
        Assert.Equal(1, net.Path.Flows.SourcesAtLimit);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_source_whose_flows_are_all_proven_is_refused_and_no_other_is(int family)
    {
        TestNet net = With(FlowLimits.None with { PerSource = Portion.Flows(2) });
        Connect(net, Nets.At(family, 1, 1000), Nets.At(family, 2, 443));
        (TestHost client, TestHost server) = Connect(net, Nets.At(family, 1, 1001), Nets.At(family, 2, 443));
        net.Sends($"inside: tcp {Nets.At(family, 1, 1002)} > {Nets.At(family, 2, 443)} SYN seq=1");
        net.HearsNothing("outside");
        net.Expects(DropReason.SourceLimit, 1);
        Assert.True(net.Path.Counters.Limits.TryName(Limit.SourceFlows, out ShareKey who));
        Assert.Equal(ShareKey.OfSource(net.Path.Flows[1].Opening.Key, management: false), who);
        net.Sends($"inside: tcp {Other(family, 1000)} > {Nets.At(family, 2, 443)} SYN seq=1");
        net.Hears("outside", $"tcp {Other(family, 1000)} > {Nets.At(family, 2, 443)} SYN seq=1");
        client.Sends("RST seq=100");
        server.Hears("RST seq=100");
        net.Sends($"inside: tcp {Nets.At(family, 1, 1002)} > {Nets.At(family, 2, 443)} SYN seq=1");
        net.Hears("outside", $"tcp {Nets.At(family, 1, 1002)} > {Nets.At(family, 2, 443)} SYN seq=1");
        net.Expects(DropReason.SourceLimit, 1);
    }

    [Fact]
    public void An_IPv6_host_gains_nothing_by_the_addresses_of_its_network()
    {
        TestNet net = With(FlowLimits.None with { PerSource = Portion.Flows(2) });
        for (int host = 1; host <= 5; host++)
        {
            net.Sends($"inside: udp [2001:db8::{host}]:4000 > [2001:db8:f::2]:53 len=1");
        }

        net.Sends("inside: udp [2001:db8:0:1::1]:4000 > [2001:db8:f::2]:53 len=1");
        net.ExpectsFlows(3);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_source_opens_flows_no_faster_than_its_rate(int family)
    {
        TestNet net = With(FlowLimits.None with { SourceRate = new RateLimit(1_000_000_000, 2) });
        (TestHost client, TestHost server) = Connect(net, Nets.At(family, 1, 1000), Nets.At(family, 2, 443));
        net.Sends($"inside: udp {Nets.At(family, 1, 1000)} > {Nets.At(family, 3, 53)} len=1");
        net.Sends($"inside: udp {Nets.At(family, 1, 1001)} > {Nets.At(family, 3, 53)} len=1");
        net.Expects(DropReason.SourceRate, 1);
        Assert.Equal(1, net.Path.Counters.Limits.Refused(Limit.SourceRate));
        client.Reaches(server, "ACK,PSH seq=100 ack=10 len=10");
        net.Sends($"inside: udp {Other(family, 1001)} > {Nets.At(family, 3, 53)} len=1");
        net.After("1s");
        net.Sends($"inside: udp {Nets.At(family, 1, 1001)} > {Nets.At(family, 3, 53)} len=1");
        net.Expects(DropReason.SourceRate, 1);
        net.ExpectsFlows(4);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_rate_is_remembered_when_all_flows_of_its_source_have_ended(int family)
    {
        TestNet net = With(FlowLimits.None with { SourceRate = new RateLimit(100_000_000_000, 1) });
        net.Sends($"inside: icmp {Nets.At(family, 1)} > {Nets.At(family, 2)} echo-request id=1 seq=1");
        net.After("61s");
        net.ExpectsFlows(0);
        net.Sends($"inside: icmp {Nets.At(family, 1)} > {Nets.At(family, 2)} echo-request id=2 seq=1");
        net.Expects(DropReason.SourceRate, 1);
        net.After("39s");
        net.Sends($"inside: icmp {Nets.At(family, 1)} > {Nets.At(family, 2)} echo-request id=3 seq=1");
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_flood_of_spoofed_sources_neither_refuses_a_real_one_nor_forgets_it(int family)
    {
        var net = new TestNet(
            Nets.Open, flows: 32, policy: static policy => policy with { Limits = FlowLimits.None with { PerSource = Portion.Flows(2) } });
        Connect(net, Nets.At(family, 1, 1000), Nets.At(family, 2, 443));
        for (int i = 0; i < 1000; i++)
        {
            string spoofed = family == 4 ? $"198.51.{i / 250}.{1 + (i % 250)}:1000" : $"[2001:db8:a:{i:x}::1]:1000";
            net.Sends($"outside: tcp {spoofed} > {Nets.At(family, 8, 80)} SYN seq=99");
        }

        net.ExpectsNoDrops();
        net.ExpectsFlows(32);
        Connect(net, Nets.At(family, 1, 1001), Nets.At(family, 2, 443));
        net.ExpectsNoDrops();
        net.Sends($"inside: tcp {Nets.At(family, 1, 1002)} > {Nets.At(family, 2, 443)} SYN seq=1");
        net.Expects(DropReason.SourceLimit, 1);
    }

    [Fact]
    public void By_default_one_source_has_half_of_the_table_as_a_proxy_needs()
    {
        var net = new TestNet(Nets.OutOnly, flows: 64);
        for (int port = 1000; port < 1032; port++)
        {
            Connect(net, $"10.0.0.5:{port}", "203.0.113.2:443");
        }

        net.ExpectsNoDrops();
        net.Sends("inside: tcp 10.0.0.5:1032 > 203.0.113.2:443 SYN seq=1");
        net.Expects(DropReason.SourceLimit, 1);
        Connect(net, "10.0.0.6:1000", "203.0.113.2:443");
    }

    [Fact]
    public void A_limit_that_a_reload_lowers_holds_for_what_is_opened_next()
    {
        var net = new TestNet(Nets.OutOnly);
        for (int port = 1000; port < 1010; port++)
        {
            net.Sends($"inside: udp 10.0.0.5:{port} > 203.0.113.2:53 len=1");
        }

        net.Reloads(Nets.OutOnly + "\nlimits: { per-source: { flows: 2 } }\n");
        net.ExpectsFlows(10);
        Assert.Equal(1, net.Path.Flows.SourcesAtLimit);
        for (int port = 1010; port < 1020; port++)
        {
            net.Sends($"inside: udp 10.0.0.5:{port} > 203.0.113.2:53 len=1");
        }

        net.ExpectsFlows(2);
        net.ExpectsNoDrops();
    }

    private static TestNet With(FlowLimits limits) => new(Nets.OutOnly, policy: policy => policy with { Limits = limits });

    private static string Other(int family, int port) => family == 4 ? $"10.0.0.6:{port}" : $"[2001:db8:0:7::5]:{port}";

    private static (TestHost Client, TestHost Server) Connect(TestNet net, string near, string far)
    {
        (TestHost client, TestHost server) = net.Between(near, far);
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
        return (client, server);
    }
}

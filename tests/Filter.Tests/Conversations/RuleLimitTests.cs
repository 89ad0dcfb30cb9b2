using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Tests.Conversations;

/// <summary>How much one rule lets in: at once, how fast, and of each source.</summary>
public sealed class RuleLimitTests
{
    private static string With(string limit, string rest = "", string name = "in") => Nets.Ports + $$"""

        rules:
          - allow: {{name}}
            from: outside
            limit: {{limit}}
        {{rest}}

        """;

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_source_has_no_more_flows_of_a_rule_than_it_may_and_another_has_its_own(int family)
    {
        var net = new TestNet(With("{ per-source: { connections: 2 } }"));
        (TestHost client, TestHost server) = Connect(net, family, 2, 1000);
        Connect(net, family, 2, 1001);
        Syn(net, Nets.At(family, 2, 1002), family);
        net.HearsNothing("inside");
        net.Expects(DropReason.ConnectionLimit, 1);
        Assert.Equal(1, net.Path.Counters.Limits.Refused(Limit.RuleFlows));
        Assert.Equal(1, net.Path.Counters.Rules.Limited(1));
        Connect(net, family, 2, 1002, from: Other(family, 1002));

        client.Sends("RST seq=100");
        server.Hears("RST seq=100");
        Connect(net, family, 2, 1003);
        net.Expects(DropReason.ConnectionLimit, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_rule_has_no_more_flows_than_it_may(int family)
    {
        var net = new TestNet(With("{ connections: 2 }", """
              - allow: out
                from: inside
            """));
        Connect(net, family, 2, 1000);
        Connect(net, family, 2, 1001, from: Other(family, 1001));
        Syn(net, Nets.At(family, 2, 1002), family);
        net.HearsNothing("inside");
        net.Expects(DropReason.ConnectionLimit, 1);
        net.Sends($"inside: tcp {Nets.At(family, 1, 1000)} > {Nets.At(family, 2, 443)} SYN seq=1");
        net.Hears("outside", $"tcp {Nets.At(family, 1, 1000)} > {Nets.At(family, 2, 443)} SYN seq=1");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Spoofed_SYNs_lock_nobody_out(int family)
    {
        var net = new TestNet(With("{ connections: 8, per-source: { connections: 2 } }"));
        Connect(net, family, 2, 1000);
        for (int i = 0; i < 500; i++)
        {
            Syn(net, Nets.At(family, 2, 2000 + i), family);         // in the name of the source itself
            Syn(net, Spoofed(family, i), family);
        }

        net.ExpectsNoDrops();
        net.ExpectsFlows(8);
        Drain(net);
        Connect(net, family, 2, 1001);
        Connect(net, family, 2, 1001, from: Other(family, 1001));
        net.ExpectsNoDrops();
        Syn(net, Nets.At(family, 2, 1002), family);
        net.Expects(DropReason.ConnectionLimit, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_source_that_is_too_fast_takes_nothing_from_the_rest(int family)
    {
        var net = new TestNet(With("{ rate: 1/m burst 3, per-source: { rate: 1/h burst 1 } }"));
        for (int i = 0; i < 50; i++)
        {
            Syn(net, Nets.At(family, 2, 1000 + i), family);
        }

        net.Expects(DropReason.RateLimited, 49);
        Assert.Equal(49, net.Path.Counters.Rules.Limited(1));
        Syn(net, Other(family, 1000), family);
        Syn(net, Spoofed(family, 1), family);
        net.Expects(DropReason.RateLimited, 49);
        Syn(net, Spoofed(family, 2), family);                       // now the rule's own rate is spent: the source's is not
        net.Expects(DropReason.RateLimited, 50);
        net.After("1m");
        Syn(net, Spoofed(family, 2), family);
        net.Expects(DropReason.RateLimited, 50);
        net.After("58m");
        Syn(net, Nets.At(family, 2, 3000), family);
        net.Expects(DropReason.RateLimited, 51);
    }

    [Fact]
    public void A_network_of_IPv6_addresses_is_one_source()
    {
        var net = new TestNet(With("{ per-source: { rate: 1/m burst 2 } }"));
        for (int host = 1; host <= 9; host++)
        {
            Syn(net, $"[2001:db8:f::{host}]:1000", 6);
        }

        net.Expects(DropReason.RateLimited, 7);
        Syn(net, "[2001:db8:f:1::1]:1000", 6);
        net.Expects(DropReason.RateLimited, 7);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void More_sources_than_there_is_room_for_refuse_none(int family)
    {
        var net = new TestNet(With("{ connections: 30, per-source: { rate: 1/h burst 1, connections: 1 } }"), flows: 32, policy: static policy => policy with { Limits = FlowLimits.None });
        Connect(net, family, 2, 1000);
        for (int i = 0; i < 1000; i++)
        {
            Syn(net, Spoofed(family, i), family);
        }

        net.ExpectsNoDrops();
        net.ExpectsFlows(30);
        Syn(net, Nets.At(family, 2, 1001), family);                 // who has a flow is not forgotten
        net.Expects(DropReason.RateLimited, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Packets_without_flow_are_charged_to_their_source(int family)
    {
        var net = new TestNet(With("{ per-source: { rate: 1/m burst 2 } }").Replace("from: outside", "service: [ icmp/200, icmpv6/200 ]", StringComparison.Ordinal));
        for (int i = 0; i < 3; i++)
        {
            net.Sends(family == 4 ? $"outside: icmp {Nets.At(4, 2)} > {Nets.At(4, 1)} type=200 len=20" : $"outside: icmpv6 {Nets.At(6, 2)} > {Nets.At(6, 1)} type=200 len=20");
        }

        net.Expects(DropReason.RateLimited, 1);
        net.Sends(family == 4 ? $"outside: icmp {Nets.At(4, 3)} > {Nets.At(4, 1)} type=200 len=20" : $"outside: icmpv6 2001:db8:77::1 > {Nets.At(6, 1)} type=200 len=20");
        net.Expects(DropReason.RateLimited, 1);
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_reload_gives_no_rate_back_and_refuses_nobody_who_is_there(int family)
    {
        var net = new TestNet(With("{ per-source: { rate: 1/h burst 3, connections: 3 } }"));
        (TestHost client, TestHost server) = Connect(net, family, 2, 1000);
        (TestHost second, TestHost answers) = Connect(net, family, 2, 1001);
        Connect(net, family, 2, 1002);
        string lower = With("{ per-source: { rate: 1/h burst 3, connections: 2 } }", """
              - drop: another
                service: tcp/1
            """);
        net.Reloads(lower);
        client.Reaches(server, "ACK,PSH seq=100 ack=10 len=10");
        second.Reaches(answers, "ACK,PSH seq=100 ack=10 len=10");
        net.ExpectsNoDrops();
        Syn(net, Nets.At(family, 2, 1003), family);
        net.Expects(DropReason.RateLimited, 1);
        net.After("1h");
        Syn(net, Nets.At(family, 2, 1003), family);                 // three are there, two may be
        Assert.Equal(1, net.Path.Counters[DropReason.ConnectionLimit]);
        net.ExpectsFlows(3);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Flows_count_for_the_rule_that_lets_them_in_now(int family)
    {
        var net = new TestNet(With("10/s"));
        (TestHost client, TestHost server) = Connect(net, family, 2, 1000);
        net.Reloads(With("{ connections: 1 }", name: "new"));
        client.Reaches(server, "ACK,PSH seq=100 ack=10 len=10");
        Syn(net, Nets.At(family, 2, 1001), family);
        net.Expects(DropReason.ConnectionLimit, 1);
        net.Reloads(With("10/s"));
        client.Reaches(server, "ACK,PSH seq=110 ack=10 len=10");
        Connect(net, family, 2, 1001);
        net.Reloads(With("{ connections: 3 }"));
        net.After("1s");
        Connect(net, family, 2, 1002);
        Syn(net, Nets.At(family, 2, 1003), family);
        net.Expects(DropReason.ConnectionLimit, 2);
    }

    [Fact]
    public void Buckets_of_sources_are_as_those_of_a_plain_dictionary()
    {
        int seed = Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var net = new TestNet(With("{ per-source: { rate: 1/s burst 4 } }", """
              - allow: other
                from: inside
                limit: { per-source: { rate: 2/s burst 3 } }
            """));
        var limits = new RuleLimits(net.Path.Ruleset, 512);
        Dictionary<(int Rule, Address Source), TokenBucket> model = [];
        long now = 1;
        for (int i = 0; i < 50_000; i++)
        {
            now += random.Next(20_000_000);
            int rule = 1 + random.Next(2), host = random.Next(300);
            bool ipv4 = random.Next(2) == 0;
            Address from = Address.Parse(ipv4 ? $"10.0.{host / 200}.{1 + (host % 200)}" : $"2001:db8:0:{host:x}::{1 + random.Next(99):x}");
            Address source = ipv4 ? from : Address.Parse($"2001:db8:0:{host:x}::");
            if (!model.TryGetValue((rule, source), out TokenBucket bucket))
            {
                bucket = new TokenBucket(net.Path.Ruleset.Limit(rule)!.SourceRate!.Value);
            }

            bool expected = bucket.TryTake(now);
            model[(rule, source)] = bucket;
            Assert.Equal(expected, limits.TryTake(rule, new FlowKey(from, default, 1, 2, 6, 0), now));
        }
    }

    [Fact]
    public void A_flood_against_limits_allocates_nothing()
    {
        var net = new TestNet(With("{ rate: 1000000/s, connections: 20, per-source: { rate: 1/s burst 100, connections: 2 } }"));
        var limits = new RuleLimits(net.Path.Ruleset, 64);
        var key = new FlowKey(Address.Parse("192.0.2.1"), Address.Parse("192.0.2.2"), 1, 2, 6, 0);
        uint next = 0;
        int taken = 0;
        Assert.Equal(0, Allocations.Least(() =>
        {
            for (int i = 0; i < 1000; i++, next++)
            {
                taken += limits.TryTake(1, key with { Source = new Address(next, 1) }, 1 + next) ? 1 : 0;
            }
        }));
        Assert.Equal((int)next, taken);
    }

    private static (TestHost Client, TestHost Server) Connect(TestNet net, int family, int host, int port, string? from = null)
    {
        (TestHost server, TestHost client) = net.Between(Nets.At(family, 1, 22), from ?? Nets.At(family, host, port));
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
        return (client, server);
    }

    private static void Syn(TestNet net, string from, int family) => net.Sends($"outside: tcp {from} > {Nets.At(family, 1, 22)} SYN seq=1");

    private static void Drain(TestNet net)
    {
        while (net.Take("inside", null) is not null)
        {
        }
    }

    private static string Other(int family, int port) => family == 4 ? $"203.0.113.77:{port}" : $"[2001:db8:77::1]:{port}";

    private static string Spoofed(int family, int number) =>
        family == 4 ? $"100.64.{number / 250}.{1 + (number % 250)}:1000" : $"[2001:db8:a:{number:x}::1]:1000";
}

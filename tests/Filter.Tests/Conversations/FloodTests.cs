using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;

namespace Filter.Tests.Conversations;

/// <summary>More openings than the table takes, and more to one service than it could answer.</summary>
public sealed class FloodTests
{
    [Theory]
    [InlineData(4, true)]
    [InlineData(6, true)]
    [InlineData(4, false)]
    [InlineData(6, false)]
    public void A_random_flood_never_ends_a_proven_flow_and_the_table_stays_bounded(int family, bool limited)
    {
        Random random = Fuzzing.Seeded(out _);
        var net = new TestNet(
            Nets.Open, flows: 256, policy: policy => limited ? policy : policy with { Limits = FlowLimits.None });
        (TestHost Client, TestHost Server)[] connections = [.. Enumerable.Range(0, 20).Select(i => Connect(net, family, 40_000 + i))];
        (TestHost asks, TestHost answers) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), "udp");
        asks.Reaches(answers, "len=1");
        answers.Reaches(asks, "len=2");
        asks.Reaches(answers, "len=3");
        uint sent = 100;
        for (int round = 0; round < Fuzzing.Rounds(40); round++)
        {
            net.InOneBurst(() =>
            {
                for (int i = random.Next(1, 64); i > 0; i--)
                {
                    net.Sends(Opening(random, family));
                }
            });
            Assert.InRange(net.Path.Flows.Count, 21, 256);
            (TestHost client, TestHost server) = connections[round % connections.Length];
            uint first = sent + (uint)(10 * (round / connections.Length));
            client.Reaches(server, $"ACK,PSH seq={first} ack=10 len=10");
            server.Reaches(client, $"ACK seq=10 ack={first + 10}");
            answers.Reaches(asks, "len=4");
            net.After("10ms");
        }

        net.ExpectsNoDrops();
        Assert.Equal(21, net.Path.Flows.Proven);
        LimitCounters limits = net.Path.Counters.Limits;
        Assert.True(limits.GivenUp(limited ? Limit.HalfOpen : Limit.Table) > 100);
        Assert.Equal(net.Path.Counters.Evicted, limits.GivenUp(Limit.HalfOpen) + limits.GivenUp(Limit.Table));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void The_oldest_half_open_flow_of_a_service_is_given_up_first(int family)
    {
        TestNet net = WithHalfOpen(3);
        for (int port = 1001; port <= 1004; port++)
        {
            net.Sends($"outside: tcp {Nets.At(family, 2, port)} > {Nets.At(family, 1, 80)} SYN seq=99");
        }

        // Another service of the same machine has openings of its own.
        net.Sends($"outside: tcp {Nets.At(family, 2, 1001)} > {Nets.At(family, 1, 81)} SYN seq=99");
        net.ExpectsFlows(4);
        for (int port = 1002; port <= 1004; port++)
        {
            net.Sends($"inside: tcp {Nets.At(family, 1, 80)} > {Nets.At(family, 2, port)} SYN,ACK seq=9 ack=100");
        }

        net.Sends($"inside: tcp {Nets.At(family, 1, 81)} > {Nets.At(family, 2, 1001)} SYN,ACK seq=9 ack=100");
        net.ExpectsNoDrops();
        net.Sends($"inside: tcp {Nets.At(family, 1, 80)} > {Nets.At(family, 2, 1001)} SYN,ACK seq=9 ack=100");
        net.Expects(DropReason.NoFlow, 1);
        LimitCounters limits = net.Path.Counters.Limits;
        Assert.Equal(1, limits.GivenUp(Limit.HalfOpen));
        Assert.True(limits.TryName(Limit.HalfOpen, out ShareKey flooded));
        Assert.Equal(new ShareKey(Address.Parse(Nets.At(family, 1)), 0, 80, IpProtocol.Tcp, false), flooded);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_handshake_that_is_done_is_half_open_no_more(int family)
    {
        TestNet net = WithHalfOpen(1);
        (TestHost client, TestHost server) = Connect(net, family, 1000);
        (TestHost other, _) = Connect(net, family, 1001);
        net.Sends($"inside: tcp {Nets.At(family, 1, 1002)} > {Nets.At(family, 2, 443)} SYN seq=1");
        net.Sends($"inside: tcp {Nets.At(family, 1, 1003)} > {Nets.At(family, 2, 443)} SYN seq=1");
        net.ExpectsFlows(3);
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=10");
        other.Sends("ACK,PSH seq=100 ack=10 len=10");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_question_that_is_answered_is_half_open_no_more(int family)
    {
        TestNet net = WithHalfOpen(1);
        (TestHost one, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), "udp");
        (TestHost two, TestHost same) = net.Between(Nets.At(family, 1, 4001), Nets.At(family, 2, 53), "udp");
        one.Reaches(server, "len=1");
        server.Reaches(one, "len=2");
        two.Reaches(same, "len=3");
        server.Reaches(one, "len=4");
        same.Reaches(two, "len=5");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void What_is_over_goes_before_what_has_just_begun(int family)
    {
        var net = new TestNet(Nets.OutOnly, flows: 2, policy: static policy => policy with { Limits = FlowLimits.None });
        (TestHost young, TestHost youngServer) = net.Between(Nets.At(family, 1, 1000), Nets.At(family, 3, 443));
        young.Reaches(youngServer, "SYN seq=1");
        (TestHost client, TestHost server) = Connect(net, family, 1001);
        client.Reaches(server, "RST seq=100");
        (TestHost next, TestHost nextServer) = net.Between(Nets.At(family, 1, 1002), Nets.At(family, 2, 443));
        next.Reaches(nextServer, "SYN seq=1");
        youngServer.Reaches(young, "SYN,ACK seq=9 ack=2");
        net.ExpectsNoDrops();
        net.ExpectsFlows(2);
    }

    [Fact]
    public void A_flood_that_fills_one_burst_is_held_to_its_limit_and_loses_no_packet()
    {
        TestNet net = WithHalfOpen(4);
        net.InOneBurst(() =>
        {
            for (int port = 1000; port < 1064; port++)
            {
                net.Sends($"outside: tcp 203.0.113.2:{port} > 10.0.0.5:80 SYN seq=99");
            }
        });
        for (int port = 1000; port < 1064; port++)
        {
            net.Hears("inside", $"tcp 203.0.113.2:{port} > 10.0.0.5:80 SYN seq=99");
        }

        net.ExpectsFlows(4);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_connection_that_begins_anew_is_half_open_again(int family)
    {
        TestNet net = WithHalfOpen(1);
        (TestHost client, TestHost server) = Connect(net, family, 1000);
        Assert.Equal(1, net.Path.Flows.Proven);
        client.Reaches(server, "SYN seq=7000");
        server.Reaches(client, "SYN,ACK seq=20 ack=7001");
        Assert.Equal(0, net.Path.Flows.Proven);
        client.Reaches(server, "ACK seq=7001 ack=21");
        Assert.Equal(1, net.Path.Flows.Proven);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Datagrams_of_forged_senders_prove_nothing_though_they_are_answered(int family)
    {
        var net = new TestNet(Nets.Open, flows: 64, policy: policy => policy with { Limits = FlowLimits.None });
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 40000), Nets.At(family, 2, 53), "udp");
        client.Reaches(server, "len=1");
        server.Reaches(client, "len=1");
        client.Reaches(server, "len=1");
        for (int port = 5000; port < 5200; port++)
        {
            (TestHost service, TestHost forged) = net.Between(Nets.At(family, 1, 53), Nets.At(family, 9, port), "udp");
            forged.Reaches(service, "len=1");
            service.Reaches(forged, "len=100");
            forged.Reaches(service, "len=1");
        }

        net.ExpectsNoDrops();
        net.ExpectsFlows(64);
        Assert.Equal(1, net.Path.Flows.Proven);
        server.Reaches(client, "len=1");
    }

    private static TestNet WithHalfOpen(int most) => new(
        Nets.Open, policy: policy => policy with { Limits = FlowLimits.None with { HalfOpen = Portion.Flows(most) } });

    private static (TestHost Client, TestHost Server) Connect(TestNet net, int family, int port)
    {
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, port), Nets.At(family, 2, 443));
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
        return (client, server);
    }

    /// <summary>From outside, of a sender who may not exist, to one of a few services.</summary>
    private static string Opening(Random random, int family)
    {
        string from = family == 4
            ? $"198.51.{random.Next(1, 255)}.{random.Next(1, 255)}:{random.Next(1, 65536)}"
            : $"[2001:db8:{random.Next(16, 65536):x}::{random.Next(1, 65536):x}]:{random.Next(1, 65536)}";
        string to = Nets.At(family, 8, random.Next(80, 84));
        return random.Next(3) == 0 ? $"outside: udp {from} > {to} len=9" : $"outside: tcp {from} > {to} SYN seq={random.Next()}";
    }
}

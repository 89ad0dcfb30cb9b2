using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>The part of the table that is kept for rules marked `management`.</summary>
public sealed class ReserveTests
{
    private const string Ruleset = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - allow: manage
            service: ssh
            management: true
          - allow: rest

        """;

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_table_full_of_proven_flows_still_takes_management(int family)
    {
        TestNet net = With(reserve: 2);
        for (int port = 1000; port < 1006; port++)
        {
            Connect(net, family, port, 443);
        }

        net.Sends($"inside: tcp {Nets.At(family, 1, 1006)} > {Nets.At(family, 2, 443)} SYN seq=1");
        net.Expects(DropReason.TableFull, 1);
        Connect(net, family, 1000, 22);
        Connect(net, family, 1001, 22);
        net.ExpectsFlows(8);
        Assert.Equal(2, net.Path.Flows.Management);
        net.Sends($"inside: tcp {Nets.At(family, 1, 1002)} > {Nets.At(family, 2, 22)} SYN seq=1");
        net.Expects(DropReason.TableFull, 2);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_flood_of_other_openings_does_not_push_a_management_opening_out(int family)
    {
        TestNet net = With(reserve: 2);
        (TestHost admin, TestHost machine) = net.Between(Nets.At(family, 1, 1000), Nets.At(family, 2, 22));
        admin.Reaches(machine, "SYN seq=99");
        for (int port = 1000; port < 1100; port++)
        {
            net.Sends($"outside: tcp {Nets.At(family, 9, port)} > {Nets.At(family, 8, 80)} SYN seq=1");
        }

        net.ExpectsFlows(7);
        machine.Reaches(admin, "SYN,ACK seq=9 ack=100");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Management_may_have_the_rest_too_and_pushes_out_what_is_not_proven(int family)
    {
        TestNet net = With(reserve: 2);
        for (int port = 1000; port < 1006; port++)
        {
            net.Sends($"outside: tcp {Nets.At(family, 9, port)} > {Nets.At(family, 8, 80)} SYN seq=1");
        }

        for (int port = 1000; port < 1005; port++)
        {
            Connect(net, family, port, 22);
        }

        net.ExpectsNoDrops();
        net.ExpectsFlows(8);
        Assert.Equal(5, net.Path.Flows.Management);
        Assert.Equal(3, net.Path.Counters.Evicted);
    }

    [Fact]
    public void Without_a_management_rule_nothing_is_kept_back()
    {
        const string Unlimited = "\nlimits: { half-open: none, per-source: { flows: none } }\n";
        var net = new TestNet(Nets.Open + Unlimited, flows: 200);
        for (int port = 1000; port < 1200; port++)
        {
            net.Sends($"outside: tcp 203.0.113.2:{port} > 10.0.0.5:80 SYN seq=1");
        }

        net.ExpectsFlows(200);
        net.Reloads(Ruleset + Unlimited);
        net.Sends("outside: tcp 203.0.113.2:1200 > 10.0.0.5:80 SYN seq=1");
        net.ExpectsFlows(200);
        Assert.Equal(1, net.Path.Counters.Evicted);
    }

    private static TestNet With(int reserve) => new(
        Ruleset, flows: 8, policy: policy => policy with { Limits = FlowLimits.None with { ManagementReserve = Portion.Flows(reserve) } });

    private static void Connect(TestNet net, int family, int port, int service)
    {
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, port), Nets.At(family, 2, service));
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
    }
}

using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>`reload --keep-flows`: what the new rules do not allow lives on as it was judged, until a reload without.</summary>
public sealed class KeptFlowTests
{
    private static readonly string s_web = SweepTests.Rules("web: tcp/443");
    private static readonly string s_noWeb = SweepTests.Rules("dns: udp/53");

    private const string Helped = Nets.Ports + """
        rules:
          - allow: ftp
            from: inside
            service: tcp/21
            helper: ftp

        """;

    [Theory]
    [InlineData(4, true)]
    [InlineData(6, true)]
    [InlineData(4, false)]
    [InlineData(6, false)]
    public void A_kept_flow_lives_on_and_counts_for_the_rule_that_let_it_in(int family, bool swept)
    {
        var net = new TestNet(s_web);
        (TestHost client, TestHost server) = Connects(net, family);
        net.Reloads(s_noWeb, keepsFlows: true);
        if (swept)
        {
            net.After("50ms");
        }

        client.Reaches(server, "ACK seq=100 ack=10 len=5");
        server.Reaches(client, "ACK seq=10 ack=105");
        Assert.Equal((5L, 0L, 1L), (SweepTests.Packets(net, "web"), SweepTests.Ended(net, "web"), net.Path.Counters.Kept));
        Assert.True(net.Path.Flows[1].Kept);
        Assert.Equal("web", net.Path.RuleOf(net.Path.Flows[1]).Name);

        // What is new is judged by what is in force.
        net.Sends($"inside: tcp {Nets.At(family, 1, 40001)} > {Nets.At(family, 2, 443)} syn");
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void The_next_reload_without_it_ends_what_was_kept_and_one_with_it_keeps_it_on(int family)
    {
        var net = new TestNet(s_web);
        (TestHost client, TestHost server) = Connects(net, family);
        net.Reloads(s_noWeb, keepsFlows: true);
        net.Reloads(s_noWeb, keepsFlows: true);
        client.Reaches(server, "ACK seq=100 ack=10 len=5");
        Assert.Equal(1, net.Path.Counters.Kept);
        net.Reloads(s_noWeb);
        net.After("50ms");
        net.ExpectsFlows(0);
        Assert.Equal((1, 1L), (net.Path.Counters.Disallowed, SweepTests.Ended(net, "web")));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void What_the_new_rules_allow_is_judged_by_them_as_ever(int family)
    {
        var net = new TestNet(s_web);
        Connects(net, family);
        net.Reloads(SweepTests.Rules("all: any"), keepsFlows: true);
        net.After("50ms");
        Assert.Equal((false, "all", 0), (net.Path.Flows[1].Kept, net.Path.RuleOf(net.Path.Flows[1]).Name, net.Path.Counters.Kept));
        net.Reloads(s_noWeb, keepsFlows: true);
        net.Reloads(s_web);
        net.After("50ms");
        Assert.Equal((false, "web", 0), (net.Path.Flows[1].Kept, net.Path.RuleOf(net.Path.Flows[1]).Name, net.Path.Counters.Kept));
    }

    [Theory]
    [InlineData(4, true)]
    [InlineData(6, true)]
    [InlineData(4, false)]
    [InlineData(6, false)]
    public void With_a_kept_flow_its_children_stay_and_what_it_expects(int family, bool swept)
    {
        var net = new TestNet(Helped);
        TextTalk control = FtpTests.Greeted(net, family);
        control.Client(FtpTests.Eprt(family, 50000));
        control.Client(FtpTests.Eprt(family, 50001));
        Comes(net, family, 50000);
        net.Reloads(s_noWeb, keepsFlows: true);
        if (swept)
        {
            net.After("50ms");
        }

        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 50000), Nets.At(family, 2, 20));
        client.Reaches(server, "syn,ack seq=7 ack=10");
        Comes(net, family, 50001);
        control.Client(FtpTests.Eprt(family, 50002));
        Comes(net, family, 50002);
        net.ExpectsNoDrops();
        net.ExpectsFlows(4);

        net.Reloads(s_noWeb);
        net.After("50ms");
        net.ExpectsFlows(0);
        Assert.Equal((4L, 0), (SweepTests.Ended(net, "ftp"), net.Path.Flows.Expectations.Count));
    }

    private static void Comes(TestNet net, int family, int port)
    {
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, port), Nets.At(family, 2, 20));
        server.Reaches(client, "syn seq=9");
    }

    private static (TestHost Client, TestHost Server) Connects(TestNet net, int family)
    {
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 40000), Nets.At(family, 2, 443));
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
        return (client, server);
    }
}

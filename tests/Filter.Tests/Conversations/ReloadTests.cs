using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Flows of an old ruleset under a new one.</summary>
public sealed class ReloadTests
{
    private const string Long = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - drop: one
            service: tcp/1
          - drop: two
            service: tcp/2
          - drop: three
            service: tcp/3
          - allow: all
            from: inside

        """;

    private const string Short = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }

        """;

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void The_number_of_a_rule_that_is_gone_is_counted_nowhere(int family)
    {
        var net = new TestNet(Long);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 40000), Nets.At(family, 2, 443));
        (TestHost asks, TestHost answers) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), "udp");
        client.Reaches(server, "SYN seq=99");
        asks.Reaches(answers, "len=1");
        net.Reloads(Short);
        server.Sends("SYN,ACK seq=9 ack=100");
        net.Expects(DropReason.NoFlow, 1);
        net.Sends($"outside: icmp {Nets.At(family, 3)} > {Nets.At(family, 1)} time-exceeded "
            + $"quote=\"udp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 53)} len=1\"");
        Assert.Equal(1, net.Path.Counters[DropReason.StrayIcmpError]);
        net.HearsNothing("inside");
        for (int rule = 0; rule < net.Path.Ruleset.RuleCount; rule++)
        {
            Assert.Equal(0, net.Path.Counters.Rule(rule));
        }

        while (net.Path.Events.TryRead(out var happened))
        {
            Assert.Equal(0, happened.Packet.Rule);
        }
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void What_was_asked_before_a_pinhole_became_one_answer_is_still_owed(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), "udp");
        client.Reaches(server, "len=1");
        client.Reaches(server, "len=2");
        net.Reloads(Nets.OneAnswer);
        server.Reaches(client, "len=3");
        server.Reaches(client, "len=4");
        server.Sends("len=5");
        client.HearsNothing();
        net.Expects(DropReason.DefaultDeny, 1);
        net.ExpectsFlows(0);
    }
}

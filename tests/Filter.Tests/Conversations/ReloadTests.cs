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

    /// <summary>Conversations that go on for long, a turn each way: protocol, does it have ports, what is said.</summary>
    private static readonly (string Protocol, bool Ports, string Asks, string Answers)[] s_turns =
    [
        ("udp", true, "len=20", "len=30"),
        ("udplite", true, "len=20", "len=30"),
        ("dccp", true, "len=40", "len=40"),
        ("sctp", true, "tag=0xb len=100", "tag=0xa len=100"),
        ("icmp", false, "echo-request id=7 seq=1 len=8", "echo-reply id=7 seq=1 len=8"),
        ("gre", false, "key=0x10002 len=40", "key=0x10002 len=40"),
        ("esp", false, "spi=0x1001 seq=1 len=40", "spi=0x2001 seq=1 len=40"),
        ("ah", false, "spi=0x1001 seq=1", "spi=0x2001 seq=1"),
        ("proto-41", false, "len=60", "len=60"),
    ];

    [Theory]
    [InlineData(4, true)]
    [InlineData(6, true)]
    [InlineData(4, false)]
    [InlineData(6, false)]
    public void Flows_of_every_protocol_go_on_over_a_hundred_reloads(int family, bool swept)
    {
        const string One = Nets.Ports + "rules:\n  - allow: one\n    from: inside\n";
        const string Other = Nets.Ports + "rules:\n  - drop: low\n    service: tcp/1\n  - allow: one\n    service: [ tcp, esp ]\n  - allow: two\n";
        var net = new TestNet(One);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 40000), Nets.At(family, 2, 443));
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
        (TestHost caller, TestHost called) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 5000), "sctp");
        caller.Reaches(called, "chunk=init itag=0xa");
        called.Reaches(caller, "chunk=init-ack tag=0xa itag=0xb len=100");
        caller.Reaches(called, "chunk=cookie-echo tag=0xb len=80");
        called.Reaches(caller, "chunk=cookie-ack tag=0xa");
        (TestHost Inside, TestHost Outside, string Asks, string Answers)[] pairs = [.. s_turns.Select(turn =>
        {
            string protocol = turn.Protocol == "icmp" && family == 6 ? "icmpv6" : turn.Protocol;
            (TestHost inside, TestHost outside) = net.Between(
                Nets.At(family, 1, turn.Ports ? 4000 : null), Nets.At(family, 2, turn.Ports ? 5000 : null), protocol);
            return (inside, outside, turn.Asks, turn.Answers);
        })];
        int sent = 100, answered = 10;
        for (int round = 0; round <= 100; round++)
        {
            client.Reaches(server, $"ACK seq={sent} ack={answered} len=7");
            sent += 7;
            server.Reaches(client, $"ACK seq={answered} ack={sent} len=9");
            answered += 9;
            client.Reaches(server, $"ACK seq={sent} ack={answered}");
            foreach ((TestHost inside, TestHost outside, string asks, string answers) in pairs)
            {
                inside.Reaches(outside, asks);
                outside.Reaches(inside, answers);
            }

            net.Reloads(round % 2 == 0 ? Other : One);
            if (swept)
            {
                net.After("1s");
            }
        }

        net.ExpectsNoDrops();
        net.ExpectsFlows(pairs.Length + 1);
        Assert.Equal((pairs.Length + 1, 0, 0), (net.Path.Counters.Opened, net.Path.Counters.Disallowed, net.Path.Counters.Expired));
        Assert.Equal(
            net.Path.Counters[Verdict.Pass], SweepTests.Packets(net, "one") + SweepTests.Packets(net, "two"));
    }
}

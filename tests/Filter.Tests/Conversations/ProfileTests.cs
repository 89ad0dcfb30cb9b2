using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Rules;

namespace Filter.Tests.Conversations;

/// <summary>What `profile` and `timers` change: RFC 6092 REC-12, 14, 15, 35, 40, 44.</summary>
public sealed class ProfileTests
{
    private const string Rfc6092 = "profile: rfc6092";

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void In_rfc6092_a_question_between_high_ports_may_be_answered_for_five_minutes(int family)
    {
        var net = new TestNet(Nets.OutOnlyWith(Rfc6092));
        (TestHost client, TestHost server) = net.Between(Nets.Public(family, 1, 4000), Nets.Public(family, 2, 5000), "udp");
        client.Reaches(server);
        net.After("299s");
        server.Reaches(client);
        net.After("299s");
        server.Reaches(client);
        net.After("301s");
        server.Sends();
        client.HearsNothing();
        net.Expects(DropReason.Expired, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void In_rfc6092_repeated_questions_wait_as_long_as_one(int family)
    {
        var net = new TestNet(Nets.OutOnlyWith(Rfc6092));
        (TestHost client, TestHost server) = net.Between(Nets.Public(family, 1, 4000), Nets.Public(family, 2, 5000), "udp");
        (TestHost caller, TestHost called) = net.Between(Nets.Public(family, 1, 4000), Nets.Public(family, 2, 443));
        for (int i = 0; i < 6; i++)
        {
            client.Reaches(server);
            caller.Reaches(called, "SYN seq=5");
        }

        net.After("239s");
        called.Reaches(caller, "SYN,ACK seq=9 ack=6");
        net.After("60s");
        server.Reaches(client);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void By_default_a_syn_repeated_three_times_without_an_answer_waits_a_minute(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost caller, TestHost called) = net.Between(Nets.Public(family, 1, 4000), Nets.Public(family, 2, 443));
        caller.Reaches(called, "SYN seq=5");
        net.After("239s");
        for (int i = 0; i < 3; i++)
        {
            caller.Reaches(called, "SYN seq=5");
        }

        net.ExpectsFlows(1);
        net.After("61s");
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_established_connection_lives_two_hours_and_four_minutes(int family)
    {
        var net = new TestNet(Nets.OutOnlyWith(Rfc6092));
        (TestHost client, TestHost server) = net.Between(Nets.Public(family, 1, 4000), Nets.Public(family, 2, 443));
        client.Reaches(server, "SYN seq=5");
        server.Reaches(client, "SYN,ACK seq=9 ack=6");
        client.Reaches(server, "ACK seq=6 ack=10");
        net.After("7439s");
        server.Reaches(client, "ACK seq=10 ack=6 len=1");
        net.After("7441s");
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Each_timer_may_be_set(int family)
    {
        var net = new TestNet(Nets.OutOnlyWith("timers: { udp-opening: 1m30s, icmp: 2h, other: 5s }"));
        (TestHost client, TestHost server) = net.Between(Nets.Public(family, 1, 4000), Nets.Public(family, 2, 5000), "udp");
        (TestHost pinger, TestHost pinged) = net.Between(Nets.Public(family, 1), Nets.Public(family, 2), "icmp");
        (TestHost one, TestHost other) = net.Between(Nets.Public(family, 1), Nets.Public(family, 2), "proto-253");
        client.Reaches(server);
        pinger.Reaches(pinged, "echo-request id=7");
        one.Reaches(other, "len=5");
        net.After("6s");
        net.ExpectsFlows(2);
        net.After("83s");
        net.ExpectsFlows(2);
        net.After("2s");
        net.ExpectsFlows(1);
        net.After("7100s");
        pinged.Reaches(pinger, "echo-reply id=7");
        net.ExpectsNoDrops();
    }

    [Fact]
    public void A_reload_changes_the_times_of_what_lives_already()
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.Public(4, 1, 4000), Nets.Public(4, 2, 5000), "udp");
        client.Reaches(server);
        net.Reloads(Nets.OutOnlyWith("timers: { udp-answered: 10m }"));
        server.Reaches(client);
        net.After("599s");
        server.Reaches(client);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4, 60)]
    [InlineData(6, 60)]
    public void In_rfc6092_pieces_wait_a_minute_for_the_rest(int family, int seconds)
    {
        var net = new TestNet(Nets.OutOnlyWith(Rfc6092));
        string source = Nets.Public(family, 1), destination = Nets.Public(family, 2);
        net.Sends($"inside: udp {Nets.Public(family, 1, 4000)} > {Nets.Public(family, 2, 53)} len=1000 total=1800 frag=0+ id=7");
        net.After($"{seconds - 1}s");
        net.Sends($"inside: udp {source} > {destination} len=800 frag=1008 id=7");
        Assert.NotNull(net.Take("outside", null));
        Assert.NotNull(net.Take("outside", null));
        net.ExpectsNoDrops();
    }

    /// <summary>No timer of the profile, as it comes or as it may be set, is below what the RFCs ask.</summary>
    [Fact]
    public void Rfc6092_and_what_it_lets_be_set_meet_the_minima()
    {
        (FlowTimer Timer, int Seconds)[] minima =
        [
            (FlowTimer.TcpOpening, 240), (FlowTimer.TcpEstablished, 7440), (FlowTimer.TcpClosing, 240), (FlowTimer.TcpTimeWait, 240),
            (FlowTimer.TcpReset, 240), (FlowTimer.UdpOpening, 120), (FlowTimer.UdpAnswered, 120), (FlowTimer.UdpLasting, 120),
            (FlowTimer.Icmp, 60), (FlowTimer.SctpOpening, 240), (FlowTimer.SctpEstablished, 7440), (FlowTimer.SctpClosing, 240),
            (FlowTimer.SctpClosed, 240), (FlowTimer.DccpOpening, 480), (FlowTimer.DccpOpen, 7440), (FlowTimer.Gre, 120),
            (FlowTimer.Ipsec, 120), (FlowTimer.Other, 120), (FlowTimer.FragmentsIpv4, 60), (FlowTimer.FragmentsIpv6, 60),
        ];
        FlowTimers timers = FlowTimers.Of(Profile.Rfc6092);
        Assert.Equal([FlowTimer.TcpUnanswered, FlowTimer.UdpWellKnownOpening, FlowTimer.UdpWellKnownAnswered, FlowTimer.Unanswered],
            Enum.GetValues<FlowTimer>().Except(minima.Select(static m => m.Timer)));
        foreach ((FlowTimer timer, int seconds) in minima)
        {
            Assert.True(timers[timer] >= seconds * 1_000_000_000L, $"{timer} is {timers[timer]}");
            Assert.Equal(seconds * 1_000_000_000L, FlowTimers.Minimum(Profile.Rfc6092, timer).Least);
        }

        Assert.Equal(300_000_000_000, timers[FlowTimer.UdpOpening]);
        Assert.Equal(long.MaxValue, timers[FlowTimer.Unanswered]);
    }

    [Fact]
    public void Every_timer_stands_where_its_number_says()
    {
        Assert.Equal(Enum.GetValues<FlowTimer>(), FlowTimers.Words.Select(static w => w.Timer));
        Assert.Equal(FlowTimers.Words.Count(), FlowTimers.Words.Select(static w => w.Word).Distinct().Count());
    }

    [Fact]
    public void Every_word_of_timers_is_read()
    {
        string lines = string.Join("", FlowTimers.Words.Select(static (w, i) => $"  {w.Word}: {i + 1}h4m3s\n"));
        RulesetReading reading = RulesetFile.Parse("test.yaml", Nets.OutOnlyWith("timers:\n" + lines));
        Assert.Empty(reading.Diagnostics);
        Assert.All(FlowTimers.Words.Index(), timer =>
            Assert.Equal((((timer.Index + 1) * 3600) + 243) * 1_000_000_000L, reading.Ruleset!.Path.Timers[timer.Item.Timer]));
        Assert.Equal(Profile.Default, reading.Ruleset!.Path.Profile);
    }
}

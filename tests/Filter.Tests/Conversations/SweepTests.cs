using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Tests.Conversations;

/// <summary>Flows of which no packet asks when the policy changes: judged again all the same, a few at a time.</summary>
public sealed class SweepTests
{
    private static readonly string s_web = Rules("web: tcp/443", "dns: udp/53");
    private static readonly string s_noWeb = Rules("dns: udp/53");

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_flow_that_is_no_longer_allowed_ends_without_a_packet_counted_by_its_rule_and_told(int family)
    {
        var net = new TestNet(s_web);
        Connects(net, family, 40000, 443);
        Asks(net, family, 4000);
        net.After("5s");
        net.Reloads(s_noWeb);
        net.ExpectsFlows(2);
        net.After("50ms");
        net.ExpectsFlows(1);
        Assert.Null(net.Path.JudgedAgain);
        Assert.Equal(1, net.Path.Counters.Disallowed);
        Assert.Equal((1L, 0L), (Ended(net, "web"), Ended(net, "dns")));

        Assert.True(net.Path.Ends.TryRead(out FlowEnd told));
        Assert.Equal(new RuleName("web", "test.yaml", 6), told.Was);
        Assert.Equal(new RuleName("default out", "test.yaml", 0), told.By);
        Assert.Equal(Verdict.Drop, told.Verdict);
        Assert.Equal(5_050_000_000, told.Age);
        Assert.Equal(443, told.Opening.Key.DestinationPort);
        Assert.False(net.Path.Ends.TryRead(out _));
        net.ExpectsNoDrops();
    }

    [Fact]
    public void A_flow_whose_time_was_over_was_ended_by_no_policy()
    {
        var net = new TestNet(s_web);
        Asks(net, 4, 4000);
        Asks(net, 6, 4000);
        net.Reloads(Rules("web: tcp/443"));
        while (net.Path.Sweep(2_000_000_000_000, 64))
        {
        }

        Assert.Equal((0, 2, 0), (net.Path.Flows.Count, net.Path.Counters.Expired, net.Path.Counters.Disallowed));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_packet_that_comes_before_the_sweep_ends_its_flow_first(int family)
    {
        var net = new TestNet(s_web);
        (_, TestHost server) = Connects(net, family, 40000, 443);
        net.Reloads(s_noWeb);
        server.Sends("ACK seq=10 ack=100");
        net.Expects(DropReason.NoFlow, 1);
        Assert.Equal((0, 1, 1), (net.Path.Flows.Count, net.Path.Counters.Disallowed, Ended(net, "web")));
        net.After("50ms");
        Assert.Equal(1, net.Path.Counters.Disallowed);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_flow_that_is_still_allowed_goes_on_as_it_was_by_whatever_rule(int family)
    {
        var net = new TestNet(s_web);
        (TestHost client, TestHost server) = Connects(net, family, 40000, 443);
        Flow before = net.Path.Flows[1];
        net.After("10s");
        net.Reloads(Rules("dns: udp/53", "everything: tcp"));
        net.After("50ms");
        Flow after = net.Path.Flows[1];
        Assert.Equal((before.State, before.Deadline, before.Serial, before.Opener, before.Answerer), (after.State, after.Deadline, after.Serial, after.Opener, after.Answerer));
        Assert.Equal("everything", net.Path.RuleOf(after).Name);
        client.Reaches(server, "ACK seq=100 ack=10 len=5");
        server.Reaches(client, "ACK seq=10 ack=105");
        net.ExpectsNoDrops();
        Assert.Equal(0, net.Path.Counters.Disallowed);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Judging_again_spends_no_rate_and_a_reload_gives_none_back(int family)
    {
        string limited = Nets.Ports + "rules:\n  - allow: few\n    from: inside\n    limit: 1/m burst 2\n";
        var net = new TestNet(limited);
        Asks(net, family, 4000);
        for (int i = 0; i < 5; i++)
        {
            net.Reloads(limited);
            net.After("50ms");
        }

        Asks(net, family, 4001);
        net.Reloads(limited);
        net.Sends($"inside: udp {Nets.At(family, 1, 4002)} > {Nets.At(family, 2, 53)}");
        net.Expects(DropReason.RateLimited, 1);
        net.ExpectsFlows(2);

        // Another rate is another bucket, and full.
        net.Reloads(limited.Replace("1/m", "2/m", StringComparison.Ordinal));
        Asks(net, family, 4003);
    }

    [Fact]
    public void Until_it_is_judged_again_a_flow_has_the_name_of_its_rule_wherever_that_stands_now()
    {
        var net = new TestNet(s_web);
        Connects(net, 4, 40000, 443);
        Asks(net, 4, 4000);
        net.Reloads(Rules("one: tcp/1", "two: tcp/2", "dns: udp/53"));
        net.Reloads(Rules("one: tcp/1", "dns: udp/53"));
        Assert.Equal(new RuleName("web", "test.yaml", 6), net.Path.RuleOf(net.Path.Flows[1]));
        Assert.Equal(new RuleName("dns", "test.yaml", 9), net.Path.RuleOf(net.Path.Flows[2]));
        net.After("50ms");
        Assert.Equal(new RuleName("dns", "test.yaml", 9), net.Path.RuleOf(net.Path.Flows[2]));
    }

    [Fact]
    public void What_a_rule_counted_is_its_names_whatever_its_number_and_while_it_is_gone()
    {
        var net = new TestNet(s_web);
        Connects(net, 6, 40000, 443);
        Asks(net, 6, 4000);
        net.Reloads(Rules("one: tcp/1", "dns: udp/53", "web: tcp/443"));
        Assert.Equal((3L, 1L), (Packets(net, "web"), Packets(net, "dns")));
        Asks(net, 6, 4001);
        net.Reloads(Rules("one: tcp/1"));
        net.After("50ms");
        Assert.Equal((3L, 2L), (Packets(net, "web"), Packets(net, "dns")));
        Assert.Equal((1L, 2L), (Ended(net, "web"), Ended(net, "dns")));
        Assert.True(Number(net, "web") >= net.Path.Counters.Rules.Rules);
        net.Reloads(s_web);
        Asks(net, 6, 4002);
        Assert.Equal((3L, 3L), (Packets(net, "web"), Packets(net, "dns")));
        Assert.True(Number(net, "web") < net.Path.Counters.Rules.Rules);
        Assert.Equal((1L, 2L), (Ended(net, "web"), Ended(net, "dns")));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_pinhole_for_others_follows_the_flows_that_keep_it_open(int family)
    {
        string both = Rules("game: udp/27015", "chat: udp/27016").Replace("udp/27015\n", "udp/27015\n    pinhole: endpoint-independent\n", StringComparison.Ordinal)
            .Replace("udp/27016\n", "udp/27016\n    pinhole: endpoint-independent\n", StringComparison.Ordinal);
        string game = both[..both.IndexOf("  - allow: chat", StringComparison.Ordinal)];
        var net = new TestNet(both);
        foreach (int to in (int[])[27015, 27016])
        {
            (TestHost player, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, to), "udp");
            player.Reaches(server, "len=1");
        }

        Stranger(3);
        // The flow that spoke for the pinhole last ends, the other one holds it open.
        net.Reloads(game);
        net.After("50ms");
        net.ExpectsFlows(2);
        Stranger(4);
        net.ExpectsNoDrops();
        net.Reloads(Rules("none: udp/1"));
        net.After("50ms");
        net.ExpectsFlows(0);
        Assert.Equal(0, net.Path.Flows.Expectations.Count);

        void Stranger(int host) => net.Between(Nets.At(family, 1, 4000), Nets.At(family, host, 9), "udp").Outside
            .Reaches(net.Between(Nets.At(family, 1, 4000), Nets.At(family, host, 9), "udp").Inside, "len=1");
    }

    [Fact]
    public void Rules_that_are_gone_are_remembered_up_to_a_bound_and_what_is_forgotten_is_counted_together()
    {
        var first = new Named([.. Enumerable.Range(0, RuleBook.MostGone).Select(static i => $"a{i}")]);
        var book = new RuleBook(first);
        for (int rule = 1; rule < first.RuleCount; rule++)
        {
            book.CountPacket(rule);
        }

        book = book.Follow(new Named(["b0", "b1"]), keeps: false);
        Assert.Equal(RuleBook.MostGone + 3, book.Count);
        book.CountPacket(1);
        book.CountPacket(2);
        RuleBook last = book.Follow(new Named(["c"]), keeps: false);
        Assert.Equal(RuleBook.MostGone + 3, last.Count);
        Assert.Equal(("rules long gone", 2L), (last.Name(2).Name, last.Packets(2)));
        Assert.Equal(("a2", 1L), (last.Name(3).Name, last.Packets(3)));
        Assert.Equal(("b1", 1L), (last.Name(last.Count - 1).Name, last.Packets(last.Count - 1)));
        last = last.Follow(new Named(["d"]), keeps: false);
        Assert.Equal(("rules long gone", 3L), (last.Name(2).Name, last.Packets(2)));
        last = last.Follow(new Named(["a7", "d", "e"]), keeps: false);
        Assert.Equal((1L, 0L), (last.Packets(1), last.Packets(2)));
        Assert.Equal(RuleBook.MostGone + 2, last.Packets(4) + last.Take().Packets[5..].Sum() + last.Packets(1));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_whole_table_is_judged_again_in_small_steps_and_a_further_reload_begins_anew(bool twice)
    {
        const int Flows = 3000;
        const string Limits = "limits: { per-source: { flows: none }, half-open: none }\n";
        var net = new TestNet(s_web + Limits, flows: 4096);
        for (int i = 0; i < Flows; i++)
        {
            net.Sends($"inside: udp {Nets.At(4, 1, 10000 + i)} > {Nets.At(4, 2, 53)}");
        }

        net.Reloads(Rules("web: tcp/443") + Limits);
        int last = -1, ticks = 0;
        while (net.Path.JudgedAgain is { } percent)
        {
            Assert.InRange(percent, last, 99);
            last = percent;
            net.After("50ms");
            Assert.InRange(net.Path.Flows.Count, Flows - (++ticks * 256) - 1, Flows);
            if (twice && ticks == 5)
            {
                net.Reloads(s_web + Limits);
                Assert.Equal(0, net.Path.JudgedAgain);
                last = -1;
            }
        }

        Assert.Equal(twice ? Flows - (5 * 256) + 1 : 0, net.Path.Flows.Count);
        Assert.Equal(Flows - net.Path.Flows.Count, Ended(net, "dns"));
        int told = 0;
        for (; net.Path.Ends.TryRead(out _); told++)
        {
        }

        Assert.Equal(Flows - net.Path.Flows.Count, told + net.Path.Ends.Lost);
    }

    [Fact]
    public void Flows_that_end_together_are_ended_some_at_a_time_until_none_is_left()
    {
        const int Many = 1_000;
        const long Later = 2_000_000_000_000;
        var net = new TestNet(Rules("dns: udp/53") + "limits: { per-source: { flows: none }, half-open: none }\n", flows: 4096, workers: 1);
        for (int i = 0; i < Many; i++)
        {
            net.Sends($"inside: udp {Nets.At(4, 1, 10000 + i)} > {Nets.At(4, 2, 53)}");
        }

        PacketPath path = net.Path.Single;
        Assert.False(path.Reclaim(Later, 64));                  // nothing waits before a tick has left any
        Assert.Equal(Many, path.Flows.Count);
        path.Tick(new Burst { Now = Later });
        Assert.InRange(path.Flows.Count, 1, Many - 1);
        int turns = 0;
        for (int before = path.Flows.Count; path.Reclaim(Later, 64); before = path.Flows.Count, turns++)
        {
            Assert.Equal(64, before - path.Flows.Count);
        }

        Assert.Equal((0, Many), (path.Flows.Count, path.Counters.Expired));
        Assert.InRange(turns, 1, Many / 64);
    }

    [Fact]
    public void Judging_again_allocates_nothing_whether_flows_end_or_stay()
    {
        const string Limits = "limits: { per-source: { flows: none }, half-open: none }\n";
        var net = new TestNet(Rules("web: tcp/443", "dns: udp/53") + Limits, flows: 4096, workers: 1);
        long least = long.MaxValue;
        for (int round = 0; round < 20; round++)
        {
            for (int i = 0; i < 100; i++)
            {
                net.Sends($"inside: udp {Nets.At(4, 1, 10000 + i)} > {Nets.At(4, 2, 53)}");
                net.Sends($"inside: tcp {Nets.At(4, 1, 10000 + i)} > {Nets.At(4, 2, 443)} syn");
            }

            Assert.Equal(200, net.Path.Flows.Count);
            net.Reloads(Rules("dns: udp/53") + Limits);
            long before = GC.GetAllocatedBytesForCurrentThread();
            while (net.Path.Single.Sweep(1, 64))
            {
            }

            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            Assert.Equal(100, net.Path.Flows.Count);
            net.Reloads(Rules("web: tcp/443", "dns: udp/53") + Limits);
        }

        Assert.Equal(0, least);
    }

    [Fact]
    public void However_rulesets_follow_each_other_who_lives_and_by_what_name_is_as_they_say()
    {
        int seed = Random.Shared.Next();
        TestContext.Current.TestOutputHelper!.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var net = new TestNet(Rules(s_services), flows: 2048, workers: 1);
        Dictionary<int, (string Rule, int Client)> expected = [];
        int[] allowed = [.. Enumerable.Range(0, s_services.Length)];
        int client = 10_000;
        for (int round = 0; round < 300; round++)
        {
            for (int opened = random.Next(12); opened > 0; opened--)
            {
                int service = random.Next(s_services.Length);
                net.Sends($"inside: udp {Nets.At(4, 1, ++client)} > {Nets.At(4, 2, service + 100)}");
                int flow = net.Path.Single.Flows.Find(Key(client, service), out _);
                Assert.Equal(allowed.Contains(service), flow != 0);
                if (flow != 0)
                {
                    expected[flow] = ($"s{service}", client);
                }
            }

            if (random.Next(3) == 0)
            {
                allowed = [.. Enumerable.Range(0, s_services.Length).Where(_ => random.Next(8) != 0)];
                random.Shuffle(allowed);
                net.Reloads(Rules([.. allowed.Select(static i => s_services[i])]));
            }

            foreach ((int flow, (string rule, int port)) in expected.ToArray())
            {
                ref Flow record = ref net.Path.Flows[flow];
                if (random.Next(8) == 0)
                {
                    net.Sends($"inside: udp {Nets.At(4, 1, port)} > {Nets.At(4, 2, int.Parse(rule.AsSpan(1)) + 100)}");
                }

                if (record.Live && record.Key.SourcePort == port)
                {
                    Assert.Equal(rule, net.Path.RuleOf(record).Name);
                }
                else
                {
                    expected.Remove(flow);
                }
            }

            if (random.Next(4) == 0)
            {
                net.Path.Sweep(1, random.Next(400));
            }
        }

        while (net.Path.Sweep(1, 64))
        {
        }

        Assert.Equal(net.Path.Counters.Opened - net.Path.Counters.Disallowed, net.Path.Flows.Count);
        for (int flow = 1; flow <= net.Path.Flows.Last; flow++)
        {
            ref Flow record = ref net.Path.Flows[flow];
            Assert.True(!record.Live || allowed.Contains(record.Key.DestinationPort - 100));
            Assert.True(!record.Live || net.Path.RuleOf(record).Name == $"s{record.Key.DestinationPort - 100}");
        }
    }

    private static readonly string[] s_services = [.. Enumerable.Range(0, 30).Select(static i => $"s{i}: udp/{100 + i}")];

    private static FlowKey Key(int client, int service) =>
        new(Address.Parse(Nets.At(4, 1)), Address.Parse(Nets.At(4, 2)), (ushort)client, (ushort)(service + 100), 17, 0);

    private static (TestHost Client, TestHost Server) Connects(TestNet net, int family, int from, int to)
    {
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, from), Nets.At(family, 2, to));
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
        return (client, server);
    }

    private static void Asks(TestNet net, int family, int from)
    {
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, from), Nets.At(family, 2, 53), "udp");
        client.Reaches(server, "len=1");
    }

    /// <summary>A ruleset that allows each "name: service" from inside.</summary>
    internal static string Rules(params string[] rules) => Nets.Ports + "rules:\n" + string.Concat(rules.Select(static rule =>
        rule.Split(": ") is [var name, var service] ? $"  - allow: {name}\n    from: inside\n    service: {service}\n" : ""));

    internal static int Number(TestNet net, string rule)
    {
        RuleBook book = net.Path.Counters.Rules;
        return Enumerable.Range(1, book.Count - 1).Single(number => book.Name(number).Name == rule);
    }

    internal static long Packets(TestNet net, string rule) => net.Path.Counters.Rules.Packets(Number(net, rule));

    internal static long Ended(TestNet net, string rule) => net.Path.Counters.Rules.Ended(Number(net, rule));

    /// <summary>Rules with names alone.</summary>
    private sealed class Named(string[] names) : IRuleset
    {
        public int RuleCount => names.Length + 1;

        public PathPolicy Policy => PathPolicy.Default;

        public Judgement Judge(in OpeningFacts facts) => default;

        public bool Advance(long now) => false;

        public bool PassesEtherType(ushort etherType) => false;

        public RuleName Name(int rule) => rule == 0 ? default : new RuleName(names[rule - 1], "names", rule);

        public RuleLimit? Limit(int rule) => null;
    }
}

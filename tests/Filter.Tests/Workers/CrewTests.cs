using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Tests.Conversations;

namespace Filter.Tests.Workers;

/// <summary>What several workers make together: limits of the box, pinholes for everybody, and no packet twice or nowhere.</summary>
public sealed class CrewTests
{
    private const int Workers = 3;

    [Fact]
    public void Flows_spread_over_workers_and_both_directions_of_each_meet()
    {
        var net = new TestNet(Nets.OutOnly, workers: Workers);
        for (int host = 1; host <= 200; host++)
        {
            (TestHost client, TestHost server) = net.Between(Nets.At(4, host, 4000), Nets.At(4, 250, 53), "udp");
            client.Reaches(server, "len=1");
            server.Reaches(client, "len=1");
        }

        net.ExpectsNoDrops();
        Assert.All(net.Path.Paths, path => Assert.InRange(path.Flows.Count, 20, 140));
        Assert.Equal((400, 400, 200), (net.Path.Counters.In, net.Path.Counters[Verdict.Pass], net.Path.Flows.Count));
    }

    [Fact]
    public void A_source_has_the_flows_and_the_rate_that_it_may_have_at_all_workers_together()
    {
        var net = new TestNet(Nets.Ports + """
            defaults: { out: allow, in: drop }
            limits: { per-source: { flows: 12 } }
            rules:
              - allow: slow
                from: inside
                service: tcp/443
                limit: { per-source: { rate: 5/s burst 5 } }

            """, workers: Workers);
        for (int host = 10; host < 50; host++)
        {
            net.Sends($"inside: udp {Nets.At(4, 1, 4000)} > {Nets.At(4, host, 53)}");
        }

        // None is proven, so the oldest make way, whoever has them.
        net.ExpectsFlows(12);
        Assert.Equal(28, net.Path.Counters.Limits.GivenUp(Limit.SourceFlows));
        for (int host = 10; host < 50; host++)
        {
            net.Sends($"inside: tcp {Nets.At(4, 2, 4000)} > {Nets.At(4, host, 443)} syn");
        }

        net.Expects(DropReason.RateLimited, 35);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_flood_that_falls_to_one_worker_pushes_nobody_out_at_another(int family)
    {
        var net = new TestNet(Nets.Open, flows: 60, policy: policy => policy with { Limits = Filter.Engine.Flows.FlowLimits.None }, workers: Workers);
        for (int host = 10; host < 15; host++)
        {
            net.Sends($"outside: udp {Nets.At(family, host, 4000)} > {Nets.At(family, 1, 53)}");
        }

        int before = net.Path.Flows.Count;
        for (int port = 0; port < 1000; port++)
        {
            net.Sends($"outside: udp {Nets.At(family, 9, 5000 + port)} > {Nets.At(family, 1, 53)}");
        }

        net.ExpectsFlows(60);
        net.ExpectsNoDrops();
        int flooded = Enumerable.Range(0, Workers).MaxBy(worker => net.Path.Paths[worker].Flows.Count);
        for (int host = 20; host < 200; host++)
        {
            net.Sends($"outside: udp {Nets.At(family, host, 4000)} > {Nets.At(family, 1, 53)}");
        }

        // Whoever opens elsewhere takes room of the flood, up to an even part.
        net.ExpectsFlows(60);
        Assert.Equal(5, before);
        Assert.All(net.Path.Paths, path => Assert.InRange(path.Flows.Count, 20, 21));
        Assert.InRange(flooded, 0, Workers - 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_pinhole_for_everybody_is_one_whichever_worker_is_asked(int family)
    {
        for (int round = 0; round < 10; round++)
        {
            var net = new TestNet(Nets.Ports + """
                rules:
                  - allow: games
                    from: inside
                    service: udp/27015
                    pinhole: endpoint-independent

                """, workers: Workers);
            (TestHost gamer, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 27015), "udp");
            gamer.Reaches(server, "len=1");
            for (int stranger = 3; stranger < 10; stranger++)
            {
                (TestHost same, TestHost other) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, stranger, 5000), "udp");
                other.Reaches(same, "len=2");
                same.Reaches(other, "len=3");
                other.Reaches(same, "len=4");
                net.Sends($"outside: icmp {Nets.At(family, 200)} > {Nets.At(family, 1)} time-exceeded quote=\"udp {Nets.At(family, 1, 4000)} > {Nets.At(family, stranger, 5000)}\"");
                Assert.NotNull(net.Take("inside", null));
            }

            Assert.Equal(1, net.Path.Flows.Expectations.Count);
            Assert.Equal(8, Assert.Single(net.Path.Paths, path => path.Flows.Count > 0).Flows.Count);
            net.ExpectsNoDrops();
            net.Sends($"outside: udp {Nets.At(family, 9, 5000)} > {Nets.At(family, 1, 4001)}");
            net.Expects(DropReason.DefaultDeny, 1);
        }
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void What_one_worker_puts_together_is_known_for_it_at_another(int family)
    {
        for (int round = 0; round < 10; round++)
        {
            var net = new TestNet(Nets.Ports + """
                rules:
                  - drop: pieces
                    fragment: true
                  - allow: games
                    from: inside
                    service: udp/27015
                    pinhole: endpoint-independent

                """, workers: Workers);
            net.Sends($"inside: udp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 27015)} len=1");
            for (int other = 3; other < 10; other++)
            {
                // Its home has it whole, and asks whoever has the pinhole of its sender.
                net.Sends($"inside: udp {Nets.At(family, 1, 4000)} > {Nets.At(family, other, 27015)} len=800 total=1000 frag=0+ id={other}");
                net.Sends($"inside: udp {Nets.At(family, 1)} > {Nets.At(family, other)} len=200 frag=808 id={other}");
            }

            net.ExpectsFlows(1);
            Assert.Equal((7, 1), (net.Path.Counters.Rule(1), net.Path.Counters.Rule(2)));
        }
    }

    [Fact]
    public void What_finds_no_room_on_its_way_is_dropped_for_that_reason_and_counted_once()
    {
        (Crew crew, PacketPath[] paths) = Make();
        Burst burst = new() { Now = 1_000_000_000 };
        long sent = 0;
        byte[] frame = new byte[60_000];
        while (paths[0].Counters[DropReason.WorkerBusy] == 0)
        {
            Assert.True(sent < 10_000);
            for (int i = 0; i < 50; i++, sent++)
            {
                PacketLine line = PacketLine.Parse($"inside: udp 10.0.0.{i}:4000 > 203.0.113.9:53 len=30000");
                int length = FrameBuilder.Length(line);
                FrameBuilder.Write(line, frame.AsSpan(0, length));
                Assert.True(burst.TryAppend(length, out int index));
                ref Packet packet = ref burst.Packets[index];
                packet.Length = length;
                packet.Ingress = 1;
                frame.AsSpan(0, length).CopyTo(packet.Bytes);
            }

            crew.Seats[0].Spread(burst);
            paths[0].Walk(burst);
            crew.Seats[0].Publish();
            burst.Reset();
        }

        while (crew.Seats[1].Take(burst, 0, out _) > 0)
        {
            paths[1].Walk(burst);
            burst.Reset();
            crew.Seats[1].Release(0);
        }

        PathCounters sum = PathCounters.Of([.. paths.Select(path => path.Counters)]);
        Assert.Equal((sent, sent), (sum.In, sum[Verdict.Pass] + sum[DropReason.WorkerBusy] + sum[DropReason.TooBig] + sum[Verdict.Answered]));
        Assert.True(sum[DropReason.WorkerBusy] > 0);
    }

    [Fact]
    public void Handing_over_allocates_nothing()
    {
        (Crew crew, PacketPath[] paths) = Make();
        Burst burst = new() { Now = 1_000_000_000 };
        PacketLine[] lines = [.. Enumerable.Range(1, 60).Select(i => PacketLine.Parse($"inside: udp 10.0.0.{i}:4000 > 203.0.113.9:53 len=30"))];
        byte[][] frames = [.. lines.Select(line =>
        {
            byte[] frame = new byte[FrameBuilder.Length(line)];
            FrameBuilder.Write(line, frame);
            return frame;
        })];
        Action<Burst, int> walked = static (_, _) => { };
        Assert.Equal(0, Allocations.Least(() =>
        {
            foreach (byte[] frame in frames)
            {
                burst.TryAppend(frame.Length, out int index);
                ref Packet packet = ref burst.Packets[index];
                packet.Length = frame.Length;
                packet.Ingress = 1;
                frame.CopyTo(packet.Bytes);
            }

            crew.Walk(burst, 0, walked);
            crew.Tick(burst, walked);
        }));
        Assert.True(crew.Seats[1].Taken > 0 && paths[1].Counters[Verdict.Pass] == crew.Seats[1].Taken);
    }

    private static (Crew Crew, PacketPath[] Paths) Make()
    {
        MemoryPort[] ports =
        [
            new(1500) { Name = "outside", Number = 0, Side = Side.Unprotected, KeepsSent = false },
            new(1500) { Name = "inside", Number = 1, Side = Side.Protected, KeepsSent = false },
        ];
        Crew crew = new(2, ports);
        IRuleset ruleset = Filter.Rules.Compile.RulesetCompiler.Compile(Filter.Rules.RulesetFile.Parse("test.yaml", Nets.OutOnly).Ruleset!);
        return (crew, [.. crew.Seats.Select(seat => new PacketPath<NoTrace>(new PathSettings { Ports = ports, Ruleset = ruleset, Flows = 1024, Seat = seat }))]);
    }
}

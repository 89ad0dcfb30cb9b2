using Filter.Engine.Fragments;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Compile;

namespace Filter.Tests.Conversations;

/// <summary>A path that takes another one's excerpt of a packet walks it as that one would, which never notices.</summary>
public sealed class ExcerptTests
{
    private static readonly string[] s_rulesets =
    [
        Nets.Ports + """
            rules:
              - reject: telnet
                service: tcp/23
              - allow: questions
                from: inside
                service: udp/53
                pinhole: one-answer
              - allow: games
                from: inside
                service: udp/4000
                pinhole: endpoint-independent
              - allow: controls
                from: inside
                service: tcp/21
                helper: ftp
              - allow: rest
                from: inside
                service: [ tcp, udp, icmp, gre, esp ]

            """,
        Nets.Ports + """
            defaults: { in: reject }
            rules:
              - allow: web
                service: tcp/80
              - allow: controls
                from: inside
                service: tcp/21
                helper: ftp
              - allow: games
                from: inside
                service: udp/4000-4001
                pinhole: endpoint-independent

            """,
        Nets.Ports + "defaults: { out: allow, in: drop }\n",
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void What_is_rehearsed_is_what_then_happens(int seed)
    {
        var random = new Random(seed);
        CompiledRuleset[] rulesets = [.. s_rulesets.Select(static text => RulesetCompiler.Compile(RulesetFile.Parse("test.yaml", text).Ruleset!))];
        var path = new PacketPath<NoTrace>(Settings(rulesets[0], 1024));
        Burst burst = new(), rehearsed = new();
        long now = 1_000_000_000;
        Dictionary<string, int> met = [];
        for (int round = 0; round < 2500; round++)
        {
            now += random.Next(50) == 0 ? random.NextInt64(200_000_000_000) : random.NextInt64(1_000_000);
            if (random.Next(60) == 0)
            {
                path.Publish(path.Prepare(rulesets[random.Next(rulesets.Length)], keepsFlows: random.Next(3) > 0), null);
            }

            string line = Line(random);
            byte ingress = (byte)random.Next(2);
            burst.Now = rehearsed.Now = now;
            FlowKey key = Append(burst, line, ingress);
            Append(rehearsed, line, ingress);

            // As the rules may not have been asked yet under this policy: they must know the time.
            path.Sweep(now, 1);
            PathExcerpt excerpt = path.Excerpt(key, ingress, now);
            var copy = new PacketPath<NoTrace>(Settings((CompiledRuleset)path.Ruleset, 16));
            copy.Adopt(excerpt);
            copy.Walk(rehearsed);
            path.Walk(burst);

            ref Packet happened = ref burst.Packets[0];
            ref Packet foretold = ref rehearsed.Packets[0];
            Assert.True(
                (happened.Verdict, happened.Reason, happened.Rule, happened.Egress, happened.Reply, happened.Flow != 0)
                == (foretold.Verdict, foretold.Reason, foretold.Rule, foretold.Egress, foretold.Reply, foretold.Flow != 0),
                $"seed {seed}, round {round}: '{line}' ended {happened.Verdict} {happened.Reason} by {path.Counters.Rules.Name(happened.Rule).Name}, but was "
                + $"rehearsed as {foretold.Verdict} {foretold.Reason} by {copy.Counters.Rules.Name(foretold.Rule).Name}");
            Assert.Equal(path.Counters.Rules.Name(happened.Rule), copy.Counters.Rules.Name(foretold.Rule));
            string kind = $"{happened.Verdict} {happened.Reason} {(happened.Flow == 0 ? "" : path.Flows[happened.Flow].Parent.Number != 0 ? "child" : path.Flows[happened.Flow].Kept ? "kept" : "flow")}";
            met[kind] = met.GetValueOrDefault(kind) + 1;
            burst.Reset();
            rehearsed.Reset();
            if (random.Next(20) == 0)
            {
                path.Tick(burst);
                burst.Reset();
            }
        }

        foreach (string kind in (string[])["Pass None flow", "Pass None child", "Pass None kept", "Reject Rejected ", "Drop DefaultDeny ", "Drop Expired ", "Drop NoFlow "])
        {
            Assert.True(met.GetValueOrDefault(kind) > 0, $"never met: {kind}\n{string.Join('\n', met)}");
        }
    }

    private static PathSettings Settings(CompiledRuleset ruleset, int flows) => new()
    {
        Ports = [.. ruleset.Source.Ports.Select(static port => new MemoryPort { Name = port.Name, Number = port.Number, Side = port.Side })],
        Ruleset = ruleset,
        Flows = flows,
        Fragments = new FragmentLimits { Bytes = 16 * 1024, Datagrams = 8 },
    };

    private static FlowKey Append(Burst burst, string line, byte ingress)
    {
        PacketLine read = PacketLine.Parse(line);
        int length = FrameBuilder.Length(read);
        Assert.True(burst.TryAppend(length, out int index));
        ref Packet packet = ref burst.Packets[index];
        packet.Length = length;
        packet.Offload = FrameBuilder.Write(read, packet.Bytes);
        packet.Ingress = ingress;
        packet.Number = 1;
        Packet parsed = packet;
        parsed.Reason = Parser.Parse(ref parsed);
        return parsed.Kind == PacketKind.IcmpError && Parser.TryReadQuote(parsed, out FlowKey quoted) ? quoted : parsed.Key;
    }

    private static string Line(Random random)
    {
        bool v6 = random.Next(2) == 0;
        string one = v6 ? "2001:db8::5" : "10.0.0.5", other = v6 ? "2001:db8:f::2" : "203.0.113.2", third = v6 ? "2001:db8:f::3" : "203.0.113.3";
        string far = random.Next(4) == 0 ? third : other, near = Of("4000", "4001"), to = Of("21", "23", "53", "80", "4000", "4001");
        bool out_ = random.Next(2) == 0;
        string here = v6 ? $"[{one}]:{near}" : $"{one}:{near}", there = v6 ? $"[{far}]:{to}" : $"{far}:{to}";
        string ends = out_ ? $"{here} > {there}" : $"{there} > {here}", pair = out_ ? $"{one} > {far}" : $"{far} > {one}";
        string reverse = out_ ? $"{there} > {here}" : $"{here} > {there}";
        return random.Next(9) switch
        {
            0 or 1 or 2 => $"tcp {ends} {Of("syn", "syn,ack", "ack", "fin,ack", "rst")} seq={Of("10", "11", "12")} ack={Of("10", "11", "12")} len={Of("0", "0", "5")}",
            3 or 4 or 5 => $"udp {ends} len={random.Next(100)}",
            6 => $"icmp {pair} {Of("echo-request", "echo-reply")} id=1 seq=1 len=20",
            7 => $"icmp {pair} time-exceeded quote=\"udp {reverse}\"",
            _ => Of($"gre {pair} key=0x10002 len=4", $"esp {pair} spi=0x1001 seq=1 len=40"),
        };

        string Of(params string[] words) => words[random.Next(words.Length)];
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void What_a_helper_expects_is_expected_by_the_copy_too_and_still_is_afterwards(int family)
    {
        var net = new TestNet(Nets.Ports + "rules:\n  - allow: ftp\n    from: inside\n    service: tcp/21\n    helper: ftp\n");
        FtpTests.Greeted(net, family).Client(FtpTests.Eprt(family, 50000));
        Burst burst = new() { Now = 1_000_000_000_000 };
        string line = $"tcp {Nets.At(family, 2, 20)} > {Nets.At(family, 1, 50000)} syn seq=9";
        FlowKey key = Append(burst, line, ingress: 0);
        PathExcerpt excerpt = net.Path.Excerpt(key, 0, burst.Now);
        var copy = new PacketPath<NoTrace>(Settings((CompiledRuleset)net.Path.Ruleset, 16));
        Assert.Equal(new Dictionary<int, int> { [1] = 1 }, copy.Adopt(excerpt));
        copy.Walk(burst);
        Assert.Equal((Verdict.Pass, 2), (burst.Packets[0].Verdict, copy.Flows.Count));
        Assert.Equal((0, 1, 1), (net.Path.Counters.Met, net.Path.Flows.Count, net.Path.Flows.Expectations.Count));
        net.Sends($"outside: {line}");
        net.Hears("inside", line);
        net.ExpectsNoDrops();
    }
}

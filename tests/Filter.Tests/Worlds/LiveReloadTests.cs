using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Filter.Ctl.Control;

namespace Filter.Tests.Worlds;

/// <summary>client – Filter – server under two rulesets that allow the same by other rules, in another order.</summary>
public sealed class ReloadScene : BridgeScene
{
    private const string Head = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:

        """;

    private string? _one, _other;

    public string One => _one ??= World.Write("one.yaml", Head + """
          - allow: streams
            from: inside
            service: [ tcp/5201, udp/5201, "tcp/5211-5219", "udp/5211-5219" ]
          - allow: rest
          - drop: never

        """);

    public string Other => _other ??= World.Write("other.yaml", Head + """
          - drop: low
            service: tcp/1-10
          - allow: others
            service: [ nd, mld, ping ]
          - drop: never
            service: sctp
          - allow: everything
            from: inside
            log: true
            service: icmp/timestamp-request
          - allow: streams
            service: [ tcp, udp ]

        """);

    protected override string Ruleset => One;

    /// <summary>The same two with ten thousand rules before them, none of which matches.</summary>
    public (string One, string Other) Large()
    {
        string many = string.Concat(Enumerable.Range(0, 10_000).Select(static i => string.Create(CultureInfo.InvariantCulture,
            $"  - drop: many-{i}\n    source: 10.{i >> 8}.{i & 255}.0/24\n    destination: 172.{16 + (i % 16)}.{i % 251}.0/24\n    service: tcp/{1 + i}\n")));
        return (World.Write("large.yaml", File.ReadAllText(One).Replace(Head, Head + many, StringComparison.Ordinal)),
            World.Write("large-other.yaml", File.ReadAllText(Other).Replace(Head, Head + many, StringComparison.Ordinal)));
    }
}

/// <summary>Not a packet of a flow that goes on is lost, however often the rules change.</summary>
[Collection(InNamespaces.Name)]
public sealed class LiveReloadTests(ReloadScene scene) : IClassFixture<ReloadScene>
{
    [Fact]
    public void A_hundred_reloads_under_streams_of_both_families_lose_nothing() => Pass(seconds: 5, reloads: 100, scene.One, scene.Other);

    [Fact]
    [Trait("Suite", "long")]
    public void A_minute_of_reloads_without_a_pause_loses_nothing() => Pass(seconds: 60, reloads: int.MaxValue, scene.One, scene.Other);

    [Fact]
    [Trait("Suite", "long")]
    public void Reloads_of_ten_thousand_rules_lose_nothing_either()
    {
        (string one, string other) = scene.Large();
        Pass(seconds: 60, reloads: 20, one, other);
    }

    private void Pass(int seconds, int reloads, string one, string other)
    {
        Host client = scene.Client, server = scene.Server;
        Balance balance = scene.Count();
        long overflows = client.Overflows() + server.Overflows();
        Running[] streams = Start(seconds);
        Stopwatch time = Stopwatch.StartNew();
        int done = 0;
        while (done < reloads && time.Elapsed < TimeSpan.FromSeconds(seconds - 1))
        {
            ControlResponse answer = scene.Filter.Ask(new ControlRequest("reload") { File = done % 2 == 0 ? other : one });
            Assert.True(answer.Ok, answer.Error);
            Assert.Equal(0, answer.Reload!.Ended);
            done++;
            TimeSpan next = TimeSpan.FromSeconds((seconds - 2.0) * done / reloads);
            if (next > time.Elapsed)
            {
                Thread.Sleep(next - time.Elapsed);
            }
        }

        TestContext.Current.TestOutputHelper!.WriteLine($"{done} reloads in {time.Elapsed.TotalSeconds:F1} s");
        long lost = 0, pieces = 0;
        foreach (Running stream in streams)
        {
            Assert.True(stream.Ends(TimeSpan.FromSeconds(seconds + 20)) == 0, stream.Said);
            Iperf iperf = Iperf.Read(stream.Said);
            Assert.InRange(iperf.ReceivedBytes, 1 << 20, long.MaxValue);
            lost += iperf.LostDatagrams;
            pieces += stream.Command.Contains("-l 4000", StringComparison.Ordinal) ? 3 * iperf.Datagrams : 0;
        }

        // What a slow receiver lost itself, it says.
        Assert.InRange(lost, 0, client.Overflows() + server.Overflows() - overflows);
        Counted counted = balance.Settle();
        counted.AllPassed();
        Assert.Equal(0, counted["disallowed"]);
        Assert.True(done == reloads || reloads == int.MaxValue, $"only {done} reloads in {seconds} s");
        // Whatever its number was, the streams are all of the rule of that name; of a datagram in pieces it counts one.
        Assert.InRange(counted["rule streams"], counted.Passed - 200 - pieces, counted.Passed);
        foreach (int port in s_ports)
        {
            // Of each stream the control connection, and what it carries.
            Assert.All(scene.Flows(port), static flow => Assert.Equal("streams", flow.GetProperty("rule").GetString()));
        }
    }

    private static readonly int[] s_ports = [5211, 5212, 5213, 5214, 5215, 5216];

    private Running[] Start(int seconds)
    {
        foreach (int port in s_ports)
        {
            scene.Server.Start($"exec iperf3 -s -1 -p {port}");
            scene.Server.Must($"until ss -Hltn sport = :{port} | grep -q .; do sleep 0.02; done");
        }

        (string Server, string Options)[] streams =
        [
            (World.Gateway4, "-b 200M"), (World.Gateway6, "-b 200M -R"),
            (World.Gateway4, "-u -b 10M -l 1200"), (World.Gateway6, "-u -b 10M -l 1200"),
            (World.Gateway4, "-u -b 10M -l 1200 -R"), (World.Gateway6, "-u -b 5M -l 4000 -R"),
        ];
        return [.. streams.Zip(s_ports, (stream, port) => scene.Client.Start(
            Iperf.Command(stream.Server, string.Create(CultureInfo.InvariantCulture, $"-p {port} -t {seconds} {stream.Options}"))))];
    }
}

/// <summary>A change that cuts off whoever made it.</summary>
[Collection(InNamespaces.Name)]
public sealed class TrialTests
{
    private const string Head = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - allow: segment
            service: [ nd, mld, ping ]

        """;

    private const string Management = "  - allow: management\n    from: inside\n    service: tcp/2222\n";
    private static readonly string[] s_devices = ["outside=eth0", "inside=eth1"];

    [Theory]
    [InlineData(World.Gateway4)]
    [InlineData(World.Gateway6)]
    public void Whoever_cuts_his_own_connection_off_gets_in_again_when_the_time_is_over(string server)
    {
        using World world = World.Bridge();
        string file = world.Write("own.yaml", Head + Management);
        using Daemon daemon = Daemon.Start(world.Filter, file, s_devices);
        world.Server.Start($"exec ncat -k -l 2222 -e /bin/cat");
        world.Server.Must("until ss -Hltn sport = :2222 | grep -q .; do sleep 0.02; done");
        string session = $"exec 3<>/dev/tcp/{server}/2222; echo first >&3; read -t 5 line <&3; echo got $line; "
            + "while ! [ -e cut ]; do sleep 0.05; done; echo second >&3; read -t 1 line <&3 && echo got $line || echo lost";
        using Running admin = world.Client.Start($"cd {world.Folder}; {session}");
        admin.Says("got first");
        long before = Packets(daemon, out _);

        world.Write("own.yaml", Head);
        Assert.Contains("1 rule removed; 1 flow ended", daemon.Must("reload --confirm 4"), StringComparison.Ordinal);
        world.Write("cut", "");
        Assert.NotEqual(0, world.Client.Run($"ncat -w 1 {server} 2222 < /dev/null").Status);
        admin.Says("lost");
        Assert.Equal(before, Packets(daemon, out JsonElement rule));
        Assert.Equal((true, 1), (rule.GetProperty("gone").GetBoolean(), rule.GetProperty("ended").GetInt64()));
        daemon.Process.Says("ended 'inside: tcp ");
        daemon.Process.Says($"no-longer-allowed by default out, was let in by management ({file}:8)");

        daemon.Process.Says("is in force again");
        Assert.Equal("got again\n", world.Client.Must($"exec 3<>/dev/tcp/{server}/2222; echo again >&3; read -t 5 line <&3; echo got $line"));
        Assert.InRange(Packets(daemon, out rule), before + 5, long.MaxValue);
        Assert.Equal((false, 1), (rule.TryGetProperty("gone", out _), rule.GetProperty("ended").GetInt64()));
    }

    [Fact]
    public void Killed_during_a_trial_nothing_passes_and_the_file_that_it_was_started_with_is_in_force_again()
    {
        using World world = World.Bridge();
        string file = world.Write("own.yaml", Head), trial = world.Write("trial.yaml", Head.Replace("nd, mld, ping", "nd, mld", StringComparison.Ordinal));
        const string Ping = $"ping -q -c1 -W1 {World.Www4}";
        using (Daemon first = Daemon.Start(world.Filter, file, s_devices))
        {
            world.Client.Must(Ping);
            first.Must($"reload {trial} --confirm 60");
            Assert.False(world.Client.Run(Ping).Ok);
            first.Process.End("KILL");
        }

        Assert.False(world.Client.Run(Ping).Ok);
        using Daemon second = Daemon.Start(world.Filter, file, s_devices);
        world.Client.Must(Ping);
    }

    private static long Packets(Daemon daemon, out JsonElement rule)
    {
        rule = daemon.Json("counters").GetProperty("counters").GetProperty("rules").EnumerateArray()
            .Single(static rule => rule.GetProperty("name").GetString() == "management");
        return rule.GetProperty("packets").GetInt64();
    }
}

using System.Globalization;
using System.Text.RegularExpressions;

namespace Filter.Tests.Worlds;

/// <summary>Everything at once, both families, both ways: what is legal passes to the last packet.</summary>
[Collection(InNamespaces.Name)]
public sealed partial class MixedTrafficTests(BridgeScene scene) : IClassFixture<BridgeScene>
{
    [Fact]
    public void Eight_seconds_of_mixed_traffic_pass_without_one_drop() => Pass(seconds: 8);

    [Fact]
    [Trait("Suite", "long")]
    public void A_minute_of_mixed_traffic_passes_without_one_drop() => Pass(seconds: 60);

    private void Pass(int seconds)
    {
        Host client = scene.Client, server = scene.Server;
        for (int port = 5211; port <= 5216; port++)
        {
            server.Start($"exec iperf3 -s -1 -p {port}");
            server.Must($"until ss -Hltn sport = :{port} | grep -q .; do sleep 0.02; done");
        }

        int far = server.Serve("body", bytes: 300_000, out _);
        client.Serve("index.html", bytes: 50_000, out _, port: 80);
        long overflows = client.Overflows() + server.Overflows();
        Balance balance = scene.Count();
        using Running drops = scene.Filter.Watch("drops");

        Dictionary<string, Running> streams = new()
        {
            ["TCP out, IPv4"] = client.Start(Iperf.Command(World.Gateway4, $"-p 5211 -t {seconds} -b 200M")),
            ["TCP in, IPv6"] = client.Start(Iperf.Command(World.Gateway6, $"-p 5212 -t {seconds} -b 200M -R")),
            ["TCP both ways, IPv6"] = client.Start(Iperf.Command(World.Gateway6, $"-p 5213 -t {seconds} -b 100M --bidir")),
            ["UDP out, IPv6"] = client.Start(Iperf.Command(World.Gateway6, $"-p 5214 -t {seconds} -u -b 10M -l 1200")),
            ["UDP in, IPv4"] = client.Start(Iperf.Command(World.Gateway4, $"-p 5215 -t {seconds} -u -b 10M -l 1200 -R")),
            ["UDP in fragments, IPv4"] = client.Start(Iperf.Command(World.Gateway4, $"-p 5216 -t {seconds} -u -b 5M -l 5000")),
        };
        Running[] pings =
        [
            client.Start($"exec ping -q -i0.02 -c{50 * seconds} {World.Www4}"),
            client.Start($"exec ping -q -i0.02 -c{50 * seconds} {World.Www6}"),
            client.Start($"exec ping -q -i0.1 -s 3000 -c{10 * seconds} {World.Www6}"),
            server.Start($"exec ping -q -i0.15 -c{6 * seconds} {World.Client6}"),       // as slow as the rule wants it
        ];
        Running[] loops =
        [
            Loop(client, seconds, $"curl -4 -sS -o /dev/null -m5 http://{World.Www}/ && curl -6 -sS -o /dev/null -m5 http://{World.Www}:{far}/body"),
            Loop(client, seconds, $"getent ahosts {World.Www} | grep -q {World.Www6} && dig +short +tries=1 @{World.Dns6} {World.Www} | grep -q {World.Www4}"),
            Loop(server, seconds, $"curl -sS -o /dev/null -m5 http://{World.Inner4}/ && curl -sS -o /dev/null -m5 http://[{World.Inner6}]/"),
        ];

        // A reload under load: no flow loses a packet by it.
        for (int i = 0; i < 3; i++)
        {
            Assert.Contains("is in force", scene.Filter.Must("reload"), StringComparison.Ordinal);
        }

        TimeSpan limit = TimeSpan.FromSeconds(seconds + 20);
        foreach (Running loop in loops)
        {
            Assert.True(loop.Ends(limit) == 0, $"{loop.Command}\n{loop.Said}\n{drops.Said}");
            Assert.InRange(int.Parse(RoundsWords().Match(loop.Said).Groups[1].Value, CultureInfo.InvariantCulture), seconds, 1000 * seconds);
        }

        foreach (Running ping in pings)
        {
            Assert.True(ping.Ends(limit) == 0, ping.Said);
            Assert.True(Host.MissedPings(ping.Said) <= 1, ping.Said);
        }

        long lost = 0;
        foreach ((string name, Running stream) in streams)
        {
            Assert.True(stream.Ends(limit) == 0, $"{name}: {stream.Said}");
            lost += Iperf.Read(stream.Said).LostDatagrams;
        }

        Counted counted = balance.Settle();
        Assert.True(counted.Dropped == 0, $"{drops.Said}\n{counted}");
        counted.AllPassed();
        Assert.InRange(lost, 0, client.Overflows() + server.Overflows() - overflows);
        Assert.InRange(counted["in"], 5000 * seconds, long.MaxValue);
    }

    /// <summary>Does something again and again; each time it has to succeed.</summary>
    private static Running Loop(Host host, int seconds, string command) => host.Start(
        $"end=$((SECONDS + {seconds})); n=0; while ((SECONDS < end)); do {command} || exit 1; n=$((n + 1)); sleep 0.05; done; echo \"$n rounds\"");

    [GeneratedRegex(@"(\d+) rounds")]
    private static partial Regex RoundsWords();
}

using System.Globalization;

namespace Filter.Tests.Worlds;

/// <summary>
/// Two Filters protect the link between two machines: every size crosses, both ways, in both families; on the
/// link stands nothing but ESP, and tshark, given the keys, opens all of it.
/// </summary>
[Collection(InNamespaces.Name)]
public sealed class EspTests
{
    private const string Transport = "transport", Tunnel = "tunnel";

    [Theory]
    [InlineData(Transport)]
    [InlineData(Tunnel)]
    public void Every_size_crosses_both_ways_in_both_families(string mode)
    {
        using Scene scene = new(mode);
        foreach (string server in scene.Servers)
        {
            using UdpEcho echo = UdpEcho.On(scene.World.Server, server);
            foreach (bool mayFragment in (bool[])[false, true])
            {
                (IReadOnlyList<int> lost, int repeated) = UdpEcho.Sweep(scene.World.Client, server, 1200, 1500, mayFragment);
                Assert.Empty(lost);

                // At each end the first that is too big is answered, once; its sender knows from then on.
                Assert.InRange(repeated, 0, 6);
            }

            // What the sender itself cuts, up to the longest there is.
            foreach (int length in (int[])[1501, 2800, 2960, 3000, 9000, 32_000, 65_400])
            {
                Assert.Empty(UdpEcho.Sweep(scene.World.Client, server, length, length + 3, mayFragment: true).Lost);
            }
        }

        scene.DroppedNothing();
    }

    [Theory]
    [InlineData(Transport)]
    [InlineData(Tunnel)]
    public void On_the_link_stands_only_ESP_and_tshark_opens_all_of_it(string mode)
    {
        using Scene scene = new(mode);
        string capture = Path.Combine(scene.World.Folder, "link.pcap");
        using (Running tcpdump = scene.World["link"].Start($"exec tcpdump -n -U -s 0 -B 65536 -i eth0 -w {capture}"))
        {
            tcpdump.Says("listening on");
            foreach (string server in scene.Servers)
            {
                int family = server.Contains(':', StringComparison.Ordinal) ? 6 : 4;
                scene.World.Client.Must($"ping -{family} -q -c5 -i0.01 {server}");
                scene.World.Client.Must($"ping -{family} -q -c5 -i0.05 -s 4000 {server}");
                scene.World.Client.Must($"iperf3 -{family} -c {server} -n 3M");
                scene.World.Client.Must($"iperf3 -{family} -c {server} -u -b 20M -l 1000 -n 300K");
            }

            scene.World.Client.Must("sleep 0.3");
            tcpdump.End("INT");
        }

        Ran icv = Ran.ToTheEnd([Path.Combine(Repository.Root, "tests/world/icv.sh"), capture, scene.Ruleset], TimeSpan.FromSeconds(60));
        Assert.True(icv.Ok, icv.ToString());
        int packets = int.Parse(icv.Output.Split(' ')[0], CultureInfo.InvariantCulture);
        Assert.InRange(packets, 4000, int.MaxValue);
        Assert.Contains($"{packets} ESP packets, {packets} with a good ICV, opened", icv.Output, StringComparison.Ordinal);

        // Of the two machines nothing else is to be seen, but what finds neighbours, and pieces of ESP.
        string ends = string.Join(" or ", scene.Servers.Select(static server => $"host {server}"));
        Ran clear = Ran.ToTheEnd(
            ["tcpdump", "-n", "-r", capture, $"({ends}) and (tcp or udp or icmp or (icmp6 and ip6[40] >= 1 and ip6[40] <= 129))"],
            TimeSpan.FromSeconds(20));
        Assert.True(clear.Ok, clear.ToString());
        Assert.Equal("", clear.Output.Trim());
        scene.DroppedNothing();
    }

    [Theory]
    [InlineData(Transport)]
    [InlineData(Tunnel)]
    public void A_forged_packet_in_the_clear_is_dropped_and_disturbs_nothing(string mode)
    {
        using Scene scene = new(mode);
        foreach (string server in scene.Servers)
        {
            scene.World.Client.Must($"ping -q -c2 -i0.01 {server}");
        }

        // The far Filter stops protecting: what its machines send now comes in the clear.
        scene.Far.Dispose();
        string bypassing = scene.World.Write("bypassing.yaml", scene.RulesetWithoutIpsec);
        using Daemon far = Daemon.Start(scene.World["b"], bypassing, ["outside=eth0", "inside=eth1"]);
        foreach (string client in scene.Clients)
        {
            Assert.False(scene.World.Server.Run($"ping -q -c2 -i0.2 -W1 {client}").Ok);
        }

        Assert.InRange(scene.Near.Json("counters").GetProperty("counters").GetProperty("reasons").EnumerateArray()
            .Single(static reason => reason.GetProperty("name").GetString() == "clear-for-protected").GetProperty("packets").GetInt64(), 4, 100);
    }

    /// <summary>client – Filter a – link – Filter b – server.</summary>
    private sealed class Scene : IDisposable
    {
        public Scene(string mode)
        {
            bool tunnel = mode == Tunnel;
            World = tunnel ? World.EspTunnel() : World.EspTransport();
            Servers = tunnel ? ["10.2.0.10", "2001:db8:b::10"] : ["192.0.2.20", "2001:db8:1::20"];
            Clients = tunnel ? ["10.1.0.10", "2001:db8:a::10"] : ["192.0.2.10", "2001:db8:1::10"];
            Ruleset = tunnel ? Open("rules/site-to-site.yaml", "a.yaml") : At("tests/world/transport-a.yaml");
            string peer = tunnel ? Open("rules/site-to-site-peer.yaml", "b.yaml") : At("tests/world/transport-b.yaml");
            string text = File.ReadAllText(peer);
            RulesetWithoutIpsec = text[..text.IndexOf("\nipsec:", StringComparison.Ordinal)];
            Near = Daemon.Start(World["a"], Ruleset, ["outside=eth0", "inside=eth1"]);
            Far = Daemon.Start(World["b"], peer, ["outside=eth0", "inside=eth1"]);
        }

        public World World { get; }

        public IReadOnlyList<string> Servers { get; }

        public IReadOnlyList<string> Clients { get; }

        public string Ruleset { get; }

        public string RulesetWithoutIpsec { get; }

        public Daemon Near { get; }

        public Daemon Far { get; }

        public void DroppedNothing()
        {
            foreach (Daemon daemon in (Daemon[])[Near, Far])
            {
                string drops = daemon.Must("counters");
                Assert.Equal(0, daemon.Json("counters").GetProperty("counters").GetProperty("reasons").EnumerateArray()
                    .Where(static reason => reason.GetProperty("name").GetString() is not ("default-deny" or "too-big"))
                    .Sum(static reason => reason.GetProperty("packets").GetInt64()));
                Assert.DoesNotContain("internal", drops, StringComparison.Ordinal);
            }
        }

        public void Dispose()
        {
            Near.Dispose();
            Far.Dispose();
            World.Dispose();
        }

        private static string At(string path) => Path.Combine(Repository.Root, path);

        /// <summary>The sample as it is, but for what the other site may start: anything.</summary>
        private string Open(string sample, string name)
        {
            string[] lines = [.. File.ReadLines(At(sample))
                .Select(static line => line.TrimStart().StartsWith("service: [ ping", StringComparison.Ordinal) ? "    service: any" : line)];
            return World.Write(name, string.Join('\n', lines));
        }
    }
}

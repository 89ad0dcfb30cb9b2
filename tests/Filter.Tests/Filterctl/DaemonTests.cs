using System.Text.Json;
using Filter.Tests.Worlds;

namespace Filter.Tests.Filterctl;

/// <summary>The life of `filterctl run` in a world of its own: how it starts, changes, ends, and what it says of each.</summary>
[Collection(InNamespaces.Name)]
public sealed class DaemonTests
{
    private const string Ruleset = "rules/bridge.yaml";
    private const string Ping = $"ping -q -c1 -W1 {World.Www4}";
    private static readonly string[] s_devices = ["outside=eth0", "inside=eth1"];

    [Fact]
    public void Status_counters_and_flows_tell_of_what_passes()
    {
        using World world = World.Bridge();
        using Daemon daemon = Daemon.Start(world.Filter, Ruleset, s_devices);
        Assert.Matches("Max core file size +0 +0 ", File.ReadAllText($"/proc/{daemon.Process.Id}/limits"));
        world.Client.Must($"ping -q -c3 -i0.05 {World.Www4} && ping -q -c3 -i0.05 {World.Www6}");

        JsonElement status = daemon.Json("status").GetProperty("status");
        Assert.Equal(Ruleset, status.GetProperty("ruleset").GetString());
        Assert.Equal(1, status.GetProperty("generation").GetInt32());
        Assert.Equal(["outside", "inside"], status.GetProperty("ports").EnumerateArray().Select(static p => p.GetProperty("name").GetString()));

        JsonElement counters = daemon.Json("counters").GetProperty("counters");
        long input = counters.GetProperty("in").GetInt64();
        Assert.Equal(input, counters.GetProperty("verdicts").EnumerateArray().Sum(static v => v.GetProperty("packets").GetInt64()));
        Assert.True(Rule(counters, "outbound") >= 12, daemon.Must("counters"));

        JsonElement flow = Assert.Single(daemon.Json($"flows list icmp {World.Www4}").GetProperty("flows").EnumerateArray().ToArray());
        Assert.Equal("outbound", flow.GetProperty("rule").GetString());
        Assert.Equal(3, flow.GetProperty("replyPackets").GetInt64());
        Assert.Contains($"inside: icmp {World.Client4} > {World.Www4} echo-request", daemon.Must("flows list icmp"), StringComparison.Ordinal);
        Assert.Equal("1 deleted\n", daemon.Must($"flows delete {World.Www4}"));
        Assert.Empty(daemon.Json($"flows list icmp {World.Www4}").GetProperty("flows").EnumerateArray().ToArray());
    }

    [Fact]
    public void A_drop_is_told_live_as_a_line_that_explain_takes()
    {
        using World world = World.Bridge();
        using Daemon daemon = Daemon.Start(world.Filter, Ruleset, s_devices);
        using Running drops = daemon.Watch($"drops --count 1 --json");
        // Whether it listens yet cannot be seen from here: knock until it has heard.
        for (int i = 0; i < 50 && !drops.HasEnded; i++)
        {
            world.Server.Run($"ncat -w1 {World.Client4} 8080 < /dev/null", TimeSpan.FromMilliseconds(300));
        }

        Assert.Equal(0, drops.Ends());
        string told = drops.Said.Split('\n').First(static line => line.Contains("\"event\"", StringComparison.Ordinal));
        JsonElement dropped = JsonDocument.Parse(told).RootElement.GetProperty("event");
        Assert.Equal("default-deny", dropped.GetProperty("reason").GetString());
        Assert.Equal("default in", dropped.GetProperty("rule").GetString());
        Assert.StartsWith($"{Ruleset}:", dropped.GetProperty("place").GetString(), StringComparison.Ordinal);

        string line = dropped.GetProperty("line").GetString()!;
        Assert.StartsWith($"outside: tcp {World.Gateway4}:", line, StringComparison.Ordinal);
        JsonElement explained = Typed.Run("explain", Path.Combine(Repository.Root, Ruleset), line, "--json").Json;
        Assert.Equal(line, explained.GetProperty("line").GetString());
        Assert.Equal("default-deny", explained.GetProperty("reason").GetString());
    }

    [Fact]
    public void Explain_on_the_running_firewall_knows_its_flows_and_leaves_no_trace()
    {
        using World world = World.Bridge();
        using Daemon daemon = Daemon.Start(world.Filter, Ruleset, s_devices);
        world.Server.Start("exec ncat -k -l 2222 -e /bin/cat");
        world.Server.Must("until ss -Hltn sport = :2222 | grep -q .; do sleep 0.02; done");
        using Running session = world.Client.Start($"exec 3<>/dev/tcp/{World.Gateway4}/2222; echo a >&3; read -t 5 line <&3; echo got $line; sleep 60");
        session.Says("got a");
        JsonElement flow = Assert.Single(daemon.Json("flows list tcp :2222").GetProperty("flows").EnumerateArray().ToArray());
        string opening = flow.GetProperty("line").GetString()!;
        string near = opening.Split(' ')[2];
        Balance balance = Balance.Of(daemon, new("outside", world.Server, "eth0"), new("inside", world.Client, "eth0"));
        string before = daemon.Must("flows list tcp :2222 --json");

        JsonElement none = daemon.Json($"explain --running 'outside: tcp {World.Gateway4}:2222 > {near} rst seq=1'");
        Assert.Equal("out-of-window", none.GetProperty("reason").GetString());
        Assert.Equal(flow.GetProperty("flow").GetInt32(), none.GetProperty("flow").GetProperty("flow").GetInt32());
        Assert.Equal("established", none.GetProperty("flow").GetProperty("state").GetString());
        string told = daemon.Must($"explain --running '{opening}'");
        Assert.Contains($"belongs to flow {flow.GetProperty("flow").GetInt32()}, let in by 'outbound'", told, StringComparison.Ordinal);
        Assert.Contains($"flow {flow.GetProperty("flow").GetInt32()}: {opening}, established, ", told, StringComparison.Ordinal);
        Assert.Contains($"verdict: drop default-deny, by default in ({Ruleset}:",
            daemon.Must($"explain --running 'outside: tcp {World.Gateway4}:4444 > {World.Client4}:22 syn'"), StringComparison.Ordinal);
        Assert.Contains("pass", daemon.Must($"explain --running 'inside: udp {World.Client4}:4444 > {World.Gateway4}:4444'"), StringComparison.Ordinal);
        Assert.Contains("no port 'nowhere'", daemon.Ctl($"explain --running 'nowhere: tcp 192.0.2.1:1 > 192.0.2.2:2 syn'").Errors, StringComparison.Ordinal);

        Counted counted = balance.Settle();
        Assert.Equal((0, 0, 0), (counted["in"], counted["out"], counted.All("rule ")));
        Assert.Equal(0, daemon.Json("flows list udp :4444").GetProperty("count").GetInt32());
        Assert.Equal(Still(before), Still(daemon.Must("flows list tcp :2222 --json")));

        static string Still(string flows) => System.Text.RegularExpressions.Regex.Replace(flows, "\"(age|expires)\":[0-9]+", "");
    }

    [Fact]
    public void A_missing_device_is_one_line_and_the_other_nic_is_left_as_it_was()
    {
        using World world = World.Bridge();
        string before = world.Filter.Must("ip -br addr show eth0; nft list ruleset");
        Ran ran = world.Filter.Run($"{Daemon.Filterctl} run {Ruleset} --device outside=eth0 --device inside=nothere --socket {world.Folder}/f.sock");
        Assert.Equal(1, ran.Status);
        Assert.Contains("nothere", Assert.Single(ran.Errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
        Assert.Equal(before, world.Filter.Must("ip -br addr show eth0; nft list ruleset"));
        Assert.False(File.Exists($"{world.Folder}/f.sock"));
    }

    [Fact]
    public void Missing_rights_are_one_line()
    {
        using World world = World.Bridge();
        Ran ran = world.Filter.Run(
            $"setpriv --bounding-set=-net_admin,-net_raw --inh-caps=-net_admin,-net_raw "
            + $"{Daemon.Filterctl} run {Ruleset} --device outside=eth0 --device inside=eth1 --socket {world.Folder}/f.sock");
        Assert.Equal(1, ran.Status);
        Assert.StartsWith("filterctl: ", Assert.Single(ran.Errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
    }

    [Fact]
    public void The_rights_that_the_unit_file_leaves_are_enough()
    {
        string unit = Path.Combine(Repository.Root, "filterctl", "filter.service");
        string[] rights = File.ReadLines(unit).Single(static line => line.StartsWith("CapabilityBoundingSet=", StringComparison.Ordinal))
            .Split('=')[1].ToLowerInvariant().Split(' ');
        string only = string.Concat(rights.Select(static right => $",+{right["cap_".Length..]}"));
        using World world = World.Bridge();
        using (Running filter = world.Filter.Start(
            $"exec setpriv --no-new-privs --bounding-set=-all{only} --inh-caps=-all {Daemon.Filterctl} run {Ruleset} --device outside=eth0 --device inside=eth1 --state {world.Folder}/state --socket {world.Folder}/filter.sock"))
        {
            filter.Says("ready: ");
            world.Client.Must(Ping);
            world.Filter.Must($"{Daemon.Filterctl} stop --restore --socket {world.Folder}/filter.sock");
            Assert.Equal(0, filter.Ends());
        }

        if (File.Exists("/usr/bin/systemd-analyze"))
        {
            string copy = world.Write("filter.service", File.ReadAllText(unit).Replace("/usr/local/bin/filterctl", Daemon.Filterctl, StringComparison.Ordinal));
            Assert.Equal("", world.Filter.Must($"systemd-analyze verify --man=no {copy} 2>&1"));
        }
    }

    [Fact]
    public void A_second_daemon_on_the_socket_is_refused_in_one_line_and_the_first_carries_on()
    {
        using World world = World.Bridge();
        using Daemon daemon = Daemon.Start(world.Filter, Ruleset, s_devices);
        Ran ran = world.Filter.Run($"{Daemon.Filterctl} run {Ruleset} --device outside=eth0 --device inside=eth1 --socket {world.Folder}/filter.sock");
        Assert.Equal(1, ran.Status);
        Assert.Contains("another filterctl runs on", Assert.Single(ran.Errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
        world.Client.Must(Ping);
    }

    [Fact]
    public void Killed_nothing_passes_and_a_restart_works_at_once()
    {
        using World world = World.Bridge();
        using (Daemon first = Daemon.Start(world.Filter, Ruleset, s_devices))
        {
            world.Client.Must(Ping);
            first.Process.End("KILL");
        }

        Assert.False(world.Client.Run(Ping).Ok);
        using Daemon second = Daemon.Start(world.Filter, Ruleset, s_devices);
        world.Client.Must(Ping);
    }

    [Fact]
    public void A_start_that_fails_behind_the_ports_leaves_open_what_was_open_and_closed_what_was_closed()
    {
        using World world = World.Bridge();
        string key = string.Concat(Enumerable.Repeat("01", 16)), integrity = string.Concat(Enumerable.Repeat("02", 32));
        string file = world.Write("own.yaml", Policy("allow") + $$"""
            ipsec:
              policies: [ { protect: all, sa: pair } ]
              sas:
                pair:
                  mode: transport
                  suite: aes-cbc-128+hmac-sha2-256-128
                  replay: 64
                  out: { spi: 0x1001, encryption-key: {{key}}, integrity-key: {{integrity}} }
                  in: { spi: 0x1002, encryption-key: {{key}}, integrity-key: {{integrity}} }

            """);
        Directory.CreateDirectory(Path.Combine(world.Folder, "state"));
        world.Write("state/sequences", "not a list of ours\n");
        string run = $"{Daemon.Filterctl} run {file} --device outside=eth0 --device inside=eth1 --state {world.Folder}/state --socket {world.Folder}/filter.sock";
        string open = world.Filter.Must("ip -o -4 addr show eth1; nft list ruleset");

        Ran ran = world.Filter.Run(run);
        Assert.Equal(1, ran.Status);
        Assert.Contains("sequences", Assert.Single(ran.Errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
        Assert.Equal(open, world.Filter.Must("ip -o -4 addr show eth1; nft list ruleset"));

        using (Daemon first = Daemon.Start(world.Filter, Ruleset, s_devices, $"--state {world.Folder}/state"))
        {
            first.Process.End("KILL");
        }

        string closed = world.Filter.Must("nft list ruleset");
        Assert.Contains("policy drop", closed, StringComparison.Ordinal);
        Assert.Equal(1, world.Filter.Run(run).Status);
        Assert.Equal(closed, world.Filter.Must("nft list ruleset"));
        Assert.False(world.Client.Run(Ping).Ok);
    }

    [Fact]
    public void Stop_leaves_the_ports_closed_and_stop_restore_gives_back_what_was()
    {
        using World world = World.Bridge();
        world.Filter.Must("ip addr add 192.0.2.200/24 dev eth1");
        string before = world.Filter.Must("ip -br -4 addr show eth1; nft list ruleset");
        using (Daemon first = Daemon.Start(world.Filter, Ruleset, s_devices))
        {
            Assert.DoesNotContain("192.0.2.200", world.Filter.Must("ip addr show eth1"), StringComparison.Ordinal);
            Assert.Contains("stay closed", first.Must("stop"), StringComparison.Ordinal);
            Assert.Equal(0, first.Process.Ends());
        }

        Assert.False(world.Client.Run("ping -q -c1 -W1 192.0.2.200").Ok);
        using (Daemon second = Daemon.Start(world.Filter, Ruleset, s_devices))
        {
            Assert.Contains("as they were", second.Must("stop --restore"), StringComparison.Ordinal);
            Assert.Equal(0, second.Process.Ends());
        }

        Assert.Equal(before, world.Filter.Must("ip -br -4 addr show eth1; nft list ruleset"));
        world.Client.Must("ip neigh flush dev eth0; ping -q -c1 -W1 192.0.2.200");      // it had given that neighbour up
    }

    [Fact]
    public void After_a_kill_stop_restore_gives_the_nics_back_without_a_daemon()
    {
        using World world = World.Bridge();
        string before = world.Filter.Must("nft list ruleset");
        using (Daemon daemon = Daemon.Start(world.Filter, Ruleset, s_devices))
        {
            daemon.Process.End("KILL");
        }

        Assert.NotEqual(before, world.Filter.Must("nft list ruleset"));
        world.Filter.Must($"{Daemon.Filterctl} stop --restore --socket {world.Folder}/filter.sock");
        Assert.Equal(before, world.Filter.Must("nft list ruleset"));
    }

    [Fact]
    public void A_port_that_vanishes_is_one_line_and_the_daemon_lives_on()
    {
        using World world = World.Bridge();
        using Daemon daemon = Daemon.Start(world.Filter, Ruleset, s_devices);
        world.Filter.Must("ip link delete eth1");
        daemon.Process.Says("port inside is lost: ");
        Assert.DoesNotContain("   at ", daemon.Process.Said, StringComparison.Ordinal);
        JsonElement port = daemon.Json("status").GetProperty("status").GetProperty("ports")[1];
        Assert.Contains("eth1", port.GetProperty("failure").GetString(), StringComparison.Ordinal);
        daemon.Must("stop");
    }

    [Fact]
    public void A_wrong_ruleset_changes_nothing_and_a_right_one_is_in_force_at_once()
    {
        using World world = World.Bridge();
        string file = world.Write("own.yaml", Policy("allow"));
        using Daemon daemon = Daemon.Start(world.Filter, file, s_devices);
        world.Client.Must(Ping);

        world.Write("own.yaml", "filter: 1\nports: nonsense\n");
        Ran refused = daemon.Ctl("reload");
        Assert.Equal(1, refused.Status);
        Assert.Contains($"{file}:2:8: error: ", refused.Errors, StringComparison.Ordinal);
        world.Client.Must(Ping);

        world.Write("own.yaml", Policy("drop") + "rules:\n  - drop: all\n    source: nobody-s-set\n");
        Assert.Contains($"{file}:8:13: error: ", daemon.Ctl("reload").Errors, StringComparison.Ordinal);
        File.Delete(file);
        refused = daemon.Ctl("reload");
        Assert.Equal(1, refused.Status);
        Assert.Contains(file, refused.Errors, StringComparison.Ordinal);
        Assert.Equal(1, daemon.Json("status").GetProperty("status").GetProperty("generation").GetInt32());
        world.Client.Must(Ping);

        world.Write("own.yaml", Policy("drop"));
        Assert.Contains("generation 2", daemon.Must("reload"), StringComparison.Ordinal);
        Assert.False(world.Client.Run(Ping).Ok);

        world.Write("own.yaml", Policy("allow"));
        daemon.Process.Signal("HUP");
        daemon.Process.Says("generation 3");
        world.Client.Must(Ping);

        world.Write("own.yaml", Policy("allow").Replace("side: protected", "side: protected, driver: pcap", StringComparison.Ordinal));
        Assert.Contains("a reload can't change ports", daemon.Ctl("reload").Errors, StringComparison.Ordinal);
        Assert.Equal(3, daemon.Json("status").GetProperty("status").GetProperty("generation").GetInt32());
    }

    [Fact]
    public void The_running_rules_are_compared_with_a_file_before_they_are_reloaded()
    {
        using World world = World.Bridge();
        string file = world.Write("own.yaml", Policy("drop") + "rules:\n  - allow: web\n    from: inside\n    service: tcp/80\n");
        using Daemon daemon = Daemon.Start(world.Filter, file, s_devices);
        Assert.Equal("no packet is treated differently\n", daemon.Must("diff --running"));

        string next = world.Write("next.yaml", Policy("drop") + "rules:\n  - allow: webs\n    from: inside\n    service: [ tcp/80, tcp/443 ]\n");
        Ran ran = daemon.Ctl($"diff --running {next}");
        Assert.Equal(1, ran.Status);
        Assert.Matches($"^inside: tcp .*:443 syn\n  before: drops by default out \\({file}:5\\)\n  after:  allows by webs \\({next}:7\\)\n1 pair of rules decide differently\n$", ran.Output);
        JsonElement json = JsonDocument.Parse(daemon.Ctl($"diff --running {next} --json").Output).RootElement;
        Assert.False(json.GetProperty("same").GetBoolean());
        Assert.Equal("webs", Assert.Single(json.GetProperty("pairs").EnumerateArray().ToArray()).GetProperty("after").GetString());
        Assert.Equal(1, daemon.Json("status").GetProperty("status").GetProperty("generation").GetInt32());

        world.Write("next.yaml", "filter: 1\nports: nonsense\n");
        Assert.Contains($"{next}:2:8: error: ", daemon.Ctl($"diff --running {next}").Errors, StringComparison.Ordinal);
        Assert.Contains("--running takes one file", daemon.Ctl($"diff --running {next} {file}").Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unconfirmed_reload_goes_back_and_a_confirmed_one_stays()
    {
        using World world = World.Bridge();
        string file = world.Write("own.yaml", Policy("allow"));
        using Daemon daemon = Daemon.Start(world.Filter, file, s_devices);
        world.Write("own.yaml", Policy("drop"));
        daemon.Must("reload --confirm 1");
        daemon.Process.Says("is in force again");
        world.Client.Must(Ping);

        daemon.Must("reload --confirm 60");
        Assert.True(daemon.Json("status").GetProperty("status").GetProperty("confirmWithin").GetInt64() > 0);
        Assert.Contains("on trial", daemon.Ctl("reload").Errors, StringComparison.Ordinal);
        daemon.Must("confirm");
        Assert.Equal(1, daemon.Ctl("confirm").Status);
        Assert.False(world.Client.Run(Ping).Ok);
    }

    [Fact]
    public void An_unconfirmed_start_ends_by_itself_and_gives_the_nics_back()
    {
        using World world = World.Bridge();
        string before = world.Filter.Must("nft list ruleset");
        using Daemon daemon = Daemon.Start(world.Filter, Ruleset, s_devices, "--confirm 1");
        Assert.Equal(0, daemon.Process.Ends());
        Assert.Contains("not confirmed in time", daemon.Process.Said, StringComparison.Ordinal);
        Assert.Equal(before, world.Filter.Must("nft list ruleset"));
    }

    [Fact]
    public void A_rule_that_logs_writes_a_line_for_each_packet_it_meets()
    {
        using World world = World.Bridge();
        string file = world.Write("own.yaml", Policy("drop") + "rules:\n  - allow: pings\n    service: ping\n    log: true\n");
        using Daemon daemon = Daemon.Start(world.Filter, file, s_devices);
        world.Client.Must(Ping);
        daemon.Process.Says($"pass 'inside: icmp {World.Client4} > {World.Www4} echo-request");
        Assert.Contains($"by pings ({file}:", daemon.Process.Said, StringComparison.Ordinal);
        Assert.Equal(0, daemon.Process.End());
    }

    private static string Policy(string word) => $$"""
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        defaults: { out: {{word}}, in: {{word}}, across: {{word}} }

        """;

    private static long Rule(JsonElement counters, string name) => counters.GetProperty("rules").EnumerateArray()
        .Single(rule => rule.GetProperty("name").GetString() == name).GetProperty("packets").GetInt64();
}

using System.Text.Json;
using Filter.Ctl.Service;
using Filter.Engine.Packets;
using Filter.Ipsec;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;
using Filter.Tests.Worlds;

namespace Filter.Tests.Filterctl;

/// <summary>filterctl policy, typed at a daemon in memory that runs one end of the site-to-site tunnel, and at its ruleset.</summary>
public sealed class PolicyVerbTests : IDisposable
{
    private const string There = "inside: udp 10.1.0.10:4000 > 10.2.0.10:4001";
    private static readonly string s_file = Path.Combine(Repository.Root, "rules/site-to-site.yaml");

    private readonly MemoryDaemon _daemon = new(File.ReadAllText(s_file));

    [Fact]
    public async Task A_policy_counts_on_when_its_SAs_are_gone()
    {
        await _daemon.WalkAsync(There);
        await _daemon.WalkAsync("outside: udp 10.2.0.10:5 > 10.1.0.10:6");
        string[] rows = _daemon.Must("policy").Split('\n');
        Assert.Matches(@"^other-site +protect +local: \[ 10\.1\.0\.0/16, 2001:db8:a::/48 \] remote: \[ 10\.2\.0\.0/16, 2001:db8:b::/48 \] +2 +\d+ +1 +\d+ +0 +0 +-$", rows[1]);
        Assert.Matches(@"^rest +bypass +everything +0 +0 ", rows[2]);

        await _daemon.Worker.AskAsync(_ => _daemon.Gateway.Ipsec!.Sad.All.First(static sa => sa.Spi == 0x1002).Statistics.BadIcv = 3);
        _daemon.Must("sa", "delete", "branch");
        await _daemon.WalkAsync(There);
        Assert.Equal("no-sa 1, bad-icv 3", Refused());
        _daemon.Must("reload");
        await _daemon.WalkAsync(There);
        await _daemon.Worker.AskAsync(_ => _daemon.Gateway.Ipsec!.Sad.All.First(static sa => sa.Spi == 0x1002).Statistics.BadIcv = 1);
        Assert.Equal("no-sa 1, bad-icv 4", Refused());
        Assert.Equal(2, Policy().GetProperty("protected").GetInt64());

        string shown = _daemon.Must("policy", "show", "other-site");
        Assert.Contains("  protected  2 packets, ", shown, StringComparison.Ordinal);
        Assert.Contains("  refused    1 no-sa, 4 bad-icv", shown, StringComparison.Ordinal);
        Assert.Contains("branch", shown, StringComparison.Ordinal);
        Assert.Contains("there is no policy 'x'", _daemon.Type("policy", "show", "x").Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(There, "packet out: sealed by the SA 'branch' 0x00001001, by policy 'other-site'", "answer in: must come by the SA 'branch' 0x00001002; in the clear it is dropped (clear-for-protected), by policy 'other-site'")]
    [InlineData("outside: tcp 10.2.0.9:7 > 10.1.0.9:22 syn", "packet in: must come by the SA 'branch' 0x00001002", "answer out: sealed by the SA 'branch' 0x00001001")]
    [InlineData("inside: icmp 10.1.0.10 > 10.2.0.10 echo-request", "packet out: sealed by", "answer in: must come by")]
    [InlineData("inside: udp 10.1.0.10:4000 > 9.9.9.9:53", "packet out: goes in the clear, by policy 'rest'", "  not 'other-site' (FILE:93): remote: 9.9.9.9 is not of 10.2.0.0/16, 2001:db8:b::/48")]
    [InlineData("inside: udp 10.9.0.10:4000 > 10.2.0.1:53", "packet out: goes in the clear, by policy 'rest'", "  not 'other-site' (FILE:93): local: 10.9.0.10 is not of 10.1.0.0/16, 2001:db8:a::/48")]
    public void Explain_names_the_policy_the_selector_that_differs_and_the_SA_each_way(string line, string first, string second)
    {
        string place = File.ReadLines(s_file).Index().Single(static l => l.Item.Contains("protect: other-site", StringComparison.Ordinal)).Index is var at ? $"{at + 1}" : "";
        string offline = Typed.Run("policy", "explain", s_file, line).Out;
        string running = _daemon.Must("policy", "explain", "--running", line);
        foreach (string said in (string[])[offline.Replace(s_file, "FILE", StringComparison.Ordinal), running.Replace(_daemon.File, "FILE", StringComparison.Ordinal)])
        {
            Assert.Contains(first, said, StringComparison.Ordinal);
            Assert.Contains(second.Replace("FILE:93", $"FILE:{place}", StringComparison.Ordinal), said, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Explain_says_why_no_SA_carries_it()
    {
        _daemon.Must("sa", "delete", "0x1001");
        Assert.Contains("packet out: dropped (no-sa): policy 'other-site' (", _daemon.Must("policy", "explain", "--running", There), StringComparison.Ordinal);
        _daemon.Must("sa", "delete", "0x1002");
        Assert.Contains("answer in: cannot come: policy 'other-site' (", _daemon.Must("policy", "explain", "--running", There), StringComparison.Ordinal);
        string dscp = File.ReadAllText(s_file).Replace("mss: clamp ", "dscp: ef #", StringComparison.Ordinal);
        using Scratch scratch = new();
        Typed other = Typed.Run("policy", "explain", scratch.Write("dscp.yaml", dscp), There, "--json");
        JsonElement walk = other.Json.GetProperty("policyWalks")[0];
        Assert.StartsWith("dropped (no-sa)", walk.GetProperty("sentence").GetString(), StringComparison.Ordinal);
        Assert.Equal("it carries other DSCPs", walk.GetProperty("sas")[0].GetProperty("why").GetString());
    }

    [Fact]
    public void A_rulesets_policies_are_listed_and_shown_without_a_daemon()
    {
        string[] rows = Must("policy", "list", s_file).Split('\n');
        Assert.Matches(@"^other-site +protect +local: \[ 10\.1\.0\.0/16, 2001:db8:a::/48 \] remote: \[ 10\.2\.0\.0/16, 2001:db8:b::/48 \] +branch$", rows[1]);
        Assert.Matches("^rest +bypass +everything +-$", rows[2]);

        string site = Must("policy", "show", s_file, "other-site"), rest = Must("policy", "show", s_file, "rest");
        Assert.Contains("  alone      local 10.1.0.0/16 remote 10.2.0.0/16 any\n", site, StringComparison.Ordinal);
        Assert.Contains("  SAs        branch\n", site, StringComparison.Ordinal);
        Assert.Contains("  alone      ", rest, StringComparison.Ordinal);
        Assert.DoesNotContain("alone      local 10.1.0.0/16 remote 10.2.0.0/16", rest, StringComparison.Ordinal);
        Assert.Contains("there is no policy 'x' in ", Typed.Run("policy", "show", s_file, "x").Error, StringComparison.Ordinal);
        Assert.Equal(2, Typed.Run("policy", "show", s_file, "x", "y").Status);

        static string Must(params string[] words)
        {
            Typed ran = Typed.Run(words);
            Assert.True(ran.Status == 0, ran.Out + ran.Error);
            return ran.Out;
        }
    }

    [Fact]
    public void Show_tells_what_a_policy_decides_alone_each_way()
    {
        using MemoryDaemon daemon = new("""
            filter: 1
            ports: { outside: { nic: eth0, side: unprotected }, inside: { nic: eth1, side: protected } }
            ipsec:
              policies:
                - { bypass: questions, remote: 10.2.0.0/16, service: udp/53, direction: out }
                - { protect: site, remote: 10.2.0.0/15 }
                - { drop: never, remote: 10.3.0.0/16 }
            """);
        string shown = daemon.Must("policy", "show", "site");
        Assert.Contains("  alone in   local 0.0.0.0/0 remote 10.2.0.0/15 any\n", shown, StringComparison.Ordinal);
        Assert.Contains("  alone out  local 0.0.0.0/0 remote 10.3.0.0/16 any\n", shown, StringComparison.Ordinal);
        Assert.Contains("  alone out  local 0.0.0.0/0 remote 10.2.0.0/16 udp remote-port 54-65535\n", shown, StringComparison.Ordinal);
        Assert.Contains("  alone      nothing: policies before it select all of it\n", daemon.Must("policy", "show", "never"), StringComparison.Ordinal);
        using JsonDocument questions = JsonDocument.Parse(daemon.Must("policy", "show", "questions", "--json").Split('\n')[0]);
        Assert.Equal("local 0.0.0.0/0 remote 10.2.0.0/16 udp remote-port 53", Assert.Single(questions.RootElement.GetProperty("policies")[0].GetProperty("aloneOut").EnumerateArray()).GetString());
    }

    [Fact]
    public void A_policy_for_pieces_without_ports_is_told_as_one()
    {
        using MemoryDaemon daemon = new("""
            filter: 1
            ports: { outside: { nic: eth0, side: unprotected }, inside: { nic: eth1, side: protected } }
            ipsec:
              policies:
                - { protect: web, remote: 10.2.0.0/16, service: tcp, remote-port: 443 }
                - { protect: rest-of-web, remote: 10.2.0.0/16, service: tcp/opaque }
                - { protect: any-rest, remote: 10.2.0.0/16, service: opaque }
                - bypass: others
            """);
        string[] rows = daemon.Must("policy").Split('\n');
        Assert.Matches("^rest-of-web +protect +remote: 10.2.0.0/16 service: tcp/opaque ", rows[2]);
        Assert.Matches("^any-rest +protect +remote: 10.2.0.0/16 service: opaque ", rows[3]);
        string said = daemon.Must("policy", "explain", "--running", "inside: tcp 10.1.0.10:4000 > 10.2.0.10:22");
        Assert.Contains("service: it is for pieces that show no ports, tcp/opaque", said, StringComparison.Ordinal);
        Assert.Contains("service: it is for pieces that show no ports, opaque", said, StringComparison.Ordinal);
        Assert.DoesNotContain("local-port", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Explain_names_no_SA_that_would_not_seal()
    {
        using MemoryDaemon daemon = new("""
            filter: 1
            ports: { outside: { nic: eth0, side: unprotected }, inside: { nic: eth1, side: protected } }
            ipsec: { policies: [ { protect: hosts, populate: [ remote ] } ] }
            rules: [ { allow: all } ]
            """);
        IpsecStage stage = daemon.Gateway.Ipsec!;
        SaConfig pair = new RulesetLoader([]).Read(s_file).Ruleset!.Ipsec!.Sas[0];
        Assert.Null(await daemon.Worker.AskAsync(_ => stage.Add(IpsecDatabases.MakePair(pair).Outbound, "hosts")));

        Assert.Equal(DropReason.NoSa, (await daemon.WalkAsync(There)).Reason);
        string said = daemon.Must("policy", "explain", "--running", There);
        Assert.Contains("packet out: dropped (no-sa)", said, StringComparison.Ordinal);
        Assert.Contains("not the SA 'branch' 0x00001001: the policy has an SA for each packet's values", said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("nowhere: udp 10.1.0.10:4000 > 10.2.0.10:4001")]
    [InlineData("inside: arp who-has 10.1.0.1 tell 10.1.0.2")]
    public void What_is_no_packet_of_policy_is_refused(string line)
    {
        Assert.Equal(1, Typed.Run("policy", "explain", s_file, line).Status);
        Assert.Equal(1, _daemon.Type("policy", "explain", "--running", line).Status);
        Assert.Equal(2, Typed.Run("policy", "explain", s_file).Status);
    }

    public void Dispose() => _daemon.Dispose();

    private string Refused() => string.Join(", ", Policy().GetProperty("refused").EnumerateArray().Select(static r => $"{r.GetProperty("name").GetString()} {r.GetProperty("packets")}"));

    private JsonElement Policy()
    {
        using JsonDocument document = JsonDocument.Parse(_daemon.Must("policy", "list", "--json"));
        return document.RootElement.GetProperty("policies")[0].Clone();
    }
}

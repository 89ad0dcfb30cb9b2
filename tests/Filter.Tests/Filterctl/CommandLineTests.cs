using System.Text.Json;
using Filter.Tests.Worlds;

namespace Filter.Tests.Filterctl;

/// <summary>What every verb has in common: help with an example, --json, exit statuses, one-line errors.</summary>
public sealed class CommandLineTests
{
    private const string Syn = "inside: tcp 192.0.2.5:40000 > 198.51.100.7:443 syn";

    private static readonly string s_bridge = Path.Combine(Repository.Root, "rules", "bridge.yaml");

    public static TheoryData<string> Verbs =>
    [
        "check", "test", "explain", "replay", "run", "status", "flows", "flows list", "flows delete", "sa", "sa list", "sa show", "sa add", "sa delete", "sa flush", "policy", "policy list", "policy show", "policy explain", "capture", "counters", "drops",
        "reload", "confirm", "stop",
    ];

    [Theory]
    [MemberData(nameof(Verbs))]
    public void Every_verb_has_help_with_an_example_of_itself_and_takes_json(string verb)
    {
        Typed help = Typed.Run([.. verb.Split(' '), "--help"]);
        Assert.Equal(0, help.Status);
        Assert.Contains("Example:", help.Out, StringComparison.Ordinal);
        Assert.Contains($"  filterctl {verb}", help.Out, StringComparison.Ordinal);
        Assert.Contains("--json", help.Out, StringComparison.Ordinal);
        Assert.Empty(help.Error);
    }

    [Theory]
    [InlineData("")]
    [InlineData("bogus")]
    [InlineData("check")]
    [InlineData("check a b")]
    [InlineData("check --nope a")]
    [InlineData("test")]
    [InlineData("explain file")]
    [InlineData("replay file")]
    [InlineData("replay file --port")]
    [InlineData("replay file --port outside")]
    [InlineData("replay file --port =x")]
    [InlineData("replay file --port a,a=x")]
    [InlineData("replay file --port a,b,c=x")]
    [InlineData("run")]
    [InlineData("run file --confirm 0")]
    [InlineData("run file --confirm soon")]
    [InlineData("run file --device eth0")]
    [InlineData("reload --confirm 90000")]
    [InlineData("flows delete")]
    [InlineData("sa show")]
    [InlineData("sa add")]
    [InlineData("status extra")]
    public void Wrong_usage_is_status_2_and_says_where_help_is(string line)
    {
        Typed ran = Typed.Run(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(2, ran.Status);
        Assert.Empty(ran.Out);
        Assert.Equal(2, ran.Complaints.Length);
        Assert.StartsWith("filterctl: see: filterctl", ran.Complaints[1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("check /no/such.yaml")]
    [InlineData("test /no/such.yaml")]
    [InlineData("explain /no/such.yaml x")]
    [InlineData("replay /no/such.yaml --port a=b")]
    [InlineData("run /no/such.yaml")]
    public void A_ruleset_that_is_not_there_is_status_1_with_its_place(string line)
    {
        Typed ran = Typed.Run(line.Split(' '));
        Assert.Equal(1, ran.Status);
        Assert.StartsWith("/no/such.yaml:1:1: error: ", ran.Complaints[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("status")]
    [InlineData("flows")]
    [InlineData("flows delete all")]
    [InlineData("sa")]
    [InlineData("sa flush")]
    [InlineData("policy")]
    [InlineData("capture x")]
    [InlineData("policy explain --running x")]
    [InlineData("counters")]
    [InlineData("drops")]
    [InlineData("reload")]
    [InlineData("confirm")]
    [InlineData("stop")]
    [InlineData("explain --running x")]
    [InlineData("diff --running")]
    [InlineData("diff --running /no/such.yaml")]
    public void Without_a_daemon_each_verb_says_so_in_one_line(string verb)
    {
        Typed ran = Typed.Run([.. verb.Split(' '), "--socket", "/no/such.sock"]);
        Assert.Equal(1, ran.Status);
        Assert.StartsWith("filterctl: no filterctl runs on /no/such.sock", Assert.Single(ran.Complaints), StringComparison.Ordinal);
    }

    [Fact]
    public void A_good_ruleset_is_status_0_and_its_summary_one_line()
    {
        Typed ran = Typed.Run("check", s_bridge);
        Assert.Equal(0, ran.Status);
        Assert.Contains(": good: 2 ports, ", Assert.Single(ran.Out.TrimEnd().Split('\n')), StringComparison.Ordinal);
        Assert.True(Typed.Run("check", s_bridge, "--json").Json.GetProperty("good").GetBoolean());
    }

    [Fact]
    public void Every_error_of_a_wrong_ruleset_comes_at_once_and_in_json_with_its_place()
    {
        using Scratch scratch = new();
        string file = scratch.Write("wrong.yaml", "filter: 1\nports:\n  outside: { nic: eth0, side: upside }\nruels: []\n");
        Typed ran = Typed.Run("check", file);
        Assert.Equal(1, ran.Status);
        Assert.Contains(ran.Complaints, line => line.StartsWith($"{file}:3:", StringComparison.Ordinal));
        Assert.Contains(ran.Complaints, line => line.StartsWith($"{file}:4:1: error: ", StringComparison.Ordinal));
        Typed json = Typed.Run("check", file, "--json");
        Assert.Equal(1, json.Status);
        Assert.False(json.Json.GetProperty("good").GetBoolean());
        JsonElement first = json.Json.GetProperty("diagnostics")[0];
        Assert.Equal("error", first.GetProperty("severity").GetString());
        Assert.True(first.GetProperty("line").GetInt32() > 0);
    }

    [Fact]
    public void Every_shipped_ruleset_passes_its_own_tests()
    {
        foreach (string file in Directory.GetFiles(Path.Combine(Repository.Root, "rules"), "*.yaml"))
        {
            Typed ran = Typed.Run("test", file);
            Assert.True(ran.Status == 0, ran.Out + ran.Error);
            Assert.EndsWith(" passed, 0 failed\n", ran.Out, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_test_that_fails_is_shown_with_its_place_what_was_expected_and_the_walk()
    {
        using Scratch scratch = new();
        string file = scratch.Write("fails.yaml", """
            filter: 1
            ports:
              outside: { nic: eth0, side: unprotected }
              inside: { nic: eth1, side: protected, prefixes: [ 192.0.2.0/24 ] }
            rules:
              - allow: web
                service: tcp/443
            tests:
              - pass: "inside: tcp 192.0.2.5:40000 > 198.51.100.7:443 syn"
                by: web
              - pass: "inside: tcp 192.0.2.5:40000 > 198.51.100.7:80 syn"
              - conversation: an answer to nobody
                steps:
                  - pass: "udp 192.0.2.5:40000 > 198.51.100.7:443"
              - drop: "tcp 192.0.2.5:40000 > 198.51.100.7:80 syn"
                by: default
                reason: default-deny
            """);
        Typed ran = Typed.Run("test", file);
        Assert.Equal(1, ran.Status);
        Assert.Contains($"{file}:11: failed: inside: tcp 192.0.2.5:40000 > 198.51.100.7:80 syn", ran.Out, StringComparison.Ordinal);
        Assert.Contains("expected  pass", ran.Out, StringComparison.Ordinal);
        Assert.Contains("got       drop default-deny, by default out", ran.Out, StringComparison.Ordinal);
        Assert.Contains("    rules ", ran.Out, StringComparison.Ordinal);
        Assert.Contains($"an answer to nobody ({file}:12)", ran.Out, StringComparison.Ordinal);
        Assert.EndsWith("2 passed, 2 failed\n", ran.Out, StringComparison.Ordinal);
        JsonElement json = Typed.Run("test", file, "--json").Json;
        Assert.Equal(2, json.GetProperty("failed").GetInt32());
        Assert.Equal(4, json.GetProperty("tests").GetArrayLength());
    }

    [Fact]
    public void Explain_names_the_rule_and_its_line()
    {
        Typed ran = Typed.Run("explain", s_bridge, Syn);
        Assert.Equal(0, ran.Status);
        Assert.Matches(@"(?m)^  rules +'outbound' \(.*bridge\.yaml:\d+\) says pass$", ran.Out);
        Assert.Matches(@"(?m)^verdict: pass, by outbound \(.*bridge\.yaml:\d+\), ipsec bypass, leaves by outside$", ran.Out);
        JsonElement json = Typed.Run("explain", s_bridge, Syn, "--json").Json;
        Assert.Equal("pass", json.GetProperty("verdict").GetString());
        Assert.Equal("outbound", json.GetProperty("rule").GetString());
        Assert.Equal(Syn, json.GetProperty("line").GetString());
    }

    [Fact]
    public void Explain_walks_a_conversation_and_explains_its_last_line()
    {
        string query = "inside: udp 192.0.2.5:4000 > 9.9.9.9:53", answer = "outside: udp 9.9.9.9:53 > 192.0.2.5:4000";
        Assert.Equal("pass", Typed.Run("explain", s_bridge, query, answer, "--json").Json.GetProperty("verdict").GetString());
        Assert.Equal("drop", Typed.Run("explain", s_bridge, query, answer, answer, "--json").Json.GetProperty("verdict").GetString());
    }

    [Theory]
    [InlineData("inside: tcp 192.0.2.5 > ", 1)]
    [InlineData("nowhere: tcp 192.0.2.5:1 > 198.51.100.7:2 syn", 1)]
    [InlineData("ether 02:00:00:00:00:01 > 02:00:00:00:00:02 type=0x88cc", 1)]
    public void A_packet_line_that_cannot_be_sent_is_refused_in_one_line(string line, int status)
    {
        Typed ran = Typed.Run("explain", s_bridge, line);
        Assert.Equal(status, ran.Status);
        Assert.Single(ran.Complaints);
        Assert.Empty(ran.Out);
    }

    [Fact]
    public void On_a_terminal_there_is_colour_and_in_a_pipe_none()
    {
        Assert.Contains('\u001b', Typed.Run(interactive: true, "explain", s_bridge, Syn).Out);
        Assert.DoesNotContain('\u001b', Typed.Run(interactive: false, "explain", s_bridge, Syn).Out);
    }
}

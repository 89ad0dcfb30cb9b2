using System.Text.Json;
using Filter.Tests.Rules;

namespace Filter.Tests.Filterctl;

/// <summary>check, diff and reach as they are typed.</summary>
public sealed class AnswersTests
{
    private const string Office = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected, prefixes: [ 0.0.0.0/0, ::/0 ] }
          inside: { nic: eth1, side: protected, prefixes: [ 10.0.0.0/8, 2001:db8:1::/64 ] }
        sets:
          servers: [ 10.0.0.5, 10.0.0.6, 2001:db8:1::5 ]
        rules:
          - allow: nd
            service: nd
          - allow: web
            from: outside
            destination: servers
            service: web
          - drop: never
            from: outside
            destination: 10.0.0.5
            family: ipv4
            service: https
          - allow: out
            from: inside
          - drop: rest

        """;

    [Fact]
    public void Check_names_who_is_not_reached_and_who_is_not_needed_and_the_packets_show_it()
    {
        using Scratch folder = new();
        string file = folder.Write("office.yaml", Office);
        Typed ran = Typed.Run("check", file);
        Assert.Equal(0, ran.Status);
        Assert.Contains(":14:5: warning: no packet reaches the rule 'never': 'web' (line 10) takes everything that it matches, and not all do the same\n  hint: see: outside: tcp 198.51.100.7:40000 > 10.0.0.5:443 syn\n", ran.Error, StringComparison.Ordinal);
        Assert.Contains(":21:5: warning: the rule 'rest' changes nothing: without it 'default in' would do the same", ran.Error, StringComparison.Ordinal);
        Assert.Equal(1, Typed.Run("check", file, "--strict").Status);
        Assert.Empty(Typed.Run("check", file, "--no-analysis").Error);

        JsonElement[] findings = [.. Typed.Run("check", file, "--json").Json.GetProperty("findings").EnumerateArray()];
        Assert.Equal(["unreachable never", "redundant rest"], findings.Select(static f => $"{f.GetProperty("kind").GetString()} {f.GetProperty("rule").GetString()}"));
        foreach (JsonElement finding in findings)
        {
            string line = finding.GetProperty("witness").GetProperty("line").GetString()!;
            string by = Typed.Run("explain", file, line, "--json").Json.GetProperty("rule").GetString()!;
            Assert.Equal(finding.GetProperty("rule").GetString() == "never" ? "web" : "rest", by);
        }
    }

    [Fact]
    public void Overlaps_are_counted_and_named_where_that_is_asked_for()
    {
        using Scratch folder = new();
        string file = folder.Write("office.yaml", Office.Replace("  - allow: web\n", "  - drop: bad\n    from: outside\n    source: 203.0.113.0/24\n    family: ipv4\n  - allow: web\n", StringComparison.Ordinal)
            .Replace("  - drop: never\n    from: outside\n    destination: 10.0.0.5\n    family: ipv4\n    service: https\n", "", StringComparison.Ordinal).Replace("  - drop: rest\n", "", StringComparison.Ordinal));
        Typed ran = Typed.Run("check", file, "--strict");
        Assert.Equal((0, ""), (ran.Status, ran.Error));
        Assert.EndsWith("; 1 overlap decided by the order of rules: see check --all\n", ran.Out, StringComparison.Ordinal);
        Typed all = Typed.Run("check", file, "--all", "--strict");
        Assert.Equal(1, all.Status);
        Assert.Contains("the rule 'bad' and 'web' (line 14) overlap and decide otherwise: their order decides\n  hint: see: outside: tcp 203.0.113.9:40000 > 10.0.0.5:80 syn", all.Error, StringComparison.Ordinal);
        Assert.Equal("conflict", Typed.Run("check", file, "--json").Json.GetProperty("findings")[0].GetProperty("kind").GetString());
    }

    [Fact]
    public void Diff_shows_each_pair_with_a_packet_or_says_that_there_is_none()
    {
        using Scratch folder = new();
        string before = folder.Write("a.yaml", Office), after = folder.Write("b.yaml", Office.Replace("service: web", "service: https", StringComparison.Ordinal));
        Typed same = Typed.Run("diff", before, before);
        Assert.Equal((0, "no packet is treated differently\n"), (same.Status, same.Out));

        Typed ran = Typed.Run("diff", before, after);
        Assert.Equal(1, ran.Status);
        Assert.Contains("10.0.0.5:80 syn\n", ran.Out, StringComparison.Ordinal);
        Assert.Contains($"  before: allows by web ({before}:10)\n  after:  drops by rest ({after}:21)\n", ran.Out, StringComparison.Ordinal);
        JsonElement json = Typed.Run("diff", before, after, "--json").Json;
        Assert.False(json.GetProperty("same").GetBoolean());
        foreach (JsonElement pair in json.GetProperty("pairs").EnumerateArray())
        {
            string line = pair.GetProperty("witness").GetProperty("line").GetString()!;
            Assert.Equal(pair.GetProperty("before").GetString(), Typed.Run("explain", before, line, "--json").Json.GetProperty("rule").GetString());
            Assert.Equal(pair.GetProperty("after").GetString(), Typed.Run("explain", after, line, "--json").Json.GetProperty("rule").GetString());
        }
    }

    [Fact]
    public void Reach_says_who_can_and_through_which_rules()
    {
        using Scratch folder = new();
        string file = folder.Write("office.yaml", Office.Replace("from: outside\n    destination: servers", "from: outside\n    source: [ 198.51.100.0/24, 2001:db8:f::/48 ]\n    destination: servers", StringComparison.Ordinal));
        Typed ran = Typed.Run("reach", file, "outside: tcp * > servers:443");
        Assert.Equal(0, ran.Status);
        Assert.Equal(
            $"outside: 198.51.100.0/24\n  by web ({file}:10), as outside: tcp 198.51.100.7:40000 > 10.0.0.5:443 syn\n"
            + $"outside: 2001:db8:f::/48\n  by web ({file}:10), as outside: tcp [2001:db8:f::9]:40000 > [2001:db8:1::5]:443 syn\n", ran.Out);
        Typed nobody = Typed.Run("reach", file, "outside: tcp * > servers:22");
        Assert.Equal((1, "nobody can\n"), (nobody.Status, nobody.Out));
        Assert.Equal(2, Typed.Run("reach", file, "tcp *").Status);
        Assert.Contains("there is no port 'dmz'", Typed.Run("reach", file, "dmz: tcp * > *:22").Error, StringComparison.Ordinal);
        Assert.Equal("198.51.100.0/24", Typed.Run("reach", file, "outside: tcp * > 10.0.0.6:443", "--json").Json.GetProperty("ways")[0].GetProperty("sources")[0].GetString());
    }

    public static TheoryData<string> Samples => [.. SampleFiles.Rulesets];

    [Theory]
    [MemberData(nameof(Samples))]
    public void The_samples_come_out_clean(string sample)
    {
        Typed ran = Typed.Run("check", Path.Combine(SampleFiles.Root, sample), "--strict");
        Assert.True(ran.Status == 0, ran.Error);
    }
}

using Filter.Rules;
using Filter.Rules.Analysis;
using Filter.Rules.Policy;

namespace Filter.Tests.Rules.Analysis;

public sealed class PolicyAnalysisTests
{
    [Fact]
    public void A_policy_that_others_together_take_everything_from_is_told_with_them() => Assert.Equal(
        ["no packet reaches the policy 'late': 'low' and 'high' take all that it selects"],
        Told("""
            - { bypass: low, remote: 10.2.0.0/25 }
            - { drop: high, remote: 10.2.0.128/25 }
            - { bypass: elsewhere, remote: 10.3.0.0/16 }
            - { drop: late, remote: 10.2.0.0/24, service: tcp/22 }
            """));

    [Fact]
    public void A_policy_of_the_other_direction_takes_nothing() => Assert.Empty(Told("""
            - { bypass: out, direction: out }
            - { drop: in, direction: in }
            """));

    [Fact]
    public void A_policy_reached_one_way_is_reached() => Assert.Empty(Told("""
            - { bypass: out, direction: out }
            - { drop: both }
            """));

    [Fact]
    public void Ends_of_different_families_select_nothing() => Assert.Equal(
        ["the policy 'odd' selects no packet: 'local' and 'remote' have no family in common"],
        Told("- { bypass: odd, local: 10.0.0.0/8, remote: 2001:db8::/32 }"));

    [Fact]
    public void Overlaps_are_told_where_they_are_asked_for_and_exceptions_are_none()
    {
        const string Policies = """
            - { bypass: web, service: tcp/443 }
            - { drop: lab, remote: 10.2.0.0/16 }
            - { bypass: rest }
            """;

        Assert.Empty(Told(Policies));
        Assert.Equal(["the policies 'web' and 'lab' overlap: their order decides"], Told(Policies, overlaps: true));
    }

    [Fact]
    public void A_tunnel_that_takes_what_its_own_ends_say_is_told_of()
    {
        const string Tunnel = "- { protect: all, sa: pair }";

        string told = Assert.Single(Told(Tunnel));
        Assert.StartsWith("the policy 'all' covers the ends of its own tunnel 'pair'", told, StringComparison.Ordinal);
        Assert.Empty(Told("- { bypass: gateways, local: 192.0.2.1, remote: 198.51.100.1 }\n" + Tunnel));
        Assert.Empty(Told("- { protect: nets, local: 10.1.0.0/16, remote: 10.2.0.0/16, sa: pair }"));
    }

    [Fact]
    public void Boxes_are_told_in_the_words_of_a_ruleset()
    {
        IpsecConfig config = Read("- { bypass: web, remote: 10.2.0.0/24, service: tcp/443 }\n- { drop: rest, remote: 10.2.0.0/24, service: [ tcp, icmpv4/8 ], direction: out }");
        var boxes = PolicyAnalysis.Decorrelate(config.Policies, Filter.Engine.Packets.Direction.Out)!.Value;

        Assert.Equal(["local 0.0.0.0/0 remote 10.2.0.0/24 tcp remote-port 443"], boxes[0].Select(static b => b.ToString()));
        Assert.Equal(
            ["local 0.0.0.0/0 remote 10.2.0.0/24 icmpv4 type/code 8/0-8/255", "local 0.0.0.0/0 remote 10.2.0.0/24 tcp remote-port 0-442", "local 0.0.0.0/0 remote 10.2.0.0/24 tcp remote-port 444-65535"],
            boxes[1].Select(static b => b.ToString()));
        Assert.Empty(PolicyAnalysis.Decorrelate(config.Policies, Filter.Engine.Packets.Direction.In)!.Value[1]);
    }

    private static string[] Told(string policies, bool overlaps = false) => [.. PolicyAnalysis.Of(Read(policies), overlaps).Select(static d => d.Message)];

    private static IpsecConfig Read(string policies)
    {
        const string Keys = "encryption-key: 0x5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a, integrity-key: 0x5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b";
        string text = "filter: 1\nports:\n  outside: { nic: eth0, side: unprotected }\n  inside: { nic: eth1, side: protected }\n"
            + "  self: { tap: f0, side: protected, addresses: [ 192.0.2.1/24 ] }\nipsec:\n  policies:\n"
            + string.Concat(policies.Split('\n').Select(static line => $"    {line.Trim()}\n"))
            + $"  sas:\n    pair: {{ mode: tunnel, local: 192.0.2.1, remote: 198.51.100.1, suite: aes-cbc-128+hmac-sha2-256-128, out: {{ spi: 1001, {Keys} }}, in: {{ spi: 1002, {Keys} }} }}\n";
        RulesetReading reading = RulesetFile.Parse("f.yaml", text);
        Assert.True(reading.Ruleset is not null, string.Join('\n', reading.Diagnostics));
        return reading.Ruleset.Ipsec!;
    }
}

using Filter.Ctl.Rehearsals;
using Filter.Rules;
using Filter.Rules.Policy;

namespace Filter.Tests.Rules.Policy;

/// <summary>IKE of the gateway passes by itself, in the clear, and nothing else does.</summary>
public sealed class IkePassageTests
{
    private const string Text = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected, prefixes: [ 0.0.0.0/0, "::/0" ] }
          inside: { nic: eth1, side: protected, prefixes: [ 10.1.0.0/16 ] }
          self: { tap: filter0, side: protected, addresses: [ 192.0.2.1/24, "2001:db8::1/64" ] }
        ipsec:
          policies:
            - { protect: everything, ike: far }
          ike:
            peers:
              far: { local: 192.0.2.1, remote: 198.51.100.1, psk: "a sample that everybody knows, and long enough" }
        tests:
          - { pass: "outside: udp 198.51.100.1:500 > 192.0.2.1:500", by: ike/in, ipsec: bypass }
          - { pass: "outside: udp 203.0.113.9:61000 > 192.0.2.1:4500", by: ike/in, ipsec: bypass }
          - { pass: "outside: udp [2001:db8:f::9]:500 > [2001:db8::1]:500", by: ike/in, ipsec: bypass }
          - { pass: "self: udp 192.0.2.1:500 > 198.51.100.1:500", by: ike/out, ipsec: bypass }
          - { pass: "self: udp 192.0.2.1:4500 > 198.51.100.1:61000", by: ike/out, ipsec: bypass }
          - { drop: "outside: udp 198.51.100.1:500 > 192.0.2.1:501" }
          - { drop: "outside: udp 198.51.100.1:500 > 10.1.0.5:500", reason: clear-for-protected }
          - { drop: "self: udp 192.0.2.1:501 > 198.51.100.1:500", by: default }
          - { drop: "inside: udp 10.1.0.5:500 > 198.51.100.1:500", by: default }
          - { drop: "inside: udp 10.1.0.5:500 > 192.0.2.1:500", by: default }
        """;

    [Fact]
    public void Its_own_ports_are_open_to_the_unprotected_side_and_it_may_answer()
    {
        RulesetReading reading = RulesetFile.Parse("edge.yaml", Text);
        Assert.True(reading.Ruleset is not null, string.Join('\n', reading.Diagnostics));
        foreach (Filter.Ctl.Rehearsals.TestResult result in TestRunner.Run(reading.Ruleset))
        {
            Assert.True(result.Failure is null, $"{result.Name}: {result.Failure}");
        }
    }

    [Fact]
    public void Rules_and_policies_keep_their_order_behind_it_and_know_each_other_by_number()
    {
        Ruleset ruleset = RulesetFile.Parse("edge.yaml", Text.Replace("ipsec:\n", "rules:\n  - { allow: by-far, from: outside, ipsec: everything }\nipsec:\n", StringComparison.Ordinal)).Ruleset!;

        Assert.Equal([IkePassage.In, IkePassage.Out, "by-far"], ruleset.Rules.Select(static rule => rule.Name));
        Assert.Equal([IkePassage.Clear, "everything"], ruleset.Ipsec!.Policies.Select(static policy => policy.Name));
        Assert.Equal([1, 2], ruleset.Ipsec.Policies.Select(static policy => (int)policy.Number));
        Assert.Equal([(ushort)2], ruleset.Rules[2].Conditions!.ArrivedBy);
        Assert.NotNull(ruleset.Rules[0].Limit);
    }
}

using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Policy;

namespace Filter.Tests.Rules.Policy;

/// <summary>Groups of rules: read, narrowed, and warned of where they make no sense; and rules of one family alone.</summary>
public sealed class GroupTests
{
    private const string Head = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        sets:
          lan: [ 192.0.2.0/24, 2001:db8::/64 ]
          servers: [ 192.0.2.10-192.0.2.20, 2001:db8::10 ]
          old: [ 10.0.0.0/8 ]

        """;

    [Fact]
    public void A_rule_takes_what_its_groups_say_and_keeps_its_own_name_and_place()
    {
        Ruleset ruleset = Read("""
            rules:
              - drop: first
              - group: outer
                from: inside
                source: lan
                service: [ tcp/1-1000, icmp ]
                rules:
                  - allow: web
                    service: [ tcp/443, tcp/900-2000, udp/443, icmp/echo-request ]
                  - group: inner
                    source: servers
                    vlan: [ 10, 20 ]
                    dscp: [ ef, cs1 ]
                    rules:
                      - allow: deep
                        vlan: [ 10.7, 30 ]
                        dscp: [ cs1, cs2 ]
              - drop: last
            """);
        Assert.Equal([("first", 10), ("web", 16), ("deep", 23), ("last", 26)], ruleset.Rules.Select(static r => (r.Name, r.At.Line)));
        Rule web = ruleset.Rules[1], deep = ruleset.Rules[2];
        Assert.Equal("icmpv4/8, tcp/443, tcp/900-1000, icmpv6/128", web.Service!.ToString());
        Assert.Same(ruleset.AddressSets["lan"], web.Source);
        Assert.Same(ruleset.AddressSets["servers"], deep.Source);
        Assert.Equal([VlanStack.Identifiers(VlanStack.Push(VlanStack.Push(0, 10), 7))], deep.Vlan!.Identifiers);
        Assert.Equal(1UL << 8, deep.Conditions!.Dscp);
        Assert.Equal((2, Rule.AnyPort), (deep.From, ruleset.Rules[3].From));
    }

    [Theory]
    [InlineData("from: inside", "from: outside", "'from'")]
    [InlineData("to: inside", "to: outside", "'to'")]
    [InlineData("family: ipv4", "family: ipv6", "'family'")]
    [InlineData("source: lan", "source: 198.51.100.0/24, family: ipv4", "'source'")]
    [InlineData("destination: servers", "destination: 192.0.2.21, family: ipv4", "'destination'")]
    [InlineData("service: tcp/1-10", "service: [ tcp/11, udp/1-10 ]", "'service'")]
    [InlineData("service: icmp/3/1-4", "service: icmp/4", null)]
    [InlineData("service: icmpv4/3/1, family: ipv4", "service: icmpv4/3/2", "'service'")]
    [InlineData("source-port: 1-10", "source-port: [ 11, 12 ]", "'source-port'")]
    [InlineData("vlan: none", "vlan: 10", "'vlan'")]
    [InlineData("vlan: 10.7", "vlan: [ 7, 10.8 ]", "'vlan'")]
    [InlineData("tcp-flags: syn !ece", "tcp-flags: syn ece", "'tcp-flags'")]
    [InlineData("dscp: ef", "dscp: cs1", "'dscp'")]
    [InlineData("extension-headers: routing", "extension-headers: none", "'extension-headers'")]
    [InlineData("fragment: true", "fragment: false", "'fragment'")]
    [InlineData("size: 1-100", "size: 101-200", "'size'")]
    [InlineData("source-mac: 02:00:00:00:00:00/8", "source-mac: 03:00:00:00:00:01", "'source-mac'")]
    [InlineData("destination-mac: 02:00:00:00:00:00/8", "destination-mac: 03:00:00:00:00:01", "'destination-mac'")]
    [InlineData("when: mon-fri", "when: sat", "'when'")]
    public void A_rule_that_excludes_what_its_group_says_matches_nothing_and_is_warned_of(string group, string rule, string? key)
    {
        RulesetReading reading = RulesetFile.Parse("f.yaml", Head + $"rules: [ {{ group: g, {group}, rules: [ {{ allow: it, {rule} }} ] }} ]\n");
        if (key is null)
        {
            Assert.Equal(1, reading.ErrorCount);            // no such service
            return;
        }

        Assert.Equal(("the rule 'it' matches no packet", $"what it says of {key} and what the group 'g' says exclude each other"),
            (Assert.Single(reading.Diagnostics).Message, reading.Diagnostics[0].Hint));
        Assert.Equal(0, reading.Ruleset!.Rules[0].From);
    }

    [Fact]
    public void Groups_that_compare_too_much_are_refused()
    {
        string many = string.Join(", ", Enumerable.Range(0, 5000).Select(static i => $"10.{i >> 8}.{i & 255}.0/25"));
        string rules = string.Concat(Enumerable.Range(0, 9000).Select(static i => $"      - {{ allow: r{i}, source: [ a, 192.0.{i >> 8}.{i & 255} ] }}\n"));
        RulesetReading reading = RulesetFile.Parse("f.yaml", Head.Replace("sets:", $"sets:\n  a: [ {many} ]", StringComparison.Ordinal)
            + $"rules:\n  - group: g\n    family: ipv4\n    source: [ a, 198.51.100.0/24 ]\n    rules:\n{rules}");
        Assert.Contains(reading.Diagnostics, static d => d.Message.Contains("must be compared", StringComparison.Ordinal) || d.Message.Contains("written out", StringComparison.Ordinal));
        Assert.Equal(1, reading.ErrorCount);
    }

    [Theory]
    [InlineData("source: old", "the rule 'it' is for IPv4 alone, as its source 'old' is")]
    [InlineData("source: lan, destination: 198.51.100.7", "the rule 'it' is for IPv4 alone, as its destination '198.51.100.7' is")]
    [InlineData("destination: [ 2001:db8:9::1, 2001:db8:9::2 ]", "the rule 'it' is for IPv6 alone, as its destination is")]
    [InlineData("service: icmpv4/echo-request", "the rule 'it' is for IPv4 alone, as its service is")]
    [InlineData("service: icmpv6", "the rule 'it' is for IPv6 alone, as its service is")]
    [InlineData("source: old, family: ipv4", null)]
    [InlineData("source: lan", null)]
    [InlineData("service: [ nd, ra, mld ]", null)]
    [InlineData("service: igmp", null)]
    [InlineData("service: dhcpv6, destination: 'ff02::1:2'", null)]
    [InlineData("service: udp/546, source: 'fe80::/10'", null)]
    [InlineData("extension-headers: routing, destination: '2001:db8::/64'", null)]
    public void A_rule_that_only_looks_dual_stack_is_warned_of(string matches, string? warning)
    {
        RulesetReading reading = RulesetFile.Parse("f.yaml", Head + $"rules: [ {{ allow: it, {matches} }} ]\n");
        Assert.Equal(warning, reading.Diagnostics.SingleOrDefault()?.Message);
        Assert.NotNull(reading.Ruleset);
    }

    [Theory]
    [InlineData("source: old", "source: 10.0.0.1", "the group is for IPv4 alone, as its source 'old' is")]
    [InlineData("family: ipv4", "source: old", null)]
    [InlineData("from: inside", "source: old", "the rule 'it' is for IPv4 alone, as its source 'old' is")]
    [InlineData("source: [ old, 2001:db8:1::/64 ]", "source: 10.0.0.1", "the rule 'it' is for IPv4 alone, as its source '10.0.0.1' is")]
    [InlineData("source: [ old, 2001:db8:1::/64 ]", "family: ipv4", null)]
    public void A_group_is_warned_of_once_and_not_its_rules(string group, string rule, string? warning)
    {
        RulesetReading reading = RulesetFile.Parse("f.yaml", Head + $"rules: [ {{ group: g, {group}, rules: [ {{ allow: it, {rule} }} ] }} ]\n");
        Assert.Equal(warning, reading.Diagnostics.SingleOrDefault()?.Message);
    }

    [Fact]
    public void Who_writes_for_one_family_alone_hears_it_of_twenty_rules_and_then_once()
    {
        string rules = string.Concat(Enumerable.Range(0, 5000).Select(static i => $"  - {{ allow: r{i}, source: old }}\n"));
        RulesetReading reading = RulesetFile.Parse("f.yaml", Head + "rules:\n" + rules);
        Assert.Equal((21, 0), (reading.Diagnostics.Count, reading.ErrorCount));
        Assert.Equal("4980 more rules from here on are for one family alone", reading.Diagnostics[^1].Message);
        Assert.Equal(reading.Ruleset!.Rules[20].At, reading.Diagnostics[^1].At);
    }

    private static Ruleset Read(string rules)
    {
        RulesetReading reading = RulesetFile.Parse("f.yaml", Head + rules);
        Assert.Empty(reading.Diagnostics);
        return reading.Ruleset!;
    }
}

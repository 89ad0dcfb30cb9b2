using System.Globalization;
using System.Text;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Compile;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Tests.Rules.Compile;

/// <summary>The fast form says what the rules say: first match wins, else the default of the direction.</summary>
public sealed class CompiledRulesetTests
{
    private const string Head = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
          guests: { nic: eth2, side: protected }

        """;

    [Fact]
    public void The_first_rule_that_matches_wins()
    {
        CompiledRuleset rules = Compile("""
            rules:
              - drop: telnet
                service: tcp/23
              - allow: out
                from: inside
              - reject: never-reached
                from: inside
            """);

        Assert.Equal(("telnet", Verdict.Drop), Judge(rules, Out("192.0.2.1", "198.51.100.1", IpProtocol.Tcp, 23)));
        Assert.Equal(("out", Verdict.Pass), Judge(rules, Out("192.0.2.1", "198.51.100.1", IpProtocol.Tcp, 22)));
        Assert.Equal(("out", Verdict.Pass), Judge(rules, Out("2001:db8::1", "2001:db8::2", IpProtocol.Udp, 22)));
    }

    [Fact]
    public void What_no_rule_matches_gets_the_default_of_its_direction()
    {
        CompiledRuleset rules = Compile("defaults: { out: allow, in: drop, across: reject }\nrules: [ { drop: telnet, service: tcp/23 } ]\n");
        OpeningFacts facts = Out("192.0.2.1", "198.51.100.1", IpProtocol.Udp, 9);

        Assert.Equal(("default out", Verdict.Pass), Judge(rules, facts));
        Assert.Equal(("default in", Verdict.Drop), Judge(rules, facts with { Ingress = 0, Egress = 1, Direction = Direction.In }));
        Assert.Equal(("default across", Verdict.Reject), Judge(rules, facts with { Egress = 2, Direction = Direction.Across }));
        Assert.True(rules.Judge(facts).IsDefault);
        Assert.Equal(5, rules.RuleCount);
        Assert.Equal(new RuleName("default out", "f.yaml", 6), rules.Name(2));
    }

    [Fact]
    public void Rules_keep_their_numbers_names_and_places()
    {
        CompiledRuleset rules = Compile("rules:\n  - drop: a\n    limit: 2/s burst 5\n  - drop: b\n");
        Assert.Equal(new RuleName("b", "f.yaml", 9), rules.Name(2));
        Assert.Equal((1, 2, 5, 0), (rules.Find("a"), rules.Find("b"), rules.Find("default across"), rules.Find("c")));
        Assert.Equal(new RuleLimit(new RateLimit(500_000_000, 5)), rules.Limit(1));
        Assert.Null(rules.Limit(2));
        Assert.Null(rules.Limit(99));
    }

    [Theory]
    [InlineData("from: guests", false)]
    [InlineData("from: [ guests, inside ]", true)]
    [InlineData("to: outside", true)]
    [InlineData("to: inside", false)]
    [InlineData("family: ipv4", true)]
    [InlineData("family: ipv6", false)]
    [InlineData("source: 192.0.2.0/24", true)]
    [InlineData("source: [ 192.0.2.0-192.0.2.6, 192.0.2.8/29 ]", false)]
    [InlineData("source: ::/0", false)]
    [InlineData("destination: 198.51.100.7", true)]
    [InlineData("destination: 198.51.100.8-198.51.100.9", false)]
    [InlineData("service: tcp", true)]
    [InlineData("service: tcp/443-444", true)]
    [InlineData("service: [ udp/443, tcp/80 ]", false)]
    [InlineData("source-port: 1024-65535", true)]
    [InlineData("source-port: [ 1, 2, 3 ]", false)]
    [InlineData("vlan: 10", true)]
    [InlineData("vlan: [ 5, 10, 20 ]", true)]
    [InlineData("vlan: 11", false)]
    [InlineData("vlan: none", false)]
    public void Every_match_must_hold(string match, bool holds)
    {
        CompiledRuleset rules = Compile($"rules: [ {{ allow: it, {match} }} ]\n");
        FlowKey key = new(Address.Parse("192.0.2.7"), Address.Parse("198.51.100.7"), 40000, 443, IpProtocol.Tcp, VlanStack.Push(0, 10));
        OpeningFacts facts = new(key, 1, 0, Direction.Out, TcpFlags.Syn, 0, 0, 0, 0);
        Assert.Equal(holds ? Verdict.Pass : Verdict.Drop, rules.Judge(facts).Verdict);
    }

    [Fact]
    public void Source_ports_exclude_protocols_without_ports()
    {
        CompiledRuleset rules = Compile("rules: [ { allow: it, source-port: 1-65535 } ]\n");
        Assert.Equal(Verdict.Pass, rules.Judge(Out("192.0.2.1", "192.0.2.2", IpProtocol.Udp, 9)).Verdict);
        Assert.Equal(Verdict.Drop, rules.Judge(Out("192.0.2.1", "192.0.2.2", IpProtocol.Gre, 9)).Verdict);
    }

    [Fact]
    public void Ping_is_both_families_and_only_the_request()
    {
        CompiledRuleset rules = Compile("rules: [ { allow: it, service: ping } ]\n");
        OpeningFacts four = Out("192.0.2.1", "192.0.2.2", IpProtocol.Icmp, 7) with { IcmpType = 8 };
        OpeningFacts six = Out("2001:db8::1", "2001:db8::2", IpProtocol.IcmpV6, 7) with { IcmpType = 128 };

        Assert.Equal(Verdict.Pass, rules.Judge(four).Verdict);
        Assert.Equal(Verdict.Pass, rules.Judge(six).Verdict);
        Assert.Equal(Verdict.Drop, rules.Judge(four with { IcmpType = 0 }).Verdict);
        Assert.Equal(Verdict.Drop, rules.Judge(six with { IcmpType = 8 }).Verdict);
    }

    [Fact]
    public void A_double_tagged_frame_is_known_by_its_outer_tag()
    {
        CompiledRuleset rules = Compile("rules: [ { allow: it, vlan: 10 } ]\n");
        OpeningFacts facts = Out("192.0.2.1", "192.0.2.2", IpProtocol.Udp, 7);
        uint outer10 = VlanStack.Push(VlanStack.Push(0, 10), 20), outer20 = VlanStack.Push(VlanStack.Push(0, 20), 10);
        Assert.Equal(Verdict.Pass, rules.Judge(facts with { Key = facts.Key with { Segment = outer10 } }).Verdict);
        Assert.Equal(Verdict.Drop, rules.Judge(facts with { Key = facts.Key with { Segment = outer20 } }).Verdict);
    }

    [Fact]
    public void Attributes_come_with_the_judgement()
    {
        CompiledRuleset rules = Compile("rules: [ { allow: it, service: udp/53, pinhole: one-answer, limit: 1/s, log: true } ]\n");
        Judgement judgement = rules.Judge(Out("192.0.2.1", "192.0.2.2", IpProtocol.Udp, 53));
        Assert.Equal(new Judgement(Verdict.Pass, 1, PinholeKind.OneAnswer, Limited: true, Log: true, IsDefault: false), judgement);
    }

    [Fact]
    public void The_link_policy_names_what_passes_beside_IP()
    {
        CompiledRuleset strict = Compile("link: { arp: drop, ethertypes: [ 0x88cc ] }\n"), open = Compile("link: { unknown: allow }\n");

        Assert.False(strict.PassesEtherType(EtherTypes.Arp));
        Assert.True(strict.PassesEtherType(0x88cc));
        Assert.False(strict.PassesEtherType(0x1234));
        Assert.True(open.PassesEtherType(EtherTypes.Arp));
        Assert.True(open.PassesEtherType(0x1234));
        Assert.False(open.PassesEtherType(EtherTypes.MacControl));
        Assert.False(open.PassesEtherType(EtherTypes.SlowProtocols));
    }

    [Fact]
    public void The_fast_form_agrees_with_the_rules_read_one_by_one()
    {
        int seed = Random.Shared.Next();
        Random random = new(seed);
        for (int round = 0; round < 30; round++)
        {
            StringBuilder text = new("rules:\n");
            for (int i = 0; i < 40; i++)
            {
                text.Append(CultureInfo.InvariantCulture, $"  - {Pick("allow", "drop", "reject")}: r{i}\n    source: [ {Network()}, {Network()} ]\n    destination: [ {Network()}, {Network()} ]\n");
                text.Append(CultureInfo.InvariantCulture, $"    service: [ {Pick("tcp", "udp")}/{random.Next(1, 5)}-{random.Next(5, 9)}, {Pick("icmp/8", "proto/47", "tcp/9")} ]\n");
            }

            RulesetReading reading = RulesetFile.Parse("f.yaml", Head + text);
            Ruleset ruleset = reading.Ruleset!;
            CompiledRuleset compiled = RulesetCompiler.Compile(ruleset);
            for (int packet = 0; packet < 300; packet++)
            {
                byte protocol = (byte)random.Next(4) switch { 0 => IpProtocol.Tcp, 1 => IpProtocol.Udp, 2 => IpProtocol.Icmp, _ => IpProtocol.Gre };
                bool v6 = random.Next(2) == 0;
                FlowKey key = new(Host(v6), Host(v6), 1, (ushort)random.Next(1, 11), protocol, 0);
                OpeningFacts facts = new(key, 1, 0, Direction.Out, 0, (byte)(protocol == IpProtocol.Icmp ? random.Next(7, 10) : 0), 0, 0, 0);
                Rule? first = ruleset.Rules.FirstOrDefault(r => r.Source!.Contains(key.Source) && r.Destination!.Contains(key.Destination)
                    && r.Service!.Matches(key.Protocol, key.DestinationPort, facts.IcmpType, facts.IcmpCode));
                string found = compiled.Name(compiled.Judge(facts).Rule).Name;
                Assert.True(found == (first?.Name ?? "default out"), $"seed {seed}, round {round}: {key.Source} > {key.Destination} {key.Protocol}/{key.DestinationPort}: {found}, not {first?.Name}");
            }
        }

        string Pick(params string[] words) => words[random.Next(words.Length)];
        string Network() => random.Next(2) == 0 ? $"10.{random.Next(8) * 32}.0.0/11" : $"2001:db8:{random.Next(8):x}::/48";
        Address Host(bool v6) => Address.Parse(v6 ? $"2001:db8:{random.Next(8):x}::1" : $"10.{random.Next(256)}.0.1");
    }

    [Fact]
    public void Rules_whose_tables_would_need_more_memory_than_they_may_are_an_error_that_names_the_widest()
    {
        StringBuilder text = new("rules:\n");
        for (int i = 1; i < 250; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"  - allow: r{i}\n    source: 10.0.0.0-10.{i}.{255 - i}.9\n    destination: 10.{i}.0.0/16\n");
        }

        Ruleset ruleset = RulesetFile.Parse("f.yaml", Head + text).Ruleset!;
        Diagnostics found = new();
        Assert.True(RulesetCompiler.Fits(ruleset, found));
        Assert.False(RulesetCompiler.Fits(ruleset, found, most: 10_000));
        string error = Assert.Single(found.All).ToString();
        Assert.Contains("error: the rules need more than 0 MB of memory: their sources overlap in ", error, StringComparison.Ordinal);
        Assert.Contains(" ways for IPv4; the widest are of 'r249', 'r248', 'r247'\n  hint: let fewer of them overlap", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Many_rules_that_only_their_conditions_tell_apart_are_tried_in_order()
    {
        StringBuilder text = new("rules:\n");
        for (int i = 0; i < 1500; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"  - allow: r{i}\n    source-mac: 02:00:00:00:{i / 256:x2}:{i % 256:x2}\n");
        }

        CompiledRuleset rules = Compile(text.ToString());
        OpeningFacts facts = Out("192.0.2.1", "192.0.2.2", IpProtocol.Udp, 53);
        for (int i = 0; i < 1500; i += 7)
        {
            Assert.Equal(($"r{i}", Verdict.Pass), Judge(rules, facts with { SourceMac = 0x0200_0000_0000 + (ulong)i }));
        }

        Assert.Equal(("default out", Verdict.Drop), Judge(rules, facts with { SourceMac = 0x0200_0000_0000 + 1500 }));
    }

    [Fact]
    public void Judging_allocates_nothing()
    {
        CompiledRuleset rules = RulesetCompiler.Compile(RulesetFile.Parse("rules/office.yaml", SampleFiles.Bytes("rules/office.yaml")).Ruleset!);
        OpeningFacts facts = Out("192.0.2.5", "198.51.100.7", IpProtocol.Tcp, 443);
        int passed = 0;
        long allocated = Allocations.Least(() =>
        {
            for (int i = 0; i < 1000; i++)
            {
                passed += rules.Judge(facts).Rule + (rules.PassesEtherType((ushort)i) ? 1 : 0) + (rules.Limit(i) is null ? 0 : 1);
            }
        });

        Assert.Equal(0, allocated);
        Assert.NotEqual(0, passed);
    }

    private static CompiledRuleset Compile(string text)
    {
        RulesetReading reading = RulesetFile.Parse("f.yaml", Head + text);
        Assert.Equal(0, reading.ErrorCount);
        return RulesetCompiler.Compile(reading.Ruleset!);
    }

    private static OpeningFacts Out(string source, string destination, byte protocol, ushort port) =>
        new(new FlowKey(Address.Parse(source), Address.Parse(destination), 40000, port, protocol, 0), 1, 0, Direction.Out, 0, 0, 0, 0, 0);

    private static (string, Verdict) Judge(CompiledRuleset rules, OpeningFacts facts)
    {
        Judgement judgement = rules.Judge(facts);
        return (rules.Name(judgement.Rule).Name, judgement.Verdict);
    }
}

using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules.Analysis;
using Filter.Rules.Compile;
using Filter.Rules.Policy;

namespace Filter.Tests.Rules.Analysis;

public sealed class RulesetAnalysisTests
{
    /// <summary>The heart: whatever small ruleset it is, the analysis says what asking for each packet says, and no more.</summary>
    [Fact]
    public void What_it_finds_is_what_asking_for_every_packet_finds()
    {
        Random random = Fuzzing.Seeded(out int seed);
        int unreachable = 0, redundant = 0, reached = 0;
        for (int round = 0; round < Fuzzing.Rounds(40); round++)
        {
            Ruleset ruleset = TinyWorld.Random(random, random.Next(2, 12));
            (string Rule, string Does)[] before = TinyWorld.Decisions(ruleset, counted: true);
            HashSet<string> decides = [.. before.Select(static d => d.Rule)];
            ImmutableArray<Finding> found = RulesetAnalysis.Of(ruleset);
            Assert.DoesNotContain(found, static f => f.Kind == FindingKind.Undecided);
            foreach (Rule rule in ruleset.Rules.Where(static r => r.Action != RuleAction.Count))
            {
                string place = $"seed {seed}, round {round}, {rule.Name}:\n{string.Join('\n', ruleset.Rules)}";
                bool isReached = decides.Contains(rule.Name);
                Assert.True(!isReached == found.Any(f => f.Rule == rule && f.Kind == FindingKind.Unreachable), $"reached is {isReached}; {place}");
                if (!isReached)
                {
                    unreachable++;
                    continue;
                }

                (string Rule, string Does)[] without = TinyWorld.Decisions(ruleset with { Rules = ruleset.Rules.Remove(rule) }, counted: true);
                bool changes = before.Zip(without).Any(static pair => pair.First.Does != pair.Second.Does);
                Assert.True(!changes == found.Any(f => f.Rule == rule && f.Kind == FindingKind.Redundant), $"changes is {changes}; {place}");
                redundant += changes ? 0 : 1;
                reached++;
            }
        }

        Assert.True(unreachable > 5 && redundant > 5 && reached > redundant, $"seed {seed}: {unreachable} unreachable, {redundant} redundant of {reached}");
    }

    [Fact]
    public void Every_witness_does_what_its_finding_says()
    {
        Random random = Fuzzing.Seeded(out int seed);
        for (int round = 0; round < Fuzzing.Rounds(60); round++)
        {
            Ruleset ruleset = TinyWorld.Random(random, random.Next(2, 14));
            CompiledRuleset compiled = RulesetCompiler.Compile(ruleset);
            foreach (Finding finding in RulesetAnalysis.Of(ruleset, conflicts: true).Where(static f => f.Witness is not null))
            {
                string place = $"seed {seed}, round {round}: {finding.Message}\n{finding.Witness}\n{string.Join('\n', ruleset.Rules)}";
                OpeningFacts facts = finding.Witness!.Facts;
                string decides = compiled.Name(compiled.Judge(facts).Rule).Name;
                Assert.True(PacketLine.TryParse(finding.Witness.Line.ToString(), out _, out string? error), $"{error}; {place}");
                switch (finding.Kind)
                {
                    case FindingKind.Unreachable:
                        Assert.True(compiled.Judge(facts).Rule <= ruleset.Rules.IndexOf(finding.Rule) && Alone(ruleset, finding.Rule).Judge(facts).Rule == 1, place);
                        Assert.True(Only(ruleset, finding.Blame).Judge(facts).Rule <= finding.Blame.Length, place);
                        break;
                    case FindingKind.Redundant:
                        Assert.True(decides == finding.Rule.Name, place);
                        Assert.True(finding.Blame.Contains(Without(ruleset, finding.Rule, facts)), place);
                        break;
                    case FindingKind.Conflict:
                        Assert.True(decides == finding.Rule.Name, place);
                        Assert.True(Alone(ruleset, ruleset.Rules.Single(r => r.Name == finding.Blame[0])).Judge(facts).Rule == 1, place);
                        break;
                    default:
                        Assert.True(decides == finding.Blame[0], place);
                        break;
                }
            }
        }
    }

    [Fact]
    public void What_groups_say_of_an_end_must_all_hold_whatever_the_sets_contain()
    {
        AddressConditions a = new(AddressSet.Empty, [new Unknown("a")], []), b = new(AddressSet.Empty, [new Unknown("b")], []), not = new(AddressSet.Empty, [], [new Unknown("a")]);
        Assert.Equal(["Redundant both"], Found(
            Allow("both") with { Conditions = new() { Source = a, Also = new() { Source = b } } },
            Allow("one") with { Conditions = new() { Source = a } },
            Allow("other end") with { Conditions = new() { Destination = a } }));
        Assert.Equal(["Unreachable never"], Found(Allow("never") with { Conditions = new() { Source = not, Also = new() { Source = a } } }));

        Address one = Address.Parse("192.0.2.1"), two = Address.Parse("192.0.2.2");
        AddressConditions written = new(AddressSet.Of([new(one, two)]), [new Unknown("a")], []);
        Assert.Equal(["Unreachable drops"], Found(
            Allow("a set and two") with { Conditions = new() { Source = written } },
            Allow("drops") with { Action = RuleAction.Drop, Source = AddressSet.Of([new(two, two)]), Families = Families.IPv4 }));
    }

    [Fact]
    public void A_rule_is_needed_if_without_it_others_would_count_or_watch_what_it_lets_in()
    {
        Service dns = new(IpProtocol.Udp, new(53, 53)), ssh = new(IpProtocol.Tcp, new(22, 22));
        Rule narrow = Allow("dns") with { Service = ServiceSet.Of([dns]) }, wide = Allow("all");
        Rule counts = Allow("counts") with { Action = RuleAction.Count, Service = ServiceSet.Of([dns]) };
        Assert.Equal(["Redundant dns"], Found(narrow, wide));
        Assert.Equal(["Redundant dns"], Found(counts, narrow, wide));
        Assert.Equal(["Redundant dns"], Found(narrow, counts with { Service = ServiceSet.Of([ssh]) }, wide));
        Assert.Empty(Found(narrow, counts, wide));
        Rule watches = Allow("watches") with { Action = RuleAction.Drop, EachPacket = true, Service = ServiceSet.Of([ssh]) };
        Assert.Equal(["Redundant dns"], Found(watches, narrow, wide));
        Assert.Empty(Found(narrow, watches, wide));
        RuleLimit limit = new(new RateLimit(1_000_000, 5));
        Assert.Empty(Found(narrow with { Limit = limit }, wide with { Limit = limit }));
    }

    [Fact]
    public void Where_connections_are_picked_up_in_their_middle_rules_meet_what_is_no_opening()
    {
        Rule middle = Allow("middle") with { Midstream = true, Conditions = new() { TcpFlags = [new(TcpFlags.Syn | TcpFlags.Ack, TcpFlags.Ack)] } };
        Assert.Empty(Found(middle));
        Assert.Equal(["Unreachable middle"], Found(middle with { Midstream = false }));
        Rule all = Allow("all") with { Service = ServiceSet.Of([new Service(IpProtocol.Tcp, PortRange.All)]), Midstream = true };
        DifferingPair[] pairs =
        [
            Assert.Single(RulesetDifference.Between(TinyWorld.Of([all]), TinyWorld.Of([middle with { Action = RuleAction.Drop }, all])).Pairs),
            Assert.Single(RulesetDifference.Between(TinyWorld.Of([all]), TinyWorld.Of([all with { Midstream = false }])).Pairs),
        ];
        Assert.All(pairs, static pair => Assert.True(pair.IsVerdict && pair.Witness!.Line.Flags == TcpFlags.Ack, pair.ToString()));
    }

    private static Rule Allow(string name) => new() { Name = name, At = new("tiny.yaml", 1, 1), Action = RuleAction.Allow };

    /// <summary>What is found, but for IPv6: it is not asked for here.</summary>
    private static IEnumerable<string> Found(params Rule[] rules) =>
        RulesetAnalysis.Of(TinyWorld.Of([.. rules])).Where(static f => f.Kind != FindingKind.ForgottenIpv6).Select(static f => $"{f.Kind} {f.Rule.Name}");

    /// <summary>Addresses of which nobody knows.</summary>
    private sealed class Unknown(string name) : AddressClass
    {
        public override string Name => name;

        public override bool Contains(Address address) => false;
    }

    [Fact]
    public void With_few_steps_it_says_less_and_nothing_else()
    {
        Random random = Fuzzing.Seeded(out int seed);
        int undecided = 0;
        for (int round = 0; round < Fuzzing.Rounds(30); round++)
        {
            Ruleset ruleset = TinyWorld.Random(random, random.Next(6, 14));
            HashSet<(FindingKind, Rule)> all = [.. RulesetAnalysis.Of(ruleset).Select(static f => (f.Kind, f.Rule))];
            foreach (Finding finding in RulesetAnalysis.Of(ruleset, conflicts: false, steps: random.Next(200)))
            {
                undecided += finding.Kind == FindingKind.Undecided ? 1 : 0;
                Assert.True(finding.Kind == FindingKind.Undecided || all.Contains((finding.Kind, finding.Rule)), $"seed {seed}, round {round}: {finding.Message}");
            }
        }

        Assert.True(undecided > 10, $"seed {seed}: {undecided} undecided");
    }

    /// <summary>Sets of thousands of networks that lie among each other, each rule naming two: such a file must not hold anybody up.</summary>
    [Fact]
    public void Rules_made_to_take_for_ever_are_undecided()
    {
        Random random = new(1);
        AddressSet[] sets = [.. Enumerable.Range(0, 24).Select(_ => AddressSet.Of(
            Enumerable.Range(0, 20_000).Where(_ => random.Next(2) == 0).Select(static i => new AddressRange(Address.FromIPv4(0x0a000000u + ((uint)i << 8)), Address.FromIPv4(0x0a0000ffu + ((uint)i << 8))))))];
        Ruleset ruleset = TinyWorld.Of([.. Enumerable.Range(0, 24).Select(i => TinyWorld.RandomRule(new Random(1), i) with
        {
            Action = i % 2 == 0 ? RuleAction.Allow : RuleAction.Drop,
            Source = sets[i],
            Destination = sets[((i * 7) + 3) % 24],
            Service = null,
            SourcePorts = [],
            Conditions = null,
            Vlan = null,
        })]);
        Assert.Contains(RulesetAnalysis.Of(ruleset, conflicts: true, steps: 200_000), static f => f.Kind == FindingKind.Undecided);
    }

    private static CompiledRuleset Alone(Ruleset ruleset, Rule rule) => RulesetCompiler.Compile(ruleset with { Rules = [rule] });

    private static CompiledRuleset Only(Ruleset ruleset, ImmutableArray<string> names) =>
        RulesetCompiler.Compile(ruleset with { Rules = [.. ruleset.Rules.Where(rule => names.Contains(rule.Name))] });

    private static string Without(Ruleset ruleset, Rule rule, OpeningFacts facts)
    {
        CompiledRuleset compiled = RulesetCompiler.Compile(ruleset with { Rules = ruleset.Rules.Remove(rule) });
        return compiled.Name(compiled.Judge(facts).Rule).Name;
    }
}

using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Rules.Compile;
using Filter.Rules.Policy;
using Filter.Rules.Policy.Binding;
using Filter.Rules.Syntax;

namespace Filter.Tests.Rules.Policy;

/// <summary>The fast form against the plain meaning of rules, for rules and packets out of a hat.</summary>
public sealed class RandomRulesTests
{
    [Fact]
    public void The_compiled_ruleset_says_of_every_packet_what_its_rules_say()
    {
        Random random = Fuzzing.Seeded(out int seed);
        SetCalendar calendar = new();
        int decided = 0, counted = 0, each = 0;
        for (int round = 0; round < Fuzzing.Rounds(300); round++)
        {
            Rule[] rules = [.. Enumerable.Range(0, random.Next(1, 40)).Select(i => RandomRules.Rule(random, $"r{i}", random.Next(3, 9)))];
            CompiledRuleset compiled = RulesetCompiler.Compile(new Ruleset { File = "f.yaml", Ports = [], Mode = RunMode.Bridge, Rules = [.. rules] }, calendar);
            for (int i = 0; i < 200; i++)
            {
                int minute = random.Next(30);
                calendar.Set(minute, 0);
                compiled.Advance(0);
                OpeningFacts facts = RandomRules.Facts(random);
                int[] matching = [.. Enumerable.Range(0, rules.Length).Where(rule => RandomRules.Holds(rules[rule], facts, minute))];
                int first = matching.FirstOrDefault(rule => rules[rule].Action != RuleAction.Count, -1);
                Judgement judged = compiled.Judge(facts);
                Assert.True(first < 0 ? judged.IsDefault : judged.Rule == first + 1, $"seed {seed}, round {round}: {facts} by {judged.Rule}, not {first + 1}");
                Assert.Equal(matching.Where(rule => rules[rule].Action == RuleAction.Count), Walk(compiled, RuleKinds.Counting, facts));
                Assert.Equal(matching.Where(rule => rules[rule].EachPacket), Walk(compiled, RuleKinds.EachPacket, facts));
                decided += first < 0 ? 0 : 1;
                counted += matching.Count(rule => rules[rule].Action == RuleAction.Count);
                each += matching.Count(rule => rules[rule].EachPacket);
            }
        }

        Assert.True(decided > 1000 && counted > 1000 && each > 1000, $"seed {seed}: hardly anything matched");
    }

    [Fact]
    public void A_rule_in_a_group_matches_what_both_match()
    {
        Random random = Fuzzing.Seeded(out int seed);
        int both = 0, conflicts = 0;
        for (int round = 0; round < Fuzzing.Rounds(3000); round++)
        {
            Diagnostics found = new();
            Narrowing narrowing = new(new Schedules(null, found), found);
            Rule outer = RandomRules.Rule(random, "outer", 3), inner = RandomRules.Rule(random, "inner", 3), rule = RandomRules.Rule(random, "rule", 3);
            Rule group = narrowing.Of(outer, inner, out _);
            Rule narrowed = narrowing.Of(group, rule, out string? conflict);
            conflicts += conflict is null ? 0 : 1;
            Assert.Equal((rule.Name, rule.Action, rule.EachPacket), (narrowed.Name, narrowed.Action, narrowed.EachPacket));
            for (int i = 0; i < 60; i++)
            {
                int minute = random.Next(30);
                OpeningFacts facts = RandomRules.Facts(random);
                bool expected = RandomRules.Holds(outer, facts, minute) && RandomRules.Holds(inner, facts, minute) && RandomRules.Holds(rule, facts, minute);
                Assert.True(expected == RandomRules.Holds(narrowed, facts, minute), $"seed {seed}, round {round}: {facts} in minute {minute}");
                both += expected ? 1 : 0;
            }

            Assert.False(found.HasErrors);
        }

        Assert.True(both > 50 && conflicts > 100, $"seed {seed}: {both} matches, {conflicts} conflicts");
    }

    private static List<int> Walk(CompiledRuleset compiled, RuleKinds kind, OpeningFacts facts)
    {
        List<int> rules = [];
        for (int rule = 0; (rule = compiled.Next(kind, facts, rule)) != 0;)
        {
            rules.Add(rule - 1);
        }

        return rules;
    }
}

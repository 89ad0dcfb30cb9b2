using System.Collections.Immutable;
using Filter.Engine.Packets;
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
            (string Rule, string Does)[] before = TinyWorld.Decisions(ruleset);
            HashSet<string> decides = [.. before.Select(static d => d.Rule)];
            ImmutableArray<Finding> found = RulesetAnalysis.Of(ruleset);
            Assert.DoesNotContain(found, static f => f.Kind == FindingKind.Undecided);
            foreach (Rule rule in ruleset.Rules)
            {
                string place = $"seed {seed}, round {round}, {rule.Name}:\n{string.Join('\n', ruleset.Rules)}";
                bool isReached = decides.Contains(rule.Name);
                Assert.True(!isReached == found.Any(f => f.Rule == rule && f.Kind == FindingKind.Unreachable), $"reached is {isReached}; {place}");
                if (!isReached)
                {
                    unreachable++;
                    continue;
                }

                (string Rule, string Does)[] without = TinyWorld.Decisions(ruleset with { Rules = ruleset.Rules.Remove(rule) });
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

    private static CompiledRuleset Alone(Ruleset ruleset, Rule rule) => RulesetCompiler.Compile(ruleset with { Rules = [rule] });

    private static CompiledRuleset Only(Ruleset ruleset, ImmutableArray<string> names) =>
        RulesetCompiler.Compile(ruleset with { Rules = [.. ruleset.Rules.Where(rule => names.Contains(rule.Name))] });

    private static string Without(Ruleset ruleset, Rule rule, OpeningFacts facts)
    {
        CompiledRuleset compiled = RulesetCompiler.Compile(ruleset with { Rules = ruleset.Rules.Remove(rule) });
        return compiled.Name(compiled.Judge(facts).Rule).Name;
    }
}

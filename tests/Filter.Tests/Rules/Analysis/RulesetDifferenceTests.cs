using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Rules;
using Filter.Rules.Analysis;
using Filter.Rules.Compile;
using Filter.Rules.Policy;

namespace Filter.Tests.Rules.Analysis;

public sealed class RulesetDifferenceTests
{
    private const string Ports = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }

        """;

    /// <summary>Every pair that asking both for every packet shows, and no other; each with a packet that shows it.</summary>
    [Fact]
    public void The_pairs_are_those_that_asking_for_every_packet_shows()
    {
        Random random = Fuzzing.Seeded(out int seed);
        int pairs = 0, none = 0;
        for (int round = 0; round < Fuzzing.Rounds(60); round++)
        {
            Ruleset before = TinyWorld.Random(random, random.Next(1, 12)), after = Changed(before, random);
            string place = $"seed {seed}, round {round}\n{string.Join('\n', before.Rules)}\n--\n{string.Join('\n', after.Rules)}";
            RulesetDifference difference = RulesetDifference.Between(before, after);
            IEnumerable<(string, string)> expected = TinyWorld.Decisions(before).Zip(TinyWorld.Decisions(after))
                .Where(static p => p.First.Does != p.Second.Does).Select(static p => (p.First.Rule, p.Second.Rule)).Distinct().Order();
            Assert.True(expected.SequenceEqual(difference.Pairs.Select(static p => (p.Before, p.After)).Order()), place);
            CompiledRuleset old = RulesetCompiler.Compile(before), next = RulesetCompiler.Compile(after);
            foreach (DifferingPair pair in difference.Pairs)
            {
                OpeningFacts facts = pair.Witness!.Facts;
                Assert.True(old.Name(old.Judge(facts).Rule).Name == pair.Before && next.Name(next.Judge(facts).Rule).Name == pair.After, $"{pair}\n{place}");
                pairs++;
            }

            none += difference.Pairs.IsEmpty ? 1 : 0;
        }

        Assert.True(pairs > 20 && none > 0, $"seed {seed}: {pairs} pairs, {none} times none");
    }

    [Fact]
    public void Another_name_another_order_of_what_does_not_meet_and_another_spelling_are_no_difference()
    {
        RulesetDifference difference = RulesetDifference.Between(
            Read("rules:\n  - allow: web\n    service: [ tcp/80, tcp/443 ]\n  - allow: dns\n    service: udp/53\n    source: [ 192.0.2.0/25, 192.0.2.128/25 ]\n"),
            Read("rules:\n  - allow: names\n    service: udp/53\n    source: 192.0.2.0/24\n  - allow: secure\n    service: tcp/443\n  - allow: plain\n    service: tcp/80\n"));
        Assert.True(difference.IsNone, string.Join('\n', difference.Pairs));
    }

    [Fact]
    public void Ports_may_stand_in_another_order()
    {
        Ruleset before = Read("rules: [ { allow: out, from: inside } ]\n");
        RulesetReading turned = RulesetFile.Parse("g.yaml", "filter: 1\nports:\n  inside: { nic: eth1, side: protected }\n  outside: { nic: eth0, side: unprotected }\nrules: [ { allow: out, from: inside } ]\n");
        Assert.True(RulesetDifference.Between(before, turned.Ruleset!).IsNone);
    }

    [Fact]
    public void What_differs_beside_the_rules_is_told()
    {
        RulesetDifference difference = RulesetDifference.Between(
            Read("rules: []\n"), Read("timers: { tcp-established: 1h }\nlimits: { flows: 2048 }\nlink: { arp: drop }\nrules: []\n"));
        Assert.Equal(["timer tcp-established: 7440 s, now 3600 s", "limits: flows: 262144, now 2048", "link: described otherwise"], difference.Beside);
        Assert.Empty(difference.Pairs);
        Assert.False(difference.IsNone);
    }

    [Fact]
    public void Sets_that_change_are_what_they_are_called_and_one_that_is_written_otherwise_is_told()
    {
        const string Sets = "sets:\n  guests: { live: true, size: 100 }\nrules:\n  - allow: web\n    source: guests\n    destination: [ 0.0.0.0/0, ::/0 ]\n    service: web\n";
        Assert.True(RulesetDifference.Between(Read(Sets), Read(Sets.Replace("allow: web", "allow: guests-web", StringComparison.Ordinal))).IsNone);
        RulesetDifference difference = RulesetDifference.Between(Read(Sets), Read(Sets.Replace("size: 100", "size: 200", StringComparison.Ordinal)));
        Assert.Equal(["sets that change: described otherwise"], difference.Beside);
    }

    [Fact]
    public void Other_ports_cannot_be_compared()
    {
        RulesetReading other = RulesetFile.Parse("g.yaml", "filter: 1\nports:\n  wan: { nic: eth1, side: unprotected }\n  inside: { nic: eth0, side: protected }\n");
        Assert.False(RulesetDifference.Between(Read("rules: []\n"), other.Ruleset!).Comparable);
    }

    private static Ruleset Read(string rest)
    {
        RulesetReading reading = RulesetFile.Parse("f.yaml", Ports + rest);
        return reading.Ruleset ?? throw new InvalidOperationException(string.Join('\n', reading.Diagnostics));
    }

    private static Ruleset Changed(Ruleset ruleset, Random random)
    {
        List<Rule> rules = [.. ruleset.Rules];
        for (int i = random.Next(0, 4); i > 0 && rules.Count > 0; i--)
        {
            int at = random.Next(rules.Count), other = random.Next(rules.Count);
            switch (random.Next(4))
            {
                case 0: rules.RemoveAt(at); break;
                case 1: rules.Insert(at, TinyWorld.RandomRule(random, 50 + i)); break;
                case 2: (rules[at], rules[other]) = (rules[other], rules[at]); break;
                default: rules[at] = rules[at] with { Action = rules[at].Action == RuleAction.Allow ? RuleAction.Drop : RuleAction.Allow, Pinhole = PinholeKind.Flow }; break;
            }
        }

        return ruleset with { Rules = [.. rules] };
    }
}

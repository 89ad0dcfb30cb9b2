using System.Text;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Compile;
using Filter.Rules.Policy;

namespace Filter.Tests.Rules.Policy;

public sealed class ManyLiveSetsTests
{
    private const int Sets = 50;
    private const int Rules = 10_000;

    [Fact]
    public void Ten_thousand_rules_over_fifty_sets_that_change_agree_with_a_walk_down_the_list_and_are_compiled_once()
    {
        Random random = Fuzzing.Seeded(out int seed);
        StringBuilder text = new("filter: 1\nports:\n  outside: { nic: eth0, side: unprotected }\n  inside: { nic: eth1, side: protected }\nsets:\n");
        for (int i = 0; i < Sets; i++)
        {
            text.Append($"  s{i}: {{ live: true }}\n");
        }

        text.Append("rules:\n");
        (int Set, bool Not, int Port)[] rules = new (int, bool, int)[Rules];
        for (int i = 0; i < Rules; i++)
        {
            rules[i] = (random.Next(Sets), random.Next(200) == 0, random.Next(1, 400));
            text.Append($"  - {{ allow: r{i}, source: {(rules[i].Not ? "not " : "")}s{rules[i].Set}, service: tcp/{rules[i].Port} }}\n");
        }

        RulesetReading reading = RulesetFile.Parse("f.yaml", text.ToString());
        Ruleset ruleset = reading.Ruleset ?? throw new InvalidOperationException(string.Join('\n', reading.Diagnostics.Take(5)));
        LiveSet[] sets = [.. Enumerable.Range(0, Sets).Select(i => ruleset.LiveSets.Single(set => set.SetName == $"s{i}"))];
        CompiledRuleset compiled = RulesetCompiler.Compile(ruleset);
        HashSet<Address>[] held = [.. sets.Select(static _ => new HashSet<Address>())];
        for (int round = 1; round <= 10; round++)
        {
            for (int change = 0; change < 40; change++)
            {
                int which = random.Next(Sets);
                Address address = At(random.Next(8), random.Next(2) == 0);
                if (held[which].Add(address))
                {
                    sets[which].Contents.TryAdd([new(address, address)], LiveContents.Never, round, LiveSet.UsualSize);
                }
                else
                {
                    held[which].Remove(address);
                    Assert.Empty(sets[which].Contents.Delete([new(address, address)], round));
                }
            }

            // The rules in force take every change up by themselves, without a byte: nothing is built.
            long before = GC.GetAllocatedBytesForCurrentThread();
            bool changed = compiled.Advance(round);
            Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
            Assert.True(changed);
            for (int i = 0; i < 300; i++)
            {
                Address source = At(random.Next(8), random.Next(2) == 0);
                int port = random.Next(1, 400);
                int expected = Array.FindIndex(rules, rule => rule.Port == port && held[rule.Set].Contains(source) != rule.Not) + 1;
                int found = compiled.Judge(Opening(source, (ushort)port)).Rule;
                Assert.True(expected == 0 ? found is < 1 or > Rules : expected == found, $"seed {seed}, round {round}: {source} to {port} meets {found}, not {expected}");
            }
        }
    }

    private static Address At(int i, bool four) => Address.Parse(four ? $"203.0.113.{i}" : $"2001:db8::{i}");

    private static OpeningFacts Opening(Address source, ushort port) =>
        new(new FlowKey(source, Address.Parse(source.IsIPv4 ? "9.9.9.9" : "2620:fe::fe"), 40000, port, IpProtocol.Tcp, 0), 1, 0, Direction.Out, TcpFlags.Syn, 0, 0, 0, 0);
}

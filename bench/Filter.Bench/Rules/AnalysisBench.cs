using System.Diagnostics;
using System.Globalization;
using Filter.Engine.Packets;
using Filter.Rules.Analysis;
using Filter.Rules.Compile.Classification;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;
using Filter.Tests.Rules.Compile.Classification;

namespace Filter.Bench;

/// <summary>
/// What the exact analysis of rulesets takes: all that `check` finds, and what differs after a hundred edits. Part of `./dev bench rules`; the best of
/// several rounds counts.
/// </summary>
internal static class AnalysisBench
{
    private const int Rounds = 5;
    private const int Edits = 100;

    /// <summary>Measures, and prints a table.</summary>
    /// <param name="folder">Where sets of ClassBench lie; without them made ones stand in.</param>
    public static void Run(string folder)
    {
        Say($"");
        Say($"{"analysis",-14} {"rules",7} {"check ms",9} {"cpu ms",7} {"unreachable",12} {"redundant",10} {"undecided",10} {"diff ms",8} {"pairs",6}");
        (string Name, IndexedRule[] Rules)[] sets = [.. Sets(folder)];
        double most = 0;
        foreach ((string name, IndexedRule[] rules) in sets)
        {
            Ruleset ruleset = Of(rules);
            double check = double.MaxValue, cpu = double.MaxValue, diff = double.MaxValue;
            IReadOnlyList<Finding> found = [];
            for (int i = 0; i < Rounds; i++)
            {
                TimeSpan used = Environment.CpuUsage.TotalTime;
                check = Math.Min(check, Time(() => found = RulesetAnalysis.Of(ruleset)));
                cpu = Math.Min(cpu, (Environment.CpuUsage.TotalTime - used).TotalMilliseconds);
            }

            Ruleset edited = Edited(ruleset);
            RulesetDifference? difference = null;
            for (int i = 0; i < Rounds; i++)
            {
                diff = Math.Min(diff, Time(() => difference = RulesetDifference.Between(ruleset, edited)));
            }

            int Count(FindingKind kind) => found.Count(f => f.Kind == kind);
            Say($"{name,-14} {rules.Length,7} {check,9:f0} {cpu,7:f0} {Count(FindingKind.Unreachable),12} {Count(FindingKind.Redundant),10} {Count(FindingKind.Undecided),10} {diff,8:f0} {difference!.Pairs.Length,6}");
            most = Math.Max(most, check);
        }

        Say($"exact analysis of 10,000 rules, the slowest: {most:f0} ms (at most 1000){(most <= 1000 ? "" : "  MISSED")}");
    }

    private static IEnumerable<(string, IndexedRule[])> Sets(string folder)
    {
        bool any = false;
        foreach (string set in (string[])["v4_acl1", "v4_fw1", "v4_ipc1", "v6m_acl1", "v6m_fw1", "v6m_ipc1"])
        {
            if (File.Exists(Path.Combine(folder, $"{set}_10k.rules.gz")))
            {
                any = true;
                yield return (set, ClassBenchSet.Read(folder, $"{set}_10k").Rules);
            }
        }

        foreach (string kind in any ? (string[])[] : ["acl", "fw", "ipc"])
        {
            yield return ($"made {kind}", MadeRules.Make(kind, 10_000, 1));
        }
    }

    /// <summary>The rules as a bridge would have them: every third one drops.</summary>
    private static Ruleset Of(IndexedRule[] rules) => new()
    {
        File = "bench.yaml",
        Mode = RunMode.Bridge,
        Ports =
        [
            new() { Name = "outside", At = default, Number = 0, Kind = PortKind.Nic, Device = "eth0", Side = Side.Unprotected },
            new() { Name = "inside", At = default, Number = 1, Kind = PortKind.Nic, Device = "eth1", Side = Side.Protected },
        ],
        Rules =
        [
            .. rules.Select(static (rule, i) => new Rule
            {
                Name = $"r{i}",
                At = new SourceMark("bench.yaml", i + 1, 1),
                Action = i % 3 == 2 ? RuleAction.Drop : RuleAction.Allow,
                Source = rule.Source,
                Destination = rule.Destination,
                Service = rule.Service,
                SourcePorts = rule.SourcePorts,
            }),
        ],
    };

    private static Ruleset Edited(Ruleset ruleset)
    {
        Random random = new(1);
        List<Rule> rules = [.. ruleset.Rules];
        for (int i = 0; i < Edits; i++)
        {
            int at = random.Next(rules.Count);
            switch (i % 3)
            {
                case 0: rules.RemoveAt(at); break;
                case 1: rules[at] = rules[at] with { Action = rules[at].Action == RuleAction.Allow ? RuleAction.Drop : RuleAction.Allow }; break;
                default: rules.Insert(at, ruleset.Rules[random.Next(ruleset.Rules.Length)] with { Name = $"new{i}" }); break;
            }
        }

        return ruleset with { Rules = [.. rules] };
    }

    private static double Time(Action what)
    {
        long start = Stopwatch.GetTimestamp();
        what();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    private static void Say(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}

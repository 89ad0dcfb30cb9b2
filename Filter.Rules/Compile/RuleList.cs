using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Filter.Engine.Packets;
using Filter.Rules.Compile.Classification;
using Filter.Rules.Policy;

namespace Filter.Rules.Compile;

/// <summary>
/// Some of a ruleset's rules, in their order: those of a kind that are asked apart from the others. The classifier names
/// those that ports, addresses and services allow; what else they ask is looked at here.
/// </summary>
internal sealed class RuleList
{
    private readonly Classifier _classifier;
    private readonly int[] _numbers;
    private readonly VlanMatch?[] _vlans;
    private readonly Conditions?[] _conditions;

    private RuleList(Classifier classifier, List<(int Number, Rule Rule)> rules)
    {
        _classifier = classifier;
        _numbers = [.. rules.Select(static one => one.Number)];
        _vlans = [.. rules.Select(static one => one.Rule.Vlan)];
        _conditions = [.. rules.Select(static one => one.Rule.Conditions)];
    }

    /// <summary>Whether there is none.</summary>
    public bool IsEmpty => _numbers.Length == 0;

    /// <summary>Compiles rules.</summary>
    /// <param name="rules">The rules with their numbers, in order.</param>
    /// <param name="room">Bytes that the tables may take; less what they took.</param>
    /// <param name="oversize">Where null is returned, what takes more.</param>
    public static RuleList? Of(List<(int Number, Rule Rule)> rules, ref long room, out Oversize? oversize)
    {
        Classifier? classifier = Classifier.Build([.. rules.Select(static one => IndexedRule.Of(one.Rule))], out oversize, room);
        if (classifier is null)
        {
            oversize = oversize! with { Widest = [.. oversize.Widest.Select(index => rules[index].Number - 1)] };
            return null;
        }

        room -= classifier.Size;
        return new RuleList(classifier, rules);
    }

    /// <summary>The number of the next rule that matches, behind another; 0 where none is left.</summary>
    public int Next(in OpeningFacts facts, int after, int minute)
    {
        _classifier.Find(facts, out Candidates candidates);
        if (after > 0)
        {
            int told = Array.BinarySearch(_numbers, after);
            candidates.After = told < 0 ? ~told - 1 : told;
        }

        int rule;
        while ((rule = Classifier.Next(ref candidates)) >= 0)
        {
            if ((_vlans[rule] is not { } vlan || vlan.Matches(facts.Key.Segment))
                && (_conditions[rule] is not { } conditions || conditions.Hold(facts, minute)))
            {
                return _numbers[rule];
            }
        }

        return 0;
    }
}

/// <summary>A ruleset's rules, by what they are asked for.</summary>
/// <param name="Deciding">Those that decide: an opening meets the first.</param>
/// <param name="Counting">Those that count and decide nothing.</param>
/// <param name="EachPacket">Those that look at each packet of a flow.</param>
internal sealed record CompiledRules(RuleList Deciding, RuleList Counting, RuleList EachPacket)
{
    /// <summary>Rules are compiled when they are read, to see that they fit; whoever compiles them again gets the same, as long as they are there.</summary>
    private static readonly ConditionalWeakTable<Rule[], CompiledRules> s_known = [];

    /// <summary>Compiles a ruleset's rules; null where they need too much memory.</summary>
    /// <param name="source">The ruleset.</param>
    /// <param name="oversize">Where null is returned, what takes more.</param>
    /// <param name="room">Bytes that their tables may take.</param>
    public static CompiledRules? Of(Ruleset source, out Oversize? oversize, long room = Classifier.MostBytes)
    {
        oversize = null;
        Rule[]? rules = ImmutableCollectionsMarshal.AsArray(source.Rules);
        if (rules is not null && room == Classifier.MostBytes && s_known.TryGetValue(rules, out CompiledRules? known))
        {
            return known;
        }

        CompiledRules? compiled = Build(source, out oversize, room);
        if (compiled is not null && rules is not null)
        {
            s_known.AddOrUpdate(rules, compiled);
        }

        return compiled;
    }

    private static CompiledRules? Build(Ruleset source, out Oversize? oversize, long room)
    {
        List<(int Number, Rule Rule)> all = [.. source.Rules.Select(static (rule, index) => (index + 1, rule))];
        return RuleList.Of(all.FindAll(static one => one.Rule.Action != RuleAction.Count), ref room, out oversize) is { } deciding
            && RuleList.Of(all.FindAll(static one => one.Rule.Action == RuleAction.Count), ref room, out oversize) is { } counting
            && RuleList.Of(all.FindAll(static one => one.Rule.EachPacket), ref room, out oversize) is { } eachPacket
            ? new CompiledRules(deciding, counting, eachPacket)
            : null;
    }
}

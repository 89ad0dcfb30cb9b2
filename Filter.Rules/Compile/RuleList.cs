using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Rules.Compile;

/// <summary>Some of a ruleset's rules, in their order: those of a kind that are asked apart from the others.</summary>
internal sealed class RuleList
{
    private readonly List<(int Number, FlatRule Rule, Conditions? Conditions)> _rules = [];

    /// <summary>Whether there is none.</summary>
    public bool IsEmpty => _rules.Count == 0;

    /// <summary>Adds the ruleset's rule of this index; called in their order.</summary>
    public void Add(int index, in FlatRule rule, Conditions? conditions) => _rules.Add((index + 1, rule, conditions));

    /// <summary>The number of the next rule that matches, behind another; 0 where none is left.</summary>
    public int Next(in OpeningFacts facts, int after, FlatSets sets, int minute)
    {
        foreach (ref readonly (int Number, FlatRule Rule, Conditions? Conditions) one in System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_rules))
        {
            if (one.Number > after && sets.Match(one.Rule, one.Conditions, facts, minute))
            {
                return one.Number;
            }
        }

        return 0;
    }
}

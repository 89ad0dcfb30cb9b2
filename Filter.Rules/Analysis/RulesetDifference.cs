using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Filter.Engine.Flows;
using Filter.Rules.Policy;

namespace Filter.Rules.Analysis;

/// <summary>Packets that two rulesets treat differently: by these rules, and one of them as a witness.</summary>
/// <param name="Before">The rule, or default, of the first ruleset.</param>
/// <param name="After">That of the second.</param>
/// <param name="BeforeDoes">What the first does: "allows", "drops", "rejects".</param>
/// <param name="AfterDoes">What the second does.</param>
/// <param name="BeforeAt">The first rule's file and line; empty for a default that is not written.</param>
/// <param name="AfterAt">The second's.</param>
/// <param name="Witness">A packet; null where it would take too long to say whether there is one.</param>
public sealed record DifferingPair(string Before, string After, string BeforeDoes, string AfterDoes, string BeforeAt, string AfterAt, Witness? Witness)
{
    /// <summary>Whether the verdict differs, and not only what else is done: a limit, a log, a pinhole.</summary>
    public bool IsVerdict => BeforeDoes != AfterDoes;
}

/// <summary>
/// What another ruleset does otherwise, exactly: each pair of rules that decide differently on the same packet, with that packet; and what
/// differs beside the rules.
/// </summary>
/// <param name="Pairs">In the order of the first ruleset's rules.</param>
/// <param name="Beside">What differs beside the decisions on openings, for people.</param>
/// <param name="Comparable">False where ports differ, so that no packet is the same to both.</param>
public sealed record RulesetDifference(ImmutableArray<DifferingPair> Pairs, ImmutableArray<string> Beside, bool Comparable)
{
    /// <summary>Whether nothing differs.</summary>
    public bool IsNone => Pairs.IsEmpty && Beside.IsEmpty && Comparable;

    /// <summary>Compares two rulesets; neither needs its keys.</summary>
    public static RulesetDifference Between(Ruleset before, Ruleset after)
    {
        ImmutableArray<string> beside = [.. Surroundings.Differences(before, after)];
        if (Surroundings.PortsDiffer(before, after) is { } ports)
        {
            return new([], [ports, .. beside], Comparable: false);
        }

        Purse purse = new(Purse.Usual);
        ImmutableArray<DifferingPair> pairs = Pair(before, Surroundings.InTheOrderOf(before, after), purse);
        return new(pairs, purse.Left > 0 ? beside : [.. beside, "comparing all rules would take too long: there may be more pairs than are told"], Comparable: true);
    }

    /// <summary>
    /// The pairs. Where rulesets have rules in common, in the same order, a packet that two common rules decide on is decided by the same rule in both;
    /// so of each pair one rule at least is not common.
    /// </summary>
    private static ImmutableArray<DifferingPair> Pair(Ruleset before, Ruleset after, Purse purse)
    {
        Space space = Space.Of([before, after]);
        (bool[] mine, bool[] its) = Alignment.Common(before, after, space);
        SortedDictionary<int, DifferingPair>[] found = new SortedDictionary<int, DifferingPair>[mine.Length];
        Parallel.For(0, found.Length, () => new Cover(Cover.ManySteps, purse), (rule, _, cover) =>
        {
            found[rule] = Of(rule, space, mine[rule], its, cover);
            return cover;
        }, static _ => { });
        return [.. found.SelectMany(static of => of.Values)];
    }

    /// <summary>The pairs of one rule.</summary>
    private static SortedDictionary<int, DifferingPair> Of(int rule, Space space, bool common, bool[] its, Cover cover)
    {
        SortedDictionary<int, DifferingPair> found = [];
        List<int> meeting = [];
        foreach (Region region in space.Regions)
        {
            Layer first = region.Layers[0], second = region.Layers[1];
            foreach (int box in first.BoxesOf(rule))
            {
                meeting.Clear();
                second.Overlapping(first[box], meeting);
                List<RankSet[]>? above = null;
                for (int i = 0; i < meeting.Count; i++)
                {
                    int other = meeting[i], owner = second.Owners[other];
                    if (first.Treatments[box] == second.Treatments[other] || (common && its[owner])
                        || (found.TryGetValue(owner, out DifferingPair? known) && known.Witness is not null))
                    {
                        continue;
                    }

                    if (cover.IsSpent)
                    {
                        return found;
                    }

                    cover.Charge(first, first[box], 1);
                    above ??= Above(first, box);
                    RankSet[] both = Boxes.Intersect(first[box], second[other])!;
                    List<RankSet[]> others = [.. above];
                    for (int j = 0; j < i && second.Owners[meeting[j]] < owner; j++)
                    {
                        others.Add(second[meeting[j]]);
                    }

                    Answer answer = cover.Spares(both, [.. others], region.Axes, out RankSet[]? room);
                    if (answer != Answer.No)
                    {
                        found[owner] = Describe(
                            space, space.Rulesets[0], space.Rulesets[1], region, rule, owner, first.Treatments[box], second.Treatments[other], room);
                    }
                }
            }
        }

        return found;
    }

    /// <summary>The boxes of rules above that meet this one.</summary>
    private static List<RankSet[]> Above(Layer layer, int box)
    {
        List<int> meeting = [];
        layer.Overlapping(layer[box], meeting);
        return [.. meeting.TakeWhile(one => layer.Owners[one] < layer.Owners[box]).Select(one => layer[one])];
    }

    private static DifferingPair Describe(
        Space space, Ruleset before, Ruleset after, Region region, int rule, int other, int does, int otherDoes, RankSet[]? room) => new(
        RuleNames.Of(before, rule),
        RuleNames.Of(after, other),
        space.Treatments[does].Word,
        space.Treatments[otherDoes].Word,
        RuleNames.At(before, rule),
        RuleNames.At(after, other),
        room is null ? null : Witnesses.Of(space, region.Kind, room));
}

/// <summary>Which rules two rulesets have in common, in the same order.</summary>
internal static class Alignment
{
    /// <summary>Of each ruleset's rules, and behind them its defaults, whether they are common.</summary>
    public static (bool[] Mine, bool[] Its) Common(Ruleset before, Ruleset after, Space space)
    {
        Dictionary<string, int> numbers = new(StringComparer.Ordinal);
        int[] first = Signatures(before, 0, space, numbers), second = Signatures(after, 1, space, numbers);
        bool[] mine = new bool[first.Length], its = new bool[second.Length];
        int start = 0, end = 0, rules = before.Rules.Length, others = after.Rules.Length;
        while (start < rules && start < others && first[start] == second[start])
        {
            mine[start] = its[start] = true;
            start++;
        }

        while (end < rules - start && end < others - start && first[rules - 1 - end] == second[others - 1 - end])
        {
            end++;
            mine[rules - end] = its[others - end] = true;
        }

        Middle(first.AsSpan(start, rules - start - end), second.AsSpan(start, others - start - end), mine.AsSpan(start), its.AsSpan(start));
        for (int i = 0; i < 3; i++)
        {
            // Defaults stand last in both, each for its own direction.
            mine[rules + i] = its[others + i] = first[rules + i] == second[others + i];
        }

        return (mine, its);
    }

    /// <summary>Those that stand once in each, in a longest order that both have: any common order would do.</summary>
    private static void Middle(ReadOnlySpan<int> first, ReadOnlySpan<int> second, Span<bool> mine, Span<bool> its)
    {
        Dictionary<int, int> once = Once(first), there = Once(second);
        List<(int Mine, int Its)> pairs = [.. once.Where(o => o.Value >= 0 && there.GetValueOrDefault(o.Key, -1) >= 0).Select(o => (o.Value, there[o.Key])).OrderBy(static p => p.Item1)];
        List<int> tails = [];
        int[] previous = new int[pairs.Count];
        for (int i = 0; i < pairs.Count; i++)
        {
            int low = 0, high = tails.Count;
            while (low < high)
            {
                int middle = (low + high) / 2;
                (low, high) = pairs[tails[middle]].Its < pairs[i].Its ? (middle + 1, high) : (low, middle);
            }

            previous[i] = low == 0 ? -1 : tails[low - 1];
            if (low == tails.Count)
            {
                tails.Add(i);
            }
            else
            {
                tails[low] = i;
            }
        }

        for (int i = tails.Count == 0 ? -1 : tails[^1]; i >= 0; i = previous[i])
        {
            mine[pairs[i].Mine] = its[pairs[i].Its] = true;
        }
    }

    private static Dictionary<int, int> Once(ReadOnlySpan<int> signatures)
    {
        Dictionary<int, int> places = [];
        for (int i = 0; i < signatures.Length; i++)
        {
            places[signatures[i]] = places.ContainsKey(signatures[i]) ? -1 : i;
        }

        return places;
    }

    /// <summary>A number for each rule and default; equal ones match the same packets and do the same.</summary>
    private static int[] Signatures(Ruleset ruleset, int layer, Space space, Dictionary<string, int> numbers)
    {
        System.Text.StringBuilder[] texts = [.. Enumerable.Range(0, ruleset.Rules.Length + 3).Select(static _ => new System.Text.StringBuilder())];
        for (int i = 0; i < 3; i++)
        {
            texts[ruleset.Rules.Length + i].Append(i);
        }

        foreach ((int number, Region region) in space.Regions.Index())
        {
            Layer of = region.Layers[layer];
            for (int box = 0; box < of.Count; box++)
            {
                System.Text.StringBuilder text = texts[of.Owners[box]].Append('|').Append(number).Append(':').Append(of.Treatments[box]);
                foreach (RankSet ranks in of[box])
                {
                    text.Append(';');
                    for (int run = 0; run < ranks.Runs; run++)
                    {
                        (int from, int to) = ranks.Run(run);
                        text.Append(from).Append('-').Append(to).Append(',');
                    }
                }
            }
        }

        return [.. texts.Select(text =>
        {
            ref int known = ref CollectionsMarshal.GetValueRefOrAddDefault(numbers, text.ToString(), out bool exists);
            known = exists ? known : numbers.Count;
            return known;
        })];
    }
}

using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Rules.Analysis;

/// <summary>
/// What a ruleset says without meaning it, exactly: rules that nothing reaches, that change nothing, that depend on their order, that
/// forget IPv6.
/// </summary>
public sealed class RulesetAnalysis
{
    /// <summary>Points of a box that are looked at before anything is proven: mostly one of them shows what there is.</summary>
    private const int Samples = 12;

    /// <summary>Most overlaps that are told of one ruleset.</summary>
    private const int MostConflicts = 1000;

    private readonly Ruleset _ruleset;
    private readonly Space _space;

    private RulesetAnalysis(Ruleset ruleset)
    {
        _ruleset = ruleset;
        _space = Space.Of([ruleset]);
    }

    /// <summary>All findings, in the order of the rules.</summary>
    /// <param name="ruleset">A ruleset that holds.</param>
    /// <param name="conflicts">Whether overlaps are wanted: there may be many, and most are meant.</param>
    public static ImmutableArray<Finding> Of(Ruleset ruleset, bool conflicts = false)
    {
        RulesetAnalysis analysis = new(ruleset);
        Finding?[] found = new Finding?[ruleset.Rules.Length];
        Parallel.For(0, found.Length, () => new Cover(Cover.ManySteps), (rule, _, cover) =>
        {
            found[rule] = analysis.Look(rule, cover);
            return cover;
        }, static _ => { });
        IEnumerable<Finding> all = found.OfType<Finding>().Concat(ForgottenIpv6.In(ruleset, analysis._space));
        if (conflicts)
        {
            all = all.Concat(analysis.Conflicts());
        }

        return [.. all.OrderBy(static f => f.Rule.At).ThenBy(static f => f.Kind)];
    }

    private Finding? Look(int number, Cover cover)
    {
        Rule rule = _ruleset.Rules[number];
        if (!Space.Decides(rule))
        {
            return null;
        }

        bool reached = false, open = false, needed = false;
        SortedSet<int> blame = [];
        (Region Region, int Box)? first = null;
        foreach (Region region in _space.Regions)
        {
            Layer layer = region.Layers[0];
            foreach (int box in BoxesOf(layer, number))
            {
                first ??= (region, box);
                switch (Reached(layer, number, box, rule.EachPacket, cover, blame))
                {
                    case Answer.Yes: reached = true; break;
                    case Answer.Undecided: open = true; break;
                    default: break;
                }
            }
        }

        if (first is not { } some)
        {
            return new Finding(FindingKind.Unreachable, rule, [], $"no packet that can be reaches the rule {Wording.Quote(rule.Name)}: errors of ICMP go with their flows, and no other packet is like that", null);
        }

        if (!reached)
        {
            return open
                ? new Finding(FindingKind.Undecided, rule, [], $"undecided: whether any packet reaches the rule {Wording.Quote(rule.Name)}", null)
                : Unreachable(rule, blame, some.Region, some.Box);
        }

        if (rule.EachPacket)
        {
            return null;            // it also looks at what follows an opening
        }

        Finding? undecided = null;
        blame.Clear();
        Witness? witness = null;
        foreach (Region region in _space.Regions)
        {
            foreach (int box in BoxesOf(region.Layers[0], number))
            {
                Answer answer = Needed(region.Layers[0], number, box, cover, out RankSet[]? room, out int next);
                if (answer == Answer.Yes)
                {
                    needed = true;
                    break;
                }

                if (answer == Answer.Undecided)
                {
                    undecided ??= new Finding(FindingKind.Undecided, rule, [], $"undecided: whether the rule {Wording.Quote(rule.Name)} changes anything", null);
                }
                else if (room is not null)
                {
                    blame.Add(next);
                    witness ??= Witnesses.Of(_space, region.Kind, room);
                }
            }

            if (needed)
            {
                return null;
            }
        }

        return undecided ?? new Finding(
            FindingKind.Redundant, rule, Names(blame), $"the rule {Wording.Quote(rule.Name)} changes nothing: without it {List(Places(blame))} would do the same", witness);
    }

    /// <summary>Whether a packet in the box comes to it.</summary>
    private Answer Reached(Layer layer, int rule, int box, bool eachPacket, Cover cover, SortedSet<int> blame)
    {
        RankSet[] mine = layer[box];
        if (!eachPacket)
        {
            foreach (int[] point in Points(mine, rule))
            {
                if (layer.Owners[layer.FirstAt(point)] == rule)
                {
                    return Answer.Yes;
                }
            }
        }

        List<int> meeting = [];
        layer.Overlapping(mine, meeting);
        // What follows an opening comes to a rule that looks at each packet by others that do.
        meeting.RemoveAll(other => layer.Owners[other] >= rule || (eachPacket && !_ruleset.Rules[layer.Owners[other]].EachPacket));
        Answer answer = cover.Spares(layer, mine, CollectionsMarshal.AsSpan(meeting), out _);
        if (answer == Answer.No)
        {
            blame.UnionWith(Fewest(layer, mine, [.. cover.Used.Order()], cover).Select(one => layer.Owners[one]));
        }

        return answer;
    }

    /// <summary>
    /// Whether a packet that the rule decides would be treated otherwise without it. If not, a box that it decides and
    /// who would decide instead.
    /// </summary>
    private Answer Needed(Layer layer, int rule, int box, Cover cover, out RankSet[]? room, out int next)
    {
        RankSet[] mine = layer[box];
        int does = layer.Treatments[box];
        (room, next) = (null, -1);
        foreach (int[] sample in Points(mine, rule))
        {
            if (layer.Owners[layer.FirstAt(sample)] != rule)
            {
                continue;
            }

            int other = layer.FirstAt(sample, box, rule);
            if (layer.Treatments[other] != does)
            {
                return Answer.Yes;
            }

            if (room is null)
            {
                (room, next) = ([.. sample.Select(static rank => RankSet.Of(rank, rank))], layer.Owners[other]);
            }
        }

        List<int> meeting = [];
        layer.Overlapping(mine, meeting);
        List<int> others = [];
        Answer sum = Answer.No;
        foreach (int other in meeting)
        {
            int owner = layer.Owners[other];
            if (owner == rule)
            {
                continue;
            }

            if (owner > rule && layer.Treatments[other] != does)
            {
                // A packet of both that nobody else takes before the other does.
                Answer answer = cover.Spares(layer, Boxes.Intersect(mine, layer[other])!, CollectionsMarshal.AsSpan(others), out RankSet[]? spared);
                if (answer == Answer.Yes)
                {
                    (room, next) = (spared, owner);
                    return answer;
                }

                sum = answer == Answer.Undecided ? answer : sum;
            }

            if (Boxes.Contains(layer[other], mine))
            {
                break;              // nothing gets past it
            }

            others.Add(other);
        }

        return sum;
    }

    /// <summary>Of boxes that cover another together, a few that still do; none of them can be left out.</summary>
    private static List<int> Fewest(Layer layer, RankSet[] box, List<int> covering, Cover cover)
    {
        const int Many = 64;
        for (int i = covering.Count - 1; i >= 0 && covering.Count is > 1 and <= Many; i--)
        {
            int[] without = [.. covering.Where((_, at) => at != i)];
            if (cover.Spares(layer, box, without, out _) == Answer.No)
            {
                covering.RemoveAt(i);
            }
        }

        return covering;
    }

    private Finding Unreachable(Rule rule, SortedSet<int> blame, Region region, int box)
    {
        string who = List(Places(blame));
        string what = blame.Count == 1 ? $"{who} takes everything that it matches" : $"{who} together take everything that it matches";
        bool other = blame.Any(b => b >= _ruleset.Rules.Length || _ruleset.Rules[b].Action != rule.Action);
        return new Finding(
            FindingKind.Unreachable, rule, Names(blame),
            $"no packet reaches the rule {Wording.Quote(rule.Name)}: {what}{(other ? ", and not all do the same" : "")}",
            Witnesses.Of(_space, region.Kind, region.Layers[0][box]));
    }

    /// <summary>Overlaps where order decides: the earlier has a packet of both, and neither is part of the other.</summary>
    private List<Finding> Conflicts()
    {
        List<Finding> found = [];
        HashSet<(int, int)> told = [];
        Cover cover = new(Cover.ManySteps);
        List<int> meeting = [];
        foreach (Region region in _space.Regions)
        {
            Layer layer = region.Layers[0];
            for (int box = 0; box < layer.Count && found.Count < MostConflicts; box++)
            {
                int rule = layer.Owners[box];
                if (rule >= _ruleset.Rules.Length)
                {
                    break;
                }

                meeting.Clear();
                layer.Overlapping(layer[box], meeting);
                foreach (int other in meeting)
                {
                    int later = layer.Owners[other];
                    if (later <= rule || later >= _ruleset.Rules.Length || _space.Treatments[layer.Treatments[box]].Passes == _space.Treatments[layer.Treatments[other]].Passes
                        || told.Contains((rule, later))
                        || Boxes.Contains(layer[box], layer[other]) || Boxes.Contains(layer[other], layer[box]))
                    {
                        continue;
                    }

                    int[] above = [.. meeting.Where(m => layer.Owners[m] < rule)];
                    if (cover.Spares(layer, Boxes.Intersect(layer[box], layer[other])!, above, out RankSet[]? room) == Answer.Yes && told.Add((rule, later)))
                    {
                        Rule mine = _ruleset.Rules[rule], its = _ruleset.Rules[later];
                        found.Add(new Finding(
                            FindingKind.Conflict, mine, [its.Name],
                            $"the rule {Wording.Quote(mine.Name)} and {Place(later)} overlap and decide otherwise: their order decides",
                            Witnesses.Of(_space, region.Kind, room!)));
                        if (found.Count == MostConflicts)
                        {
                            return found;
                        }
                    }
                }
            }
        }

        return found;
    }

    /// <summary>A rule's boxes in a layer; they stand together.</summary>
    private static IEnumerable<int> BoxesOf(Layer layer, int rule)
    {
        int at = Array.BinarySearch(layer.Owners, rule);
        if (at < 0)
        {
            yield break;
        }

        while (at > 0 && layer.Owners[at - 1] == rule)
        {
            at--;
        }

        for (; at < layer.Count && layer.Owners[at] == rule; at++)
        {
            yield return at;
        }
    }

    /// <summary>Corners and other points of a box, the same each time.</summary>
    private IEnumerable<int[]> Points(RankSet[] box, int seed)
    {
        yield return Boxes.Corner(box);
        Random random = new(seed);
        for (int i = 1; i < Samples; i++)
        {
            int[] point = new int[box.Length];
            for (int axis = 0; axis < box.Length; axis++)
            {
                (int first, int last) = box[axis].Run(random.Next(box[axis].Runs));
                point[axis] = random.Next(4) switch { 0 => first, 1 => last, _ => random.Next(first, last + 1) };
                if (_space.NameOf(axis) > (int)AxisName.Zones && i < Samples / 2)
                {
                    point[axis] = box[axis].First;          // what few rules ask for is left as it mostly is
                }
            }

            yield return point;
        }
    }

    private ImmutableArray<string> Names(IEnumerable<int> rules) => [.. rules.Select(NameOf)];

    private IEnumerable<string> Places(IEnumerable<int> rules) => rules.Select(Place);

    private string NameOf(int rule) => RuleNames.Of(_ruleset, rule);

    private string Place(int rule) => RuleNames.Place(_ruleset, rule);

    private static string List(IEnumerable<string> names)
    {
        const int Most = 6;
        string[] all = [.. names];
        return all.Length <= Most
            ? string.Join(", ", all.SkipLast(1)) + (all.Length > 1 ? " and " : "") + all.LastOrDefault("")
            : $"{string.Join(", ", all.Take(Most))} and {all.Length - Most} more";
    }
}

/// <summary>How findings call rules and defaults.</summary>
internal static class RuleNames
{
    private static readonly string[] s_defaults = ["default out", "default in", "default across"];

    /// <summary>The rule's name, or the default's.</summary>
    public static string Of(Ruleset ruleset, int rule) => rule < ruleset.Rules.Length ? ruleset.Rules[rule].Name : s_defaults[rule - ruleset.Rules.Length];

    /// <summary>Where it stands, as file and line; empty for a default that is not written.</summary>
    public static string At(Ruleset ruleset, int rule)
    {
        SourceMark? at = rule < ruleset.Rules.Length
            ? ruleset.Rules[rule].At
            : (new[] { ruleset.Defaults.Out, ruleset.Defaults.In, ruleset.Defaults.Across })[rule - ruleset.Rules.Length].At;
        return at is { } mark ? string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{mark.File}:{mark.Line}") : "";
    }

    /// <summary>The name with its line, and its file where that is another one.</summary>
    public static string Place(Ruleset ruleset, int rule) => rule >= ruleset.Rules.Length ? Wording.Quote(Of(ruleset, rule))
        : ruleset.Rules[rule].At.File == ruleset.File ? $"{Wording.Quote(ruleset.Rules[rule].Name)} (line {ruleset.Rules[rule].At.Line})"
        : $"{Wording.Quote(ruleset.Rules[rule].Name)} ({At(ruleset, rule)})";
}

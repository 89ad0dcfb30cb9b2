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
    public const int MostConflicts = 1000;

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
    public static ImmutableArray<Finding> Of(Ruleset ruleset, bool conflicts = false) => Of(ruleset, conflicts, Purse.Usual);

    /// <summary>As the other, in so many steps.</summary>
    internal static ImmutableArray<Finding> Of(Ruleset ruleset, bool conflicts, long steps)
    {
        Purse purse = new(steps);
        RulesetAnalysis analysis = new(ruleset);
        Finding?[] found = new Finding?[ruleset.Rules.Length];
        Parallel.For(0, found.Length, () => new Cover(Cover.ManySteps, purse), (rule, _, cover) =>
        {
            found[rule] = analysis.Look(rule, cover);
            return cover;
        }, static _ => { });
        IEnumerable<Finding> all = found.OfType<Finding>().Concat(ForgottenIpv6.In(ruleset, analysis._space));
        if (conflicts)
        {
            all = all.Concat(analysis.Conflicts(new Cover(Cover.ManySteps, purse)));
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

        bool reached = false, unsure = false, undecided = false;
        List<(Region Region, int Box, int[] By)> covered = [];
        SortedSet<int> instead = [];
        Witness? witness = null;
        List<int> meeting = [], above = [];
        foreach (Region region in _space.Regions)
        {
            Layer layer = region.Layers[0];
            foreach (int box in layer.BoxesOf(number))
            {
                if (cover.IsSpent)
                {
                    return new Finding(FindingKind.Undecided, rule, [], $"undecided: whether any packet reaches the rule {Wording.Quote(rule.Name)}, or needs it", null);
                }

                meeting.Clear();
                layer.Overlapping(layer[box], meeting);
                cover.Charge(layer, layer[box], meeting.Count);
                above.Clear();
                foreach (int other in meeting)
                {
                    // What follows an opening comes to a rule that looks at each packet by others that do.
                    if (layer.Owners[other] < number && (!rule.EachPacket || _ruleset.Rules[layer.Owners[other]].EachPacket))
                    {
                        above.Add(other);
                    }
                }

                Asked asked = new(region, box, number, meeting, above);
                int[]? point = PointReached(asked);
                Answer comes = point is not null ? Answer.Yes : cover.Spares(layer, layer[box], CollectionsMarshal.AsSpan(above), out _);
                reached |= comes == Answer.Yes;
                unsure |= comes == Answer.Undecided;
                if (comes == Answer.No)
                {
                    covered.Add((region, box, [.. cover.Used.Order()]));
                    continue;
                }

                if (rule.EachPacket)
                {
                    continue;           // it also looks at what follows an opening
                }

                Answer needed = Needed(asked, cover, out RankSet[]? room, out int next);
                if (needed == Answer.Yes)
                {
                    return null;
                }

                undecided |= needed == Answer.Undecided;
                if (room is not null)
                {
                    instead.Add(next);
                    witness ??= Witnesses.Of(_space, region.Kind, room);
                }
            }
        }

        if (!reached)
        {
            return unsure ? new Finding(FindingKind.Undecided, rule, [], $"undecided: whether any packet reaches the rule {Wording.Quote(rule.Name)}", null)
                : covered.Count > 0 ? Unreachable(rule, covered, cover)
                : new Finding(FindingKind.Unreachable, rule, [], $"no packet that can be reaches the rule {Wording.Quote(rule.Name)}: errors of ICMP go with their flows, and no other packet is like that", null);
        }

        return rule.EachPacket ? null
            : undecided ? new Finding(FindingKind.Undecided, rule, [], $"undecided: whether the rule {Wording.Quote(rule.Name)} changes anything", null)
            : new Finding(FindingKind.Redundant, rule, Names(instead), $"the rule {Wording.Quote(rule.Name)} changes nothing: without it {List(Places(instead))} would do the same", witness);
    }

    /// <summary>A point of the box that comes to it, where one is found by looking at a few.</summary>
    private int[]? PointReached(in Asked asked)
    {
        foreach (int[] point in Points(asked.Layer[asked.Box], asked.Rule))
        {
            if (!Any(asked.Layer, asked.Above, point))
            {
                return point;
            }
        }

        return null;
    }

    /// <summary>
    /// Whether a packet that the rule decides would be treated otherwise without it, or counted by a rule that does not see it now. If
    /// not, a box that it decides and who would decide instead.
    /// </summary>
    private Answer Needed(in Asked asked, Cover cover, out RankSet[]? room, out int next)
    {
        Layer layer = asked.Layer;
        RankSet[] mine = layer[asked.Box];
        int does = layer.Treatments[asked.Box], rule = asked.Rule;
        (room, next) = (null, -1);
        foreach (int[] sample in Points(mine, asked.Rule))
        {
            if (Any(layer, asked.Above, sample))
            {
                continue;
            }

            int other = asked.Meeting.Find(m => layer.Owners[m] > rule && layer.Has(m, sample));
            if (layer.Treatments[other] != does)
            {
                return Answer.Yes;
            }

            if (room is null)
            {
                (room, next) = ([.. sample.Select(static rank => RankSet.Of(rank, rank))], layer.Owners[other]);
            }
        }

        List<int> others = [];
        Answer sum = Answer.No;
        foreach (int other in asked.Meeting)
        {
            int owner = layer.Owners[other];
            if (owner == rule)
            {
                continue;
            }

            cover.Charge(layer, layer[other], 1);
            if (cover.IsSpent)
            {
                return Answer.Undecided;
            }

            if (owner > rule)
            {
                RankSet[] both = Boxes.Intersect(mine, layer[other])!;
                IEnumerable<RankSet[]> differing = layer.Treatments[other] != does ? [both]
                    : asked.Region.Counting.Where(c => c.Rule > rule && c.Rule < owner).Select(c => Boxes.Intersect(both, c.Box)).OfType<RankSet[]>();
                foreach (RankSet[] one in differing)
                {
                    // A packet of both that nobody else takes before the other does.
                    Answer answer = cover.Spares(layer, one, CollectionsMarshal.AsSpan(others), out RankSet[]? spared);
                    if (answer == Answer.Yes)
                    {
                        (room, next) = (spared, owner);
                        return answer;
                    }

                    sum = answer == Answer.Undecided ? answer : sum;
                }
            }

            if (Boxes.Contains(layer[other], mine))
            {
                break;              // nothing gets past it
            }

            others.Add(other);
        }

        return sum;
    }

    private static bool Any(Layer layer, List<int> boxes, int[] point)
    {
        foreach (int box in boxes)
        {
            if (layer.Has(box, point))
            {
                return true;
            }
        }

        return false;
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

    private Finding Unreachable(Rule rule, List<(Region Region, int Box, int[] By)> covered, Cover cover)
    {
        SortedSet<int> blame = [.. covered.SelectMany(one => Fewest(one.Region.Layers[0], one.Region.Layers[0][one.Box], [.. one.By], cover).Select(by => one.Region.Layers[0].Owners[by]))];
        (Region region, int box, _) = covered[0];
        string who = List(Places(blame));
        string what = blame.Count == 1 ? $"{who} takes everything that it matches" : $"{who} together take everything that it matches";
        bool other = blame.Any(b => b >= _ruleset.Rules.Length || _ruleset.Rules[b].Action != rule.Action);
        return new Finding(
            FindingKind.Unreachable, rule, Names(blame),
            $"no packet reaches the rule {Wording.Quote(rule.Name)}: {what}{(other ? ", and not all do the same" : "")}",
            Witnesses.Of(_space, region.Kind, region.Layers[0][box]));
    }

    /// <summary>Overlaps where order decides: the earlier has a packet of both, and neither is part of the other.</summary>
    private List<Finding> Conflicts(Cover cover)
    {
        List<Finding> found = [];
        HashSet<(int, int)> told = [];
        List<int> meeting = [];
        foreach (Region region in _space.Regions)
        {
            Layer layer = region.Layers[0];
            for (int box = 0; box < layer.Count && found.Count < MostConflicts && !cover.IsSpent; box++)
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

    /// <summary>Corners and other points of a box, the same each time; one array for all of them.</summary>
    private IEnumerable<int[]> Points(RankSet[] box, int seed)
    {
        int[] point = Boxes.Corner(box);
        yield return point;
        ulong random = ((ulong)seed << 1) | 1;
        int Next(int below)
        {
            random = (random * 6364136223846793005) + 1442695040888963407;
            return (int)((random >> 33) % (ulong)below);
        }

        for (int i = 1; i < Samples; i++)
        {
            for (int axis = 0; axis < box.Length; axis++)
            {
                if (box[axis].Count == 1 || (_space.NameOf(axis) > (int)AxisName.Zones && i < Samples / 2))
                {
                    point[axis] = box[axis].First;          // what few rules ask for is left as it mostly is
                    continue;
                }

                (int first, int last) = box[axis].Run(Next(box[axis].Runs));
                point[axis] = Next(4) switch { 0 => first, 1 => last, _ => first + Next(last - first + 1) };
            }

            yield return point;
        }
    }

    /// <summary>A box of a rule, and what it meets.</summary>
    /// <param name="Region">The kind of packet.</param>
    /// <param name="Box">Its number.</param>
    /// <param name="Rule">Its rule.</param>
    /// <param name="Meeting">All boxes that have a point of it, in order.</param>
    /// <param name="Above">Those of rules above that are asked before.</param>
    private readonly record struct Asked(Region Region, int Box, int Rule, List<int> Meeting, List<int> Above)
    {
        /// <summary>Where its box lies.</summary>
        public Layer Layer => Region.Layers[0];
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

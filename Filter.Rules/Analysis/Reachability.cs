using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Rules.Analysis;

/// <summary>Who reaches something, through a rule.</summary>
/// <param name="Ingress">The port they come in by.</param>
/// <param name="Rule">The rule, or default, that lets them.</param>
/// <param name="At">Its file and line; empty for a default that is not written.</param>
/// <param name="IsIPv4">Their family.</param>
/// <param name="Sources">Their addresses.</param>
/// <param name="Witness">A packet of theirs.</param>
public sealed record Reaching(string Ingress, string Rule, string At, bool IsIPv4, AddressSet Sources, Witness Witness);

/// <summary>
/// Which sources may open something to a destination, through which rules. A source is in the answer if at least one packet of it passes, whatever else
/// the packet shows: its source port, its VLAN, the hour.
/// </summary>
/// <param name="Ways">By port, family and rule.</param>
/// <param name="Undecided">Rules of which it would take too long to say.</param>
public sealed record Reachability(ImmutableArray<Reaching> Ways, ImmutableArray<string> Undecided)
{
    /// <summary>Asks.</summary>
    /// <param name="ruleset">Whom.</param>
    /// <param name="query">For what.</param>
    public static Reachability Of(Ruleset ruleset, ReachQuery query)
    {
        Shape asked = query.Shape(ruleset);
        Space space = Space.Of([ruleset], asked);
        List<Reaching> ways = [];
        SortedSet<string> undecided = new(StringComparer.Ordinal);
        int sources = space.AxisOf(AxisName.Source), zones = space.AxisOf(AxisName.Zones);
        RankSet[]? box = space.Lay(asked);
        Cover cover = new(Cover.ManySteps, new Purse(Purse.Usual));
        foreach (Region region in space.Regions)
        {
            if (box is null || Boxes.Intersect(box, region.Whole) is not { } whole)
            {
                continue;
            }

            Layer layer = region.Layers[0];
            List<int> meeting = [];
            layer.Overlapping(whole, meeting);
            foreach (PortConfig ingress in ruleset.Ports)
            {
                RankSet by = space[zones].RanksOf(space.Meaning.Zones((ushort)(1 << ingress.Number), Rule.AnyPort));
                for (int i = 0; i < meeting.Count; i++)
                {
                    int passing = meeting[i], rule = layer.Owners[passing];
                    RankSet from = whole[zones].Intersect(by);
                    if (!space.Treatments[layer.Treatments[passing]].Passes || from.IsEmpty)
                    {
                        continue;
                    }

                    RankSet[] asking = [.. whole];
                    asking[zones] = from;
                    if (Boxes.Intersect(asking, layer[passing]) is { } part)
                    {
                        int[] above = [.. meeting.Take(i).Where(m => layer.Owners[m] < rule)];
                        Add(space, region, part, above, sources, rule, ingress, cover, ways, undecided);
                    }
                }
            }
        }

        return new([.. Join(ways)], [.. undecided]);
    }

    /// <summary>
    /// Cuts the sources where a rule that meets the box begins or ends: between two cuts all pass or none does.
    /// </summary>
    private static void Add(
        Space space, Region region, RankSet[] part, int[] above, int sources, int rule, PortConfig ingress, Cover cover, List<Reaching> ways, SortedSet<string> undecided)
    {
        Layer layer = region.Layers[0];
        Ruleset ruleset = space.Rulesets[0];
        SortedSet<int> cuts = [];
        foreach (int one in above)
        {
            RankSet its = layer[one][sources].Intersect(part[sources]);
            for (int run = 0; run < its.Runs; run++)
            {
                (int first, int last) = its.Run(run);
                cuts.Add(first);
                cuts.Add(last + 1);
            }
        }

        List<(int, int)> passing = [];
        Witness? witness = null;
        for (int run = 0; run < part[sources].Runs; run++)
        {
            (int first, int last) = part[sources].Run(run);
            int[] starts = [first, .. cuts.GetViewBetween(first + 1, Math.Max(first + 1, last)).Where(cut => cut <= last)];
            for (int i = 0; i < starts.Length; i++)
            {
                int end = i + 1 < starts.Length ? starts[i + 1] - 1 : last;
                RankSet[] piece = [.. part];
                piece[sources] = RankSet.Of(starts[i], end);
                Answer answer = cover.Spares(layer, piece, above, out RankSet[]? room);
                if (answer == Answer.Yes)
                {
                    passing.Add((starts[i], end));
                    witness ??= Witnesses.Of(space, region.Kind, room!);
                }
                else if (answer == Answer.Undecided)
                {
                    undecided.Add(RuleNames.Of(ruleset, rule));
                }
            }
        }

        if (passing.Count > 0)
        {
            IEnumerable<AddressRange> ranges = space[sources].ValuesOf(RankSet.Of(passing)).Select(static v => new AddressRange(Meaning.AddressOf(v.First), Meaning.AddressOf(v.Last)));
            ways.Add(new(ingress.Name, RuleNames.Of(ruleset, rule), RuleNames.At(ruleset, rule), region.Kind.IPv4, AddressSet.Of(ranges), witness!));
        }
    }

    /// <summary>What a rule lets through in several kinds of packets, or by several of its boxes, is one way.</summary>
    private static IEnumerable<Reaching> Join(List<Reaching> ways) => ways
        .GroupBy(static way => (way.Ingress, way.Rule, way.At, way.IsIPv4))
        .Select(static same => same.First() with { Sources = AddressSet.Of(same.SelectMany(static way => way.Sources.Ranges.ToArray())) });
}

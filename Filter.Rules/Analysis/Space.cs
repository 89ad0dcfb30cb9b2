using System.Collections.Immutable;
using Filter.Rules.Policy;

namespace Filter.Rules.Analysis;

/// <summary>One kind of packet, with the rules of each ruleset as boxes in it.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Whole">All packets of the kind.</param>
/// <param name="Layers">Of each ruleset, in the order given.</param>
/// <param name="Counting">Boxes of rules that only count, of the first ruleset, with their rules.</param>
internal sealed record Region(PacketKind Kind, RankSet[] Whole, ImmutableArray<Layer> Layers, ImmutableArray<(int Rule, RankSet[] Box)> Counting)
{
    /// <summary>The axes on which a box of any layer has less than all.</summary>
    public int[] Axes { get; } = [.. Layers.SelectMany(static layer => layer.Axes).Distinct().Order()];
}

/// <summary>
/// The space in which one or two rulesets are looked at: its axes are cut where any of them does, so what they say can be compared. They must
/// have the same ports.
/// </summary>
internal sealed class Space
{
    private readonly Axis[] _axes;
    private readonly int[] _named;

    private Space(Meaning meaning, Axis[] axes, int[] named, ImmutableArray<Region> regions, ImmutableArray<Treatment> treatments, ImmutableArray<Ruleset> rulesets)
    {
        Meaning = meaning;
        _axes = axes;
        _named = named;
        Regions = regions;
        Treatments = treatments;
        Rulesets = rulesets;
    }

    /// <summary>What values mean.</summary>
    public Meaning Meaning { get; }

    /// <summary>Every kind of packet.</summary>
    public ImmutableArray<Region> Regions { get; }

    /// <summary>What the numbers of treatments in layers stand for.</summary>
    public ImmutableArray<Treatment> Treatments { get; }

    /// <summary>The rulesets.</summary>
    public ImmutableArray<Ruleset> Rulesets { get; }

    /// <summary>How many axes points have: those that a rule restricts, and those that differ from kind to kind.</summary>
    public int AxisCount => _axes.Length;

    /// <summary>The number that an axis of points has in <see cref="Analysis.Meaning"/>.</summary>
    public int NameOf(int axis) => _named[axis];

    /// <summary>Which axis of points that is, of those that differ from kind to kind and so are always there.</summary>
    public int AxisOf(AxisName name) => Array.IndexOf(_named, (int)name);

    /// <summary>An axis of points.</summary>
    public Axis this[int axis] => _axes[axis];

    /// <summary>Makes the space. A box that is given beside the rulesets may be laid in it afterwards.</summary>
    public static Space Of(ImmutableArray<Ruleset> rulesets, Shape? beside = null)
    {
        Ruleset first = rulesets[0];
        Meaning meaning = new(first.Ports.Length);
        int policies = rulesets.Max(static r => r.Ipsec?.Policies.Length ?? 0);
        Shape[][][] shapes = [.. rulesets.Select(r => r.Rules.Select(rule => meaning.Of(rule).ToArray()).ToArray())];
        PacketKind[] kinds = [.. PacketKind.All(policies > 0, rulesets.Any(static r => r.Rules.Any(static rule => rule.Midstream)))];
        int[][] watched = Watched(rulesets);
        // A rule that another ruleset calls otherwise is not told from it by its limit.
        HashSet<string> limited = [.. rulesets.Select(static r => r.Rules.Where(static rule => rule.Limit is not null).Select(static rule => rule.Name)).Aggregate(static (a, b) => a.Intersect(b))];
        Shape[] wholes = [.. kinds.Select(kind => kind.Of(meaning, first.Ports, policies))];
        Shape[] directions = Directions(meaning, first);
        HashSet<int> used = [.. shapes.SelectMany(static s => s).SelectMany(static s => s).Concat(wholes).SelectMany(static shape => shape.Runs.Keys), .. beside?.Runs.Keys ?? []];
        int[] named = [.. used.Order()];
        Axis[] axes = new Axis[named.Length];
        IEnumerable<Shape> all = shapes.SelectMany(static s => s).SelectMany(static s => s).Concat(wholes).Concat(directions).Concat(beside is null ? [] : [beside]);
        Shape[] every = [.. all];
        for (int axis = 0; axis < named.Length; axis++)
        {
            // One list that many shapes share is read once.
            HashSet<object> seen = new(ReferenceEqualityComparer.Instance);
            axes[axis] = Axis.Of(Meaning.LastOf(named[axis]), every.Select(shape => shape.Runs.GetValueOrDefault(named[axis])).OfType<IReadOnlyList<ValueRange>>().Where(seen.Add).SelectMany(static runs => runs));
        }

        Laying laying = new(axes, named);
        Dictionary<Treatment, int> treatments = [];
        Region[] regions = [.. kinds.Select((kind, k) =>
        {
            RankSet[] whole = laying.BoxOf(wholes[k])!;
            IEnumerable<Layer> layers = rulesets.Select((ruleset, r) => LayerOf(ruleset, shapes[r], watched[r], limited, kind, whole, directions, laying, treatments));
            IEnumerable<(int, RankSet[])> counting = Enumerable.Range(0, shapes[0].Length).Where(rule => !Decides(first.Rules[rule]))
                .SelectMany(rule => shapes[0][rule].Select(shape => (rule, laying.BoxOf(shape) is { } box ? Boxes.Intersect(box, whole) : null)))
                .Where(static one => one.Item2 is not null).Select(static one => (one.rule, one.Item2!));
            return new Region(kind, whole, [.. layers], [.. counting]);
        })];
        return new Space(meaning, axes, named, [.. regions], [.. treatments.OrderBy(static t => t.Value).Select(static t => t.Key)], rulesets);
    }

    /// <summary>A shape as a box in this space; null where nothing is in it. All its ends must have been given when the space was made.</summary>
    public RankSet[]? Lay(Shape shape) => new Laying(_axes, _named).BoxOf(shape);

    /// <summary>Whether a rule decides what becomes of an opening.</summary>
    public static bool Decides(Rule rule) => rule.Action != RuleAction.Count;

    /// <summary>What each default holds for: out, in, across.</summary>
    private static Shape[] Directions(Meaning meaning, Ruleset ruleset)
    {
        ushort Of(Engine.Packets.Side side) => (ushort)ruleset.Ports.Where(port => port.Side == side).Sum(static port => 1 << port.Number);
        ushort inside = Of(Engine.Packets.Side.Protected), outside = Of(Engine.Packets.Side.Unprotected);
        Shape Zones(params (ushort From, ushort To)[] ways)
        {
            Shape shape = new();
            shape.Set(AxisName.Zones, [.. ways.SelectMany(way => meaning.Zones(way.From, way.To))]);
            return shape;
        }

        return [Zones((inside, outside)), Zones((outside, inside)), Zones((inside, inside), (outside, outside))];
    }

    /// <summary>
    /// Of each rule, and last of the defaults, how many rules that look at each packet watch what it lets in: those above it. Rulesets that do not
    /// have the same ones cannot be compared so, which is told beside.
    /// </summary>
    private static int[][] Watched(ImmutableArray<Ruleset> rulesets)
    {
        bool alike = rulesets.Select(static r => Surroundings.EachPacket(r)).Distinct().Count() == 1;
        return [.. rulesets.Select(ruleset =>
        {
            int[] watched = new int[ruleset.Rules.Length + 1];
            for (int rule = 0; rule < ruleset.Rules.Length && alike; rule++)
            {
                watched[rule + 1] = watched[rule] + (ruleset.Rules[rule].EachPacket ? 1 : 0);
            }

            return watched;
        })];
    }

    private static Layer LayerOf(
        Ruleset ruleset, Shape[][] shapes, int[] watched, HashSet<string> limited, PacketKind kind, RankSet[] whole, Shape[] directions, Laying laying, Dictionary<Treatment, int> treatments)
    {
        List<RankSet[]> boxes = [];
        List<int> owners = [], does = [];
        void Add(Shape shape, int owner, Func<Treatment> treatment)
        {
            if (laying.BoxOf(shape) is { } box && Boxes.Intersect(box, whole) is { } part)
            {
                Treatment does1 = treatment();
                if (!treatments.TryGetValue(does1, out int number))
                {
                    treatments.Add(does1, number = treatments.Count);
                }

                boxes.Add(part);
                owners.Add(owner);
                does.Add(number);
            }
        }

        for (int rule = 0; rule < shapes.Length; rule++)
        {
            for (int i = 0; i < shapes[rule].Length && Decides(ruleset.Rules[rule]); i++)
            {
                Add(shapes[rule][i], rule, () => Treatment.Of(ruleset.Rules[rule], kind.Carried, watched[rule], limited.Contains(ruleset.Rules[rule].Name)));
            }
        }

        DefaultAction[] defaults = [ruleset.Defaults.Out, ruleset.Defaults.In, ruleset.Defaults.Across];
        for (int i = 0; i < defaults.Length; i++)
        {
            Add(directions[i], shapes.Length + i, () => Treatment.Of(defaults[i], kind.Carried, watched[^1]));
        }

        return new Layer([.. boxes], [.. owners], [.. does], whole);
    }

    /// <summary>Shapes become boxes; runs that many share become ranks once.</summary>
    private sealed class Laying(Axis[] axes, int[] named)
    {
        private readonly RankSet[] _all = [.. axes.Select(static axis => RankSet.Of(0, axis.Ranks - 1))];
        private readonly Dictionary<IReadOnlyList<ValueRange>, RankSet>[] _known =
            [.. axes.Select(static _ => new Dictionary<IReadOnlyList<ValueRange>, RankSet>(ReferenceEqualityComparer.Instance))];

        /// <summary>The box; null where it has no point.</summary>
        public RankSet[]? BoxOf(Shape shape)
        {
            RankSet[] box = [.. _all];
            for (int axis = 0; axis < axes.Length; axis++)
            {
                if (!shape.Runs.TryGetValue(named[axis], out IReadOnlyList<ValueRange>? runs))
                {
                    continue;
                }

                if (!_known[axis].TryGetValue(runs, out RankSet? ranks))
                {
                    _known[axis].Add(runs, ranks = axes[axis].RanksOf(runs));
                }

                if (ranks.IsEmpty)
                {
                    return null;
                }

                box[axis] = ranks;
            }

            return box;
        }
    }
}

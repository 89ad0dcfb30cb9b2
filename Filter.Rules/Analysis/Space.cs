using System.Collections.Immutable;
using Filter.Rules.Policy;

namespace Filter.Rules.Analysis;

/// <summary>One kind of packet, with the rules of each ruleset as boxes in it.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Whole">All packets of the kind.</param>
/// <param name="Layers">Of each ruleset, in the order given.</param>
internal sealed record Region(PacketKind Kind, RankSet[] Whole, ImmutableArray<Layer> Layers);

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
        Shape[][][] shapes = [.. rulesets.Select(r => r.Rules.Select(rule => Decides(rule) ? meaning.Of(rule).ToArray() : []).ToArray())];
        PacketKind[] kinds = [.. PacketKind.All(policies > 0)];
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
            IEnumerable<Layer> layers = rulesets.Select((ruleset, r) => LayerOf(ruleset, shapes[r], kind, whole, directions, laying, treatments));
            return new Region(kind, whole, [.. layers]);
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

    private static Layer LayerOf(
        Ruleset ruleset, Shape[][] shapes, PacketKind kind, RankSet[] whole, Shape[] directions, Laying laying, Dictionary<Treatment, int> treatments)
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
            foreach (Shape shape in shapes[rule])
            {
                Add(shape, rule, () => Treatment.Of(ruleset.Rules[rule], kind.Carried));
            }
        }

        DefaultAction[] defaults = [ruleset.Defaults.Out, ruleset.Defaults.In, ruleset.Defaults.Across];
        for (int i = 0; i < defaults.Length; i++)
        {
            Add(directions[i], shapes.Length + i, () => Treatment.Of(defaults[i], kind.Carried));
        }

        return new Layer([.. boxes], [.. owners], [.. does], whole.Length);
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

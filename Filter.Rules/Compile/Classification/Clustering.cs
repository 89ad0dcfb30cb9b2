namespace Filter.Rules.Compile.Classification;

/// <summary>
/// Puts rules that match alike packets into the same blocks, so that a packet meets few blocks. Rules with wide addresses
/// are parted from those with narrow ones, then each part is halved again and again by the field whose halves overlap
/// least. Where no field parts the rules, their order does. Within a block rules stay in order.
/// </summary>
internal sealed class Clustering
{
    /// <summary>A field that overlaps more in both halves than this, of two, does not part them.</summary>
    private const double Parting = 1.9;

    /// <summary>One over the share of a field's runs from which an address is wide.</summary>
    private const int WideShare = 16;

    private readonly Axis[] _axes;
    private readonly int[] _scratch;
    private readonly bool[] _left;
    private readonly List<ArraySegment<int>> _blocks = [];

    private Clustering(ReadOnlySpan<int> rules, Field source, Field destination, Field services)
    {
        _axes = [new Axis(rules, null), new Axis(rules, source), new Axis(rules, destination), new Axis(rules, services)];
        _scratch = new int[rules.Length];
        _left = new bool[source.ValueOf.Length];
    }

    /// <summary>The blocks, each with its rules in order; the block with the first rule comes first.</summary>
    /// <param name="rules">Numbers of the rules to place, in order.</param>
    /// <param name="source">Their sources.</param>
    /// <param name="destination">Their destinations.</param>
    /// <param name="services">Their services.</param>
    public static List<ArraySegment<int>> Of(ReadOnlySpan<int> rules, Field source, Field destination, Field services)
    {
        if (rules.Length <= BlockTable.RulesPerBlock)
        {
            return [new(rules.ToArray())];
        }

        Clustering clustering = new(rules, source, destination, services);
        Axis bySource = clustering._axes[1], byDestination = clustering._axes[2];
        int middle = clustering.Part(0, rules.Length, rule => bySource.IsWide(rule));
        clustering.PartByDestination(0, middle, byDestination);
        clustering.PartByDestination(middle, rules.Length, byDestination);
        clustering._blocks.Sort(static (a, b) => a[0].CompareTo(b[0]));
        return clustering._blocks;
    }

    private void PartByDestination(int from, int to, Axis destination)
    {
        int middle = Part(from, to, rule => destination.IsWide(rule));
        Halve(from, middle);
        Halve(middle, to);
    }

    private void Halve(int from, int to)
    {
        int blocks = (to - from + BlockTable.RulesPerBlock - 1) / BlockTable.RulesPerBlock;
        if (blocks <= 1)
        {
            if (blocks == 1)
            {
                _blocks.Add(new(_axes[0].Sorted, from, to - from));
            }

            return;
        }

        int middle = from + blocks / 2 * BlockTable.RulesPerBlock;
        Axis best = _axes[0];
        double least = Parting;
        foreach (Axis axis in _axes.AsSpan(1))
        {
            double overlap = axis.Overlap(from, middle, to);
            (best, least) = overlap < least ? (axis, overlap) : (best, least);
        }

        foreach (int rule in best.Sorted.AsSpan(from..middle))
        {
            _left[rule] = true;
        }

        foreach (int rule in best.Sorted.AsSpan(middle..to))
        {
            _left[rule] = false;
        }

        Part(from, to, rule => _left[rule]);
        Halve(from, middle);
        Halve(middle, to);
    }

    /// <summary>Puts the rules that satisfy before the others, along every axis, and says where the others begin.</summary>
    private int Part(int from, int to, Func<int, bool> first)
    {
        int middle = from;
        foreach (Axis axis in _axes)
        {
            Span<int> rules = axis.Sorted.AsSpan(from..to);
            int kept = 0, put = 0;
            foreach (int rule in rules)
            {
                if (first(rule))
                {
                    rules[kept++] = rule;
                }
                else
                {
                    _scratch[put++] = rule;
                }
            }

            _scratch.AsSpan(0, put).CopyTo(rules[kept..]);
            middle = from + kept;
        }

        return middle;
    }

    /// <summary>The rules in order of a field, or in their own.</summary>
    private sealed class Axis
    {
        private readonly Field? _field;

        public Axis(ReadOnlySpan<int> rules, Field? field)
        {
            _field = field;
            Sorted = rules.ToArray();
            if (field is not null)
            {
                // Equal values stay side by side.
                long[] places = [.. Sorted.Select(rule => field.ValueOf[rule] is >= 0 and var value ? (long)field.Extents[value].First << 32 | (uint)value : -1)];
                Array.Sort(places, Sorted);
            }
        }

        public int[] Sorted { get; }

        public bool IsWide(int rule) => _field!.ValueOf[rule] < 0 || (long)_field.Extents[_field.ValueOf[rule]].Width * WideShare > _field.Runs;

        /// <summary>How much of the field both parts cover, one when they share nothing, two when both cover the same.</summary>
        public double Overlap(int from, int middle, int to)
        {
            double whole = Covered(from, to);
            return whole == 0 ? 2 : (Covered(from, middle) + Covered(middle, to)) / whole;
        }

        /// <summary>How many runs at most the rules cover: what lies between their ends, or all of their widths, whichever is less.</summary>
        private long Covered(int from, int to)
        {
            long hulls = 0, widths = 0;
            int reached = -1, before = Field.Nothing;
            foreach (int rule in Sorted.AsSpan(from..to))
            {
                int value = _field!.ValueOf[rule];
                if (value == before)
                {
                    continue;
                }

                before = value;
                Extent extent = value < 0 ? new(0, _field.Runs - 1, _field.Runs) : _field.Extents[value];
                hulls += Math.Max(0, extent.Last - Math.Max(extent.First - 1, reached));
                reached = Math.Max(reached, extent.Last);
                widths += extent.Width;
            }

            return Math.Min(hulls, widths);
        }
    }
}

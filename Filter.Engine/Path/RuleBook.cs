namespace Filter.Engine.Path;

/// <summary>
/// What rule numbers stand for, and what is counted for each: the rules of the ruleset in force under their own numbers, and
/// behind them those of earlier rulesets whose names it does not have. So what is counted belongs to a rule's name. Made aside;
/// once it is in force the worker alone counts in it, and others read.
/// </summary>
public sealed class RuleBook
{
    /// <summary>Most rules that are gone and still have a number of their own; the longest gone share one.</summary>
    public const int MostGone = 131_072;

    /// <summary>A number that no IPsec policy has.</summary>
    private const ushort NoPolicy = ushort.MaxValue;

    private static readonly RuleName s_forgotten = new("rules long gone", "", 0);

    private readonly RuleName[] _names;
    private readonly int[] _numbers;
    private readonly int _forgotten;
    private readonly long[] _packets;
    private readonly long[] _ended;
    private readonly long[] _limited;
    private readonly IReadOnlyList<string> _policies = [];
    private readonly ushort[] _arrivals = [];
    private RuleBook? _before;
    private Carried? _carried;

    /// <summary>The book of a first ruleset.</summary>
    internal RuleBook(IRuleset ruleset)
        : this(NamesOf(ruleset), ruleset.RuleCount, [], 0) => _policies = ruleset.Policies;

    /// <summary>A book without rules.</summary>
    internal static RuleBook Empty() => new([default], 1, [], 0);

    private RuleBook(RuleName[] names, int rules, int[] numbers, int forgotten, RuleBook before, IReadOnlyList<string> policies)
        : this(names, rules, numbers, forgotten)
    {
        _policies = policies;
        Dictionary<string, int> known = policies.Index().ToDictionary(static p => p.Item, static p => p.Index + 1, StringComparer.Ordinal);
        _arrivals = [0, .. before._policies.Select(name => (ushort)known.GetValueOrDefault(name, NoPolicy))];
        _before = before;
    }

    private RuleBook(RuleName[] names, int rules, int[] numbers, int forgotten)
    {
        _names = names;
        _numbers = numbers;
        _forgotten = forgotten;
        _packets = new long[names.Length];
        _ended = new long[names.Length];
        _limited = new long[names.Length];
        Rules = rules;
    }

    /// <summary>From this number on stand rules that are gone; see <see cref="IRuleset.RuleCount"/>.</summary>
    public int Rules { get; }

    /// <summary>One more than the largest number.</summary>
    public int Count => _names.Length;

    /// <summary>The policy generation from which on it names rules.</summary>
    internal int Since { get; set; }

    /// <summary>Flows from before it that its ruleset does not allow stay.</summary>
    internal bool Keeps { get; init; }

    /// <summary>The book that came after it; null for the one in force.</summary>
    internal RuleBook? Next { get; set; }

    /// <summary>A rule's name, and its place in the latest ruleset that had it.</summary>
    public RuleName Name(int rule) => (uint)rule < (uint)_names.Length ? _names[rule] : default;

    /// <summary>Packets of the rule of that number, of its flows too, since the start.</summary>
    public long Packets(int rule) => Of(_packets, Earlier()?.Packets, rule);

    /// <summary>Flows of the rule of that number that a new policy ended, since the start.</summary>
    public long Ended(int rule) => Of(_ended, Earlier()?.Ended, rule);

    /// <summary>Packets that the limits of the rule of that number kept out, since the start.</summary>
    public long Limited(int rule) => Of(_limited, Earlier()?.Limited, rule);

    /// <summary>Every rule's counts: what is behind the last rule stands for rules that are gone.</summary>
    public (long[] Packets, long[] Ended, long[] Limited) Take()
    {
        long[] packets = [.. _packets], ended = [.. _ended], limited = [.. _limited];
        if (Earlier() is { } earlier)
        {
            for (int rule = 0; rule < packets.Length; rule++)
            {
                packets[rule] += earlier.Packets[rule];
                ended[rule] += earlier.Ended[rule];
                limited[rule] += earlier.Limited[rule];
            }
        }

        return (packets, ended, limited);
    }

    /// <summary>What a number of the book before stands for here.</summary>
    internal int Renumber(int rule) => (uint)rule < (uint)_numbers.Length ? _numbers[rule] : 0;

    /// <summary>What the number of an IPsec policy in the book before stands for here; no policy's where it is gone.</summary>
    internal ushort Arrival(ushort policy) => policy < _arrivals.Length ? _arrivals[policy] : NoPolicy;

    /// <summary>Counts a packet. Whatever else may go wrong, a wrong number must not end the worker.</summary>
    internal void CountPacket(int rule)
    {
        long[] packets = _packets;
        if ((uint)rule < (uint)packets.Length)
        {
            packets[rule]++;
        }
    }

    /// <summary>Counts a flow that a new policy ended.</summary>
    internal void CountEnded(int rule)
    {
        long[] ended = _ended;
        if ((uint)rule < (uint)ended.Length)
        {
            ended[rule]++;
        }
    }

    /// <summary>Counts a packet that a limit kept out.</summary>
    internal void CountLimited(int rule)
    {
        long[] limited = _limited;
        if ((uint)rule < (uint)limited.Length)
        {
            limited[rule]++;
        }
    }

    /// <summary>
    /// The book for the ruleset that follows. Not called by the worker: what this one took over from its predecessor is summed up
    /// first, so that no chain of books is kept for it.
    /// </summary>
    internal RuleBook Follow(IRuleset ruleset, bool keeps)
    {
        Earlier();
        RuleName[] rules = NamesOf(ruleset);
        Dictionary<string, int> known = new(rules.Length, StringComparer.Ordinal);
        for (int rule = 1; rule < rules.Length; rule++)
        {
            known[rules[rule].Name] = rule;
        }

        // Those that have been gone for longest first, then those that go now.
        List<int> gone = [];
        int[] numbers = new int[Count];
        for (int i = 1; i < Count; i++)
        {
            int rule = i <= Count - Rules ? Rules + i - 1 : i - (Count - Rules);
            if (rule == _forgotten && rule != 0)
            {
                continue;
            }

            if (known.TryGetValue(_names[rule].Name, out int same))
            {
                numbers[rule] = same;
            }
            else
            {
                gone.Add(rule);
            }
        }

        int excess = Math.Max(0, gone.Count - MostGone);
        int forgotten = _forgotten != 0 || excess > 0 ? rules.Length : 0;
        List<RuleName> names = new(rules.Length + gone.Count + 1);
        names.AddRange(rules);
        if (forgotten != 0)
        {
            names.Add(s_forgotten);
            numbers[_forgotten] = _forgotten != 0 ? forgotten : 0;
        }

        for (int i = 0; i < gone.Count; i++)
        {
            numbers[gone[i]] = i < excess ? forgotten : names.Count;
            if (i >= excess)
            {
                names.Add(_names[gone[i]]);
            }
        }

        return new RuleBook([.. names], rules.Length, numbers, forgotten, this, ruleset.Policies) { Keeps = keeps };
    }

    /// <summary>What the books of several workers counted, who each had the same rulesets in the same order.</summary>
    internal static RuleBook Sum(IReadOnlyList<RuleBook> books)
    {
        RuleBook sum = books[0].Fork();
        foreach (RuleBook book in books)
        {
            (long[] packets, long[] ended, long[] limited) = book.Take();
            for (int rule = 0; rule < Math.Min(packets.Length, sum.Count); rule++)
            {
                sum._packets[rule] += packets[rule];
                sum._ended[rule] += ended[rule];
                sum._limited[rule] += limited[rule];
            }
        }

        return sum;
    }

    /// <summary>The same names and numbers, with nothing counted.</summary>
    internal RuleBook Fork() => new(_names, Rules, _numbers, _forgotten) { Since = Since, Keeps = Keeps };

    private static RuleName[] NamesOf(IRuleset ruleset)
    {
        var names = new RuleName[ruleset.RuleCount];
        for (int rule = 0; rule < names.Length; rule++)
        {
            names[rule] = ruleset.Name(rule);
        }

        return names;
    }

    private static long Of(long[] counts, long[]? earlier, int rule) =>
        (uint)rule < (uint)counts.Length ? Volatile.Read(ref counts[rule]) + (earlier?[rule] ?? 0) : 0;

    /// <summary>
    /// What was counted before this book was in force. Summed up by whoever reads first, not by the worker as it changes: its
    /// predecessor counts no more, so two who sum up at once find the same.
    /// </summary>
    private Carried? Earlier()
    {
        if (Volatile.Read(ref _before) is not { } before)
        {
            return Volatile.Read(ref _carried);
        }

        Carried carried = new(new long[Count], new long[Count], new long[Count]);
        (long[] packets, long[] ended, long[] limited) = before.Take();
        for (int rule = 0; rule < packets.Length; rule++)
        {
            carried.Packets[Renumber(rule)] += packets[rule];
            carried.Ended[Renumber(rule)] += ended[rule];
            carried.Limited[Renumber(rule)] += limited[rule];
        }

        Volatile.Write(ref _carried, carried);
        Volatile.Write(ref _before, null);
        return carried;
    }

    private sealed record Carried(long[] Packets, long[] Ended, long[] Limited);
}

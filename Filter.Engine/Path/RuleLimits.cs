using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <summary>
/// What the limited rules of a ruleset have spent. Buckets of whole rules stand here; those of sources, and how many flows a
/// rule and each of its sources have, are <see cref="Shares"/>, which outlive a reload. One writer.
/// </summary>
internal sealed class RuleLimits
{
    private readonly RuleLimit[] _limits;
    private readonly TokenBucket[] _buckets;
    private readonly int[] _owners;
    private readonly int _lastOwner;
    private readonly List<(int Before, int Now)> _same = [];

    public RuleLimits(IRuleset ruleset, int flows)
        : this(ruleset, flows, null, [], 0)
    {
    }

    /// <summary>
    /// Those of the ruleset that follows; which rules are known by name, and which of them by rate, is found here, aside.
    /// </summary>
    public RuleLimits(IRuleset ruleset, int flows, RuleLimits before, RuleBook rules)
        : this(ruleset, flows, before.Shares, Owners(ruleset, before, rules), before._lastOwner)
    {
        for (int rule = 1; rule < before._limits.Length; rule++)
        {
            int now = rules.Renumber(rule);
            if (before._limits[rule].Rate is { } rate && this[now].Rate == rate)
            {
                _same.Add((rule, now));
            }
        }
    }

    private RuleLimits(IRuleset ruleset, int flows, ShareTable? shares, int[] owners, int lastOwner)
    {
        _limits = new RuleLimit[ruleset.RuleCount];
        Array.Fill(_limits, RuleLimit.None);
        _buckets = new TokenBucket[ruleset.RuleCount];
        _owners = owners.Length == 0 ? new int[ruleset.RuleCount] : owners;
        bool needed = false;
        for (int rule = 1; rule < _limits.Length; rule++)
        {
            if (ruleset.Limit(rule) is not { } limit)
            {
                continue;
            }

            _limits[rule] = limit;
            needed |= limit.NeedsShares;
            _owners[rule] = _owners[rule] != 0 ? _owners[rule] : ++lastOwner;
            if (limit.Rate is { } rate)
            {
                _buckets[rule] = new TokenBucket(rate);
            }
        }

        _lastOwner = lastOwner;
        // A flow counts twice at most: for its rule, and for its source there.
        Shares = shares ?? (needed ? new ShareTable((2 * flows) + 1) : null);
    }

    /// <summary>What rules, and their sources, have; null where no ruleset so far had a rule that asks for it.</summary>
    public ShareTable? Shares { get; }

    /// <summary>What the rule of that number lets in.</summary>
    public RuleLimit this[int rule] => (uint)rule < (uint)_limits.Length ? _limits[rule] : RuleLimit.None;

    /// <summary>The share of all flows of a rule.</summary>
    public ShareKey Whole(int rule) => new(default, 0, 0, 0, Management: false) { Rule = _owners[rule] };

    /// <summary>The share of one source's flows of a rule.</summary>
    public ShareKey OfSource(int rule, in FlowKey key) => ShareKey.OfSource(key, management: false) with { Rule = _owners[rule] };

    /// <summary>
    /// Takes one token, of the source's bucket first: so a source that is too fast spends nothing of all the others. False
    /// where one is empty, and then none is taken.
    /// </summary>
    public bool TryTake(int rule, in FlowKey key, long now)
    {
        RuleLimit limit = this[rule];
        if (limit.SourceRate is not { } rate)
        {
            return limit.Rate is null || _buckets[rule].TryTake(now);
        }

        ref Share source = ref Shares![Shares.Reach(OfSource(rule, key))];
        long spent = source.Spent;
        if (!TokenBucket.TryTake(ref source.Spent, rate, now))
        {
            return false;
        }

        if (limit.Rate is null || _buckets[rule].TryTake(now))
        {
            return true;
        }

        source.Spent = spent;
        return false;
    }

    /// <summary>Goes on from what another worker has spent of the same rule, and of the same source there.</summary>
    public void CatchUp(RuleLimits other, int rule, in FlowKey key)
    {
        RuleLimit limit = this[rule];
        if (limit.Rate is not null && rule < other._buckets.Length)
        {
            _buckets[rule].CatchUp(other._buckets[rule]);
        }

        if (limit.SourceRate is not null && other.Shares is { } shares)
        {
            ShareKey source = OfSource(rule, key);
            ref Share own = ref Shares![Shares.Reach(source)];
            own.Spent = Math.Max(own.Spent, shares.SpentOf(source));
        }
    }

    /// <summary>A reload fills no bucket: a rule of the same name and rate goes on with what is left.</summary>
    public void GoOnFrom(RuleLimits before)
    {
        foreach ((int rule, int now) in _same)
        {
            _buckets[now] = before._buckets[rule];
        }
    }

    /// <summary>By number, who a rule is to <see cref="Shares"/>: the same as before where its name is.</summary>
    private static int[] Owners(IRuleset ruleset, RuleLimits before, RuleBook rules)
    {
        int[] owners = new int[ruleset.RuleCount];
        for (int rule = 1; rule < before._owners.Length; rule++)
        {
            int now = rules.Renumber(rule);
            if ((uint)now < (uint)owners.Length)
            {
                owners[now] = before._owners[rule];
            }
        }

        owners[0] = 0;
        return owners;
    }
}

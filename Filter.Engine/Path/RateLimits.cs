namespace Filter.Engine.Path;

/// <summary>The token buckets of a ruleset's limited rules. One writer.</summary>
internal sealed class RateLimits
{
    private readonly TokenBucket[] _buckets;
    private readonly List<(int Before, int Now)> _same = [];

    public RateLimits(IRuleset ruleset)
    {
        _buckets = new TokenBucket[ruleset.RuleCount];
        for (int rule = 1; rule < _buckets.Length; rule++)
        {
            if (ruleset.Limit(rule) is { } limit)
            {
                _buckets[rule] = new TokenBucket(limit);
            }
        }
    }

    /// <summary>Those of the ruleset that follows; which of them are known by name and rate is found here, aside.</summary>
    public RateLimits(IRuleset ruleset, IRuleset before, RuleBook rules)
        : this(ruleset)
    {
        for (int rule = 1; rule < before.RuleCount; rule++)
        {
            int now = rules.Renumber(rule);
            if (before.Limit(rule) is { } limit && ruleset.Limit(now) == limit)
            {
                _same.Add((rule, now));
            }
        }
    }

    /// <summary>Takes one token of the rule's bucket; false where it is empty.</summary>
    public bool TryTake(int rule, long now) => _buckets[rule].TryTake(now);

    /// <summary>A reload fills no bucket: a rule of the same name and rate goes on with what is left.</summary>
    public void GoOnFrom(RateLimits before)
    {
        foreach ((int rule, int now) in _same)
        {
            _buckets[now] = before._buckets[rule];
        }
    }
}

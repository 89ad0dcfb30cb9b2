namespace Filter.Engine.Path;

/// <summary>The token buckets of a ruleset's limited rules. One writer.</summary>
internal sealed class RateLimits
{
    private readonly TokenBucket[] _buckets;

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

    /// <summary>Takes one token of the rule's bucket; false where it is empty.</summary>
    public bool TryTake(int rule, long now) => _buckets[rule].TryTake(now);
}

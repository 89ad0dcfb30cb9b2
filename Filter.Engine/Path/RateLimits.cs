namespace Filter.Engine.Path;

/// <summary>The token buckets of a ruleset's limited rules. One writer.</summary>
internal sealed class RateLimits
{
    private readonly Bucket[] _buckets;

    public RateLimits(IRuleset ruleset)
    {
        _buckets = new Bucket[ruleset.RuleCount];
        for (int rule = 1; rule < _buckets.Length; rule++)
        {
            if (ruleset.Limit(rule) is { } limit)
            {
                // A full bucket, kept as the time at which it would have been empty.
                _buckets[rule] = new Bucket { Interval = limit.Interval, Depth = limit.Interval * limit.Burst, Empty = long.MinValue };
            }
        }
    }

    /// <summary>Takes one token of the rule's bucket; false where it is empty.</summary>
    public bool TryTake(int rule, long now)
    {
        ref Bucket bucket = ref _buckets[rule];
        long empty = Math.Max(bucket.Empty, now - bucket.Depth);
        if (empty + bucket.Interval > now)
        {
            return false;
        }

        bucket.Empty = empty + bucket.Interval;
        return true;
    }

    private struct Bucket
    {
        public long Interval, Depth, Empty;
    }
}

namespace Filter.Engine.Path;

/// <summary>
/// A token bucket, full at first; kept as the time at which it was, or would have been, empty. A
/// mutable struct with one writer.
/// </summary>
public struct TokenBucket
{
    private readonly long _interval;
    private readonly long _depth;
    private long _empty;

    /// <summary>A full bucket.</summary>
    public TokenBucket(RateLimit limit)
    {
        _interval = Math.Max(1, limit.Interval);
        _depth = (long)Int128.Min(long.MaxValue / 2, (Int128)_interval * Math.Max(1, limit.Burst));
        _empty = long.MinValue / 2;
    }

    /// <summary>Takes one token; false where the bucket is empty.</summary>
    public bool TryTake(long now)
    {
        long empty = Math.Max(_empty, now - _depth);
        if (empty + _interval > now)
        {
            return false;
        }

        _empty = empty + _interval;
        return true;
    }
}

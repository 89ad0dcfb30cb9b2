namespace Filter.Engine.Path;

/// <summary>
/// A token bucket, full at first; kept as the time at which it was, or would have been, empty. A
/// mutable struct with one writer.
/// </summary>
public struct TokenBucket
{
    /// <summary>What a full bucket is kept as.</summary>
    public const long Full = long.MinValue / 2;

    private readonly RateLimit _limit;
    private long _empty;

    /// <summary>A full bucket.</summary>
    public TokenBucket(RateLimit limit)
    {
        _limit = limit;
        _empty = Full;
    }

    /// <summary>Takes one token; false where the bucket is empty.</summary>
    public bool TryTake(long now) => TryTake(ref _empty, _limit, now);

    /// <summary>Goes on from where the same bucket has been left elsewhere, if that is later.</summary>
    public void CatchUp(in TokenBucket other) => _empty = Math.Max(_empty, other._empty);

    /// <summary>Takes one token of a bucket that is kept elsewhere.</summary>
    /// <param name="empty">When it was, or would have been, empty; <see cref="Full"/> at first.</param>
    /// <param name="limit">Its rate.</param>
    /// <param name="now">The path's clock.</param>
    public static bool TryTake(ref long empty, RateLimit limit, long now)
    {
        long interval = Math.Max(1, limit.Interval);
        long depth = (long)Int128.Min(long.MaxValue / 2, (Int128)interval * Math.Max(1, limit.Burst));
        long since = Math.Max(empty, now - depth);
        if (since + interval > now)
        {
            return false;
        }

        empty = since + interval;
        return true;
    }
}

namespace Filter.Ipsec.Ike;

/// <summary>What has something to do at a certain time.</summary>
internal abstract class Timed
{
    /// <summary>When it is to be looked at next, in nanoseconds of the clock; the largest number for never.</summary>
    internal abstract long Due { get; }

    /// <summary>For when it stands in the queue of timers.</summary>
    internal long QueuedAt { get; set; } = long.MaxValue;

    /// <summary>It is time.</summary>
    internal abstract void Tick(long now);
}

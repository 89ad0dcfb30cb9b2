using System.Diagnostics;

namespace Filter.Ctl.Service;

/// <summary>Between the worker's clock, which only goes forward, and the one on the wall.</summary>
internal static class WallClock
{
    /// <summary>The worker's clock now: nanoseconds.</summary>
    public static long Monotonic => (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));

    /// <summary>Unix time, in nanoseconds, of a moment on the worker's clock.</summary>
    public static long Of(long monotonic) =>
        ((DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).Ticks * 100) - (Monotonic - monotonic);
}

namespace Filter.Tests;

/// <summary>How much an act allocates on this thread.</summary>
internal static class Allocations
{
    /// <summary>
    /// The least that any of several rounds allocates, in bytes, after as many to warm up. A collection that another
    /// test brings about takes the thread's allocation buffer away, and what was left of it counts as allocated; an act
    /// that allocates does so in every round.
    /// </summary>
    public static long Least(Action act, int rounds = 20)
    {
        long least = long.MaxValue;
        for (int i = -rounds; i < rounds; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            act();
            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            least = i < 0 ? least : Math.Min(least, allocated);
        }

        return least;
    }
}

namespace Filter.Tests;

/// <summary>Seeds and lengths of random tests. FILTER_FUZZ=100 makes them a hundred times as long; FILTER_SEED repeats one.</summary>
internal static class Fuzzing
{
    /// <summary>A generator whose seed the test's output names.</summary>
    internal static Random Seeded(out int seed)
    {
        seed = int.TryParse(Environment.GetEnvironmentVariable("FILTER_SEED"), out int given) ? given : Environment.TickCount;
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        return new Random(seed);
    }

    /// <summary>How many rounds to take where <paramref name="few"/> are enough for every day.</summary>
    internal static int Rounds(int few) =>
        few * (int.TryParse(Environment.GetEnvironmentVariable("FILTER_FUZZ"), out int times) ? times : 1);
}

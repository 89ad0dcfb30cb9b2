using System.Diagnostics;
using System.Globalization;

namespace Filter.Bench.Engine;

/// <summary>What the machine's memory is like, and how much of it the process has.</summary>
internal static class Memory
{
    private const int Size = 64 << 20, Line = 64;

    /// <summary>Nanoseconds of a load whose address is what the one before gave, all over 64 MB.</summary>
    internal static double Latency()
    {
        int[] next = new int[Size / sizeof(int)];
        int lines = Size / Line;
        int[] order = [.. Enumerable.Range(1, lines - 1)];
        new Random(1).Shuffle(order);
        int at = 0;
        foreach (int line in order)
        {
            next[at] = line * (Line / sizeof(int));
            at = next[at];
        }

        double best = double.MaxValue;
        for (int round = 0; round < 3; round++)
        {
            long start = Stopwatch.GetTimestamp();
            for (int i = 0, place = 0; i < lines; i++)
            {
                place = next[place];
                at ^= place;
            }

            best = Math.Min(best, (Stopwatch.GetTimestamp() - start) * 1e9 / Stopwatch.Frequency / lines);
        }

        GC.KeepAlive(at);
        return best;
    }

    /// <summary>Bytes of memory that the process has, after what is not used was given back.</summary>
    internal static long Resident()
    {
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        string line = File.ReadLines("/proc/self/status").First(static l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.AsSpan(6, line.Length - 6 - 3), NumberStyles.Integer, CultureInfo.InvariantCulture) * 1024;
    }
}

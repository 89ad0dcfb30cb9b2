using System.Runtime.CompilerServices;
using Filter.Engine.Packets;

namespace Filter.Count;

/// <summary>
/// Where instructions are counted. Whoever counts is told these two names (`--toggle-collect`, `--dump-before`), so neither may be
/// inlined, and nothing else may be called so.
/// </summary>
internal static class Counted
{
    /// <summary>What is counted: the work on one burst, and no more.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static void Work(Action<Burst> work, Burst burst) => work(burst);

    /// <summary>A row ends: what was counted since the last one is written down.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static void EndOfRow(string row, int packets) => Console.WriteLine($"{packets} {row}");
}

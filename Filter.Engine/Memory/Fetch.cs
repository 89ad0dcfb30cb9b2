using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Filter.Engine.Memory;

/// <summary>Has memory fetched while other things are done. No more than a hint: it reads nothing, and no place is a wrong one.</summary>
internal static class Fetch
{
    /// <summary>The cache line of that place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe void Line<T>(ref T place)
        where T : unmanaged
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch0(Unsafe.AsPointer(ref place));
        }
    }
}

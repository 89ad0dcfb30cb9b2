using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Filter.Rules.Compile.Classification;

/// <summary>
/// An array that begins where a cache line does, so that what fits into one line never lies in two. Pinned, because the
/// collector would move it elsewhere.
/// </summary>
internal readonly struct Aligned<T>
    where T : unmanaged
{
    private const int Line = 64;
    private readonly T[] _array;
    private readonly int _start;

    /// <summary>A copy.</summary>
    public Aligned(ReadOnlySpan<T> from)
    {
        int size = Unsafe.SizeOf<T>();
        _array = GC.AllocateArray<T>(from.Length + Line / size, pinned: true);
        _start = (int)(-Marshal.UnsafeAddrOfPinnedArrayElement(_array, 0) & (Line - 1)) / size;
        Length = from.Length;
        from.CopyTo(_array.AsSpan(_start));
    }

    /// <summary>How many elements.</summary>
    public int Length { get; }

    /// <summary>The elements.</summary>
    public ReadOnlySpan<T> Span => _array.AsSpan(_start, Length);
}

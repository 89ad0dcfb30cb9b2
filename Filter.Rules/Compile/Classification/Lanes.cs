using System.Numerics;
using System.Runtime.Intrinsics;

namespace Filter.Rules.Compile.Classification;

/// <summary>
/// The few steps of a lookup that look at 64 bytes at a time. There is one implementation for each width of vectors; a
/// lookup is compiled for the widest that the machine has.
/// </summary>
internal interface ILanes
{
    /// <summary>How many of the keys, 64 bytes of them in order, are below the key.</summary>
    static abstract int CountBelow<T>(ReadOnlySpan<T> keys, T key)
        where T : unmanaged, IBinaryInteger<T>;

    /// <summary>The first bit that is set in all three vectors of 512 bits; -1 if there is none.</summary>
    static abstract int FirstCommon(in Vector512<ulong> a, in Vector512<ulong> b, in Vector512<ulong> c);
}

/// <summary>AVX-512.</summary>
internal readonly struct Lanes512 : ILanes
{
    /// <inheritdoc/>
    public static int CountBelow<T>(ReadOnlySpan<T> keys, T key)
        where T : unmanaged, IBinaryInteger<T> =>
        BitOperations.PopCount(Vector512.LessThan(Vector512.Create(keys), Vector512.Create(key)).ExtractMostSignificantBits());

    /// <inheritdoc/>
    public static int FirstCommon(in Vector512<ulong> a, in Vector512<ulong> b, in Vector512<ulong> c)
    {
        Vector512<ulong> common = a & b & c;
        uint empty = (uint)Vector512.Equals(common, Vector512<ulong>.Zero).ExtractMostSignificantBits();
        if (empty == 0xff)
        {
            return -1;
        }

        int word = BitOperations.TrailingZeroCount(~empty);
        return word * 64 + BitOperations.TrailingZeroCount(common[word]);
    }
}

/// <summary>AVX2 and the like.</summary>
internal readonly struct Lanes256 : ILanes
{
    /// <inheritdoc/>
    public static int CountBelow<T>(ReadOnlySpan<T> keys, T key)
        where T : unmanaged, IBinaryInteger<T>
    {
        Vector256<T> than = Vector256.Create(key);
        int half = Vector256<T>.Count;
        return BitOperations.PopCount(Vector256.LessThan(Vector256.Create(keys), than).ExtractMostSignificantBits())
            + BitOperations.PopCount(Vector256.LessThan(Vector256.Create(keys[half..]), than).ExtractMostSignificantBits());
    }

    /// <inheritdoc/>
    public static int FirstCommon(in Vector512<ulong> a, in Vector512<ulong> b, in Vector512<ulong> c)
    {
        Vector256<ulong> low = a.GetLower() & b.GetLower() & c.GetLower(), high = a.GetUpper() & b.GetUpper() & c.GetUpper();
        if ((low | high) == Vector256<ulong>.Zero)
        {
            return -1;
        }

        uint empty = Vector256.Equals(low, Vector256<ulong>.Zero).ExtractMostSignificantBits()
            | Vector256.Equals(high, Vector256<ulong>.Zero).ExtractMostSignificantBits() << 4;
        int word = BitOperations.TrailingZeroCount(~empty);
        return word * 64 + BitOperations.TrailingZeroCount(a[word] & b[word] & c[word]);
    }
}

/// <summary>No vectors.</summary>
internal readonly struct Lanes64 : ILanes
{
    /// <inheritdoc/>
    public static int CountBelow<T>(ReadOnlySpan<T> keys, T key)
        where T : unmanaged, IBinaryInteger<T>
    {
        int below = 0;
        foreach (T one in keys)
        {
            below += one < key ? 1 : 0;
        }

        return below;
    }

    /// <inheritdoc/>
    public static int FirstCommon(in Vector512<ulong> a, in Vector512<ulong> b, in Vector512<ulong> c)
    {
        for (int word = 0; word < Vector512<ulong>.Count; word++)
        {
            if ((a[word] & b[word] & c[word]) is var common and not 0)
            {
                return word * 64 + BitOperations.TrailingZeroCount(common);
            }
        }

        return -1;
    }
}

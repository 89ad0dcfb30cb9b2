namespace Filter.Rules.Compile.Classification;

/// <summary>
/// One field of the rules, its values cut into classes: packets whose values are in the same class meet the same rules.
/// A rule's value is what it says of the field, a set of points; equal sets have one number. Classes are written as
/// differences, so that many of them cost little where one follows from another.
/// </summary>
internal sealed class Field
{
    /// <summary>What a rule has that says nothing of the field.</summary>
    public const int Any = -1;

    /// <summary>What a rule has whose set holds no point.</summary>
    public const int Nothing = -2;

    /// <summary>The value of each rule: a number, <see cref="Any"/> or <see cref="Nothing"/>.</summary>
    public required int[] ValueOf { get; init; }

    /// <summary>How many values there are.</summary>
    public required int Values { get; init; }

    /// <summary>Where each class's piece of <see cref="Differences"/> begins; one more than there are classes.</summary>
    public required int[] DifferenceStart { get; init; }

    /// <summary>Values that cover a class and not the one before it, or the other way round. Nothing covers what is before the first.</summary>
    public required int[] Differences { get; init; }

    /// <summary>How many classes there are; at least one.</summary>
    public int Classes => DifferenceStart.Length - 1;

    /// <summary>Into how many runs of points the field's space falls: the scale of <see cref="Extents"/>.</summary>
    public int Runs { get; init; } = 1;

    /// <summary>Of each value, the first and last run that it covers, and how many.</summary>
    public Extent[] Extents { get; init; } = [];

    /// <summary>A field that no rule says anything of.</summary>
    public static Field Silent(int rules, int classes)
    {
        int[] valueOf = new int[rules];
        Array.Fill(valueOf, Any);
        return new Field { ValueOf = valueOf, Values = 0, DifferenceStart = new int[classes + 1], Differences = [] };
    }

    /// <summary>The values that cover each class, one bit each: <paramref name="words"/> words a class.</summary>
    public ulong[] Covers(int words)
    {
        ulong[] covers = new ulong[Classes * words];
        for (int one = 0; one < Classes; one++)
        {
            Span<ulong> cover = covers.AsSpan(one * words, words);
            if (one > 0)
            {
                covers.AsSpan((one - 1) * words, words).CopyTo(cover);
            }

            foreach (int value in Differences.AsSpan(DifferenceStart[one]..DifferenceStart[one + 1]))
            {
                cover[value >> 6] ^= 1UL << value;
            }
        }

        return covers;
    }
}

/// <summary>How far a value reaches, in runs.</summary>
/// <param name="First">The first run.</param>
/// <param name="Last">The last run.</param>
/// <param name="Width">How many of those between are its own.</param>
internal readonly record struct Extent(int First, int Last, int Width);

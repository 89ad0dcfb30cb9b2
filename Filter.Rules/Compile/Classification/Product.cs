using System.Numerics;

namespace Filter.Rules.Compile.Classification;

/// <summary>Two fields made one: the classes of their pairs, in a table, so that packets need one row for both.</summary>
/// <param name="Field">The classes of the pairs.</param>
/// <param name="Table">The class of each pair, those with the first field's class 0 first.</param>
internal sealed record Product(Field Field, int[] Table)
{
    private const int MostPairs = 400_000;
    private const long MostWords = 1 << 22;
    private const long MostCoverWords = 1 << 18;
    private const int MostReferences = 1 << 21;

    /// <summary>
    /// Makes one field of two. Null where that would be large: then packets look at both, which costs nanoseconds and not
    /// megabytes.
    /// </summary>
    public static Product? Of(Field a, Field b)
    {
        int rules = a.ValueOf.Length;
        Dictionary<(int, int), int> numbers = [];
        int[] valueOf = new int[rules];
        List<(int A, int B)> values = [];
        for (int rule = 0; rule < rules; rule++)
        {
            (int, int) value = (a.ValueOf[rule], b.ValueOf[rule]);
            if (value is (Field.Any, Field.Any))
            {
                valueOf[rule] = Field.Any;
                continue;
            }

            if (value is (Field.Nothing, _) or (_, Field.Nothing))
            {
                valueOf[rule] = Field.Nothing;
                continue;
            }

            if (!numbers.TryGetValue(value, out int number))
            {
                number = numbers.Count;
                numbers.Add(value, number);
                values.Add(value);
            }

            valueOf[rule] = number;
        }

        int words = Math.Max(1, (values.Count + 63) / 64);
        long pairs = (long)a.Classes * b.Classes;
        if (pairs > MostPairs || pairs * words > MostWords || (long)(a.Classes + b.Classes) * words > MostCoverWords)
        {
            return null;
        }

        // A class then costs a reference in each block of rules at worst.
        int blocks = (rules + BlockTable.RulesPerBlock - 1) / BlockTable.RulesPerBlock, most = MostReferences / Math.Max(1, blocks);
        ulong[] ofA = CoversOfPairs(a, values, static value => value.A, words), ofB = CoversOfPairs(b, values, static value => value.B, words);
        int[] table = new int[pairs];
        WordTable covers = new(words);
        Span<ulong> cover = new ulong[words];
        for (int pair = 0; pair < table.Length; pair++)
        {
            ReadOnlySpan<ulong> left = ofA.AsSpan(pair / b.Classes * words, words), right = ofB.AsSpan(pair % b.Classes * words, words);
            for (int i = 0; i < words; i++)
            {
                cover[i] = left[i] & right[i];
            }

            table[pair] = covers.Intern(cover);
            if (covers.Count > most)
            {
                return null;
            }
        }

        return new Product(Differences(covers, words, valueOf, values.Count), table);
    }

    /// <summary>For each class of one field, the pairs that it leaves possible.</summary>
    private static ulong[] CoversOfPairs(Field field, List<(int A, int B)> values, Func<(int A, int B), int> part, int words)
    {
        int ownWords = Math.Max(1, (field.Values + 63) / 64);
        ulong[] own = field.Covers(ownWords), covers = new ulong[field.Classes * words];
        for (int value = 0; value < values.Count; value++)
        {
            int mine = part(values[value]);
            for (int one = 0; one < field.Classes; one++)
            {
                ulong bit = mine == Field.Any ? 1 : own[one * ownWords + (mine >> 6)] >> mine & 1;
                covers[one * words + (value >> 6)] |= bit << value;
            }
        }

        return covers;
    }

    private static Field Differences(WordTable covers, int words, int[] valueOf, int values)
    {
        List<int> differences = [], start = [0];
        ulong[] before = new ulong[words];
        for (int one = 0; one < covers.Count; one++)
        {
            ReadOnlySpan<ulong> cover = covers[one];
            for (int i = 0; i < words; i++)
            {
                for (ulong left = cover[i] ^ before[i]; left != 0; left &= left - 1)
                {
                    differences.Add(i * 64 + BitOperations.TrailingZeroCount(left));
                }

                before[i] = cover[i];
            }

            start.Add(differences.Count);
        }

        return new Field { ValueOf = valueOf, Values = values, DifferenceStart = [.. start], Differences = [.. differences] };
    }
}

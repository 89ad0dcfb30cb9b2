using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Filter.Rules.Compile.Classification;

/// <summary>
/// Finds the classes of a field whose points lie on a line: walks along it from end to end, values beginning and ending on
/// the way. Costs what sorting the ends costs, however many rules share a value and however much values overlap.
/// </summary>
/// <typeparam name="TKey">A point.</typeparam>
/// <param name="values">How many values there will be.</param>
internal sealed class Sweep<TKey>(int values)
    where TKey : unmanaged, IBinaryInteger<TKey>, IMinMaxValue<TKey>
{
    private readonly List<TKey> _keys = [];
    private readonly List<int> _ends = [];

    /// <summary>Says that a value covers the points from first to last. Runs of one value must not overlap.</summary>
    public void Add(int value, TKey first, TKey last)
    {
        _keys.Add(first);
        _ends.Add(value);
        if (last != TKey.MaxValue)
        {
            _keys.Add(last + TKey.One);
            _ends.Add(value);
        }
    }

    /// <summary>Walks.</summary>
    /// <param name="valueOf">The value of each rule.</param>
    public Line<TKey> Walk(int[] valueOf)
    {
        Span<TKey> keys = CollectionsMarshal.AsSpan(_keys);
        Span<int> ends = CollectionsMarshal.AsSpan(_ends);
        keys.Sort(ends);

        // Two covers are the same if the random words of their values add up to the same. Nobody who writes rulesets knows
        // the words, which are drawn anew each time, so two that differ agree once in 2^128 pairs.
        UInt128[] words = new UInt128[values];
        RandomNumberGenerator.Fill(MemoryMarshal.AsBytes(words.AsSpan()));
        Dictionary<UInt128, int> classes = [];
        List<TKey> starts = [];
        List<int> classOf = [], differences = [], differenceStart = [0], pending = [];
        Standing[] standing = new Standing[values];
        UInt128 cover = 0;
        int at = 0;
        while (true)
        {
            TKey start = starts.Count == 0 && classOf.Count == 0 ? TKey.MinValue : keys[at];
            UInt128 before = cover;
            for (; at < keys.Length && keys[at] == start; at++)
            {
                int value = ends[at];
                cover ^= words[value];
                Turn(ref standing[value], classOf.Count);
                if (!standing[value].Listed)
                {
                    standing[value].Listed = true;
                    pending.Add(value);
                }
            }

            if (classOf.Count == 0 || cover != before)
            {
                if (classes.TryAdd(cover, classes.Count))
                {
                    Settle();
                    differenceStart.Add(differences.Count);
                }

                if (classOf.Count > 0)
                {
                    starts.Add(start);
                }

                classOf.Add(classes[cover]);
            }

            if (at == keys.Length)
            {
                break;
            }
        }

        Extent[] extents = new Extent[values];
        for (int value = 0; value < values; value++)
        {
            ref Standing one = ref standing[value];
            if (one.Inside)
            {
                Turn(ref one, classOf.Count);
            }

            extents[value] = new(one.First, one.Last, one.Width);
        }

        Field field = new()
        {
            ValueOf = valueOf,
            Values = values,
            DifferenceStart = [.. differenceStart],
            Differences = [.. differences],
            Runs = classOf.Count,
            Extents = extents,
        };
        return new Line<TKey>(field, [.. starts], [.. classOf]);

        // What began and ended since the last new class is no difference.
        void Settle()
        {
            foreach (int value in pending)
            {
                ref Standing one = ref standing[value];
                one.Listed = false;
                if (one.Inside != one.Told)
                {
                    one.Told = one.Inside;
                    differences.Add(value);
                }
            }

            pending.Clear();
        }
    }

    private static void Turn(ref Standing value, int run)
    {
        if (value.Inside)
        {
            value.Width += run - value.Since;
            value.Last = run - 1;
        }
        else
        {
            value.First = value.Width == 0 ? run : value.First;
            value.Since = run;
        }

        value.Inside = !value.Inside;
    }

    /// <summary>Where the walk stands with a value.</summary>
    private struct Standing
    {
        public int First, Last, Width, Since;
        public bool Inside, Told, Listed;
    }
}

/// <summary>A line cut into runs, each with its class.</summary>
/// <param name="Field">The classes.</param>
/// <param name="Starts">Where each run but the first starts, in order.</param>
/// <param name="ClassOf">The class of each run; one more than there are starts.</param>
internal sealed record Line<TKey>(Field Field, TKey[] Starts, int[] ClassOf)
    where TKey : unmanaged, IBinaryInteger<TKey>
{
    /// <summary>The classes of points that follow each other; a single one if they all have the same.</summary>
    public int[] Classes(TKey first, int count)
    {
        int run = Starts.AsSpan().BinarySearch(first);
        run = run < 0 ? ~run : run + 1;
        TKey behind = first + TKey.CreateChecked(count);
        if (run == Starts.Length || Starts[run] >= behind)
        {
            return [ClassOf[run]];
        }

        int[] classes = new int[count];
        for (int i = 0; i < count; i++)
        {
            while (run < Starts.Length && Starts[run] - first <= TKey.CreateChecked(i))
            {
                run++;
            }

            classes[i] = ClassOf[run];
        }

        return classes;
    }
}

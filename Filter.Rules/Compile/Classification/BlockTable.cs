using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Filter.Rules.Compile.Classification;

/// <summary>
/// The rules of one family in blocks, and for each class of each field a row that says which of them match. A row holds one
/// bit for each block with a match at all; one for each block that meets other rules than those that say nothing of the
/// field; and for each of the latter the number of a vector of 512 bits, one for each rule of the block. Equal vectors are
/// kept once.
/// </summary>
internal sealed class BlockTable
{
    /// <summary>Rules in a block: a cache line of bits.</summary>
    public const int RulesPerBlock = 512;

    /// <summary>Words of a vector.</summary>
    public const int VectorWords = RulesPerBlock / 64;

    /// <summary>Fields at most: two addresses, and up to three beside them.</summary>
    public const int MostFields = 5;

    private readonly Aligned<ulong> _rows;
    private readonly Aligned<ulong> _vectors;
    private readonly int[] _rules;          // by block and place; int.MaxValue where there is none
    private readonly Head[] _heads;         // of each block
    private readonly int[] _lasts;          // of each block
    private readonly int[] _usual;          // for each field and block, the vector of the rules that say nothing of it
    private readonly int _words;

    internal BlockTable(Aligned<ulong> rows, Aligned<ulong> vectors, int[] rules, int[] usual, int blocks)
    {
        _rows = rows;
        _vectors = vectors;
        _rules = rules;
        _usual = usual;
        _words = (blocks + 63) / 64;
        _heads = new Head[blocks];
        _lasts = new int[blocks];
        for (int block = 0; block < blocks; block++)
        {
            ReadOnlySpan<int> own = rules.AsSpan(block * RulesPerBlock, RulesPerBlock);
            int count = own.IndexOf(int.MaxValue);
            _heads[block] = new(own[0], usual[block], usual[blocks + block], usual[2 * blocks + block]);
            _lasts[block] = own[(count < 0 ? RulesPerBlock : count) - 1];
        }
    }

    /// <summary>Bytes it takes.</summary>
    public long Size => 8L * (_rows.Length + _vectors.Length) + 4L * (_rules.Length + 5 * _lasts.Length + _usual.Length);

    /// <summary>The first rule that matches; -1 if there is none: what nearly every lookup asks.</summary>
    /// <typeparam name="TLanes">What the machine has.</typeparam>
    /// <typeparam name="TFields">Whether there are three fields or five.</typeparam>
    public int First<TLanes, TFields>(in Candidates of)
        where TLanes : struct, ILanes
        where TFields : struct, IFieldCount
    {
        ReadOnlySpan<ulong> rows = _rows.Span;
        ReadOnlySpan<uint> references = MemoryMarshal.Cast<ulong, uint>(rows);
        ReadOnlySpan<Vector512<ulong>> vectors = MemoryMarshal.Cast<ulong, Vector512<ulong>>(_vectors.Span);
        int words = _words, found = Candidates.None, a = of.A, b = of.B, c = of.C;
        int ofA = 2 * (a + 2 * words), ofB = 2 * (b + 2 * words), ofC = 2 * (c + 2 * words);
        int ofD = 2 * (of.D + 2 * words), ofE = 2 * (of.E + 2 * words);
        for (int word = 0; word < words; word++)
        {
            ulong live = rows[a + word] & rows[b + word] & rows[c + word], specialD = 0, specialE = 0;
            ulong specialA = rows[a + words + word], specialB = rows[b + words + word], specialC = rows[c + words + word];
            if (TFields.IsFive)
            {
                live &= rows[of.D + word] & rows[of.E + word];
                specialD = rows[of.D + words + word];
                specialE = rows[of.E + words + word];
            }

            for (; live != 0; live &= live - 1)
            {
                int bit = BitOperations.TrailingZeroCount(live), block = word * 64 + bit;
                ref readonly Head head = ref _heads[block];
                if (head.First > found)
                {
                    return found;
                }

                ref readonly Vector512<ulong> inA = ref vectors[Pick(references, ofA, specialA, bit, head.UsualA)];
                ref readonly Vector512<ulong> inB = ref vectors[Pick(references, ofB, specialB, bit, head.UsualB)];
                ref readonly Vector512<ulong> inC = ref vectors[Pick(references, ofC, specialC, bit, head.UsualC)];
                int place;
                if (TFields.IsFive)
                {
                    Vector512<ulong> rest = inC
                        & vectors[Pick(references, ofD, specialD, bit, _usual[3 * _heads.Length + block])]
                        & vectors[Pick(references, ofE, specialE, bit, _usual[4 * _heads.Length + block])];
                    place = TLanes.FirstCommon(in inA, in inB, in rest);
                }
                else
                {
                    place = TLanes.FirstCommon(in inA, in inB, in inC);
                }

                if (place >= 0)
                {
                    found = Math.Min(found, _rules[block * RulesPerBlock + place]);
                }
            }

            ofA += BitOperations.PopCount(specialA);
            ofB += BitOperations.PopCount(specialB);
            ofC += BitOperations.PopCount(specialC);
            ofD += BitOperations.PopCount(specialD);
            ofE += BitOperations.PopCount(specialE);
        }

        return found == Candidates.None ? -1 : found;
    }

    /// <summary>The next rule in order that matches; -1 if there is none.</summary>
    public int Next(ref Candidates of)
    {
        if (of.Rest != 0 && _rules[of.RestAt + BitOperations.TrailingZeroCount(of.Rest)] is var next && next < of.Limit)
        {
            of.Rest &= of.Rest - 1;
            return of.After = next;
        }

        // Blocks stand in the order of their first rules; those that lie wholly behind are passed once.
        int passed = of.Passed, after = of.After, found = Candidates.None;
        while (passed < _lasts.Length && _lasts[passed] <= after)
        {
            passed++;
        }

        of.Passed = passed;
        of.Limit = Candidates.None;
        of.Rest = 0;
        for (int word = passed >> 6; word < _words; word++)
        {
            ulong live = Live(of, word) & (word == passed >> 6 ? ulong.MaxValue << passed : ulong.MaxValue);
            for (; live != 0; live &= live - 1)
            {
                int block = word * 64 + BitOperations.TrailingZeroCount(live);
                if (_heads[block].First > found)
                {
                    of.Limit = Math.Min(of.Limit, _heads[block].First);
                    return of.After = found;
                }

                if (_lasts[block] <= after || FirstBehind(of, block, out int at, out ulong rest) is not (>= 0 and var place))
                {
                    continue;
                }

                int rule = _rules[place];
                of.Limit = Math.Min(of.Limit, Math.Max(rule, found));
                if (rule < found)
                {
                    (found, of.RestAt, of.Rest) = (rule, at, rest);
                }
            }
        }

        of.After = found;
        return found == Candidates.None ? -1 : found;
    }

    /// <summary>The vector of a row for a block: the row's own, or else the usual one. Without a branch, since nobody could foretell it.</summary>
    private static int Pick(ReadOnlySpan<uint> references, int start, ulong special, int bit, int usual)
    {
        int own = (int)references[start + BitOperations.PopCount(special & ((1UL << bit) - 1))], choose = -(int)(special >> bit & 1);
        return (own & choose) | (usual & ~choose);
    }

    private ulong Live(in Candidates of, int word)
    {
        ReadOnlySpan<ulong> rows = _rows.Span;
        return rows[of.A + word] & rows[of.B + word] & rows[of.C + word]
            & (of.HasFive ? rows[of.D + word] & rows[of.E + word] : ulong.MaxValue);
    }

    /// <summary>The first place of a block that matches in every field there is, and whose rule is behind those that were told; -1 if there is none.</summary>
    /// <param name="of">The packet.</param>
    /// <param name="block">The block.</param>
    /// <param name="at">The place of the word's first bit.</param>
    /// <param name="rest">What else of that word matches.</param>
    private int FirstBehind(in Candidates of, int block, out int at, out ulong rest)
    {
        int from = 0;
        if (_heads[block].First <= of.After)
        {
            from = _rules.AsSpan(block * RulesPerBlock, RulesPerBlock).BinarySearch(of.After + 1);
            from = from < 0 ? ~from : from;
        }

        ReadOnlySpan<ulong> a = Vector(of.A, 0, block), b = Vector(of.B, 1, block), c = Vector(of.C, 2, block);
        ReadOnlySpan<ulong> d = of.HasFive ? Vector(of.D, 3, block) : a, e = of.HasFive ? Vector(of.E, 4, block) : a;
        ulong behind = ulong.MaxValue << from;
        for (int word = from >> 6; word < VectorWords; word++)
        {
            ulong common = a[word] & b[word] & c[word] & d[word] & e[word] & behind;
            if (common != 0)
            {
                at = block * RulesPerBlock + word * 64;
                rest = common & (common - 1);
                return at + BitOperations.TrailingZeroCount(common);
            }

            behind = ulong.MaxValue;
        }

        at = 0;
        rest = 0;
        return -1;
    }

    /// <summary>The vector of a row for a block.</summary>
    private ReadOnlySpan<ulong> Vector(int row, int field, int block)
    {
        ReadOnlySpan<ulong> rows = _rows.Span, special = rows.Slice(row + _words, _words);
        int start = 2 * (row + 2 * _words);
        for (int word = 0; word < block >> 6; word++)
        {
            start += BitOperations.PopCount(special[word]);
        }

        int number = Pick(MemoryMarshal.Cast<ulong, uint>(rows), start, special[block >> 6], block & 63, _usual[field * _lasts.Length + block]);
        return _vectors.Span.Slice(number * VectorWords, VectorWords);
    }

    /// <summary>What every lookup wants to know of a block: its first rule, and the usual vectors of the first three fields.</summary>
    private readonly record struct Head(int First, int UsualA, int UsualB, int UsualC);
}

/// <summary>A packet's rows, and how far its candidates were told.</summary>
internal struct Candidates
{
    /// <summary>What <see cref="After"/> is when there are no more.</summary>
    public const int None = int.MaxValue;

    /// <summary>The table of the packet's family; null where no rule is of it.</summary>
    public BlockTable? Table;

    /// <summary>Where the rows begin: of source, destination, and all else.</summary>
    public int A, B, C;

    /// <summary>Those of crossing and source port where they stand alone; -1 where not.</summary>
    public int D, E;

    /// <summary>The last that was told; -1 before the first.</summary>
    public int After;

    /// <summary>Blocks that hold no candidate any more.</summary>
    public int Passed;

    /// <summary>Places behind the last that was told which match as well, as bits of one word; and where its first bit stands.</summary>
    public ulong Rest;

    /// <inheritdoc cref="Rest"/>
    public int RestAt;

    /// <summary>Rules from here on may match in other places before <see cref="Rest"/> does.</summary>
    public int Limit;

    /// <summary>Whether there are more than three rows.</summary>
    public readonly bool HasFive => D >= 0;
}

/// <summary>How many fields packets look at.</summary>
internal interface IFieldCount
{
    /// <summary>Whether crossing and source port stand alone.</summary>
    static abstract bool IsFive { get; }
}

/// <summary>Source, destination, all else.</summary>
internal readonly struct ThreeFields : IFieldCount
{
    /// <inheritdoc/>
    public static bool IsFive => false;
}

/// <summary>Source, destination, service, crossing, source port.</summary>
internal readonly struct FiveFields : IFieldCount
{
    /// <inheritdoc/>
    public static bool IsFive => true;
}

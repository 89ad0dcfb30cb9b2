using System.Numerics;
using System.Runtime.InteropServices;

namespace Filter.Rules.Compile.Classification;

/// <summary>
/// Writes the rows of a <see cref="BlockTable"/>, class after class: a class costs what differs from the one before it, so
/// the work is bounded by what the rules say and by the memory that it may take.
/// </summary>
internal sealed class BlockTableBuilder
{
    private readonly List<ArraySegment<int>> _blocks;
    private readonly int _words;
    private readonly WordTable _vectors = new(BlockTable.VectorWords);
    private readonly List<ulong> _rows = [];
    private readonly int[] _usual;

    /// <summary>A builder.</summary>
    /// <param name="blocks">The rules of each block.</param>
    public BlockTableBuilder(List<ArraySegment<int>> blocks)
    {
        _blocks = blocks;
        _words = (blocks.Count + 63) / 64;
        _usual = new int[BlockTable.MostFields * blocks.Count];
    }

    /// <summary>Bytes that it holds so far.</summary>
    public long Size => 8L * (_rows.Count + _vectors.Words.Length);

    /// <summary>Writes the rows of a field.</summary>
    /// <param name="number">Which field.</param>
    /// <param name="field">The field.</param>
    /// <param name="most">Bytes that the builder may hold.</param>
    /// <returns>Where the row of each class begins; null if there is no room.</returns>
    public int[]? Add(int number, Field field, long most)
    {
        ulong[] current = new ulong[_blocks.Count * BlockTable.VectorWords];
        (int[] start, WordBits[] bits) = Places(field, current);
        Span<int> usual = _usual.AsSpan(number * _blocks.Count, _blocks.Count);
        int[] vectors = new int[_blocks.Count];
        ulong[] live = new ulong[_words], special = new ulong[_words], changed = new ulong[_words];
        for (int block = 0; block < vectors.Length; block++)
        {
            usual[block] = Settle(block);
        }

        int[] rowOf = new int[field.Classes];
        for (int one = 0; one < rowOf.Length; one++)
        {
            foreach (int value in field.Differences.AsSpan(field.DifferenceStart[one]..field.DifferenceStart[one + 1]))
            {
                foreach (WordBits piece in bits.AsSpan(start[value]..start[value + 1]))
                {
                    current[piece.Word] ^= piece.Bits;
                    int block = piece.Word / BlockTable.VectorWords;
                    changed[block >> 6] |= 1UL << block;
                }
            }

            for (int word = 0; word < _words; word++)
            {
                for (; changed[word] != 0; changed[word] &= changed[word] - 1)
                {
                    int block = word * 64 + BitOperations.TrailingZeroCount(changed[word]);
                    if (Settle(block) != usual[block])
                    {
                        special[word] |= 1UL << block;
                    }
                    else
                    {
                        special[word] &= ~(1UL << block);
                    }
                }
            }

            rowOf[one] = Write(live, special, vectors);
            if (Size > most)
            {
                return null;
            }
        }

        return rowOf;

        int Settle(int block)
        {
            ReadOnlySpan<ulong> vector = current.AsSpan(block * BlockTable.VectorWords, BlockTable.VectorWords);
            vectors[block] = _vectors.Intern(vector);
            ulong bit = 1UL << block;
            ref ulong word = ref live[block >> 6];
            word = vector.ContainsAnyExcept(0UL) ? word | bit : word & ~bit;
            return vectors[block];
        }
    }

    /// <summary>The finished table.</summary>
    public BlockTable Build()
    {
        int[] rules = new int[_blocks.Count * BlockTable.RulesPerBlock];
        rules.AsSpan().Fill(int.MaxValue);
        for (int block = 0; block < _blocks.Count; block++)
        {
            _blocks[block].AsSpan().CopyTo(rules.AsSpan(block * BlockTable.RulesPerBlock));
        }

        // A reader looks one reference behind the last row before it knows that it does not want it.
        _rows.Add(0);
        return new BlockTable(new(CollectionsMarshal.AsSpan(_rows)), new(_vectors.Words), rules, _usual, _blocks.Count);
    }

    /// <summary>Appends a row, in as few cache lines as it can lie in.</summary>
    private int Write(ulong[] live, ulong[] special, int[] vectors)
    {
        const int line = 8;
        int references = 0;
        for (int word = 0; word < _words; word++)
        {
            references += BitOperations.PopCount(special[word] & live[word]);
        }

        int length = 2 * _words + (references + 1) / 2, into = _rows.Count % line;
        int row = _rows.Count + (into > 0 && (into + length - 1) / line > (length - 1) / line ? line - into : 0);
        CollectionsMarshal.SetCount(_rows, row + length);
        Span<ulong> written = CollectionsMarshal.AsSpan(_rows).Slice(row, length);
        written[^1] = 0;
        Span<uint> numbers = MemoryMarshal.Cast<ulong, uint>(written[(2 * _words)..]);
        int at = 0;
        for (int word = 0; word < _words; word++)
        {
            written[word] = live[word];
            written[_words + word] = special[word] & live[word];
            for (ulong left = written[_words + word]; left != 0; left &= left - 1)
            {
                numbers[at++] = (uint)vectors[word * 64 + BitOperations.TrailingZeroCount(left)];
            }
        }

        return row;
    }

    /// <summary>Where the rules of each value have their bits; those that say nothing of the field get theirs at once.</summary>
    private (int[] Start, WordBits[] Bits) Places(Field field, ulong[] usual)
    {
        int[] start = new int[field.Values + 1], last = new int[field.Values];
        WordBits[] bits = [];
        for (int pass = 0; pass < 2; pass++)
        {
            Array.Fill(last, -1);
            for (int block = 0; block < _blocks.Count; block++)
            {
                ReadOnlySpan<int> rules = _blocks[block];
                for (int place = 0; place < rules.Length; place++)
                {
                    int word = block * BlockTable.VectorWords + place / 64, value = field.ValueOf[rules[place]];
                    if (value < 0)
                    {
                        usual[word] |= 1UL << place;
                        continue;
                    }

                    if (last[value] != word)
                    {
                        last[value] = word;
                        start[value]++;
                        if (pass == 1)
                        {
                            bits[start[value] - 1].Word = word;
                        }
                    }

                    if (pass == 1)
                    {
                        bits[start[value] - 1].Bits |= 1UL << place;
                    }
                }
            }

            if (pass == 0)
            {
                // From counts to where each piece begins; the second pass moves it to where it ends.
                int sum = 0;
                for (int value = 0; value <= field.Values; value++)
                {
                    (start[value], sum) = (sum, sum + start[value]);
                }

                bits = new WordBits[sum];
            }
        }

        start.AsSpan(0, field.Values).CopyTo(start.AsSpan(1));
        start[0] = 0;
        return (start, bits);
    }

    /// <summary>Bits of one word.</summary>
    private struct WordBits
    {
        public int Word;
        public ulong Bits;
    }
}

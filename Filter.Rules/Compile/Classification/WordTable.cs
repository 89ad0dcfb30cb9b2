using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Filter.Rules.Compile.Classification;

/// <summary>
/// Rows of words, each kept once and known by its number. Rows are compared word by word; the hash, keyed at random, only
/// says where to look, so a ruleset can neither make two rows one nor crowd them.
/// </summary>
internal sealed class WordTable
{
    private readonly int _width;
    private readonly ulong[] _key;
    private ulong[] _words;
    private int[] _slots = new int[1024];           // number + 1; 0 for free

    /// <summary>An empty table.</summary>
    /// <param name="width">Words a row.</param>
    public WordTable(int width)
    {
        _width = width;
        _words = new ulong[64 * width];
        _key = new ulong[width];
        RandomNumberGenerator.Fill(MemoryMarshal.AsBytes(_key.AsSpan()));
    }

    /// <summary>How many rows there are.</summary>
    public int Count { get; private set; }

    /// <summary>All rows, one after the other.</summary>
    public ReadOnlySpan<ulong> Words => _words.AsSpan(0, Count * _width);

    /// <summary>The row of that number.</summary>
    public ReadOnlySpan<ulong> this[int number] => _words.AsSpan(number * _width, _width);

    /// <summary>The number of the row; a new one if it was not there.</summary>
    public int Intern(ReadOnlySpan<ulong> row)
    {
        int at = (int)Hash(row) & (_slots.Length - 1);
        for (; _slots[at] != 0; at = (at + 1) & (_slots.Length - 1))
        {
            if (row.SequenceEqual(this[_slots[at] - 1]))
            {
                return _slots[at] - 1;
            }
        }

        if ((Count + 1) * _width > _words.Length)
        {
            Array.Resize(ref _words, 2 * _words.Length);
        }

        row.CopyTo(_words.AsSpan(Count * _width));
        _slots[at] = ++Count;
        if (2 * Count > _slots.Length)
        {
            Spread();
        }

        return Count - 1;
    }

    private void Spread()
    {
        _slots = new int[2 * _slots.Length];
        for (int number = 0; number < Count; number++)
        {
            int at = (int)Hash(this[number]) & (_slots.Length - 1);
            while (_slots[at] != 0)
            {
                at = (at + 1) & (_slots.Length - 1);
            }

            _slots[at] = number + 1;
        }
    }

    /// <summary>NH of UMAC (RFC 4418 §5.2.2), mixed: no two rows agree more often than by chance.</summary>
    private uint Hash(ReadOnlySpan<ulong> row)
    {
        ulong sum = 0;
        ReadOnlySpan<ulong> key = _key.AsSpan(0, row.Length);
        for (int i = 0; i < row.Length; i++)
        {
            ulong word = row[i], with = key[i];
            sum += (ulong)((uint)word + (uint)with) * ((uint)(word >> 32) + (uint)(with >> 32));
        }

        return (uint)((sum * 0x9e37_79b9_7f4a_7c15) >> 32);
    }
}

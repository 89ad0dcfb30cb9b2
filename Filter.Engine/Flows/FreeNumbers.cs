using System.Numerics;

namespace Filter.Engine.Flows;

/// <summary>
/// Numbers to be given again, the lowest first, so that what lives gathers at the front. A bit each, and above each word of bits one
/// that says whether any is set: taking and giving touch one word a level.
/// </summary>
internal sealed class FreeNumbers
{
    private const int Bits = 64;

    private readonly ulong[][] _levels;

    /// <summary>For numbers from 0 to below <paramref name="count"/>; none is free.</summary>
    public FreeNumbers(int count)
    {
        List<ulong[]> levels = [];
        do
        {
            count = (count + Bits - 1) / Bits;
            levels.Add(new ulong[count]);
        }
        while (count > 1);

        _levels = [.. levels];
    }

    /// <summary>Whether it is free.</summary>
    public bool Holds(int number) => (_levels[0][number / Bits] >> (number % Bits) & 1) != 0;

    /// <summary>Frees a number.</summary>
    public void Give(int number)
    {
        foreach (ulong[] level in _levels)
        {
            ref ulong word = ref level[number / Bits];
            bool known = word != 0;
            word |= 1UL << (number % Bits);
            if (known)
            {
                return;
            }

            number /= Bits;
        }
    }

    /// <summary>Takes a free number out.</summary>
    public void Take(int number)
    {
        foreach (ulong[] level in _levels)
        {
            ref ulong word = ref level[number / Bits];
            word &= ~(1UL << (number % Bits));
            if (word != 0)
            {
                return;
            }

            number /= Bits;
        }
    }

    /// <summary>Takes the lowest free number; false where there is none.</summary>
    public bool TryTake(out int number)
    {
        number = 0;
        for (int level = _levels.Length - 1; level >= 0; level--)
        {
            ulong word = _levels[level][number];
            if (word == 0)
            {
                return false;                   // of the uppermost level alone: below a set bit stands another
            }

            number = (number * Bits) + BitOperations.TrailingZeroCount(word);
        }

        Take(number);
        return true;
    }
}

namespace Filter.Ipsec.Protocols;

/// <summary>
/// The anti-replay window of an inbound SA (RFC 4303 §3.4.3): the highest sequence number that was verified, and which
/// of the numbers just below it were. Blocks of bits form a ring, so moving the window shifts nothing (RFC 6479). Numbers
/// have 64 bits, extended or not. One worker owns it.
/// </summary>
public sealed class ReplayWindow
{
    /// <summary>The smallest window, in packets (RFC 4303 §3.4.3).</summary>
    public const int Smallest = 32;

    /// <summary>The largest window, in packets.</summary>
    public const int Largest = 65536;

    private const int BlockBits = 64;

    private readonly ulong[] _blocks;
    private ulong _top;
    private int _topAt;

    /// <summary>A window of <paramref name="size"/> packets, nothing seen.</summary>
    public ReplayWindow(int size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, Smallest);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, Largest);
        Size = size;

        // One block more than the window spans: the top block is only partly in use.
        _blocks = new ulong[(size / BlockBits) + 2];
    }

    /// <summary>How many numbers the window spans.</summary>
    public int Size { get; }

    /// <summary>The highest number taken; 0 before the first.</summary>
    public ulong Top => _top;

    /// <summary>
    /// The 64-bit number that the 32 bits of a packet stand for (RFC 4303 appendix A2): the one nearest to the window that is not
    /// left of it; 0, which no packet has, where that would lie before the first.
    /// </summary>
    public ulong Extend(uint low)
    {
        uint top = (uint)_top, high = (uint)(_top >> 32), bottom = unchecked(top - (uint)Size + 1);
        if (top >= (uint)Size - 1)
        {
            // The window lies within one run of 32 bits: what is left of it belongs to the next run.
            return low >= bottom ? Join(high, low) : high == uint.MaxValue ? 0 : Join(high + 1, low);
        }

        // It spans two: high numbers belong to the run before.
        return low < bottom ? Join(high, low) : high == 0 ? 0 : Join(high - 1, low);
    }

    /// <summary>Whether a packet of this number could be new. Asked before its ICV is checked, and again after.</summary>
    public bool Accepts(ulong sequence)
    {
        if (sequence == 0)
        {
            return false;           // the first packet has number 1 (RFC 4303 §2.2)
        }

        return sequence > _top || (_top - sequence < (ulong)Size && (Block(sequence) & Bit(sequence)) == 0);
    }

    /// <summary>Notes an accepted packet whose ICV is good; moves the window where the number is the highest yet.</summary>
    public void Take(ulong sequence)
    {
        if (sequence > _top)
        {
            ulong moved = (sequence / BlockBits) - (_top / BlockBits);
            if (moved >= (ulong)_blocks.Length)
            {
                Array.Clear(_blocks);
                moved = 0;                          // where the ring begins does not matter while it is empty
            }

            for (; moved > 0; moved--)
            {
                _topAt = _topAt + 1 < _blocks.Length ? _topAt + 1 : 0;
                _blocks[_topAt] = 0;
            }

            _top = sequence;
        }

        Block(sequence) |= Bit(sequence);
    }

    /// <summary>Reads where the next number most likely falls, so that it is at hand by then. What it gives is of no meaning.</summary>
    internal long Warm() => (long)_blocks[_topAt];

    private static ulong Join(uint high, uint low) => ((ulong)high << 32) | low;

    private static ulong Bit(ulong sequence) => 1UL << (int)(sequence % BlockBits);

    /// <summary>The block of a number that is not above the top, nor further below it than the ring is long.</summary>
    private ref ulong Block(ulong sequence)
    {
        int at = _topAt - (int)((_top / BlockBits) - (sequence / BlockBits));
        return ref _blocks[at < 0 ? at + _blocks.Length : at];
    }
}

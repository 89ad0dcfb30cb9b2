namespace Filter.Engine.Packets;

/// <summary>
/// Where frames wait longer than a burst: fixed blocks, allocated once, chained to hold one frame
/// each. When it is full it says so; nothing grows. Owned by one worker.
/// </summary>
public sealed class FramePool
{
    /// <summary>Bytes of a block: an Ethernet frame takes three, a small one wastes little.</summary>
    public const int BlockSize = 512;

    private readonly byte[] _bytes;
    private readonly int[] _next;           // of a block, the next of its chain or of the free list; 0 ends both
    private int _firstFree;

    /// <summary>A pool of at least <paramref name="size"/> bytes.</summary>
    public FramePool(int size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        int blocks = Blocks(size);
        _bytes = GC.AllocateUninitializedArray<byte>(blocks * BlockSize);
        _next = new int[blocks + 1];
        for (int block = 1; block < blocks; block++)
        {
            _next[block] = block + 1;
        }

        _firstFree = 1;
        FreeBlocks = blocks;
    }

    /// <summary>Blocks that hold nothing.</summary>
    public int FreeBlocks { get; private set; }

    /// <summary>How many blocks a frame of that length takes.</summary>
    public static int Blocks(int length) => (length + BlockSize - 1) / BlockSize;

    /// <summary>Copies a frame into the pool.</summary>
    /// <param name="frame">The frame; not empty.</param>
    /// <param name="handle">Names it from now on; never 0.</param>
    /// <returns>False where there is no room.</returns>
    public bool TryStore(ReadOnlySpan<byte> frame, out int handle)
    {
        handle = 0;
        int blocks = Blocks(frame.Length);
        if (blocks == 0 || blocks > FreeBlocks)
        {
            return false;
        }

        handle = _firstFree;
        int block = handle;
        for (int rest = blocks; ; rest--)
        {
            int length = Math.Min(frame.Length, BlockSize);
            frame[..length].CopyTo(_bytes.AsSpan((block - 1) * BlockSize));
            frame = frame[length..];
            if (rest == 1)
            {
                break;
            }

            block = _next[block];
        }

        _firstFree = _next[block];
        _next[block] = 0;
        FreeBlocks -= blocks;
        return true;
    }

    /// <summary>Copies a part of a stored frame out: from <paramref name="offset"/>, as much as <paramref name="to"/> takes.</summary>
    public void Copy(int handle, int offset, Span<byte> to)
    {
        int block = Seek(handle, ref offset);
        while (!to.IsEmpty)
        {
            Span<byte> from = _bytes.AsSpan(((block - 1) * BlockSize) + offset, BlockSize - offset);
            from = from[..Math.Min(from.Length, to.Length)];
            from.CopyTo(to);
            to = to[from.Length..];
            offset = 0;
            block = _next[block];
        }
    }

    /// <summary>Whether a stored frame has these bytes at <paramref name="offset"/>.</summary>
    public bool Holds(int handle, int offset, ReadOnlySpan<byte> bytes)
    {
        int block = Seek(handle, ref offset);
        while (!bytes.IsEmpty)
        {
            Span<byte> mine = _bytes.AsSpan(((block - 1) * BlockSize) + offset, BlockSize - offset);
            mine = mine[..Math.Min(mine.Length, bytes.Length)];
            if (!mine.SequenceEqual(bytes[..mine.Length]))
            {
                return false;
            }

            bytes = bytes[mine.Length..];
            offset = 0;
            block = _next[block];
        }

        return true;
    }

    /// <summary>Gives a frame's blocks back.</summary>
    /// <returns>How many.</returns>
    public int Free(int handle)
    {
        int blocks = 1;
        int last = handle;
        while (_next[last] != 0)
        {
            last = _next[last];
            blocks++;
        }

        _next[last] = _firstFree;
        _firstFree = handle;
        FreeBlocks += blocks;
        return blocks;
    }

    private int Seek(int handle, ref int offset)
    {
        while (offset >= BlockSize)
        {
            handle = _next[handle];
            offset -= BlockSize;
        }

        return handle;
    }
}

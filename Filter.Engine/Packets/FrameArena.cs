namespace Filter.Engine.Packets;

/// <summary>
/// The room in which a burst's frames live: one pinned slab, rented from front to back and given
/// back all at once when the burst ends. Owned by one worker; nothing in it outlives the burst.
/// </summary>
public sealed class FrameArena
{
    /// <summary>Free bytes before and behind each frame, for tunnel headers and trailers.</summary>
    public const int Room = 128;

    /// <summary>The longest frame: 64 KiB of IP packet behind Ethernet and two tags.</summary>
    public const int MaxFrame = 65535 + 14 + (4 * VlanStack.Most) + 2;

    private int _used;

    /// <summary>An arena of <paramref name="size"/> bytes, rounded up to a page.</summary>
    public FrameArena(int size) => Slab = GC.AllocateUninitializedArray<byte>((size + 4095) & ~4095, pinned: true);

    /// <summary>The slab. Pinned: its address may be given to the kernel.</summary>
    public byte[] Slab { get; }

    /// <summary>Bytes not yet rented.</summary>
    public int Free => Slab.Length - _used;

    /// <summary>
    /// Rents a frame of at most <paramref name="capacity"/> bytes with <see cref="Room"/> before and behind it.
    /// </summary>
    /// <param name="capacity">Most bytes that the frame will hold.</param>
    /// <param name="start">Where the frame starts in the slab.</param>
    /// <returns>False where the arena is spent: the packet must be dropped and counted.</returns>
    public bool TryRent(int capacity, out int start)
    {
        int whole = Whole(capacity);
        if (capacity < 0 || whole > Free)
        {
            start = 0;
            return false;
        }

        start = _used + Room;
        _used += whole;
        return true;
    }

    /// <summary>Whether so many frames of that capacity could be rented.</summary>
    public bool HasRoomFor(int frames, int capacity) => capacity >= 0 && (long)frames * Whole(capacity) <= Free;

    /// <summary>Gives everything back.</summary>
    public void Reset() => _used = 0;

    private static int Whole(int capacity) => (Room + capacity + Room + 63) & ~63;
}

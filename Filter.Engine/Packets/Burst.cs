namespace Filter.Engine.Packets;

/// <summary>
/// Packets that are walked together, and the arena their bytes live in. Steps run over the whole
/// burst in order and may append packets; nothing in it outlives <see cref="Reset"/>.
/// </summary>
public sealed class Burst
{
    /// <summary>Most packets taken from one port at a time.</summary>
    public const int Intake = 64;

    /// <summary>Most packets in a burst: each of <see cref="Intake"/> may become some sixty segments.</summary>
    public const int Capacity = 4096;

    /// <summary>Bytes for frames: one intake of super-frames, and as much again for what they become.</summary>
    private const int ArenaSize = 2 * Intake * (FrameArena.MaxFrame + (8 * 1024));

    /// <summary>The packets; those from <see cref="Count"/> on are stale.</summary>
    public Packet[] Packets { get; } = new Packet[Capacity];

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>The time of this burst, in nanoseconds of a monotonic or a capture's clock.</summary>
    public long Now { get; set; }

    /// <summary>Where the frames live.</summary>
    public FrameArena Arena { get; } = new(ArenaSize);

    /// <summary>Packets lost because the burst or its arena was full.</summary>
    public long Overflows { get; private set; }

    /// <summary>
    /// Appends a packet with room for <paramref name="capacity"/> bytes, its fields cleared and its
    /// length 0. False, counted in <see cref="Overflows"/>, where there is no room.
    /// </summary>
    public bool TryAppend(int capacity, out int index)
    {
        if (Count == Capacity || !Arena.TryRent(capacity, out int start))
        {
            Overflows++;
            index = -1;
            return false;
        }

        index = Count++;
        ref Packet packet = ref Packets[index];
        packet = default;
        packet.Slab = Arena.Slab;
        packet.Start = start;
        packet.Floor = start - FrameArena.Room;
        packet.Ceiling = start + capacity + FrameArena.Room;
        packet.Time = Now;
        return true;
    }

    /// <summary>
    /// Appends a packet whose bytes lie elsewhere, in a pinned slab, until this burst ends; they are as much its own as if they lay
    /// here. False, counted in <see cref="Overflows"/>, where there is no room.
    /// </summary>
    public bool TryLend(in Packet packet)
    {
        if (Count == Capacity)
        {
            Overflows++;
            return false;
        }

        Packets[Count++] = packet;
        return true;
    }

    /// <summary>
    /// Lets a packet leave behind all others: a copy of it, with the same bytes, stands at the end, and it leaves by no port itself.
    /// False where there is no room; it stays then.
    /// </summary>
    /// <param name="index">The packet, all its work done.</param>
    /// <param name="end">Where it leaves from.</param>
    public bool TryMoveToEnd(int index, out int end)
    {
        end = Count == Capacity ? index : Count;
        if (end == index)
        {
            return false;
        }

        Count++;
        ref Packet packet = ref Packets[index];
        Packets[end] = packet;
        Packets[end].Assembly = 0;
        packet.Egress = 0;
        packet.Done = true;
        return true;
    }

    /// <summary>
    /// Makes places before <paramref name="index"/>: each a copy of the packet before it, with room of its own for
    /// <paramref name="capacity"/> bytes. False, counted in <see cref="Overflows"/>, where there is no room for all of them.
    /// </summary>
    public bool TryInsert(int index, int count, int capacity)
    {
        if (Count + count > Capacity || !Arena.HasRoomFor(count, capacity))
        {
            Overflows++;
            return false;
        }

        Array.Copy(Packets, index, Packets, index + count, Count - index);
        Count += count;
        for (int i = index; i < index + count; i++)
        {
            Arena.TryRent(capacity, out int start);
            ref Packet packet = ref Packets[i];
            packet = Packets[index - 1];
            packet.Slab = Arena.Slab;
            packet.Start = start;
            packet.Floor = start - FrameArena.Room;
            packet.Ceiling = start + capacity + FrameArena.Room;
        }

        return true;
    }

    /// <summary>
    /// Takes back the packets from <paramref name="count"/> on: a port appended room for more frames
    /// than came.
    /// </summary>
    public void Trim(int count) => Count = Math.Min(Count, count);

    /// <summary>Ends the burst: all packets and frames are given back.</summary>
    public void Reset()
    {
        Count = 0;
        Arena.Reset();
    }
}

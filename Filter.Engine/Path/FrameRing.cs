using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <summary>
/// Frames on their way from one worker to another, with all that is known of them: one slab, written in a circle. One writer, one
/// reader, neither ever waits; what finds no room stays with the writer.
/// </summary>
/// <remarks>
/// The reader walks frames where they lie, each with free bytes before and behind it as in a burst, and gives their room back when
/// its burst has ended. Each side keeps what the other last said of itself, so that a burst costs two transfers of a cache line.
/// </remarks>
internal sealed class FrameRing
{
    /// <summary>Frames that may wait.</summary>
    private const int Slots = 2048;

    private readonly Packet[] _packets = new Packet[Slots];
    private readonly long[] _ends = new long[Slots];
    private readonly int[] _editions = new int[Slots];
    private readonly byte[] _slab;
    private Writer _writer;
    private Shared _written;
    private Reader _reader;
    private Shared _freed, _freedBytes;

    /// <summary>A ring for so many bytes, rounded up to a page; at least room for two of the longest frames.</summary>
    public FrameRing(int size)
    {
        int least = 2 * Whole(FrameArena.MaxFrame);
        _slab = GC.AllocateUninitializedArray<byte>((Math.Max(size, least) + 4095) & ~4095, pinned: true);
    }

    /// <summary>Whether a frame waits. For the reader, or whoever looks whether it may sleep.</summary>
    public bool HasWaiting => Volatile.Read(ref _written.Value) != _reader.Taken;

    /// <summary>Copies a frame; false where there is no room. It may be read after <see cref="Publish"/>. For the writer.</summary>
    /// <param name="packet">The packet; what it says of the burst that it is in, is not kept.</param>
    /// <param name="edition">Of which policies and SAs it speaks.</param>
    public bool TryWrite(in Packet packet, int edition = 0)
    {
        int need = Whole(packet.Length);
        int at = (int)(_writer.Bytes % _slab.Length);
        long begin = at + need <= _slab.Length ? _writer.Bytes : _writer.Bytes + (_slab.Length - at);
        if (!HasRoom(begin + need))
        {
            return false;
        }

        at = (int)(begin % _slab.Length);
        int slot = (int)(_writer.Count & (Slots - 1));
        ref Packet copy = ref _packets[slot];
        copy = packet;
        (copy.Flow, copy.Reply, copy.Assembly) = (0, false, 0);      // of the writer's tables
        copy.Guest = (GuestState)((ushort)packet.Guest + (ushort)GuestState.OneHop);
        copy.Slab = _slab;
        copy.Start = at + FrameArena.Room;
        copy.Floor = at;
        copy.Ceiling = at + need;
        packet.Bytes.CopyTo(copy.Bytes);
        _writer.Bytes = begin + need;
        _ends[slot] = _writer.Bytes;
        _editions[slot] = edition;
        _writer.Count++;
        return true;
    }

    /// <summary>What was written may be read. For the writer, once a burst.</summary>
    /// <returns>Whether anything was written since the last time.</returns>
    public bool Publish()
    {
        if (_writer.Published == _writer.Count)
        {
            return false;
        }

        _writer.Published = _writer.Count;
        Volatile.Write(ref _written.Value, _writer.Count);
        return true;
    }

    /// <summary>
    /// Puts frames that wait, in order, into a burst, until it holds <see cref="Burst.Intake"/>: of one kind, to be walked, to leave, or
    /// to be given a next hop. For the reader.
    /// </summary>
    /// <param name="burst">The burst.</param>
    /// <param name="kind">None, <see cref="GuestState.Leaves"/> or <see cref="GuestState.NeedsHop"/>.</param>
    /// <param name="edition">What policies and SAs are in force: what speaks of others ends.</param>
    /// <returns>How many.</returns>
    public int Take(Burst burst, out GuestState kind, int edition = 0)
    {
        const GuestState Kinds = GuestState.Leaves | GuestState.NeedsHop;
        kind = GuestState.None;
        long written = Volatile.Read(ref _written.Value);
        int taken = 0;
        for (; _reader.Taken != written && burst.Count < Burst.Intake; _reader.Taken++, taken++)
        {
            ref Packet next = ref _packets[_reader.Taken & (Slots - 1)];
            GuestState its = next.Guest & Kinds;
            if ((taken > 0 && its != kind) || !burst.TryLend(next))
            {
                break;
            }

            kind = its;
            if (its == GuestState.None && _editions[_reader.Taken & (Slots - 1)] != edition)
            {
                End(ref burst.Packets[burst.Count - 1]);
            }
        }

        return taken;
    }

    /// <summary>What was taken is needed no more. For the reader, when its burst has ended.</summary>
    public void Release()
    {
        if (_reader.Taken != _freed.Value)
        {
            Volatile.Write(ref _freedBytes.Value, _ends[(_reader.Taken - 1) & (Slots - 1)]);
            Volatile.Write(ref _freed.Value, _reader.Taken);
        }
    }

    /// <summary>What was opened, or is to be sealed, by a policy and an SA that may be gone.</summary>
    private static void End(ref Packet packet)
    {
        if (packet.Ipsec == IpsecAction.Protect && packet.Verdict == Verdict.Pass)
        {
            packet.Drop(DropReason.NoSa);
        }
        else if (packet.ArrivedBy != 0)
        {
            packet.Drop(DropReason.WrongSelectors);
        }
    }

    private static int Whole(int length) => (FrameArena.Room + length + FrameArena.Room + 63) & ~63;

    private bool HasRoom(long end)
    {
        if (_writer.Count - _writer.Freed >= Slots || end - _writer.FreedBytes > _slab.Length)
        {
            _writer.Freed = Volatile.Read(ref _freed.Value);
            _writer.FreedBytes = Volatile.Read(ref _freedBytes.Value);
        }

        return _writer.Count - _writer.Freed < Slots && end - _writer.FreedBytes <= _slab.Length;
    }

    /// <summary>What the writer alone touches, on lines of its own.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Writer
    {
        [FieldOffset(128)]
        public long Count;
        [FieldOffset(136)]
        public long Published;
        [FieldOffset(144)]
        public long Bytes;
        [FieldOffset(152)]
        public long Freed;
        [FieldOffset(160)]
        public long FreedBytes;
    }

    /// <summary>What the reader alone touches.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Reader
    {
        [FieldOffset(128)]
        public long Taken;
    }

    /// <summary>What one side writes and the other reads.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Shared
    {
        [FieldOffset(128)]
        public long Value;
    }
}

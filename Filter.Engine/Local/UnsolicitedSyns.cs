using Filter.Engine.Packets;

namespace Filter.Engine.Local;

/// <summary>
/// SYNs from outside, and INITs of SCTP, that nobody has asked for, and that wait to be told so: who is behind Filter may be
/// opening the same connection from its side (RFC 9293 §3.5, RFC 9260 §5.2.1), and an error would end it at the other. Fixed
/// in size; where it is full, a SYN is not answered. One writer.
/// </summary>
internal sealed class UnsolicitedSyns
{
    /// <summary>How long a SYN waits at least (RFC 6092 REC-34, REC-39, RFC 5382 REQ-4): 6 s.</summary>
    public const long Patience = 6_000_000_000;

    private const int Room = 1024;

    /// <summary>No SYN is kept that would not be quoted whole (RFC 4443 §2.4 (c)).</summary>
    private const int Longest = 1280;

    private readonly Waiting[] _ring = new Waiting[Room];
    private readonly FramePool _frames = new(Room * FramePool.BlockSize);
    private long _written, _read;

    /// <summary>Keeps a parsed SYN or INIT. False where there is no room.</summary>
    public bool TryHold(in Packet packet, long now)
    {
        if (_written - _read == Room || packet.Length > Longest || !_frames.TryStore(packet.Bytes, out int frame))
        {
            return false;
        }

        ref Waiting waiting = ref _ring[_written++ % Room];
        waiting.Packet = packet;
        waiting.Packet.Slab = [];
        waiting.Frame = frame;
        waiting.Due = now + Patience;
        return true;
    }

    /// <summary>Whether the SYN that came first has waited long enough.</summary>
    /// <param name="now">The path's clock.</param>
    /// <param name="key">Its key.</param>
    public bool IsDue(long now, out FlowKey key)
    {
        ref Waiting waiting = ref _ring[_read % Room];
        bool due = _read != _written && waiting.Due <= now;
        key = due ? waiting.Packet.Key : default;
        return due;
    }

    /// <summary>Lets go of the SYN that came first.</summary>
    public void Forget() => _frames.Free(_ring[_read++ % Room].Frame);

    /// <summary>Appends the SYN that came first to a burst, dropped as it is, for an answer to quote.</summary>
    /// <returns>Its index there; -1 where the burst is full.</returns>
    public int Append(Burst burst)
    {
        ref Waiting waiting = ref _ring[_read % Room];
        if (!burst.TryAppend(waiting.Packet.Length, out int index))
        {
            return -1;
        }

        ref Packet packet = ref burst.Packets[index];
        (byte[] slab, int start, int floor, int ceiling) = (packet.Slab, packet.Start, packet.Floor, packet.Ceiling);
        packet = waiting.Packet;
        (packet.Slab, packet.Start, packet.Floor, packet.Ceiling) = (slab, start, floor, ceiling);
        _frames.Copy(waiting.Frame, 0, packet.Bytes);
        return index;
    }

    private struct Waiting
    {
        public Packet Packet;
        public int Frame;
        public long Due;
    }
}

using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <summary>
/// Packets that policy protects and no SA seals yet, while somebody negotiates one (RFC 4301 §4.4.1.1: a key manager is asked).
/// They have been judged and tracked; once there is an SA they go on to be sealed, in their order. Bounded in all and for each
/// policy, so that a far end that does not answer costs the others nothing. One worker.
/// </summary>
public sealed class WaitingRoom
{
    /// <summary>Nanoseconds that a packet waits at most: by then its sender has sent it again.</summary>
    public const long Patience = 10_000_000_000;

    /// <summary>Packets of one policy at most.</summary>
    public const int PlacesPerPolicy = 16;

    private const int Places = 64;
    private const int PlaceSize = 9 * 1024;

    private readonly PathCounters _counters;
    private readonly Waiting[] _waiting = new Waiting[Places];
    private byte[] _pool = [];
    private int _renewals, _generation;
    private long _last;

    /// <summary>A room for one walk.</summary>
    /// <param name="counters">Where packets move on from held once their fate is known.</param>
    public WaitingRoom(PathCounters counters) => _counters = counters;

    /// <summary>Packets that wait.</summary>
    public int HeldNow { get; private set; }

    /// <summary>There is something to wait for, or there no longer is. Who was never told so has no room, and nobody waits.</summary>
    public void Open(bool open)
    {
        if (open && _pool.Length == 0)
        {
            _pool = new byte[Places * PlaceSize];
        }
    }

    /// <summary>Settles what the stage has passed with a reason: each waits, or is dropped.</summary>
    /// <param name="burst">The burst, sealed.</param>
    /// <param name="came">How many of its packets, the first ones, are counted by the walk; pieces of those do not wait.</param>
    public void Take(Burst burst, int came)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Verdict != Verdict.Pass || packet.Reason == DropReason.None || packet.Ipsec != IpsecAction.Protect)
            {
                continue;
            }

            DropReason why = packet.Reason;
            packet.Reason = DropReason.None;
            bool whole = i < came && !packet.Own && packet.Assembly == 0 && !packet.Fragmented && (packet.Guest & (GuestState.Piece | GuestState.Gone)) == 0;
            if (whole && TryKeep(packet, burst.Now))
            {
                packet.Finish(Verdict.Held);
            }
            else
            {
                packet.Drop(whole && HeldNow > 0 ? DropReason.HoldLimit : why);
            }
        }
    }

    /// <summary>
    /// Appends what waited and can be sealed by now, oldest first; who has waited in vain is dropped.
    /// </summary>
    /// <returns>How many were appended: the stage is to seal them.</returns>
    public int Release(Burst burst, IIpsecStage stage)
    {
        if (_generation != stage.Generation)
        {
            // Policies have changed: what was decided for those that wait may no longer hold.
            _generation = stage.Generation;
            Clear();
        }

        if (HeldNow == 0 || _renewals == stage.Renewals)
        {
            return 0;
        }

        _renewals = stage.Renewals;
        int released = 0;
        while (OldestReady(stage) is var place and >= 0)
        {
            ref Waiting waiting = ref _waiting[place];
            if (!burst.TryAppend(waiting.Packet.Length, out int index))
            {
                Settle(ref waiting, DropReason.NoRoom);
                continue;
            }

            ref Packet packet = ref burst.Packets[index];
            (byte[] slab, int start, int floor, int ceiling) = (packet.Slab, packet.Start, packet.Floor, packet.Ceiling);
            packet = waiting.Packet;
            (packet.Slab, packet.Start, packet.Floor, packet.Ceiling) = (slab, start, floor, ceiling);
            _pool.AsSpan(place * PlaceSize, packet.Length).CopyTo(packet.Bytes);
            Settle(ref waiting, DropReason.None);
            released++;
        }

        return released;
    }

    /// <summary>Gives up on what has waited too long.</summary>
    public void Expire(long now)
    {
        for (int place = 0; HeldNow > 0 && place < Places; place++)
        {
            if (_waiting[place].Used && now - _waiting[place].Since >= Patience)
            {
                Settle(ref _waiting[place], DropReason.NoSa);
            }
        }
    }

    /// <summary>Nobody waits any longer.</summary>
    private void Clear()
    {
        foreach (ref Waiting waiting in _waiting.AsSpan())
        {
            if (waiting.Used)
            {
                Settle(ref waiting, DropReason.NoSa);
            }
        }
    }

    private bool TryKeep(in Packet packet, long now)
    {
        if (_pool.Length == 0 || packet.Length > PlaceSize)
        {
            return false;
        }

        int ofPolicy = 0, free = -1;
        for (int place = 0; place < Places; place++)
        {
            if (!_waiting[place].Used)
            {
                free = place;
            }
            else if (_waiting[place].Packet.Policy == packet.Policy)
            {
                ofPolicy++;
            }
        }

        if (free < 0 || ofPolicy >= PlacesPerPolicy)
        {
            return false;
        }

        packet.Bytes.CopyTo(_pool.AsSpan(free * PlaceSize, PlaceSize));
        _waiting[free] = new Waiting { Packet = packet, Since = now, Number = ++_last, Used = true };
        (_waiting[free].Packet.Slab, _waiting[free].Packet.Start) = (_pool, free * PlaceSize);
        HeldNow++;
        return true;
    }

    private int OldestReady(IIpsecStage stage)
    {
        int oldest = -1;
        for (int place = 0; place < Places; place++)
        {
            if (_waiting[place].Used && (oldest < 0 || _waiting[place].Number < _waiting[oldest].Number) && stage.CanSeal(_waiting[place].Packet))
            {
                oldest = place;
            }
        }

        return oldest;
    }

    private void Settle(ref Waiting waiting, DropReason why)
    {
        waiting.Used = false;
        HeldNow--;
        _counters.SettleHeld(why == DropReason.None ? Verdict.Pass : Verdict.Drop, why, 1);
    }

    private struct Waiting
    {
        public Packet Packet;
        public long Since;
        public long Number;
        public bool Used;
    }
}

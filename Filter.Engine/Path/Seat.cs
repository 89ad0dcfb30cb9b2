using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <summary>One worker's place in a <see cref="Crew"/>: what it hands to the others, and what they hand to it. For that worker alone.</summary>
public sealed class Seat
{
    private const int RoomForDemands = 256;

    private readonly Homes _homes;
    private readonly FrameRing?[] _to;
    private FrameRing?[] _from = [];
    private Ring<Demand>?[] _demands = [];
    private Seat[] _others = [];
    private Action? _wake;
    private int _asleep;

    internal Seat(Crew crew, int number)
    {
        Crew = crew;
        Number = number;
        _homes = crew.Homes;
        _to = new FrameRing?[crew.Paths.Length];
    }

    /// <summary>The crew.</summary>
    public Crew Crew { get; }

    /// <summary>Which of its workers, from 0. The first one has what is there once: what the gateway says to its link, and hears from it.</summary>
    public int Number { get; }

    /// <summary>Packets that were handed to others.</summary>
    public long Given { get; private set; }

    /// <summary>Packets that others handed to this one.</summary>
    public long Taken { get; private set; }

    /// <summary>Packets that passed, but found no room on the way to the worker whose port they leave by.</summary>
    public long Unsent { get; private set; }

    /// <summary>How its worker is woken from its sleep; from any thread.</summary>
    public void WakeBy(Action wake) => _wake = wake;

    /// <summary>
    /// Of a burst that came in by a port, hands out what is at home elsewhere, in its order; what stays keeps its order. What finds no
    /// room on its way is dropped here.
    /// </summary>
    public void Spread(Burst burst)
    {
        int kept = 0;
        Packet[] packets = burst.Packets;
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref packets[i];
            int home = packet.Done ? Homes.Anywhere : _homes.Of(packet);
            if (home >= 0 && home != Number)
            {
                if (TryHandOver(packet, home))
                {
                    continue;
                }

                packet.Drop(DropReason.WorkerBusy);
            }

            if (kept != i)
            {
                packets[kept] = packet;
            }

            kept++;
        }

        burst.Trim(kept);
    }

    /// <summary>What was handed over may be taken, and who sleeps is woken. Once a burst.</summary>
    public void Publish()
    {
        for (int to = 0; to < _to.Length; to++)
        {
            if (_to[to]?.Publish() == true)
            {
                Rouse(to);
            }
        }
    }

    /// <summary>Puts what another has handed over into a burst, as much as a port would give at most.</summary>
    /// <param name="burst">The burst.</param>
    /// <param name="from">The other worker.</param>
    /// <param name="kind">
    /// None where they are to be walked; <see cref="GuestState.Leaves"/> where they only leave by a port of this worker, and
    /// <see cref="GuestState.NeedsHop"/> where they want a next hop first.
    /// </param>
    /// <returns>How many packets.</returns>
    public int Take(Burst burst, int from, out GuestState kind)
    {
        kind = GuestState.None;
        int taken = _from[from]?.Take(burst, out kind, Crew.Edition) ?? 0;
        Taken += taken;
        return taken;
    }

    /// <summary>What was taken is needed no more: the burst has ended.</summary>
    public void Release(int from) => _from[from]?.Release();

    /// <summary>Says that the worker is about to sleep.</summary>
    /// <returns>False where something waits for it already: it must not.</returns>
    public bool MaySleep()
    {
        Volatile.Write(ref _asleep, 1);
        Interlocked.MemoryBarrier();        // whoever writes after this look sees that it sleeps
        for (int from = 0; from < _from.Length; from++)
        {
            if (_from[from]?.HasWaiting == true || _demands[from]?.HasWaiting == true)
            {
                Volatile.Write(ref _asleep, 0);
                return false;
            }
        }

        return true;
    }

    /// <summary>Says that the worker is awake.</summary>
    public void Wakes() => Volatile.Write(ref _asleep, 0);

    /// <summary>
    /// Hands what leaves by a port to its one worker, where this one cannot send there itself. What finds no room is lost, and counted.
    /// </summary>
    internal void Send(Burst burst, ushort port, int owner)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if ((packet.Egress & port) == 0 || packet.Verdict != Verdict.Pass)
            {
                continue;
            }

            (ushort egress, GuestState guest) = (packet.Egress, packet.Guest);
            (packet.Egress, packet.Guest) = (port, GuestState.Leaves);
            Unsent += TryHandOver(packet, owner) ? 0 : 1;
            (packet.Egress, packet.Guest) = (egress, guest);
        }
    }

    /// <summary>Hands a packet to another worker, who goes on with it; here nothing more of it is counted. What finds no room is dropped.</summary>
    /// <param name="packet">The packet.</param>
    /// <param name="to">The other worker.</param>
    /// <param name="piece">It is part of what was counted here.</param>
    public void HandOver(ref Packet packet, int to, bool piece = false)
    {
        GuestState guest = packet.Guest;
        packet.Guest |= (piece || packet.Own ? GuestState.Piece : GuestState.None) | (packet.Assembly != 0 ? GuestState.PutTogether : GuestState.None);
        if (TryHandOver(packet, to))
        {
            packet.Finish(Verdict.Consumed);
            (packet.Rule, packet.Log, packet.Own) = (0, false, false);
            packet.Guest = guest | GuestState.Gone;
        }
        else
        {
            packet.Guest = guest;
            packet.Drop(DropReason.WorkerBusy);
        }
    }

    /// <summary>Copies a packet for another worker.</summary>
    /// <returns>False where it has no room.</returns>
    internal bool TryHandOver(in Packet packet, int to)
    {
        // Nothing goes round for ever, whatever a sender thinks of.
        bool handed = packet.Guest < GuestState.LastHop && _to[to]?.TryWrite(packet, Crew.Edition) == true;
        Given += handed ? 1 : 0;
        return handed;
    }

    /// <summary>Asks another worker for something that it does between two bursts.</summary>
    /// <returns>False where it was asked for too much already.</returns>
    internal bool TryDemand(int of, in Demand demand)
    {
        bool asked = _others[of]._demands[Number]!.TryWrite(demand);
        if (asked)
        {
            Rouse(of);
        }

        return asked;
    }

    /// <summary>The next thing that another worker asks for; false where there is none.</summary>
    internal bool TryTakeDemand(out Demand demand)
    {
        foreach (Ring<Demand>? ring in _demands)
        {
            if (ring is not null && ring.TryRead(out demand))
            {
                return true;
            }
        }

        demand = default;
        return false;
    }

    /// <summary>Makes the ways by which the others reach this one.</summary>
    internal void Hear(Seat[] seats, int room)
    {
        _others = seats;
        _from = [.. seats.Select(other => other == this ? null : new FrameRing(room))];
        _demands = [.. seats.Select(other => other == this ? null : new Ring<Demand>(RoomForDemands))];
        foreach (Seat other in seats)
        {
            other._to[Number] = _from[other.Number];
        }
    }

    private void Rouse(int to)
    {
        Interlocked.MemoryBarrier();        // it was written before it is looked whether anybody sleeps
        Seat other = _others[to];
        if (Volatile.Read(ref other._asleep) != 0 && Interlocked.Exchange(ref other._asleep, 0) != 0)
        {
            other._wake?.Invoke();
        }
    }
}

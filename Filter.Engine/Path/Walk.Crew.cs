using System.Numerics;
using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <content>
/// One of several: limits are the box's, so each worker writes what it counts and reads what the others do, without locks. What
/// changes meanwhile may or may not be seen: where several open at once, a limit is passed by as many at most.
/// </content>
public sealed partial class PacketPath<TTrace>
{
    private readonly Seat? _seat;
    private int _changes;

    /// <inheritdoc/>
    public override void Serve(long now)
    {
        while (_seat is not null && _seat.TryTakeDemand(out Demand demand))
        {
            int oldest = demand.Of == Listing.Table ? Flows.Standings.First(demand.Key.Management) : ListedBy(demand.Of)?.OldestOf(demand.Key) ?? 0;
            GiveUp(oldest, demand.Limit, demand.Whose, now);
        }
    }

    /// <inheritdoc/>
    internal override void Begin(long now) => LookAtTime(now);

    /// <inheritdoc/>
    public override void Resolve(Burst burst)
    {
        int came = burst.Count;
        _neighbours.Resolve(burst, came: 0);
        Coalesce(burst);
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            Counters.Out += BitOperations.PopCount(packet.Egress);
            Counters.Own += i >= came && packet.Own ? 1 : 0;
            if (i < came && packet.Verdict == Verdict.Drop && (packet.Guest & GuestState.Piece) == 0)
            {
                Counters.SettlePassed(packet.Reason);
            }
        }
    }

    /// <summary>Next hops, where this worker knows them; what the first one must look up goes there, as passed.</summary>
    private void ResolveHops(Burst burst, int came)
    {
        if (_seat is null or { Number: 0 } || !Settings.Local.CanAddress)
        {
            _neighbours.Resolve(burst, came);
            return;
        }

        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Egress == 0 || !packet.NeedsNextHop || packet.Verdict != Verdict.Pass)
            {
                continue;
            }

            (GuestState guest, IpsecAction ipsec) = (packet.Guest, packet.Ipsec);
            packet.Guest |= GuestState.NeedsHop | (i >= came || packet.Own ? GuestState.Piece : GuestState.None);
            packet.Ipsec = ipsec == IpsecAction.Opened ? IpsecAction.None : ipsec;
            bool handed = _seat.TryHandOver(packet, 0);
            (packet.Guest, packet.Ipsec) = (guest, ipsec);
            packet.Egress = 0;
            if (!handed)
            {
                packet.Drop(DropReason.WorkerBusy);
            }
        }
    }

    /// <summary>Of what others handed over, what they have counted is not counted again.</summary>
    private void LeaveOutPieces(Burst burst, int came)
    {
        for (int i = 0; i < came; i++)
        {
            Counters.In -= (burst.Packets[i].Guest & GuestState.Piece) != 0 ? 1 : 0;
        }
    }

    /// <summary>What was appended to the burst is part of what came.</summary>
    private static void MarkPieces(Burst burst, int came)
    {
        for (int i = came; i < burst.Count; i++)
        {
            burst.Packets[i].Guest |= GuestState.Piece;
        }
    }

    /// <summary>What went to others counts there, not here.</summary>
    private void LeaveOutGone(Burst burst, int came)
    {
        for (int i = 0; i < came; i++)
        {
            if ((burst.Packets[i].Guest & (GuestState.Gone | GuestState.Piece)) == GuestState.Gone)
            {
                Counters.HandOver();
            }
        }
    }

    /// <summary>
    /// What belongs elsewhere than where it was dispatched to: what came out of an SA, by its own addresses, before its pieces wait;
    /// and an error that was put together, by what it quotes.
    /// </summary>
    private void SendHome(Burst burst)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (!packet.Done && !packet.Own && (packet.Guest & GuestState.Rehomed) == 0 && (packet.Depth > 0 || (packet.Assembly != 0 && packet.Kind == PacketKind.IcmpError))
                && _seat!.Crew.Homes.Of(packet) is >= 0 and var home && home != _seat.Number)
            {
                if (packet.Assembly != 0)
                {
                    SendPiecesHome(burst, i, home);
                }
                else
                {
                    _seat.HandOver(ref packet, home);
                }
            }
        }
    }

    /// <summary>The pieces of what was put together here go to its home as they came, and count there.</summary>
    private void SendPiecesHome(Burst burst, int index, int home)
    {
        int first = burst.Count, pieces = _reassembler.AppendPieces(burst, burst.Packets[index].Assembly);
        ref Packet whole = ref burst.Packets[index];
        if (pieces == 0)
        {
            whole.Drop(DropReason.NoRoom);
            return;
        }

        for (int i = first; i < burst.Count; i++)
        {
            _seat!.HandOver(ref burst.Packets[i], home);
        }

        for (int held = pieces - 1; held > 0; held--)
        {
            Counters.HandOver();            // they came, and waited; what becomes of the whole is said of them later
        }

        whole.Finish(Verdict.Consumed);
        whole.Guest |= GuestState.Gone;
    }

    /// <summary>
    /// Whether a packet without a flow here is for another worker to look at. An endpoint whose pinhole is open for everybody has all
    /// flows that come by it, or keep it open, at the worker where the first of them opened.
    /// </summary>
    /// <param name="packet">The packet.</param>
    /// <param name="key">Its key, or the one that it quotes.</param>
    /// <param name="now">The path's clock.</param>
    private bool IsForAnother(ref Packet packet, in FlowKey key, long now)
    {
        if ((packet.Guest & GuestState.Returned) != 0)
        {
            return false;
        }

        int home = _seat!.Crew.Homes.Of(key.Source, key.Destination);
        if ((packet.Guest & GuestState.Visits) == 0)
        {
            if (home != _seat.Number || HasPinhole(this, key) || WhoHasPinhole(key) is not (>= 0 and var other))
            {
                return false;
            }

            packet.Guest |= GuestState.Visits;
            _seat.HandOver(ref packet, other);
            return true;
        }

        if (packet.Kind == PacketKind.IcmpError || Flows.Expectations.Find(key, packet.Ingress, now) != 0 || SharesPinhole(packet, key))
        {
            return false;
        }

        packet.Guest |= GuestState.Returned;
        _seat.HandOver(ref packet, home);
        return true;
    }

    /// <summary>Whether the sender has a pinhole here that is open for everybody, and this packet's flow would keep it open too.</summary>
    private bool SharesPinhole(in Packet packet, in FlowKey key) =>
        packet.Egress != 0 && Flows.Expectations.HoldsFor(key.Reverse)
        && Ruleset.Judge(Facts(packet, (byte)BitOperations.TrailingZeroCount(packet.Egress))) is { Verdict: Verdict.Pass, Pinhole: PinholeKind.EndpointIndependent };

    private static bool HasPinhole(PacketPath path, in FlowKey key) =>
        path.Flows.Expectations is { Count: > 0 } expectations && (expectations.HoldsFor(key) || expectations.HoldsFor(key.Reverse));

    private int WhoHasPinhole(in FlowKey key)
    {
        ReadOnlySpan<PacketPath?> paths = _seat!.Crew.Paths;
        for (int worker = 0; worker < paths.Length; worker++)
        {
            if (worker != _seat.Number && HasPinhole(paths[worker]!, key))
            {
                return worker;
            }
        }

        return -1;
    }

    /// <summary>The first worker lets the ruleset look at the time; the others see that it has changed.</summary>
    private bool Advances(long now)
    {
        Crew crew = _seat!.Crew;
        if (_seat.Number == 0 && Ruleset.Advance(now))
        {
            crew.Changes++;
        }

        int changes = crew.Changes;
        bool changed = changes != _changes;
        _changes = changes;
        return changed;
    }

    /// <summary>Flows in the tables of all workers.</summary>
    private int FlowsOfAll()
    {
        if (_seat is null)
        {
            return Flows.Count;
        }

        int flows = 0;
        foreach (PacketPath? path in _seat.Crew.Paths)
        {
            flows += path!.Flows.Count;
        }

        return flows;
    }

    private int ManagementOfAll()
    {
        if (_seat is null)
        {
            return Flows.Management;
        }

        int flows = 0;
        foreach (PacketPath? path in _seat.Crew.Paths)
        {
            flows += path!.Flows.Management;
        }

        return flows;
    }

    /// <summary>Flows of a share here, and of the same at the others.</summary>
    private int Held(in Share share, Listing of, in ShareKey key)
    {
        int flows = share.Flows;
        for (int worker = 0; _seat is not null && worker < _seat.Crew.Seats.Count; worker++)
        {
            flows += worker == _seat.Number ? 0 : Peer(worker).ListedBy(of)?.FlowsOf(key) ?? 0;
        }

        return flows;
    }

    /// <summary>
    /// The rate of a share is the box's: each worker goes on from where the one that took last has left its bucket.
    /// </summary>
    private void CatchUp(ref Share share, Listing of, in ShareKey key)
    {
        for (int worker = 0; _seat is not null && worker < _seat.Crew.Seats.Count; worker++)
        {
            share.Spent = worker == _seat.Number ? share.Spent : Math.Max(share.Spent, Peer(worker).ListedBy(of)?.SpentOf(key) ?? share.Spent);
        }
    }

    /// <summary>As <see cref="CatchUp(ref Share, Listing, in ShareKey)"/>, of a rule's buckets.</summary>
    private void CatchUp(int rule, in FlowKey key)
    {
        for (int worker = 0; _seat is not null && worker < _seat.Crew.Seats.Count; worker++)
        {
            if (worker != _seat.Number)
            {
                _limits.CatchUp(Peer(worker)._limits, rule, key);
            }
        }
    }

    /// <summary>The same of the buckets of answers.</summary>
    private void CatchUpAnswers()
    {
        for (int worker = 0; _seat is not null && worker < _seat.Crew.Seats.Count; worker++)
        {
            if (worker != _seat.Number)
            {
                PacketPath<TTrace> peer = Peer(worker);
                _rejections.CatchUp(peer._rejections);
                _tooBig.CatchUp(peer._tooBig);
                _late.CatchUp(peer._late);
            }
        }
    }

    /// <summary>Asks another worker to give one up, of those that have one that is not proven.</summary>
    /// <param name="demand">What is asked for.</param>
    /// <param name="beyond">Only of workers with more flows than this.</param>
    private bool TryDemand(in Demand demand, int beyond = -1)
    {
        int most = -1, whom = -1;
        for (int worker = 0; worker < _seat!.Crew.Seats.Count; worker++)
        {
            PacketPath<TTrace> peer = Peer(worker);
            int flows = peer.Flows.Count;
            if (worker != _seat.Number && flows > Math.Max(most, beyond)
                && (demand.Of == Listing.Table ? peer.Flows.Standings.First(demand.Key.Management) : peer.ListedBy(demand.Of)?.OldestOf(demand.Key) ?? 0) != 0)
            {
                (most, whom) = (flows, worker);
            }
        }

        return whom >= 0 && _seat.TryDemand(whom, demand);
    }

    /// <summary>
    /// A place in the table of all. Who has more than an even part gives up his own first; so no flood that falls to one worker
    /// pushes out what opens at another.
    /// </summary>
    private bool MakeRoomAmongAll(bool management, in ShareKey to, long now)
    {
        Demand demand = new(Listing.Table, to with { Management = management }, Limit.Table, to);
        int even = Flows.Capacity / _seat!.Crew.Seats.Count, own = Flows.Count;
        return (own <= even && TryDemand(demand, beyond: even))
            || GiveUp(Flows.Standings.First(management), Limit.Table, to, now)
            || (own < Flows.Capacity && TryDemand(demand));
    }

    private ShareTable? ListedBy(Listing of) => of switch
    {
        Listing.Sources => Flows.Standings.Sources,
        Listing.Destinations => Flows.Standings.Destinations,
        _ => _limits.Shares,
    };

    private PacketPath<TTrace> Peer(int worker) => (PacketPath<TTrace>)_seat!.Crew.Paths[worker]!;
}

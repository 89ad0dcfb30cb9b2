using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;

namespace Filter.Engine.Fragments;

/// <summary>
/// Virtual reassembly: fragments are held until their datagram is complete and can be judged whole;
/// then the original fragments go on. Strict where hosts differ: no overlaps (RFC 5722, for IPv4
/// too), exact duplicates dropped alone (RFC 8200 §4.5), the first fragment holds all headers
/// (RFC 7112). Owned by one worker; everything is allocated at construction.
/// </summary>
/// <remarks>
/// The piece that completes a datagram is not held: in its slot the whole datagram is walked on,
/// with the held ones as <see cref="Packet.Assembly"/>, until <see cref="Release"/> at the burst's
/// end sends the originals and frees them. A datagram given up for an overlap is remembered for the
/// rest of its lifetime, so that its later pieces end too. When room is short the oldest goes first.
/// </remarks>
public sealed class Reassembler
{
    /// <summary>Padding up to here goes on with its frame; what a sender puts behind that is not kept.</summary>
    private const int ShortestFrame = 60;

    private FragmentLimits _limits;
    private readonly PathCounters _counters;
    private readonly FragmentTable _table;
    private readonly FragmentPieces _pieces;
    private readonly int _mostBlocks, _mostDatagrams;
    private int _firstComplete, _lastComplete;      // what this burst completed, in order

    /// <summary>A reassembler within these limits.</summary>
    /// <param name="limits">How much and how long.</param>
    /// <param name="counters">Where held pieces move on from held once their fate is known.</param>
    public Reassembler(FragmentLimits limits, PathCounters counters)
    {
        _limits = limits;
        _counters = counters;
        _table = new FragmentTable(limits.Datagrams);
        _pieces = new FragmentPieces(limits.Bytes);
        _mostBlocks = Math.Max(1, _pieces.FreeBlocks / limits.SourceShare);
        _mostDatagrams = Math.Max(1, limits.Datagrams / limits.SourceShare);
    }

    /// <summary>Pieces that wait now.</summary>
    public long HeldNow { get; private set; }

    /// <summary>Datagrams of which something waits now, or which were given up and are remembered.</summary>
    public int DatagramsNow => _table.Count;

    /// <summary>Datagrams put together so far.</summary>
    public long Assembled { get; private set; }

    /// <summary>From now on what waits does so for these times, what waits already too; nanoseconds.</summary>
    public void Adopt(long ipv4, long ipv6) => _limits = _limits with { IPv4Lifetime = ipv4, IPv6Lifetime = ipv6 };

    /// <summary>
    /// Takes every fragment of the burst that is not done: it ends as Held, or is dropped with its
    /// reason, or becomes the whole datagram, <see cref="PacketKind.Unknown"/>, to be parsed again.
    /// </summary>
    /// <returns>How many became whole.</returns>
    public int Complete(Burst burst, int from, IIpsecStage? stage = null)
    {
        int whole = 0;
        for (int i = from; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Done || packet.Own || packet.Kind != PacketKind.Fragment)
            {
                continue;
            }

            DropReason why = Take(burst, i, stage, out bool complete);
            if (why != DropReason.None)
            {
                packet.Drop(why);
            }
            else if (complete)
            {
                whole++;
            }
            else
            {
                packet.Finish(Verdict.Held);
            }
        }

        return whole;
    }

    /// <summary>
    /// Before sealing: what was put together and goes into a tunnel goes there as its original fragments, appended to be
    /// sealed one by one; the far gateway could not make them of the whole. Transport mode seals the whole.
    /// </summary>
    public void Restore(Burst burst, IIpsecStage stage)
    {
        for (int group = _firstComplete; group != 0; group = _table[group].Newer)
        {
            ref FragmentedDatagram datagram = ref _table[group];
            ref Packet whole = ref burst.Packets[datagram.Slot];
            if (whole.Assembly != group || whole.Depth != datagram.Key.Depth || whole.Verdict != Verdict.Pass
                || whole.Egress == 0 || whole.Ipsec != IpsecAction.Protect || !stage.SealsFragments(whole.Policy))
            {
                continue;
            }

            if (_pieces.TryAppendOriginals(burst, datagram))
            {
                whole.Egress = 0;
            }
            else
            {
                whole.Drop(DropReason.NoRoom);
            }
        }
    }

    /// <summary>
    /// After the verdict: what was put together and passes, unprotected, goes on as its original
    /// fragments, appended in the order of their arrival with all that was decided of the whole, which
    /// then leaves by no port itself. All groups are freed.
    /// </summary>
    public void Release(Burst burst)
    {
        for (int group = _firstComplete; group != 0;)
        {
            ref FragmentedDatagram datagram = ref _table[group];
            int next = datagram.Newer;
            ref Packet whole = ref burst.Packets[datagram.Slot];

            // What was opened since is a packet of its own now; perhaps a fragment, held again.
            bool asItCame = whole.Assembly == group && whole.Depth == datagram.Key.Depth
                && whole.Verdict == Verdict.Pass && whole.Egress != 0 && whole.Ipsec != IpsecAction.Protect;
            if (asItCame && _pieces.TryAppendOriginals(burst, datagram))
            {
                whole.Egress = 0;
            }
            else if (asItCame)
            {
                whole.Drop(DropReason.NoRoom);
            }

            whole.Assembly = whole.Assembly == group ? 0 : whole.Assembly;
            Verdict fate = whole.Verdict == Verdict.Held ? Verdict.Consumed : whole.Verdict;
            _counters.SettleHeld(fate, whole.Reason, FreePieces(group));
            _table.Remove(group);
            group = next;
        }

        _firstComplete = _lastComplete = 0;
    }

    /// <summary>
    /// Appends the pieces of a datagram that was put together here and belongs elsewhere, to be parsed and put together there: in the
    /// order of their arrival.
    /// </summary>
    /// <returns>How many; 0 where the burst has no room.</returns>
    public int AppendPieces(Burst burst, int assembly)
    {
        int first = burst.Count;
        if (!_pieces.TryAppendOriginals(burst, _table[assembly]))
        {
            return 0;
        }

        ref FragmentedDatagram datagram = ref _table[assembly];
        int handle = datagram.First;
        for (int i = first; i < burst.Count; i++)
        {
            FragmentPiece piece = handle != 0 ? _pieces[handle] : datagram.Final;
            handle = handle != 0 ? piece.Next : 0;
            ref Packet packet = ref burst.Packets[i];
            (packet.Kind, packet.Assembly, packet.ArrivedBy, packet.Sa) = (PacketKind.Unknown, 0, piece.ArrivedBy, piece.Sa);
            packet.Guest |= GuestState.Rehomed;
        }

        return burst.Count - first;
    }

    /// <summary>The longest IP packet among the pieces of a complete datagram, in bytes.</summary>
    public int Longest(int assembly) => _pieces.Longest(_table[assembly]);

    /// <summary>Ends datagrams whose time is over, at most <paramref name="budget"/> of them.</summary>
    public void Expire(long now, int budget)
    {
        foreach (bool ipv4 in (ReadOnlySpan<bool>)[true, false])
        {
            for (int oldest; budget > 0 && (oldest = _table.Oldest(ipv4)) != 0 && IsOver(oldest, now); budget--)
            {
                End(oldest, DropReason.FragmentTimeout);
            }
        }
    }

    /// <summary>
    /// Ends every datagram whose pieces came out of an SA: the policies are others now, and what the pieces' number
    /// stood for with them.
    /// </summary>
    public void ForgetOpened()
    {
        foreach (bool ipv4 in (ReadOnlySpan<bool>)[true, false])
        {
            for (int number = _table.Oldest(ipv4); number != 0;)
            {
                int next = _table[number].Newer;
                if (_table[number].Key.ArrivedBy != 0)
                {
                    End(number, DropReason.WrongSelectors);
                }

                number = next;
            }
        }
    }

    private bool IsOver(int number, long now)
    {
        ref FragmentedDatagram datagram = ref _table[number];
        return datagram.Created + (datagram.Key.Source.IsIPv4 ? _limits.IPv4Lifetime : _limits.IPv6Lifetime) <= now;
    }

    /// <summary>One fragment.</summary>
    private DropReason Take(Burst burst, int slot, IIpsecStage? stage, out bool complete)
    {
        complete = false;
        ref Packet packet = ref burst.Packets[slot];
        DropReason why = Check(packet);
        if (why != DropReason.None)
        {
            return why;
        }

        PieceOrigin origin = packet.ArrivedBy == 0 || stage is null ? new PieceOrigin(packet.ArrivedBy, 0, false) : stage.OriginOf(packet);
        if (origin.Policy == 0 && packet.ArrivedBy != 0)
        {
            return DropReason.WrongSelectors;
        }

        var key = new FragmentKey(
            packet.Key.Source, packet.Key.Destination, packet.FragmentId, packet.IsIPv4 ? packet.Key.Protocol : (byte)0,
            packet.Key.Segment, packet.Ingress, origin.Policy, packet.Depth);
        int number = _table.Find(key);
        if (number != 0 && IsOver(number, burst.Now))
        {
            End(number, DropReason.FragmentTimeout);
            number = 0;
        }

        if (number == 0)
        {
            if (_table.DatagramsOf(key.Source) >= _mostDatagrams || (_table.IsFull && !TryEvict(0)))
            {
                return DropReason.FragmentLimit;
            }

            number = _table.Add(key, burst.Now);
        }

        ref FragmentedDatagram datagram = ref _table[number];
        if (datagram.Poison != DropReason.None)
        {
            return datagram.Poison;
        }

        var piece = new FragmentPiece
        {
            FrameLength = Math.Max(packet.End, Math.Min(packet.Length, ShortestFrame)),
            Network = packet.Network,
            Data = (ushort)packet.Payload,
            Offset = packet.FragmentOffset,
            Length = packet.End - packet.Payload,
            More = packet.MoreFragments,
            ArrivedBy = packet.ArrivedBy,
            Sa = packet.Sa,
            Association = origin.Association,
            Alone = origin.Alone,
            Number = packet.Number,
            Time = packet.Time,
        };
        why = _pieces.Place(datagram, piece, packet, out int below);
        if (why == DropReason.FragmentDuplicate)
        {
            return why;
        }

        if (why != DropReason.None)
        {
            GiveUp(number, why);
            return why;
        }

        if (piece.More ? datagram.Received + piece.Length == datagram.Total : datagram.Received == piece.Offset)
        {
            why = Assemble(burst, slot, number, piece, stage);
            complete = why == DropReason.None;
            return why;
        }

        return Hold(number, piece, packet, below);
    }

    private static DropReason Check(in Packet packet)
    {
        int length = packet.End - packet.Payload;
        int headers = packet.Payload - packet.Network
            - (packet.IsIPv4 ? 0 : IpHeader.IPv6Length + IpHeader.FragmentHeaderLength);
        bool possible = length > 0
            && (!packet.MoreFragments || length % 8 == 0)
            && headers + packet.FragmentOffset + length <= IpHeader.LongestLength
            && packet.Offload.Gso == GsoKind.None
            && packet.Offload.Checksum != ChecksumState.Partial;
        return !possible ? DropReason.BadFragment
            : packet.FragmentOffset == 0 ? FirstFragment.Check(packet)
            : DropReason.None;
    }

    private DropReason Hold(int number, in FragmentPiece piece, in Packet packet, int below)
    {
        ref FragmentedDatagram datagram = ref _table[number];
        if (datagram.Pieces == _limits.Pieces)
        {
            GiveUp(number, DropReason.FragmentLimit);
            return DropReason.FragmentLimit;
        }

        int blocks = FramePool.Blocks(piece.FrameLength);
        ref int ofSender = ref _table.BlocksOfSender(number);
        bool room = ofSender + blocks <= _mostBlocks;
        while (room && _pieces.FreeBlocks < blocks)
        {
            room = TryEvict(number);
        }

        if (!room || !_pieces.TryHold(ref datagram, piece, packet, below))
        {
            if (datagram.Pieces == 0)
            {
                _table.Remove(number);
            }

            return DropReason.FragmentLimit;
        }

        ofSender += blocks;
        Note(ref datagram, piece, packet);
        HeldNow++;
        return DropReason.None;
    }

    private static void Note(ref FragmentedDatagram datagram, in FragmentPiece piece, in Packet packet)
    {
        datagram.Received += piece.Length;
        datagram.Furthest = Math.Max(datagram.Furthest, piece.Offset + piece.Length);
        datagram.Total = piece.More ? datagram.Total : piece.Offset + piece.Length;
        datagram.Ecn |= (byte)(1 << (packet.TrafficClass & 3));
    }

    /// <summary>Puts the datagram together in the slot of the piece that completes it.</summary>
    private DropReason Assemble(Burst burst, int slot, int number, in FragmentPiece final, IIpsecStage? stage)
    {
        ref Packet packet = ref burst.Packets[slot];
        ref FragmentedDatagram datagram = ref _table[number];
        Note(ref datagram, final, packet);
        bool isIPv4 = packet.IsIPv4;
        FragmentPiece first = final.Offset == 0 ? final : _pieces[datagram.Lowest];
        if (datagram.Key.ArrivedBy != 0 && (!CameTogether(datagram, first, final) || stage?.Has(first.Sa, first.Association) == false))
        {
            // The SA that vouches for the ports may be gone by now, and its number another's.
            End(number, DropReason.WrongSelectors);
            return DropReason.WrongSelectors;
        }

        // What stands before the payload: the first piece's headers, without the fragment header.
        int behind = isIPv4 ? 0 : IpHeader.FragmentHeaderLength;
        int headers = first.Data - behind;
        int length = headers + datagram.Total;
        if (!IpHeader.CanHold(isIPv4, length - first.Network))
        {
            GiveUp(number, DropReason.BadFragment);
            return DropReason.BadFragment;
        }

        if (!burst.Arena.TryRent(length, out int start))
        {
            End(number, DropReason.NoRoom);
            return DropReason.NoRoom;
        }

        Packet whole = default;
        whole.Slab = burst.Arena.Slab;
        whole.Start = start;
        whole.Length = length;
        whole.Floor = start - FrameArena.Room;
        whole.Ceiling = start + length + FrameArena.Room;
        whole.Time = packet.Time;
        whole.Number = packet.Number;
        whole.Ingress = packet.Ingress;
        whole.ArrivedBy = first.ArrivedBy;
        whole.Sa = first.Sa;
        whole.Depth = packet.Depth;
        whole.NeedsNextHop = packet.NeedsNextHop;
        whole.NextHop = packet.NextHop;
        whole.Fragmented = true;
        whole.Assembly = number;

        byte protocol = _pieces.Write(datagram, final, packet, headers, whole.Bytes);
        FixHeaders(whole.Bytes[first.Network..], headers - first.Network, protocol, datagram.Ecn);

        datagram.Final = final;
        datagram.FinalSlab = packet.Slab;
        datagram.FinalStart = packet.Start;
        _table.Detach(number);
        datagram.Slot = slot;
        datagram.Newer = 0;
        (_lastComplete == 0 ? ref _firstComplete : ref _table[_lastComplete].Newer) = number;
        _lastComplete = number;
        Assembled++;
        packet = whole;
        return DropReason.None;
    }

    /// <summary>
    /// Whether each piece came by the policy of the first, which shows the ports, or by the one for pieces without; and all by
    /// one SA where one of them belongs to none but these.
    /// </summary>
    private bool CameTogether(in FragmentedDatagram datagram, in FragmentPiece first, in FragmentPiece final)
    {
        ushort without = datagram.Key.ArrivedBy;
        bool together = Fits(first, final);
        for (int handle = datagram.First; handle != 0 && together; handle = _pieces[handle].Next)
        {
            together = Fits(first, _pieces[handle]);
        }

        return together;

        bool Fits(in FragmentPiece one, in FragmentPiece other) =>
            (other.ArrivedBy == one.ArrivedBy || other.ArrivedBy == without)
            && (other.Association == one.Association || !(one.Alone || other.Alone));
    }

    private static void FixHeaders(Span<byte> datagram, int headers, byte protocol, byte ecn)
    {
        if (IpHeader.IsIPv4(datagram))
        {
            // Of flags and offset only don't-fragment remains.
            datagram[6] &= 0x40;
            datagram[7] = 0;
        }
        else
        {
            datagram[IpHeader.NextHeaderField(datagram, headers)] = protocol;
        }

        IpHeader.SetLength(datagram);
        const int NotCapable = 1, Experienced = 1 << 3;
        if ((ecn & (NotCapable | Experienced)) == Experienced)
        {
            // One piece met congestion, so the datagram did (RFC 3168 §5.3).
            IpHeader.SetEcn(datagram, 3);
        }
    }

    /// <summary>Gives up the oldest datagram, but not <paramref name="spared"/>.</summary>
    private bool TryEvict(int spared)
    {
        int oldest = _table.OldestOfAll();
        if (oldest == 0 || oldest == spared)
        {
            return false;
        }

        End(oldest, DropReason.FragmentLimit);
        return true;
    }

    /// <summary>Ends what is held of a datagram, and remembers why for its later pieces.</summary>
    private void GiveUp(int number, DropReason why)
    {
        _counters.EndHeld(why, FreePieces(number));
        _table[number].Poison = why;
    }

    /// <summary>Ends a datagram.</summary>
    private void End(int number, DropReason why)
    {
        _counters.EndHeld(why, FreePieces(number));
        _table.Remove(number);
    }

    private int FreePieces(int number)
    {
        ref FragmentedDatagram datagram = ref _table[number];
        _table.BlocksOfSender(number) -= datagram.Blocks;
        int pieces = _pieces.Free(ref datagram);
        HeldNow -= pieces;
        return pieces;
    }
}

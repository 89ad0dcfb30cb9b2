using System.Buffers.Binary;
using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Protocols;
using Filter.Rules.Policy;

namespace Filter.Ipsec;

/// <content>What leaves protected (RFC 4301 §5.1).</content>
public sealed partial class IpsecStage
{
    private const int LeastIPv6Mtu = 1280;      // RFC 8200 §5
    private const int LeastIPv4Mtu = 68;        // RFC 791 §3.2

    /// <summary>Most bytes that any suite puts behind the text: padding to a block, trailer, ICV.</summary>
    private const int LongestTrailer = 64;

    private long _read;
    private int _first;
    private int _wanting;
    private ushort _identification;
    private uint _fragmentIdentification;

    /// <inheritdoc/>
    public int Protect(Burst burst)
    {
        // 1. Sizes, segments and headers. What is cut into pieces has them appended, so the end moves.
        _now = burst.Now;
        _count = 0;
        _wanting = 0;
        _first = burst.Count;
        if (!Warm(burst))
        {
            return 0;
        }

        _aside.Clear();
        for (int i = 0, came = burst.Count; i < came; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Verdict == Verdict.Pass && packet.Ipsec == IpsecAction.Protect
                && packet.Egress != 0 && ((packet.Egress & _protectedMask) == 0 || LeavesProtectedSide(burst, i)))
            {
                Prepare(burst, i, came);
            }
        }

        SealAll(burst);
        return _wanting;
    }

    /// <inheritdoc/>
    public bool CanSeal(in Packet packet) =>
        _databases.Spd?.Entry(packet.Policy) is { } entry && entry.Select(packet, _now, _worker) is not null;

    /// <summary>
    /// Reads a little of all that sealing will look at, packet by packet: what one waits for is on its way for the others too.
    /// </summary>
    /// <returns>Whether anything is to be sealed.</returns>
    private bool Warm(Burst burst)
    {
        long read = 0;
        bool any = false;
        Spd? spd = _databases.Spd;
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Ipsec == IpsecAction.Protect && packet.Egress != 0)
            {
                any = true;
                read += spd?.Entry(packet.Policy)?.Warm() ?? 0;
            }
        }

        _read = read;
        return any;
    }

    /// <summary>Pieces take their numbers where their whole stood: what comes behind it in the burst comes after it.</summary>
    private void PreparePieces(Burst burst, int from)
    {
        for (int i = from, end = burst.Count; i < end; i++)
        {
            Prepare(burst, i, end);
        }
    }

    private void SealAll(Burst burst)
    {
        // 2. All of them at once.
        _crypto.Seal(_jobs.AsSpan(0, _count));

        // 3. What is too large only now is cut on the outside; nothing of its flow overtakes the fragments.
        for (int k = 0, end = burst.Count; k < _count; k++)
        {
            ref Packet packet = ref burst.Packets[_packets[k]];
            if (_ordinary[k])
            {
                if (!_jobs[k].Good)
                {
                    packet.Drop(DropReason.NoRoom);
                }
                else if (burst.Count > end)
                {
                    burst.TryMoveToEnd(_packets[k], out _);
                }

                continue;
            }

            var sa = (OutboundSa)_associations[k];
            sa.Protection.Restore(_jobs[k], _aside, k);
            int mtu = Math.Min(MtuOf(packet.Egress), sa.PathMtu);
            if (!_jobs[k].Good)
            {
                packet.Drop(DropReason.NoRoom);
                continue;
            }

            sa.Protection.Finish(ref packet);
            if (packet.End - packet.Network > mtu)
            {
                if (!Fragmenter.TryCut(burst, _packets[k], mtu, ++_fragmentIdentification))
                {
                    packet.Drop(DropReason.NoRoom);
                }
            }
            else if (burst.Count > end)
            {
                burst.TryMoveToEnd(_packets[k], out _);
            }
        }

        _count = 0;
        _aside.Clear();
    }

    /// <summary>
    /// A flooded frame may leave on both sides: ports of the protected side get a copy of their own, in the clear.
    /// </summary>
    /// <returns>Whether a port of the unprotected side remains.</returns>
    private bool LeavesProtectedSide(Burst burst, int index)
    {
        ref Packet packet = ref burst.Packets[index];
        int within = packet.Egress & _protectedMask;
        if (within == 0)
        {
            return true;
        }

        if (burst.TryAppend(packet.Length, out int at))
        {
            ref Packet fresh = ref burst.Packets[at];
            Packet copy = packet;
            (copy.Slab, copy.Start, copy.Floor, copy.Ceiling) = (fresh.Slab, fresh.Start, fresh.Floor, fresh.Ceiling);
            packet.Bytes.CopyTo(copy.Bytes);
            copy.Egress = (ushort)within;
            copy.Ipsec = IpsecAction.None;
            copy.Policy = 0;
            copy.Assembly = 0;
            fresh = copy;
        }

        packet.Egress &= (ushort)~within;
        return packet.Egress != 0;
    }

    /// <summary>Makes one packet ready to be sealed, or what it becomes, which is put behind the burst's end.</summary>
    /// <param name="burst">The burst.</param>
    /// <param name="index">The packet.</param>
    /// <param name="end">Where those end that stand in order with it: whatever is behind came of one before it, and leaves before it.</param>
    private void Prepare(Burst burst, int index, int end)
    {
        ref Packet packet = ref burst.Packets[index];
        if (_databases.Spd is not { } spd || spd.Entry(packet.Policy) is not { } entry)
        {
            packet.Drop(DropReason.NoSa);
            return;
        }

        // A piece that shows no ports goes by the SA for such, where policy has one (RFC 4301 §7.2); else with its packet.
        bool later = IsLaterPiece(packet);
        if (later && entry.NamesPorts(packet.Key.Protocol) && spd.FindOpaque(packet.Key, inbound: false) is { } opaque)
        {
            entry = opaque;
        }

        if (entry.Select(packet, _now, _worker) is not { } sa || (later && sa.Mode == IpsecMode.Transport))
        {
            WantSa(entry, ref packet);
            return;
        }

        if (sa.Owner != _worker)
        {
            _seat!.HandOver(ref packet, sa.Owner, piece: index >= _first || (packet.Guest & GuestState.Piece) != 0);
            return;
        }

        if (burst.Count == end && TryPrepareOrdinary(ref packet, index, entry, sa))
        {
            return;
        }

        // 1. Whether it will fit; a super-frame is measured by its segments.
        SaSettings settings = sa.Settings;
        bool tunnel = sa.Mode == IpsecMode.Tunnel, whole = settings.FragmentAfterSealing && tunnel;
        int mtu = Math.Min(MtuOf(packet.Egress), sa.PathMtuAt(_now));
        int split = tunnel ? 0 : IpHeader.SplitForProtection(packet.Datagram, out _);
        int length = packet.Segments > 1
            ? packet.Payload + packet.Offload.SegmentSize - packet.Network
            : packet.End - packet.Network;
        int sealedLength = sa.Protection.SealedLength(sa, packet.IsIPv4, split, length);
        bool fits = sealedLength <= mtu, pads = settings.Padding.PadTo > length && sa.Protection.Pads;
        int longest = fits && !pads
            ? int.MaxValue
            : Math.Max(sa.Protection.LongestFor(sa, packet.IsIPv4, split, mtu), packet.IsIPv4 ? LeastIPv4Mtu : LeastIPv6Mtu);
        bool mayBeCut = !packet.DontFragment || packet.Fragmented
            || (whole && sa.Remote.IsIPv4 && settings.Outer.DontFragment == DontFragmentBit.Clear);
        if (!fits && !mayBeCut && length > longest)
        {
            Count(ref entry.Statistics.TooBig);
            bool told = MayAnswer() && IcmpErrors.TryAppend(burst, index, IcmpErrorKind.TooBig, longest);
            packet.Finish(told ? Verdict.Answered : Verdict.Drop, DropReason.TooBig);
            return;
        }

        // A tunnel is one hop of the packet's way, but for the box's own (RFC 4301 §5.1.2.1 note 2).
        bool isHop = tunnel && packet.Ingress != _self?.Number;
        if (isHop && IpHeader.HopLimit(packet.Datagram) <= 1)
        {
            bool told = MayAnswer() && IcmpErrors.TryAppend(burst, index, IcmpErrorKind.HopLimit);
            packet.Finish(told ? Verdict.Answered : Verdict.Drop, DropReason.HopLimit);
            return;
        }

        // 2. Into the packets that a wire carries, checksums finished.
        if (packet.Offload.Gso != GsoKind.None)
        {
            int from = burst.Count;
            if (!Segmenter.TryCut(burst, index))
            {
                packet.Drop(DropReason.NoRoom);
                return;
            }

            if (packet.Egress == 0)
            {
                PreparePieces(burst, from);
                return;
            }
        }

        if (!Segmenter.TryFinishChecksum(ref packet))
        {
            packet.Drop(DropReason.BadChecksum);
            return;
        }

        if (settings.ClampMss
            && TcpMss.Clamp(packet.Datagram, sa.Protection.LongestFor(sa, packet.IsIPv4, IpHeader.Length(packet.Datagram), mtu)))
        {
            packet.Offload.Checksum = ChecksumState.Valid;
        }

        // 3. IPv4 may be fragmented on its way: a tunnel does it inside, so that each piece is whole to the far end.
        if (!fits && !whole && packet.IsIPv4 && tunnel && length > LeastIPv4Mtu)
        {
            int from = burst.Count;
            if (Fragmenter.TryCut(burst, index, longest, 0))
            {
                PreparePieces(burst, from);
            }
            else
            {
                packet.Drop(DropReason.NoRoom);
            }

            return;
        }

        // 4. ESP or AH around it.
        bool outerIPv4 = tunnel ? sa.Remote.IsIPv4 : packet.IsIPv4;
        if (!IpHeader.CanHold(outerIPv4, sealedLength))
        {
            packet.Drop(DropReason.TooBig);
            return;
        }

        int padTo = pads ? Math.Min(settings.Padding.PadTo, longest) : 0;
        if (padTo - length > packet.Tailroom - LongestTrailer && !TryMoveToRoom(burst, ref packet, Math.Max(0, padTo - length)))
        {
            packet.Drop(DropReason.NoRoom);
            return;
        }

        if (!sa.TryNext(out ulong sequence))
        {
            packet.Drop(DropReason.SequenceExhausted);
            return;
        }

        if (isHop)
        {
            IpHeader.TakeHop(packet.Datagram);
        }

        if (!sa.Protection.TryWrap(ref packet, sa, sequence, ++_identification, padTo, dummy: false, out _jobs[_count]))
        {
            packet.Drop(DropReason.NoRoom);
            return;
        }

        if (!fits && outerIPv4)
        {
            // Fragments of it follow; a DF that was copied would forbid them.
            packet.Datagram[6] &= 0xbf;
            IpHeader.FinishIPv4(packet.Datagram);
        }

        if (!sa.Protection.TryBlank(packet, _jobs[_count], _aside, _count))
        {
            // Those before it have used the room up: they are sealed first, and give it back.
            CryptoJob job = _jobs[_count];
            SealAll(burst);
            _jobs[0] = job;
            if (!sa.Protection.TryBlank(packet, job, _aside, 0))
            {
                packet.Drop(DropReason.NoRoom);
                return;
            }
        }

        sa.LastSent = _now;
        if (settings.Encapsulation is not null)
        {
            sa.Link = (Parser.DestinationMac(packet.Bytes), Parser.SourceMac(packet.Bytes));
        }

        Count(ref entry.Statistics.Protected);
        Count(ref entry.Statistics.ProtectedBytes, length);
        if (burst.Count > end)
        {
            burst.TryMoveToEnd(index, out index);
        }

        _packets[_count] = index;
        _ordinary[_count] = false;
        _associations[_count++] = sa;
    }

    /// <summary>Padding needs a longer frame than the packet came in: it moves to one, and keeps its place among the others.</summary>
    private static bool TryMoveToRoom(Burst burst, ref Packet packet, int more)
    {
        int capacity = packet.Length + more;
        if (!burst.Arena.TryRent(capacity, out int start))
        {
            return false;
        }

        packet.Bytes.CopyTo(burst.Arena.Slab.AsSpan(start));
        packet.Slab = burst.Arena.Slab;
        packet.Start = start;
        packet.Floor = start - FrameArena.Room;
        packet.Ceiling = start + capacity + FrameArena.Room;
        return true;
    }

    /// <summary>Whether it is a piece of a packet, and not the first.</summary>
    private static bool IsLaterPiece(in Packet packet) => packet.IsIPv4
        ? (BinaryPrimitives.ReadUInt16BigEndian(packet.Datagram[6..]) & 0x1fff) != 0
        : packet.FragmentOffset != 0;

    /// <summary>Nothing to seal it with: who manages keys is told what is wanted.</summary>
    private void WantSa(SpdEntry entry, ref Packet packet)
    {
        Count(ref entry.Statistics.NoSa);
        if (packet.Kind != PacketKind.IcmpError)        // RFC 4301 §6.2: for these no SA is made
        {
            SelectorValues values = SelectorValues.Of(packet.Key, inbound: false, packet.IcmpType, packet.IcmpCode);
            Events.TryWrite(new IpsecEvent(IpsecEventKind.Acquire, entry.Number, null, values, _now), spare: RoomForEvents / 2);      // a flood of wishes hides no end
        }

        DropReason why = entry.HasExpired ? DropReason.SaExpired : DropReason.NoSa;
        if (AwaitsKeys && entry.Policy.Sas.IsEmpty && packet.Kind != PacketKind.IcmpError)
        {
            packet.Reason = why;
            _wanting++;
        }
        else
        {
            packet.Drop(why);
        }
    }
}

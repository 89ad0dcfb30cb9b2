using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Protocols;
using Filter.Rules.Policy;

namespace Filter.Ipsec;

/// <content>What leaves protected (RFC 4301 §5.1).</content>
public sealed partial class IpsecStage
{
    private const int LeastIPv6Mtu = 1280;      // RFC 8200 §5
    private const int LeastIPv4Mtu = 68;        // RFC 791 §3.2

    private ushort _identification;
    private uint _fragmentIdentification;

    /// <inheritdoc/>
    public void Protect(Burst burst)
    {
        // 1. Sizes, segments and headers. What is cut into pieces has them appended, so the end moves.
        _now = burst.Now;
        _count = 0;
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Verdict == Verdict.Pass && packet.Ipsec == IpsecAction.Protect
                && packet.Egress != 0 && LeavesProtectedSide(burst, i))
            {
                Prepare(burst, i);
            }
        }

        // 2. All of them at once.
        _crypto.Seal(_jobs.AsSpan(0, _count));

        // 3. What is too large only now is cut on the outside.
        for (int k = 0; k < _count; k++)
        {
            ref Packet packet = ref burst.Packets[_packets[k]];
            int mtu = MtuOf(packet.Egress);
            if (!_jobs[k].Good)
            {
                packet.Drop(DropReason.NoRoom);
            }
            else if (packet.End - packet.Network > mtu
                && !Fragmenter.TryCut(burst, _packets[k], mtu, ++_fragmentIdentification))
            {
                packet.Drop(DropReason.NoRoom);
            }
        }
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

    /// <summary>Makes one packet ready to be sealed, or puts what it becomes behind the burst's end.</summary>
    private void Prepare(Burst burst, int index)
    {
        ref Packet packet = ref burst.Packets[index];
        if (_databases.Spd?.Entry(packet.Policy) is not { } entry)
        {
            packet.Drop(DropReason.NoSa);
            return;
        }

        if (entry.Select(packet, _now) is not { } sa)
        {
            WantSa(entry, ref packet);
            return;
        }

        // 1. Whether it will fit; a super-frame is measured by its segments.
        int mtu = MtuOf(packet.Egress);
        int split = sa.Mode == IpsecMode.Tunnel ? 0 : IpHeader.SplitForProtection(packet.Datagram, out _);
        int length = packet.Segments > 1
            ? packet.Payload + packet.Offload.SegmentSize - packet.Network
            : packet.End - packet.Network;
        int longest = Math.Max(sa.Protection.LongestFor(sa, packet.IsIPv4, split, mtu), packet.IsIPv4 ? LeastIPv4Mtu : LeastIPv6Mtu);
        bool fits = sa.Protection.SealedLength(sa, packet.IsIPv4, split, length) <= mtu;
        if (!fits && packet.DontFragment && !packet.Fragmented && length > longest)
        {
            entry.Statistics.TooBig++;
            bool told = _answers.TryTake(burst.Now) && IcmpErrors.TryAppend(burst, index, IcmpErrorKind.TooBig, longest);
            packet.Finish(told ? Verdict.Answered : Verdict.Drop, DropReason.TooBig);
            return;
        }

        // 2. Into the packets that a wire carries, checksums finished.
        if (packet.Offload.Gso != GsoKind.None)
        {
            if (!Segmenter.TryCut(burst, index))
            {
                packet.Drop(DropReason.NoRoom);
                return;
            }

            if (packet.Egress == 0)
            {
                return;
            }
        }

        if (!Segmenter.TryFinishChecksum(ref packet))
        {
            packet.Drop(DropReason.BadChecksum);
            return;
        }

        if (sa.Settings.ClampMss && TcpMss.Clamp(packet.Datagram, sa.Protection.LongestFor(sa, packet.IsIPv4, IpHeader.Length(packet.Datagram), mtu)))
        {
            packet.Offload.Checksum = ChecksumState.Valid;
        }

        // 3. IPv4 may be fragmented on its way: a tunnel does it inside, so that each piece is whole to the far end.
        if (!fits && packet.IsIPv4 && sa.Mode == IpsecMode.Tunnel && length > LeastIPv4Mtu)
        {
            if (!Fragmenter.TryCut(burst, index, longest, 0))
            {
                packet.Drop(DropReason.NoRoom);
            }

            return;
        }

        // 4. ESP or AH around it.
        bool outerIPv4 = sa.Mode == IpsecMode.Tunnel ? sa.Remote.IsIPv4 : packet.IsIPv4;
        if (!IpHeader.CanHold(outerIPv4, sa.Protection.SealedLength(sa, packet.IsIPv4, split, length)))
        {
            packet.Drop(DropReason.TooBig);
            return;
        }

        if (!sa.TryNext(out ulong sequence))
        {
            packet.Drop(DropReason.SequenceExhausted);
            return;
        }

        if (!sa.Protection.TryWrap(ref packet, sa, sequence, ++_identification, out _jobs[_count]))
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

        sa.LastSent = _now;
        entry.Statistics.Protected++;
        entry.Statistics.ProtectedBytes += length;
        _packets[_count] = index;
        _associations[_count++] = sa;
    }

    /// <summary>Nothing to seal it with: who manages keys is told what is wanted.</summary>
    private void WantSa(SpdEntry entry, ref Packet packet)
    {
        entry.Statistics.NoSa++;
        SelectorValues values = SelectorValues.Of(packet.Key, inbound: false, packet.IcmpType, packet.IcmpCode);
        Events.TryWrite(new IpsecEvent(IpsecEventKind.Acquire, entry.Number, null, values, _now));
        packet.Drop(entry.HasExpired ? DropReason.SaExpired : DropReason.NoSa);
    }
}

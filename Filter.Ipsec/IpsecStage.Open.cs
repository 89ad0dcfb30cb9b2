using System.Buffers.Binary;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Protocols;
using Filter.Rules.Policy;

namespace Filter.Ipsec;

/// <content>What came protected (RFC 4301 §5.2).</content>
public sealed partial class IpsecStage
{
    /// <inheritdoc/>
    public void Part(Burst burst)
    {
        for (int i = 0; Sad.HasEncapsulated && i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet is { Offload.Gso: GsoKind.Udp, Done: false, Kind: PacketKind.Tracked } && _ports[packet.Ingress].Side == Side.Unprotected
                && IsEncapsulated(packet) && !Segmenter.TryPart(burst, i))
            {
                packet.Drop(DropReason.NoRoom);
            }
        }
    }

    /// <inheritdoc/>
    public int Open(Burst burst, int from)
    {
        // 1. Whose they are; what can be refused without cryptography is.
        _now = burst.Now;
        _count = 0;
        _aside.Clear();
        int candidates = 0;
        for (int i = from; i < burst.Count; i++)
        {
            ref readonly Packet packet = ref burst.Packets[i];
            if (!packet.Done && !packet.Own && packet.Kind == PacketKind.Tracked
                && (packet.Key.Protocol is IpProtocol.Esp or IpProtocol.Ah || IsEncapsulated(packet))
                && _ports[packet.Ingress].Side == Side.Unprotected)
            {
                _spis[candidates] = packet.Spi;
                _packets[candidates++] = i;
            }
        }

        _warmed ^= Sad.Warm(_spis.AsSpan(0, candidates));
        _read += Sad.WarmFound(_spis.AsSpan(0, candidates));
        int opened = 0;
        for (int k = 0; k < candidates; k++)
        {
            int index = _packets[k];        // those that are taken move up, never past k
            Address(burst, index, ref opened);
        }

        return opened + OpenAll(burst);
    }

    private int OpenAll(Burst burst)
    {
        // 2. All ICVs, and what they let be decrypted.
        _crypto.Open(_jobs.AsSpan(0, _count));

        // 3. What was inside.
        int opened = 0;
        for (int k = 0; k < _count; k++)
        {
            ref Packet packet = ref burst.Packets[_packets[k]];
            var sa = (InboundSa)_associations[k];
            sa.Protection.Restore(_jobs[k], _aside, k);
            if (!_jobs[k].Good)
            {
                sa.Statistics.BadIcv++;
                packet.Drop(DropReason.BadIcv);
                continue;
            }

            if (!sa.MayCarry(_now))
            {
                // Those before it in the burst were its last.
                sa.Statistics.Expired++;
                packet.Drop(DropReason.SaExpired);
                continue;
            }

            bool isNewest = sa.Window is { } window && _jobs[k].Sequence > window.Top;
            DropReason why = sa.Protection.Unwrap(ref packet, sa, _jobs[k]);
            if (why == DropReason.None && isNewest && sa.Answer is { } answer && sa.Settings.Encapsulation is { FollowsPeer: true })
            {
                Sad.Follow(answer, packet.Key.Source, packet.Key.SourcePort);
            }

            if (why != DropReason.None)
            {
                packet.Drop(why);
            }
            else if (!packet.Done)
            {
                MarkOpened(ref packet, sa);
                opened++;
            }
        }

        _count = 0;
        _aside.Clear();
        return opened;
    }

    /// <inheritdoc/>
    public bool Fits(ref Packet packet)
    {
        if (Sad[packet.Sa] is not InboundSa sa || sa.Users.Length == 0)
        {
            return false;
        }

        FlowKey key = packet.Key;
        if (sa.IsBetweenEnds(key.Destination, key.Source)
            && (FitOf(sa, key.Reverse, packet.IcmpType, packet.IcmpCode) ?? FitOfQuote(sa, packet)) is { } entry)
        {
            packet.ArrivedBy = entry.Number;
            Count(ref entry.Statistics.Opened);
            Count(ref entry.Statistics.OpenedBytes, packet.End - packet.Network);
            return true;
        }

        Count(ref sa.Users[0].Statistics.WrongSelectors);
        return false;
    }

    /// <summary>The SA's first policy that a packet fits, where it fits the SA itself.</summary>
    private static SpdEntry? FitOf(InboundSa sa, in FlowKey way, byte icmpType, byte icmpCode)
    {
        if (sa.Selectors is null || sa.Selectors.Contain(SelectorValues.Of(way, inbound: false, icmpType, icmpCode)))
        {
            foreach (SpdEntry entry in sa.Users)
            {
                if (entry.Matches(way, icmpType, icmpCode))
                {
                    return entry;
                }
            }
        }

        return null;
    }

    /// <summary>An ICMP error from whomever may come by the SA of the traffic it speaks of (RFC 4301 §6.2).</summary>
    private static SpdEntry? FitOfQuote(InboundSa sa, in Packet packet) =>
        packet.Kind == PacketKind.IcmpError && Parser.TryReadQuote(packet, out FlowKey quoted)
            ? FitOf(sa, quoted, SelectorValues.QuotedType(packet), 0)
            : null;

    /// <inheritdoc/>
    public PieceOrigin OriginOf(in Packet piece)
    {
        if (_databases.Spd is not { } spd || Sad[piece.Sa] is not { } sa)
        {
            return default;
        }

        // Only who may send packets between these addresses adds to them: its packet is looked at by the SA of the first piece alone.
        FlowKey way = piece.Key.Reverse;
        bool between = sa.IsBetweenEnds(way.Source, way.Destination);
        if (between && sa.Selectors?.Local.Contains(way.Source) != false && sa.Selectors?.Remote.Contains(way.Destination) != false)
        {
            ushort under = 0;
            SpdEntry? opaque = spd.FindOpaque(way, inbound: true);
            foreach (SpdEntry entry in sa.Users)
            {
                if (!entry.IsBetween(way.Source, way.Destination))
                {
                    continue;
                }

                if (opaque is not null && (entry == opaque || entry.NamesPorts(way.Protocol)))
                {
                    return new PieceOrigin(opaque.Number, sa.Serial, Alone: false);
                }

                under = piece.ArrivedBy;
            }

            if (under != 0)
            {
                return new PieceOrigin(under, sa.Serial, Alone: false);
            }
        }

        if (between && way.Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6 && MayHearOf(sa, way.Source))
        {
            // An error of a router on the way, perhaps: the whole of it shows what it quotes.
            return new PieceOrigin(piece.ArrivedBy, sa.Serial, Alone: true);
        }

        if (sa.Users.Length > 0)
        {
            Count(ref sa.Users[0].Statistics.WrongSelectors);
        }

        return default;
    }

    /// <inheritdoc/>
    public bool Has(int sa, long association) => Sad[sa]?.Serial == association;

    /// <summary>Whether an SA carries what that machine has sent, and so errors about it.</summary>
    private static bool MayHearOf(SecurityAssociation sa, Address local)
    {
        if (sa.Selectors?.Local.Contains(local) != false)
        {
            foreach (SpdEntry entry in sa.Users)
            {
                if (entry.Policy.Local is null || entry.Policy.Local.Contains(local))
                {
                    return true;
                }
            }
        }

        return false;
    }

    private void Address(Burst burst, int index, ref int opened)
    {
        ref Packet packet = ref burst.Packets[index];
        bool inUdp = packet.Key.Protocol == IpProtocol.Udp;
        if (inUdp && !TryReadEncapsulated(ref packet))
        {
            return;
        }

        if (Sad.Find(packet.Spi, inUdp ? IpProtocol.Esp : packet.Key.Protocol, packet.Key.Destination) is not { } sa
            || !sa.Receives(packet.Key) || !sa.ComesBy(packet.Key))
        {
            // ESP and AH of other hosts are transit, for the rules to judge.
            if (IsForUs(packet))
            {
                packet.Drop(DropReason.UnknownSpi);
            }
            else if (inUdp)
            {
                (packet.Spi, packet.Sequence) = (0, 0);
            }

            return;
        }

        if (sa.Owner != _worker)
        {
            packet.Guest |= GuestState.Rehomed;         // it stays there until it is opened, wherever its addresses are at home
            _seat!.HandOver(ref packet, sa.Owner);
            return;
        }

        DropReason why = packet.Depth >= DeepestNesting
            ? DropReason.NestedTooDeep
            : sa.Protection.TryAddress(packet, sa, out _jobs[_count]);
        if (why == DropReason.None && !sa.MayCarry(_now))
        {
            sa.Statistics.Expired++;
            why = DropReason.SaExpired;
        }

        if (why == DropReason.None && !sa.Protection.TryBlank(packet, _jobs[_count], _aside, _count))
        {
            // Those before it have used the room up: they are opened first, and give it back.
            CryptoJob job = _jobs[_count];
            opened += OpenAll(burst);
            _jobs[0] = job;
            why = sa.Protection.TryBlank(packet, job, _aside, 0) ? DropReason.None : DropReason.NoRoom;
        }

        if (why != DropReason.None)
        {
            packet.Drop(why);
            return;
        }

        _packets[_count] = index;
        _associations[_count++] = sa;
    }

    private bool IsForUs(in Packet packet) =>
        _databases.Own.Contains(packet.Key.Destination)
        || (_hostMac != 0 && Parser.DestinationMac(packet.Bytes) == _hostMac)
        || (packet.Key.Protocol == IpProtocol.Udp && Sad.IsEncapsulatedTo(packet.Key.Destination, packet.Key.DestinationPort));

    private bool IsEncapsulated(in Packet packet) =>
        packet.Key.Protocol == IpProtocol.Udp && Sad.Encapsulates(packet.Key.Destination, packet.Key.DestinationPort);

    /// <summary>
    /// What is in UDP to a port of ours (RFC 3948 §2): four bytes of zero are the mark of IKE, which passes as the datagram that it
    /// is; one byte of ones keeps a translator's entry alive, and ends here; all else is ESP.
    /// </summary>
    private bool TryReadEncapsulated(ref Packet packet)
    {
        ReadOnlySpan<byte> udp = packet.Segment;
        ReadOnlySpan<byte> inside = udp[UdpHeader.Length..Esp.LengthOfUdp(udp)];
        if (inside.Length == 1 && inside[0] == KeepAliveByte && IsForUs(packet))
        {
            KeepAlivesHeard++;
            packet.Finish(Verdict.Consumed);
            return false;
        }

        if (inside.Length <= SpiHeader.Length || BinaryPrimitives.ReadUInt32BigEndian(inside) == 0)
        {
            return false;
        }

        packet.Spi = BinaryPrimitives.ReadUInt32BigEndian(inside);
        packet.Sequence = BinaryPrimitives.ReadUInt32BigEndian(inside[4..]);
        return true;
    }

    private void MarkOpened(ref Packet packet, InboundSa sa)
    {
        packet.ArrivedBy = sa.Policy;
        packet.Sa = sa.Number;
        packet.Guest &= ~(GuestState.Rehomed | GuestState.PutTogether);     // its own pieces are the SA's, not those of what was inside
        packet.Ipsec = IpsecAction.Opened;
        packet.Depth++;
        if (sa.Settings.ClampMss && sa.Users.Length > 0 && sa.Users[0].Usual is { } back)
        {
            // What their side is told here is what ours will send back.
            Span<byte> datagram = packet.Datagram;
            TcpMss.Clamp(
                datagram,
                back.Protection.LongestFor(back, IpHeader.IsIPv4(datagram), IpHeader.Length(datagram), _ports[packet.Ingress].Mtu));
        }
    }
}

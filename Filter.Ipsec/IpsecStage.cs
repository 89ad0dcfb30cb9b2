using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Protocols;
using Filter.Rules.Policy;

namespace Filter.Ipsec;

/// <summary>
/// IPsec on the walk (RFC 4301 §5): opens what came protected, says what policy wants, seals what leaves. One a worker,
/// which alone calls it; it gives its SAs' keys back when it adopts databases that no longer have them.
/// </summary>
public sealed class IpsecStage : IIpsecStage, IDisposable
{
    /// <summary>Most tunnels inside each other.</summary>
    public const int DeepestNesting = 3;

    private const int LeastIPv6Mtu = 1280;      // RFC 8200 §5
    private const int LeastIPv4Mtu = 68;        // RFC 791 §3.2

    private readonly IReadOnlyList<Port> _ports;
    private readonly CryptoBackend _crypto;
    private readonly CryptoJob[] _jobs = new CryptoJob[Burst.Capacity];
    private readonly int[] _packets = new int[Burst.Capacity];
    private readonly SaPair[] _pairs = new SaPair[Burst.Capacity];
    private readonly ushort _protectedMask;
    private readonly ulong _hostMac;
    private IpsecDatabases _databases;
    private TokenBucket _answers = new(new RateLimit(1_000_000_000 / 200, 200));     // RFC 4443 §2.4 (f)
    private int _count;
    private ushort _identification;
    private uint _fragmentIdentification;

    /// <summary>A stage for the ports of one path.</summary>
    /// <param name="ports">By number: their sides and MTUs count.</param>
    /// <param name="crypto">Its own from now on.</param>
    /// <param name="databases">What is in force.</param>
    /// <param name="host">
    /// The port behind which stands the box's own stack and nobody else; null in a bridge. Whatever address that stack
    /// has given itself, ESP to its link address is meant for us.
    /// </param>
    public IpsecStage(IReadOnlyList<Port> ports, CryptoBackend crypto, IpsecDatabases databases, Port? host = null)
    {
        _ports = ports;
        _hostMac = host?.Mac ?? 0;
        _crypto = crypto;
        _databases = databases;
        foreach (Port port in ports)
        {
            _protectedMask |= port.Side == Side.Protected ? port.Mask : (ushort)0;
        }

        _identification = (ushort)Random.Shared.Next();
        _fragmentIdentification = (uint)Random.Shared.NextInt64();
    }

    /// <inheritdoc/>
    public int Generation { get; private set; } = 1;

    /// <summary>What is in force. Its statistics may be read by any thread.</summary>
    public IpsecDatabases Databases => Volatile.Read(ref _databases);

    /// <summary>The library that does the cryptography, for `status`.</summary>
    public string Backend => _crypto.Name;

    /// <summary>
    /// Puts new databases in force, and wipes the keys of SAs that are not in them. Called by the worker between bursts.
    /// </summary>
    public void Adopt(IpsecDatabases next)
    {
        IpsecDatabases before = _databases;
        Volatile.Write(ref _databases, next);
        Generation++;
        Array.Clear(_jobs);
        Array.Clear(_pairs);
        HashSet<SecurityAssociation> kept = [.. next.Associations];
        foreach (SecurityAssociation old in before.Associations)
        {
            if (!kept.Contains(old))
            {
                old.Dispose();
            }
        }
    }

    /// <inheritdoc/>
    public int Open(Burst burst, int from)
    {
        // 1. Whose they are; what can be refused without cryptography is.
        _count = 0;
        for (int i = from; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (!packet.Done && !packet.Own && packet.Kind == PacketKind.Tracked && packet.Key.Protocol == IpProtocol.Esp
                && _ports[packet.Ingress].Side == Side.Unprotected)
            {
                Address(ref packet, i);
            }
        }

        // 2. All ICVs, and what they let be decrypted.
        _crypto.Open(_jobs.AsSpan(0, _count));

        // 3. What was inside.
        int opened = 0;
        for (int k = 0; k < _count; k++)
        {
            ref Packet packet = ref burst.Packets[_packets[k]];
            if (!_jobs[k].Good)
            {
                _pairs[k].Inbound.Statistics.BadIcv++;
                packet.Drop(DropReason.BadIcv);
                continue;
            }

            DropReason why = Esp.Unwrap(ref packet, _pairs[k], _jobs[k]);
            if (why != DropReason.None)
            {
                packet.Drop(why);
            }
            else if (!packet.Done)
            {
                MarkOpened(ref packet, _pairs[k]);
                opened++;
            }
        }

        return opened;
    }

    /// <inheritdoc/>
    public bool Fits(in Packet packet)
    {
        if (_databases.Spd?.Entry(packet.ArrivedBy)?.Sa is not { } pair)
        {
            return false;
        }

        FlowKey key = packet.Key;
        if (pair.IsBetweenEnds(key.Destination, key.Source))
        {
            foreach (SpdEntry entry in pair.Users)
            {
                if (entry.Matches(key.Destination, key.Source, key.Protocol, key.SourcePort, packet.IcmpType, packet.IcmpCode)
                    || MatchesQuote(entry, packet))
                {
                    entry.Statistics.Opened++;
                    return true;
                }
            }
        }

        pair.Users[0].Statistics.WrongSelectors++;
        return false;
    }

    /// <inheritdoc/>
    public IpsecDecision Decide(in OpeningFacts facts)
    {
        if (_databases.Spd is not { } spd)
        {
            return new IpsecDecision(IpsecAction.Bypass, 0);
        }

        if (spd.Find(facts) is not { } entry)
        {
            return new IpsecDecision(IpsecAction.Drop, 0);
        }

        entry.Statistics.Decisions++;

        // Policies that share an SA answer as the first of them: what comes by that SA fits each.
        return new IpsecDecision(entry.Action, entry.Sa?.Policy ?? entry.Number);
    }

    /// <inheritdoc/>
    public bool SealsFragments(ushort policy) => _databases.Spd?.Entry(policy) is { Sa.Mode: IpsecMode.Tunnel };

    /// <inheritdoc/>
    public void Protect(Burst burst)
    {
        // 1. Sizes, segments and headers. What is cut into pieces has them appended, so the end moves.
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

    /// <summary>Gives the cryptography back and wipes all keys. The worker has stopped.</summary>
    public void Dispose()
    {
        foreach (SecurityAssociation association in _databases.Associations)
        {
            association.Dispose();
        }

        _crypto.Dispose();
    }

    private void Address(ref Packet packet, int index)
    {
        if (_databases.Sad.Find(packet.Spi, IpProtocol.Esp, packet.Key.Destination) is not { } pair
            || !pair.Receives(packet.Key))
        {
            // ESP of other hosts is transit, for the rules to judge.
            if (_databases.Own.Contains(packet.Key.Destination)
                || (_hostMac != 0 && Parser.DestinationMac(packet.Bytes) == _hostMac))
            {
                packet.Drop(DropReason.UnknownSpi);
            }

            return;
        }

        DropReason why = packet.Depth >= DeepestNesting
            ? DropReason.NestedTooDeep
            : Esp.TryAddress(packet, pair.Inbound, out _jobs[_count]);
        if (why != DropReason.None)
        {
            packet.Drop(why);
            return;
        }

        _packets[_count] = index;
        _pairs[_count++] = pair;
    }

    private void MarkOpened(ref Packet packet, SaPair pair)
    {
        packet.ArrivedBy = pair.Policy;
        packet.Ipsec = IpsecAction.Opened;
        packet.Depth++;
        if (pair.ClampMss)
        {
            // What their side is told here is what ours will send back.
            Span<byte> datagram = packet.Datagram;
            TcpMss.Clamp(datagram, Esp.LongestFor(pair, IpHeader.Length(datagram), _ports[packet.Ingress].Mtu));
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

    /// <summary>An ICMP error may come by the SA of the traffic it speaks of (RFC 4301 §6.2).</summary>
    private static bool MatchesQuote(SpdEntry entry, in Packet packet) =>
        packet.Kind == PacketKind.IcmpError
        && Parser.TryReadQuote(packet, out FlowKey quoted)
        && entry.Matches(
            quoted.Source, quoted.Destination, quoted.Protocol, quoted.DestinationPort, packet.IsIPv4 ? (byte)8 : (byte)128, 0);

    /// <summary>Makes one packet ready to be sealed, or puts what it becomes behind the burst's end.</summary>
    private void Prepare(Burst burst, int index)
    {
        ref Packet packet = ref burst.Packets[index];
        if (_databases.Spd?.Entry(packet.Policy) is not { Sa: { } pair } entry
            || !pair.IsBetweenEnds(packet.Key.Source, packet.Key.Destination))
        {
            CountNoSa(packet.Policy);
            packet.Drop(DropReason.NoSa);
            return;
        }

        // 1. Whether it will fit; a super-frame is measured by its segments.
        int mtu = MtuOf(packet.Egress);
        int split = pair.Mode == IpsecMode.Tunnel ? 0 : IpHeader.SplitForProtection(packet.Datagram, out _);
        int length = packet.Segments > 1
            ? packet.Payload + packet.Offload.SegmentSize - packet.Network
            : packet.End - packet.Network;
        int longest = Math.Max(Esp.LongestFor(pair, split, mtu), packet.IsIPv4 ? LeastIPv4Mtu : LeastIPv6Mtu);
        bool fits = Esp.SealedLength(pair, split, length) <= mtu;
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

        if (pair.ClampMss && TcpMss.Clamp(packet.Datagram, Esp.LongestFor(pair, IpHeader.Length(packet.Datagram), mtu)))
        {
            packet.Offload.Checksum = ChecksumState.Valid;
        }

        // 3. IPv4 may be fragmented on its way: a tunnel does it inside, so that each piece is whole to the far end.
        if (!fits && packet.IsIPv4 && pair.Mode == IpsecMode.Tunnel && length > LeastIPv4Mtu)
        {
            if (!Fragmenter.TryCut(burst, index, longest, 0))
            {
                packet.Drop(DropReason.NoRoom);
            }

            return;
        }

        // 4. ESP around it.
        bool outerIPv4 = pair.Mode == IpsecMode.Tunnel ? pair.Remote!.Value.IsIPv4 : packet.IsIPv4;
        if (!IpHeader.CanHold(outerIPv4, Esp.SealedLength(pair, split, length)))
        {
            packet.Drop(DropReason.TooBig);
            return;
        }

        if (!pair.Outbound.TryNext(out uint sequence))
        {
            packet.Drop(DropReason.SequenceExhausted);
            return;
        }

        if (!Esp.TryWrap(ref packet, pair, sequence, ++_identification, out _jobs[_count]))
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

        entry.Statistics.Protected++;
        _packets[_count] = index;
        _pairs[_count++] = pair;
    }

    private void CountNoSa(ushort policy)
    {
        if (_databases.Spd?.Entry(policy) is { } entry)
        {
            entry.Statistics.NoSa++;
        }
    }

    /// <summary>The smallest of the ports that the packet leaves by.</summary>
    private int MtuOf(ushort egress)
    {
        int mtu = int.MaxValue;
        for (int ports = egress; ports != 0; ports &= ports - 1)
        {
            mtu = Math.Min(mtu, _ports[System.Numerics.BitOperations.TrailingZeroCount(ports)].Mtu);
        }

        return mtu;
    }
}

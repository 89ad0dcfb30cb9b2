using System.Buffers.Binary;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;

namespace Filter.Engine.Local;

/// <summary>
/// The gateway's own neighbour table: next hops of the packets that Filter itself addresses (tunnel
/// headers, and what comes out of tunnels). IPv4 by ARP (RFC 826), IPv6 by neighbour discovery
/// (RFC 4861). Only asked-for answers are believed. Bounded; one worker.
/// </summary>
/// <remarks>Frames are sent untagged: a gateway's own port in a VLAN is not supported.</remarks>
public sealed class Neighbours
{
    private const long Second = 1_000_000_000;
    private const int Entries = 1024;
    private const int Probes = 8;
    private const int Tries = 3;
    private const long Fresh = 30 * Second;             // RFC 4861 §10, REACHABLE_TIME
    private const long Stale = 600 * Second;
    private const int Slots = 256;
    private const int SlotSize = 9 * 1024;
    private const int HeldPerNeighbour = 8;

    private readonly LocalNetwork _local;
    private readonly PathCounters _counters;
    private readonly Entry[] _entries = new Entry[Entries];
    private readonly FlowHash _hash = FlowHash.Create();
    private readonly HeldFrame[] _held = new HeldFrame[Slots];
    private readonly byte[] _pool;
    private int _asking;
    private bool _answered;
    private long _lastHeld;

    /// <summary>A table for the gateway.</summary>
    /// <param name="local">Its addresses and routes.</param>
    /// <param name="counters">Where held packets move on from held once their fate is known.</param>
    public Neighbours(LocalNetwork local, PathCounters counters)
    {
        _local = local;
        _counters = counters;
        _pool = local.CanAddress ? new byte[Slots * SlotSize] : [];
    }

    /// <summary>Whether it asks for a neighbour, and so wants to see what passes.</summary>
    public bool Asks => _asking != 0;

    /// <summary>Packets that wait for a neighbour.</summary>
    public int HeldNow { get; private set; }

    /// <summary>
    /// Looks at every ARP and neighbour discovery packet that passes: it may be the answer. What comes out of a tunnel
    /// is no neighbour's.
    /// </summary>
    public void Learn(ref Packet packet)
    {
        if (_asking == 0 || packet.ArrivedBy != 0)
        {
            return;
        }

        if (packet.Kind == PacketKind.Link && packet.EtherType == EtherTypes.Arp && packet.Key.Segment == 0)
        {
            ReadOnlySpan<byte> arp = packet.Bytes[packet.Network..];
            Answer(packet.Key.Source, packet.Ingress, Parser.SourceMac(arp[2..]), packet.Time);
        }
        else if (packet.Kind == PacketKind.Untracked && packet.Key.Protocol == IpProtocol.IcmpV6
            && !packet.Fragmented && packet.IcmpType == 136 && packet.IcmpCode == 0 && packet.HopLimit == 255 && packet.Key.Segment == 0)
        {
            // Never out of fragments (RFC 6980 §5). An advertisement's target link-layer address option (RFC 4861 §4.4, §7.1.2).
            ReadOnlySpan<byte> message = packet.Segment;
            if (message.Length >= 32 && message[24] == 2 && message[25] == 1)
            {
                Answer(Address.ReadIPv6(message[8..]), packet.Ingress, Parser.DestinationMac(message[26..]), packet.Time);
            }
        }
    }

    /// <summary>
    /// Writes the link addresses of every passing packet that needs them; holds those whose neighbour
    /// is not known, and asks; appends those whose neighbour has answered.
    /// </summary>
    /// <param name="burst">The burst, after all else was done to it.</param>
    /// <param name="came">
    /// How many of its packets, the first ones, are counted by the walk; what was appended since are
    /// pieces of those.
    /// </param>
    public void Resolve(Burst burst, int came)
    {
        int count = burst.Count;
        if (_answered)
        {
            // First, or a new neighbour could take the place of one whose packets still wait.
            Release(burst);
        }

        for (int i = 0; i < count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Egress != 0 && packet.NeedsNextHop && packet.Verdict == Verdict.Pass)
            {
                ResolveOne(burst, ref packet, i < came && !packet.Own);
            }
        }
    }

    /// <summary>Asks again, and gives up what was asked for too often.</summary>
    public void Tick(Burst burst)
    {
        for (int i = 0; i < Entries && _asking > 0; i++)
        {
            ref Entry entry = ref _entries[i];
            if (!entry.Asking || entry.AskAgain > burst.Now)
            {
                continue;
            }

            if (entry.Tries < Tries)
            {
                Ask(burst, ref entry);
                continue;
            }

            Drop(i);
            entry = default;
            _asking--;
        }
    }

    private void ResolveOne(Burst burst, ref Packet packet, bool counted)
    {
        if (!_local.CanAddress)
        {
            packet.NeedsNextHop = false;                // a host's own stack has addressed the frame
            return;
        }

        if (packet.NextHop.IsMulticast || packet.NextHop.IsLimitedBroadcast)
        {
            Write(packet.Bytes, GroupMac(packet.NextHop), _local.SelfMac);
            packet.NeedsNextHop = false;
            return;
        }

        if (!_local.TryNextHop(packet.NextHop, out Address nextHop, out Address sender))
        {
            packet.Drop(DropReason.NoNeighbour);
            return;
        }

        int index = Find(nextHop, packet.Egress);
        if (index < 0 && !TryMake(nextHop, packet.Egress, sender, out index))
        {
            packet.Drop(DropReason.HoldLimit);
            return;
        }

        ref Entry entry = ref _entries[index];
        if ((entry.Mac == 0 || entry.FreshUntil <= burst.Now) && !entry.Asking)
        {
            entry.Asking = true;
            entry.Tries = 0;
            _asking++;
            Ask(burst, ref entry);
        }

        if (entry.Mac == 0)
        {
            Hold(index, ref packet, counted);
            return;
        }

        entry.Until = burst.Now + Stale;
        Fill(ref packet, entry);
    }

    private void Fill(ref Packet packet, in Entry entry)
    {
        Write(packet.Bytes, entry.Mac, _local.SelfMac);
        packet.Egress &= entry.Ports;
        packet.NeedsNextHop = false;
    }

    /// <summary>RFC 1112 §6.4, RFC 2464 §7.</summary>
    private static ulong GroupMac(Address group) => !group.IsIPv4 ? 0x3333_0000_0000UL | (uint)group.Low
        : group.IsMulticast ? 0x0100_5e00_0000UL | (group.IPv4 & 0x7f_ffff)
        : 0xffff_ffff_ffff;

    private void Hold(int index, ref Packet packet, bool counted)
    {
        int waiting = 0, free = -1;
        for (int slot = 0; slot < Slots; slot++)
        {
            if (!_held[slot].Used)
            {
                free = slot;
            }
            else if (_held[slot].Entry == index)
            {
                waiting++;
            }
        }

        if (free < 0 || waiting >= HeldPerNeighbour || packet.Length > SlotSize)
        {
            packet.Drop(DropReason.HoldLimit);
            return;
        }

        packet.Bytes.CopyTo(_pool.AsSpan(free * SlotSize, SlotSize));
        _held[free] = new HeldFrame { Packet = packet, Entry = index, Used = true, Counted = counted, Number = ++_lastHeld };
        _held[free].Packet.Slab = _pool;
        packet.Finish(Verdict.Held);
        HeldNow++;
    }

    private void Release(Burst burst)
    {
        _answered = false;
        while (Oldest() is var slot and >= 0)
        {
            ref HeldFrame held = ref _held[slot];
            if (!burst.TryAppend(held.Packet.Length, out int index))
            {
                Settle(ref held, DropReason.NoRoom);
                continue;
            }

            ref Packet packet = ref burst.Packets[index];
            (byte[] slab, int start, int floor, int ceiling) = (packet.Slab, packet.Start, packet.Floor, packet.Ceiling);
            packet = held.Packet;
            (packet.Slab, packet.Start, packet.Floor, packet.Ceiling) = (slab, start, floor, ceiling);
            _pool.AsSpan(slot * SlotSize, packet.Length).CopyTo(packet.Bytes);
            Fill(ref packet, _entries[held.Entry]);
            Settle(ref held, DropReason.None);
        }
    }

    private void Settle(ref HeldFrame held, DropReason why)
    {
        held.Used = false;
        HeldNow--;
        if (held.Counted)
        {
            _counters.SettleHeld(why == DropReason.None ? Verdict.Pass : Verdict.Drop, why, 1);
        }
    }

    /// <summary>The oldest held packet whose neighbour is known: their order is kept.</summary>
    private int Oldest()
    {
        int oldest = -1;
        for (int slot = 0; slot < Slots; slot++)
        {
            if (_held[slot].Used && _entries[_held[slot].Entry].Mac != 0
                && (oldest < 0 || _held[slot].Number < _held[oldest].Number))
            {
                oldest = slot;
            }
        }

        return oldest;
    }

    private void Drop(int index)
    {
        foreach (ref HeldFrame held in _held.AsSpan())
        {
            if (held.Used && held.Entry == index)
            {
                Settle(ref held, DropReason.NoNeighbour);
            }
        }
    }

    private void Answer(Address address, byte ingress, ulong mac, long now)
    {
        if (mac == 0 || (mac >> 40 & 1) != 0)
        {
            return;
        }

        int index = Find(address, (ushort)(1 << ingress));
        if (index >= 0 && _entries[index].Asking)
        {
            ref Entry entry = ref _entries[index];
            entry.Asking = false;
            entry.Mac = mac;
            entry.Ports = (ushort)(1 << ingress);
            entry.FreshUntil = now + Fresh;
            entry.Until = now + Stale;
            _asking--;
            _answered = true;
        }
    }

    /// <summary>The entry for an address on one of these ports, or -1.</summary>
    private int Find(Address address, ushort ports)
    {
        int home = Home(address);
        for (int probe = 0; probe < Probes; probe++)
        {
            ref Entry entry = ref _entries[(home + probe) & (Entries - 1)];
            if (entry.Until != 0 && entry.Address == address && (entry.Ports & ports) != 0)
            {
                return (home + probe) & (Entries - 1);
            }
        }

        return -1;
    }

    /// <summary>A fresh entry in the place of a free one or of the one longest idle; never of one that is asked for.</summary>
    private bool TryMake(Address address, ushort ports, Address sender, out int index)
    {
        int home = Home(address);
        index = -1;
        for (int probe = 0; probe < Probes; probe++)
        {
            int at = (home + probe) & (Entries - 1);
            if (!_entries[at].Asking && (index < 0 || _entries[at].Until < _entries[index].Until))
            {
                index = at;
            }
        }

        if (index < 0)
        {
            return false;
        }

        _entries[index] = new Entry { Address = address, Sender = sender, Ports = ports, Until = 1 };
        return true;
    }

    private int Home(Address address) =>
        (int)(_hash.Of(new FlowKey(address, default, 0, 0, 0, 0)) & (Entries - 1));

    private void Ask(Burst burst, ref Entry entry)
    {
        entry.Tries++;
        entry.AskAgain = burst.Now + Second;
        bool arp = entry.Address.IsIPv4;
        int length = arp ? 42 : 14 + 40 + 32;
        if (!burst.TryAppend(length, out int index))
        {
            return;
        }

        ref Packet packet = ref burst.Packets[index];
        packet.Length = length;
        packet.End = length;
        packet.Own = true;
        packet.Done = true;
        packet.Verdict = Verdict.Pass;
        packet.Egress = entry.Ports;
        packet.EtherType = arp ? EtherTypes.Arp : EtherTypes.IPv6;
        packet.Network = 14;
        Span<byte> frame = packet.Bytes;
        frame.Clear();
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], packet.EtherType);
        if (arp)
        {
            WriteArp(frame, entry);
        }
        else
        {
            WriteSolicitation(frame, entry);
        }
    }

    private void WriteArp(Span<byte> frame, in Entry entry)
    {
        Write(frame, 0xffff_ffff_ffff, _local.SelfMac);
        Span<byte> arp = frame[14..];
        BinaryPrimitives.WriteUInt64BigEndian(arp, 0x0001_0800_0604_0001);      // request
        WriteMac(arp[8..], _local.SelfMac);
        entry.Sender.Write(arp[14..]);
        entry.Address.Write(arp[24..]);
    }

    private void WriteSolicitation(Span<byte> frame, in Entry entry)
    {
        // To the solicited-node multicast address (RFC 4291 §2.7.1) with our link address (RFC 4861 §4.3).
        ulong low = (uint)entry.Address.Low & 0xff_ffff;
        var group = new Address(0xff02_0000_0000_0000, 0x0000_0001_ff00_0000 | low);
        Write(frame, 0x3333_ff00_0000 | low, _local.SelfMac);
        Span<byte> ip = frame[14..];
        ip[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(ip[4..], 32);
        ip[6] = IpProtocol.IcmpV6;
        ip[7] = 255;
        entry.Sender.Write(ip[8..]);
        group.Write(ip[24..]);
        Span<byte> message = ip[40..];
        message[0] = 135;
        entry.Address.Write(message[8..]);
        message[24] = 1;
        message[25] = 1;
        WriteMac(message[26..], _local.SelfMac);
        ulong sum = Checksum.PseudoHeader(entry.Sender, group, IpProtocol.IcmpV6, message.Length);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], Checksum.Finish(Checksum.Sum(message, sum)));
    }

    private static void Write(Span<byte> frame, ulong destination, ulong source)
    {
        WriteMac(frame, destination);
        WriteMac(frame[6..], source);
    }

    private static void WriteMac(Span<byte> to, ulong mac)
    {
        BinaryPrimitives.WriteUInt16BigEndian(to, (ushort)(mac >> 32));
        BinaryPrimitives.WriteUInt32BigEndian(to[2..], (uint)mac);
    }

    private struct Entry
    {
        public Address Address, Sender;
        public ulong Mac;
        public long Until, FreshUntil, AskAgain;
        public ushort Ports;            // where it is asked for; once known, where it is
        public byte Tries;
        public bool Asking;
    }

    private struct HeldFrame
    {
        public Packet Packet;
        public long Number;
        public int Entry;
        public bool Used;
        public bool Counted;            // by the walk, as held
    }
}

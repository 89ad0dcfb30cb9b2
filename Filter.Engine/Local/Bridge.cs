using System.Security.Cryptography;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Wire;

namespace Filter.Engine.Local;

/// <summary>
/// Which ports a frame leaves by. With two ports always the other one. With more, by a table of the link
/// addresses seen, as a bridge does (IEEE 802.1Q §8.8); bounded, under a keyed hash.
/// </summary>
/// <remarks>
/// Several workers may share one, without locks: who and where is one word, read and written at once. Of two who learn at the same
/// time the later one counts.
/// </remarks>
public sealed class Bridge
{
    private const int Entries = 4096;
    private const int Probes = 8;
    private const long Lifetime = 300_000_000_000;      // IEEE 802.1Q §8.8.3
    private const long Refresh = 1_000_000_000;
    private const ulong MacMask = 0xffff_ffff_ffff;

    private readonly LocalNetwork _local;
    private readonly ushort _all;
    private readonly int _ports;
    private readonly ushort _protected;
    private readonly Entry[] _table;
    private readonly ulong _key;

    /// <summary>A bridge between the ports.</summary>
    public Bridge(IReadOnlyList<Port> ports, LocalNetwork local)
    {
        _local = local;
        _ports = ports.Count;
        _table = ports.Count > 2 ? new Entry[Entries] : [];
        foreach (Port port in ports)
        {
            _all |= port.Mask;
            _protected |= port.Side == Side.Protected ? port.Mask : (ushort)0;
        }

        Span<byte> key = stackalloc byte[8];
        RandomNumberGenerator.Fill(key);
        _key = BitConverter.ToUInt64(key) | 1;
    }

    /// <summary>Whether each frame leaves by the other port, whatever its addresses.</summary>
    public bool HasTwoPorts => _ports <= 2;

    /// <summary>All ports but one.</summary>
    public ushort Others(byte ingress) => (ushort)(_all & ~(1 << ingress));

    /// <summary>
    /// The frame's far ports; 0 where there is none. A frame whose receiver stands on the segment it
    /// came from is no business of a bridge: it is finished as Consumed.
    /// </summary>
    public ushort Route(ref Packet packet)
    {
        ushort ingress = (ushort)(1 << packet.Ingress);
        ushort others = Others(packet.Ingress);
        if (packet.NeedsNextHop)
        {
            return RouteOpened(ref packet, others);
        }

        if (HasTwoPorts)
        {
            return others;
        }

        ReadOnlySpan<byte> frame = packet.Bytes;
        Learn(Parser.SourceMac(frame), ingress, packet.Time);
        ulong destination = Parser.DestinationMac(frame);
        if ((destination >> 40 & 1) != 0)
        {
            return others;                                  // multicast and broadcast
        }

        ushort known = destination == _local.SelfMac ? _local.SelfMask : Find(destination, packet.Time);
        if (known == ingress)
        {
            packet.Finish(Verdict.Consumed);
            return 0;
        }

        return known != 0 ? known : others;
    }

    /// <summary>A packet out of a tunnel goes to the gateway itself or to the machines it protects.</summary>
    private ushort RouteOpened(ref Packet packet, ushort others)
    {
        if (_local.SelfMask == 0 || !_local.CanAddress || _ports <= 2)
        {
            packet.NeedsNextHop = false;                    // the far port is the only one: addresses stay
            return others;
        }

        if (_local.Owns(packet.NextHop))
        {
            packet.NeedsNextHop = false;                    // the frame came to the gateway's own link address
            return _local.SelfMask;
        }

        return (ushort)(_local.ProtectedMask & others);
    }

    private void Learn(ulong mac, ushort port, long now)
    {
        if ((mac >> 40 & 1) != 0 || mac == 0 || mac == _local.SelfMac)
        {
            return;
        }

        bool fromProtected = (_protected & port) != 0;
        ulong fresh = Station(mac, port);
        int oldest = -1;
        long oldestUntil = 0;
        for (int probe = 0; probe < Probes; probe++)
        {
            int slot = Slot(mac, probe);
            ulong station = Volatile.Read(ref _table[slot].Station);
            long until = Volatile.Read(ref _table[slot].Until);
            bool mayGo = fromProtected || (_protected & PortOf(station)) == 0 || until <= now;
            if ((station & MacMask) == mac)
            {
                // The unprotected side can't take over a machine that is alive on the protected one.
                if (station == fresh || mayGo)
                {
                    Write(slot, fresh, now);
                }

                return;
            }

            // Nor can it push one out, to have what is meant for it flooded.
            if (mayGo && (oldest < 0 || until < oldestUntil))
            {
                (oldest, oldestUntil) = (slot, until);
            }
        }

        if (oldest >= 0)
        {
            Write(oldest, fresh, now);
        }
    }

    private void Write(int slot, ulong station, long now)
    {
        ref Entry entry = ref _table[slot];
        if (entry.Station != station)
        {
            Volatile.Write(ref entry.Station, station);
        }

        if (entry.Until < now + Lifetime - Refresh)
        {
            Volatile.Write(ref entry.Until, now + Lifetime);        // not with each packet: others read it
        }
    }

    private ushort Find(ulong mac, long now)
    {
        for (int probe = 0; probe < Probes; probe++)
        {
            ref Entry entry = ref _table[Slot(mac, probe)];
            ulong station = Volatile.Read(ref entry.Station);
            if ((station & MacMask) == mac && Volatile.Read(ref entry.Until) > now)
            {
                return PortOf(station);
            }
        }

        return 0;
    }

    private static ulong Station(ulong mac, ushort port) => mac | ((ulong)port << 48);

    private static ushort PortOf(ulong station) => (ushort)(station >> 48);

    private int Slot(ulong mac, int probe)
    {
        ulong high = Math.BigMul((mac << 16) ^ _key, _key, out ulong low);
        return (int)(((high ^ low) + (uint)probe) & (Entries - 1));
    }

    private struct Entry
    {
        public ulong Station;           // the link address, and above it the port's bit
        public long Until;
    }
}

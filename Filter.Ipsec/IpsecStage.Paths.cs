using System.Buffers.Binary;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Protocols;
using Filter.Rules.Policy;

namespace Filter.Ipsec;

/// <content>The ways that sealed packets take: what they can hold, and what is sent on them in silence.</content>
public sealed partial class IpsecStage
{
    /// <summary>SAs looked at each tick; those that carry nothing end, or speak, by the clock all the same.</summary>
    private const int LookedAtATick = 4096;

    /// <summary>Dummies sent each tick: a thousand silent SAs must not speak at once.</summary>
    private const int DummiesATick = 32;

    /// <summary>How many packets ago the one was sealed that an error may quote.</summary>
    private const uint RecentPackets = 65_536;

    /// <summary>No path that carries IPv4 over anything in use takes less; who says so lies.</summary>
    private const int LeastBelievedIPv4 = 552;

    /// <summary>Keep-alives sent each tick.</summary>
    private const int KeepAlivesATick = 64;

    private const byte KeepAliveByte = 0xff;

    private int _looked;
    private int _keptAlive;

    /// <summary>Keep-alives of far ends behind translators (RFC 3948 §4). May be read by any thread.</summary>
    public long KeepAlivesHeard { get; private set; }

    /// <summary>Keep-alives sent. May be read by any thread.</summary>
    public long KeepAlivesSent { get; private set; }

    /// <summary>The steps that routers use which do not say their MTU (RFC 1191 §7.1).</summary>
    private static ReadOnlySpan<ushort> Plateaus => [32000, 17914, 8166, 4352, 2002, 1492, 1006, 552];

    /// <inheritdoc/>
    public bool Learns(ref Packet packet, long now)
    {
        // RFC 4301 §8.2.1: anybody may write such an error. Believed is one that quotes an SPI and a number of what was sealed
        // lately between these ends, which only somebody on the path can know.
        bool isTooBig = packet.IsIPv4 ? packet is { IcmpType: 3, IcmpCode: 4 } : packet.IcmpType == 2;
        if (!isTooBig || !Parser.TryReadProtectedQuote(packet, out FlowKey key, out uint spi, out uint sequence) || spi == 0)
        {
            return false;
        }

        byte protocol = key.Protocol == IpProtocol.Ah ? IpProtocol.Ah : IpProtocol.Esp;
        if (Sad.FindSealing(spi, protocol, key.Source, key.Destination) is not { } sa
            || (uint)sa.Counter - sequence >= Math.Min(RecentPackets, sa.Counter)
            || packet.Key.Destination != key.Source)
        {
            return false;
        }

        // And it must be able to be true: what it quotes is longer than what it says would pass, and no longer than all that we send.
        ReadOnlySpan<byte> icmp = packet.Segment;
        int quoted = packet.IsIPv4
            ? BinaryPrimitives.ReadUInt16BigEndian(icmp[10..])
            : IpHeader.IPv6Length + BinaryPrimitives.ReadUInt16BigEndian(icmp[12..]);
        uint said = packet.IsIPv4 ? BinaryPrimitives.ReadUInt16BigEndian(icmp[6..]) : BinaryPrimitives.ReadUInt32BigEndian(icmp[4..]);
        if (packet.IsIPv4 && said == 0)
        {
            said = PlateauBelow(quoted);
        }

        if (said >= quoted || quoted > LargestSent())
        {
            return false;
        }

        int mtu = (int)Math.Clamp(said, packet.IsIPv4 ? LeastBelievedIPv4 : LeastIPv6Mtu, ushort.MaxValue);
        if (mtu < sa.PathMtuAt(now))
        {
            sa.LearnPathMtu(mtu, now);
        }

        packet.Finish(Verdict.Consumed);
        return true;
    }

    /// <inheritdoc/>
    public void Tick(Burst burst)
    {
        _now = burst.Now;
        _count = 0;
        _keptAlive = 0;
        _aside.Clear();
        for (int i = Math.Min(LookedAtATick, Sad.Places); i > 0; i--)
        {
            _looked = _looked + 1 < Sad.Places ? _looked + 1 : 0;
            if (Sad[_looked] is { } sa && sa.Owner == _worker && sa.MayCarry(_now) && sa is OutboundSa outbound)
            {
                BreakSilence(burst, outbound);
            }
        }

        SealAll(burst);
    }

    /// <summary>The largest packet that any port towards far ends takes.</summary>
    private int LargestSent()
    {
        int largest = 0;
        foreach (Port port in _ports)
        {
            largest = Math.Max(largest, port.Side == Side.Unprotected ? port.Mtu : 0);
        }

        return largest;
    }

    private static uint PlateauBelow(int length)
    {
        foreach (ushort step in Plateaus)
        {
            if (step < length)
            {
                return step;
            }
        }

        return LeastBelievedIPv4;
    }

    /// <summary>Whoever counts packets on the way shall not see when nothing is said (RFC 4303 §2.6).</summary>
    private void BreakSilence(Burst burst, OutboundSa sa)
    {
        if (sa.LastSent == 0)
        {
            sa.LastSent = _now;
        }

        long every = sa.Settings.Padding.DummyEvery;
        if (every > 0 && sa.Mode == IpsecMode.Tunnel && sa.Protection.Pads && _now - sa.LastSent >= every && _count < DummiesATick)
        {
            SendDummy(burst, sa);
        }
        else if (sa.Settings.Encapsulation is { KeepAlive: > 0 } udp && _now - sa.LastSent >= udp.KeepAlive && _keptAlive < KeepAlivesATick)
        {
            SendKeepAlive(burst, sa, udp.LocalPort);
        }
    }

    /// <summary>Keeps the entry alive that a translator on the way has for this SA (RFC 3948 §4).</summary>
    private void SendKeepAlive(Burst burst, OutboundSa sa, ushort port)
    {
        // A bridge has no addresses to speak from, but a tunnel's; the box's own stack addresses frames itself, so that the
        // next hop is where it last sent to.
        bool tunnel = sa.Mode == IpsecMode.Tunnel;
        ushort egress = Unprotected();
        int header = sa.Remote.IsIPv4 ? IpHeader.IPv4Length : IpHeader.IPv6Length;
        int length = EthernetHeader.Length + header + UdpHeader.Length + 1;
        if (egress == 0 || (!tunnel && (_self is null || sa.Local == default || sa.Remote == default))
            || (_hostMac != 0 && sa.Link.To == 0) || !burst.TryAppend(length, out int index))
        {
            return;
        }

        ref Packet packet = ref burst.Packets[index];
        packet.Length = length;
        packet.End = length;
        packet.Network = EthernetHeader.Length;
        packet.Transport = (ushort)(EthernetHeader.Length + header);
        packet.Payload = packet.Transport + UdpHeader.Length;
        packet.EtherType = sa.Remote.IsIPv4 ? EtherTypes.IPv4 : EtherTypes.IPv6;
        packet.Kind = PacketKind.Tracked;
        packet.Own = true;
        packet.Verdict = Verdict.Pass;
        packet.Done = true;
        packet.Direction = Direction.Out;
        packet.Egress = egress;
        packet.NeedsNextHop = true;
        packet.NextHop = sa.Remote;
        packet.Key = new FlowKey(sa.Local, sa.Remote, port, sa.PeerPort, IpProtocol.Udp, 0);
        packet.Bytes.Clear();
        LinkAddress.Write(sa.Link.To, packet.Bytes);
        LinkAddress.Write(_self?.Mac ?? sa.Link.From, packet.Bytes[6..]);
        BinaryPrimitives.WriteUInt16BigEndian(packet.Bytes[(EthernetHeader.Length - 2)..], packet.EtherType);
        TunnelHeader.WriteOwn(packet.Datagram, sa, IpProtocol.Udp, ++_identification);
        Span<byte> udp = packet.Segment;
        BinaryPrimitives.WriteUInt16BigEndian(udp, port);
        BinaryPrimitives.WriteUInt16BigEndian(udp[2..], sa.PeerPort);
        BinaryPrimitives.WriteUInt16BigEndian(udp[4..], (ushort)udp.Length);
        udp[^1] = KeepAliveByte;
        sa.Protection.Finish(ref packet);
        sa.LastSent = _now;
        _keptAlive++;
        KeepAlivesSent++;
        sa.Statistics.KeepAlives++;
    }

    private void SendDummy(Burst burst, OutboundSa sa)
    {
        ushort egress = Unprotected();
        int mtu = Math.Min(MtuOf(egress), sa.PathMtuAt(_now));
        int longest = sa.Protection.LongestFor(sa, true, 0, mtu);
        int wanted = sa.Settings.Padding.PadTo > 0 ? sa.Settings.Padding.PadTo : Random.Shared.Next(IpHeader.IPv6Length, 1400);
        int length = Math.Min(wanted, longest);
        if (egress == 0 || length < IpHeader.IPv4Length || !burst.TryAppend(EthernetHeader.Length + length, out int index))
        {
            return;
        }

        ref Packet packet = ref burst.Packets[index];
        packet.Length = EthernetHeader.Length + length;
        packet.End = packet.Length;
        packet.Network = EthernetHeader.Length;
        packet.EtherType = EtherTypes.IPv4;
        packet.Own = true;
        packet.Verdict = Verdict.Pass;
        packet.Direction = Direction.Out;
        packet.Egress = egress;
        packet.Key = new FlowKey(sa.Local, sa.Remote, 0, 0, IpProtocol.Esp, 0);
        packet.Bytes.Clear();
        LinkAddress.Write(_self?.Mac ?? 0, packet.Bytes[6..]);
        packet.Datagram[0] = 0x45;                  // what a header is read from; it means nothing
        if (!sa.TryNext(out ulong sequence)
            || !sa.Protection.TryWrap(ref packet, sa, sequence, ++_identification, 0, dummy: true, out _jobs[_count]))
        {
            packet.Drop(DropReason.NoRoom);
            return;
        }

        sa.LastSent = _now;
        sa.Statistics.Dummies++;
        _packets[_count] = index;
        _ordinary[_count] = false;
        _associations[_count++] = sa;
    }

    /// <summary>The port towards the far ends: the first of the unprotected side.</summary>
    private ushort Unprotected()
    {
        foreach (Port port in _ports)
        {
            if (port.Side == Side.Unprotected)
            {
                return port.Mask;
            }
        }

        return 0;
    }
}

using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Protocols;

/// <summary>
/// What ESP and AH have in common: something is put around a packet where it lies, and taken away again. Everything but
/// the cryptography, which a backend does for the whole burst between <see cref="TryWrap"/> and sending, or between
/// <see cref="TryAddress"/> and <see cref="Unwrap"/>.
/// </summary>
internal abstract class Protection
{
    /// <summary>What an SA with these settings does to packets.</summary>
    internal static Protection Of(SaSettings settings) => settings.Protocol == IpProtocol.Ah ? Ah.Plain
        : settings.Encapsulation is null ? Esp.Bare : Esp.InUdp;

    /// <summary>Whether it can hide how long packets are, and send what carries nothing (RFC 4303 §2.6, §2.7).</summary>
    internal virtual bool Pads => false;

    /// <summary>Length of the IP packet that a datagram of <paramref name="length"/> bytes becomes.</summary>
    /// <param name="sa">What seals it.</param>
    /// <param name="isIPv4">The family of the datagram.</param>
    /// <param name="split">Transport mode: how much of it stays before the header of ESP or AH.</param>
    /// <param name="length">Its length.</param>
    internal abstract int SealedLength(SecurityAssociation sa, bool isIPv4, int split, int length);

    /// <summary>Length of the longest datagram that still fits <paramref name="mtu"/> when sealed; may be 0 or less.</summary>
    /// <param name="sa">What seals it.</param>
    /// <param name="isIPv4">The family of the datagram.</param>
    /// <param name="split">Transport mode: how much of it stays before the header of ESP or AH.</param>
    /// <param name="mtu">Most bytes of the sealed IP packet.</param>
    internal abstract int LongestFor(SecurityAssociation sa, bool isIPv4, int split, int mtu);

    /// <summary>Puts the headers around the packet; IV, encryption and ICV are what the job asks for.</summary>
    /// <param name="packet">The packet; from now on the sealed one.</param>
    /// <param name="sa">What seals it.</param>
    /// <param name="sequence">Its number.</param>
    /// <param name="identification">Of an outer IPv4 header.</param>
    /// <param name="padTo">The length that the inner packet shall seem to have, where it is shorter; of tunnels that pad.</param>
    /// <param name="dummy">It carries nothing; of what pads.</param>
    /// <param name="job">What is left to do.</param>
    /// <returns>False where the frame has no room around it: nothing was changed.</returns>
    internal abstract bool TryWrap(
        ref Packet packet, OutboundSa sa, ulong sequence, ushort identification, int padTo, bool dummy, out CryptoJob job);

    /// <summary>Finds the parts of a packet that an inbound SA is to verify, and looks at its number.</summary>
    internal abstract DropReason TryAddress(in Packet packet, InboundSa sa, out CryptoJob job);

    /// <summary>
    /// Takes the headers away from a packet whose ICV is good: number noted, padding checked, what was before moved to the
    /// payload. The packet is then as if it had just arrived, not parsed.
    /// </summary>
    /// <returns>None where it is taken; a dummy packet is finished as consumed.</returns>
    internal abstract DropReason Unwrap(ref Packet packet, InboundSa sa, in CryptoJob job);

    /// <summary>
    /// Just before the ICV is computed: what may change on the way is taken out of what is authenticated, and kept aside.
    /// </summary>
    /// <returns>False where there is no room aside.</returns>
    internal virtual bool TryBlank(in Packet packet, in CryptoJob job, SavedHeaders aside, int number) => true;

    /// <summary>Just after: it is as it was.</summary>
    internal virtual void Restore(in CryptoJob job, SavedHeaders aside, int number)
    {
    }

    /// <summary>What is left to do of a packet that was sealed.</summary>
    internal virtual void Finish(ref Packet packet)
    {
    }

    /// <summary>Whether the number could be new; counted where it can't.</summary>
    private protected static DropReason LookAtNumber(InboundSa sa, ulong sequence)
    {
        if (sa.Window is { } window && !window.Accepts(sequence))
        {
            sa.Statistics.Replayed++;
            return DropReason.Replayed;
        }

        return DropReason.None;
    }

    /// <summary>Notes the number of a packet whose ICV is good. The same packet may stand twice in a burst.</summary>
    private protected static DropReason TakeNumber(InboundSa sa, ulong sequence)
    {
        DropReason why = LookAtNumber(sa, sequence);
        if (why == DropReason.None)
        {
            sa.Window?.Take(sequence);
        }

        return why;
    }

    /// <summary>Length of what stands before the header of ESP or AH.</summary>
    private protected static int Before(SecurityAssociation sa, int split) =>
        sa.Mode == IpsecMode.Tunnel ? TunnelHeader.LengthFor(sa.Remote) : split;

    /// <summary>
    /// Moves what stands before the payload to the front by <paramref name="front"/> bytes, so that the frame has room for
    /// headers there; the payload stays where it is, and the packet ends at <paramref name="end"/>.
    /// </summary>
    internal static void MakeRoom(ref Packet packet, int split, int front, int end)
    {
        byte[] slab = packet.Slab;
        Span<byte> from = slab.AsSpan(packet.Start, packet.Network + split), to = slab.AsSpan(packet.Start - front);
        if (from.Length == EthernetHeader.Length)
        {
            // Mostly; read before it is written, for the two may overlap.
            (ulong first, ulong last) = (BinaryPrimitives.ReadUInt64LittleEndian(from), BinaryPrimitives.ReadUInt64LittleEndian(from[(EthernetHeader.Length - sizeof(ulong))..]));
            BinaryPrimitives.WriteUInt64LittleEndian(to, first);
            BinaryPrimitives.WriteUInt64LittleEndian(to[(EthernetHeader.Length - sizeof(ulong))..], last);
        }
        else
        {
            from.CopyTo(to);
        }

        packet.Start -= front;
        packet.End = end - packet.Start;
        packet.Length = packet.End;
    }

    /// <summary>The IP header of a packet that was made room in: its own with another next header, or one around it.</summary>
    private protected static void WriteIp(
        ref Packet packet, OutboundSa sa, ReadOnlySpan<byte> carried, int nextHeaderAt, byte protocol, ushort identification)
    {
        if (sa.Mode == IpsecMode.Tunnel)
        {
            WriteTunnel(ref packet, sa, carried, protocol, identification);
        }
        else
        {
            packet.Datagram[nextHeaderAt] = protocol;
            IpHeader.SetLength(packet.Datagram);
        }
    }

    /// <summary>The outer IP header of a tunnel, and where it goes.</summary>
    internal static void WriteTunnel(ref Packet packet, OutboundSa sa, ReadOnlySpan<byte> carried, byte protocol, ushort identification)
    {
        TunnelHeader.Write(packet.Datagram, carried, sa, protocol, identification);
        packet.EtherType = sa.Remote.IsIPv4 ? EtherTypes.IPv4 : EtherTypes.IPv6;
        BinaryPrimitives.WriteUInt16BigEndian(packet.Bytes[(packet.Network - 2)..], packet.EtherType);
        packet.NeedsNextHop = true;
        packet.NextHop = sa.Remote;
    }

    /// <summary>Notes what was sealed: the packet speaks of the SA from here on.</summary>
    private protected static void NoteSealed(ref Packet packet, OutboundSa sa, int transport, ulong sequence, int carried)
    {
        packet.Transport = (ushort)transport;
        packet.Spi = sa.Spi;
        packet.Sequence = (uint)sequence;
        packet.Offload = default;
        sa.Statistics.Packets++;
        sa.Statistics.Bytes += carried;
    }

    /// <summary>Makes the payload at <paramref name="text"/> of the slab the packet, and counts it.</summary>
    private protected static DropReason Uncover(ref Packet packet, InboundSa sa, int text, int carried, byte nextHeader)
    {
        DropReason why = sa.Mode == IpsecMode.Tunnel
            ? UncoverTunnel(ref packet, text, carried, nextHeader)
            : UncoverTransport(ref packet, text, carried, nextHeader);
        if (why != DropReason.None)
        {
            sa.Statistics.WrongInner++;
            return why;
        }

        sa.Statistics.Packets++;
        sa.Statistics.Bytes += carried;
        packet.Kind = PacketKind.Unknown;
        packet.Offload = default;
        packet.Fragmented &= sa.Mode == IpsecMode.Transport;     // what its sender had cut may be cut again
        packet.FragmentHeader = 0;
        packet.Assembly = 0;
        packet.Spi = 0;
        packet.SpeaksToLink = false;
        return DropReason.None;
    }

    private static DropReason UncoverTunnel(ref Packet packet, int text, int carried, byte nextHeader)
    {
        if (nextHeader is not (IpProtocol.IPv4 or IpProtocol.IPv6))
        {
            return DropReason.WrongMode;
        }

        bool isIPv4 = nextHeader == IpProtocol.IPv4;
        Span<byte> inner = packet.Slab.AsSpan(text, carried);
        if (inner.Length < (isIPv4 ? IpHeader.IPv4Length : IpHeader.IPv6Length))
        {
            return DropReason.Truncated;
        }

        if (inner[0] >> 4 != (isIPv4 ? 4 : 6))
        {
            return DropReason.BadVersion;
        }

        if (IpHeader.Length(inner) < IpHeader.IPv4Length || IpHeader.Length(inner) > inner.Length)
        {
            return DropReason.BadHeaderLength;
        }

        if (!TunnelHeader.TryCombineEcn(packet.TrafficClass, inner))
        {
            return DropReason.BadEcn;
        }

        packet.EtherType = isIPv4 ? EtherTypes.IPv4 : EtherTypes.IPv6;
        BinaryPrimitives.WriteUInt16BigEndian(packet.Bytes[(packet.Network - 2)..], packet.EtherType);
        packet.NextHop = isIPv4 ? Address.ReadIPv4(inner[16..]) : Address.ReadIPv6(inner[24..]);
        packet.NeedsNextHop = true;
        MoveUp(ref packet, packet.Network, text, carried);
        return DropReason.None;
    }

    private static DropReason UncoverTransport(ref Packet packet, int text, int carried, byte nextHeader)
    {
        // A whole packet inside is what a tunnel's other end would send.
        if (nextHeader is IpProtocol.IPv4 or IpProtocol.IPv6)
        {
            return DropReason.WrongMode;
        }

        int field = IpHeader.NextHeaderField(packet.Datagram, packet.Transport - packet.Network);
        if (field < 0)
        {
            return DropReason.BadExtensionChain;
        }

        int header = packet.Transport - packet.Network;
        if (header == (packet.IsIPv4 ? IpHeader.IPv4Length : IpHeader.IPv6Length))
        {
            MoveUp(ref packet, packet.Transport, text, carried);
            IpHeader.Become(packet.Datagram, nextHeader);
            return DropReason.None;
        }

        packet.Datagram[field] = nextHeader;
        MoveUp(ref packet, packet.Transport, text, carried);
        IpHeader.SetLength(packet.Datagram);
        return DropReason.None;
    }

    /// <summary>Moves the frame's first bytes up to what they are followed by now.</summary>
    private static void MoveUp(ref Packet packet, int headers, int text, int carried)
    {
        packet.Slab.AsSpan(packet.Start, headers).CopyTo(packet.Slab.AsSpan(text - headers));
        packet.Start = text - headers;
        packet.Length = headers + carried;
        packet.End = packet.Length;
    }

    private protected static int RoundUp(int length, int block) => (length + block - 1) & -block;
}

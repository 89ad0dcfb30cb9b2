using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Protocols;

/// <summary>
/// ESP around and out of packets where they lie (RFC 4303): everything but the cryptography, which a backend does for the
/// whole burst between <see cref="TryWrap"/> and sending, or between <see cref="TryAddress"/> and <see cref="Unwrap"/>.
/// </summary>
internal static class Esp
{
    private const int HeaderLength = 8;
    private const int TrailerLength = 2;

    /// <summary>Length of the IP packet that a datagram of <paramref name="length"/> bytes becomes.</summary>
    /// <param name="sa">What seals it.</param>
    /// <param name="split">Transport mode: how much of it stays before the ESP header.</param>
    /// <param name="length">Its length.</param>
    internal static int SealedLength(OutboundSa sa, int split, int length)
    {
        IpsecSuite suite = sa.Suite;
        int before = Before(sa, split);
        int carried = sa.Mode == IpsecMode.Tunnel ? length : length - split;
        return before + HeaderLength + suite.IvLength + RoundUp(carried + TrailerLength, suite.BlockLength) + suite.IcvLength;
    }

    /// <summary>Length of the longest datagram that still fits <paramref name="mtu"/> when sealed; may be 0 or less.</summary>
    /// <param name="sa">What seals it.</param>
    /// <param name="split">Transport mode: how much of it stays before the ESP header.</param>
    /// <param name="mtu">Most bytes of the sealed IP packet.</param>
    internal static int LongestFor(OutboundSa sa, int split, int mtu)
    {
        IpsecSuite suite = sa.Suite;
        int text = mtu - Before(sa, split) - HeaderLength - suite.IvLength - suite.IcvLength;
        int carried = text - (text % suite.BlockLength) - TrailerLength;
        return sa.Mode == IpsecMode.Tunnel ? carried : carried + split;
    }

    /// <summary>Puts ESP around the packet, but for IV, encryption and ICV, which the job asks for.</summary>
    /// <param name="packet">The packet; from now on the sealed one.</param>
    /// <param name="sa">What seals it.</param>
    /// <param name="sequence">Its number.</param>
    /// <param name="identification">Of an outer IPv4 header.</param>
    /// <param name="padTo">The length that the inner packet shall seem to have, where it is shorter; of tunnels (RFC 4303 §2.7).</param>
    /// <param name="job">What is left to do.</param>
    /// <param name="dummy">It carries nothing (RFC 4303 §2.6).</param>
    /// <returns>False where the frame has no room around it: nothing was changed.</returns>
    internal static bool TryWrap(
        ref Packet packet, OutboundSa sa, ulong sequence, ushort identification, int padTo, out CryptoJob job, bool dummy = false)
    {
        IpsecSuite suite = sa.Suite;
        bool tunnel = sa.Mode == IpsecMode.Tunnel;
        ReadOnlySpan<byte> datagram = packet.Datagram;
        int nextHeaderAt = 0;
        int split = tunnel ? 0 : IpHeader.SplitForProtection(datagram, out nextHeaderAt);
        Address remote = sa.Remote;
        int outer = tunnel ? TunnelHeader.LengthFor(remote) : 0;

        // 1. Where everything comes to lie: the carried bytes stay, what is before them moves to the front.
        int length = datagram.Length - split;
        int carried = tunnel ? Math.Max(length, padTo) : length;
        int textLength = RoundUp(carried + TrailerLength, suite.BlockLength);
        int front = outer + HeaderLength + suite.IvLength;
        int text = packet.Start + packet.Network + split;
        job = new CryptoJob
        {
            Key = sa.Key,
            Slab = packet.Slab,
            Header = text - suite.IvLength - HeaderLength,
            Iv = text - suite.IvLength,
            Text = text,
            Icv = text + textLength,
            Sequence = sequence,
            Extended = sa.Settings.ExtendedSequence,
        };
        if (packet.Headroom < front || job.Icv + suite.IcvLength > packet.Ceiling)
        {
            return false;
        }

        byte nextHeader = dummy ? IpProtocol.NoNext : tunnel
            ? (IpHeader.IsIPv4(datagram) ? IpProtocol.IPv4 : IpProtocol.IPv6)
            : datagram[nextHeaderAt];
        byte[] slab = packet.Slab;
        slab.AsSpan(packet.Start, packet.Network + split).CopyTo(slab.AsSpan(packet.Start - front));
        packet.Start -= front;
        packet.End = job.Icv + suite.IcvLength - packet.Start;
        packet.Length = packet.End;

        // 2. The IP header: the packet's own, or one around it.
        if (tunnel)
        {
            TunnelHeader.Write(packet.Datagram, slab.AsSpan(text, length), sa, IpProtocol.Esp, identification);
            slab.AsSpan(text + length, carried - length).Clear();
            packet.EtherType = remote.IsIPv4 ? EtherTypes.IPv4 : EtherTypes.IPv6;
            BinaryPrimitives.WriteUInt16BigEndian(packet.Bytes[(packet.Network - 2)..], packet.EtherType);
            packet.NeedsNextHop = true;
            packet.NextHop = remote;
        }
        else
        {
            packet.Datagram[nextHeaderAt] = IpProtocol.Esp;
            IpHeader.SetLength(packet.Datagram);
        }

        // 3. The ESP header.
        Span<byte> esp = slab.AsSpan(job.Header);
        BinaryPrimitives.WriteUInt32BigEndian(esp, sa.Spi);
        BinaryPrimitives.WriteUInt32BigEndian(esp[4..], (uint)sequence);

        // 4. Padding counts 1, 2, 3 … (RFC 4303 §2.4); then its length, and what is inside.
        int padding = textLength - carried - TrailerLength;
        Span<byte> trailer = slab.AsSpan(text + carried, padding + TrailerLength);
        for (int i = 0; i < padding; i++)
        {
            trailer[i] = (byte)(i + 1);
        }

        trailer[padding] = (byte)padding;
        trailer[padding + 1] = nextHeader;

        packet.Transport = (ushort)(packet.Network + outer + split);
        packet.Payload = packet.Transport + HeaderLength;
        packet.Spi = sa.Spi;
        packet.Sequence = (uint)sequence;
        packet.Offload = default;
        sa.Statistics.Packets++;
        sa.Statistics.Bytes += length;
        return true;
    }

    /// <summary>Finds the parts of a packet that an inbound SA is to verify, and looks at its number.</summary>
    internal static DropReason TryAddress(in Packet packet, InboundSa sa, out CryptoJob job)
    {
        IpsecSuite suite = sa.Suite;
        int header = packet.Start + packet.Transport;
        int text = header + HeaderLength + suite.IvLength;
        int icv = packet.Start + packet.End - suite.IcvLength;
        job = new CryptoJob
        {
            Key = sa.Key, Slab = packet.Slab, Header = header, Iv = header + HeaderLength, Text = text, Icv = icv,
            Sequence = sa.Extend(packet.Sequence), Extended = sa.Settings.ExtendedSequence,
        };
        if (icv - text < suite.BlockLength || (icv - text) % suite.BlockLength != 0)
        {
            sa.Statistics.Malformed++;
            return DropReason.BadEsp;
        }

        if (sa.Window is { } window && !window.Accepts(job.Sequence))
        {
            sa.Statistics.Replayed++;
            return DropReason.Replayed;
        }

        return DropReason.None;
    }

    /// <summary>
    /// Takes ESP away from a packet whose ICV is good: number noted, padding checked, headers moved to the payload. The
    /// packet is then as if it had just arrived, not parsed.
    /// </summary>
    /// <returns>None where it is taken; a dummy packet is finished as consumed.</returns>
    internal static DropReason Unwrap(ref Packet packet, InboundSa sa, in CryptoJob job)
    {
        if (sa.Window is { } window)
        {
            // The same packet may stand twice in a burst.
            if (!window.Accepts(job.Sequence))
            {
                sa.Statistics.Replayed++;
                return DropReason.Replayed;
            }

            window.Take(job.Sequence);
        }

        ReadOnlySpan<byte> text = job.Slab.AsSpan(job.Text, job.Icv - job.Text);
        int padding = text[^TrailerLength];
        byte nextHeader = text[^1];
        int carried = text.Length - TrailerLength - padding;
        if (carried < 0 || !CountsUp(text.Slice(carried, padding)))
        {
            sa.Statistics.BadPadding++;
            return DropReason.BadPadding;
        }

        if (nextHeader == IpProtocol.NoNext)
        {
            sa.Statistics.Dummies++;
            packet.Finish(Verdict.Consumed);
            return DropReason.None;
        }

        DropReason why = sa.Mode == IpsecMode.Tunnel
            ? UnwrapTunnel(ref packet, job.Text, carried, nextHeader)
            : UnwrapTransport(ref packet, job.Text, carried, nextHeader);
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
        return DropReason.None;
    }

    private static DropReason UnwrapTunnel(ref Packet packet, int text, int carried, byte nextHeader)
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

    private static DropReason UnwrapTransport(ref Packet packet, int text, int carried, byte nextHeader)
    {
        // A whole packet inside is what a tunnel's other end would send.
        if (nextHeader is IpProtocol.IPv4 or IpProtocol.IPv6)
        {
            return DropReason.WrongMode;
        }

        int split = packet.Transport - packet.Network;
        int field = IpHeader.NextHeaderField(packet.Datagram, split);
        if (field < 0)
        {
            return DropReason.BadEsp;
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

    private static int Before(SecurityAssociation sa, int split) =>
        sa.Mode == IpsecMode.Tunnel ? TunnelHeader.LengthFor(sa.Remote) : split;

    private static bool CountsUp(ReadOnlySpan<byte> padding)
    {
        for (int i = 0; i < padding.Length; i++)
        {
            if (padding[i] != i + 1)
            {
                return false;
            }
        }

        return true;
    }

    private static int RoundUp(int length, int block) => (length + block - 1) / block * block;
}

using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Protocols;

/// <summary>ESP (RFC 4303), directly behind IP or in UDP (RFC 3948).</summary>
internal sealed class Esp : Protection
{
    /// <summary>ESP directly behind IP.</summary>
    internal static readonly Esp Bare = new(0);

    /// <summary>ESP in UDP.</summary>
    internal static readonly Esp InUdp = new(UdpLength);

    /// <summary>SPI and number.</summary>
    internal const int HeaderLength = 8;

    /// <summary>The padding's length, and what is inside.</summary>
    internal const int TrailerLength = 2;

    private const int UdpLength = 8;

    private readonly int _udp;

    /// <param name="udp">Length of the UDP header.</param>
    private Esp(int udp) => _udp = udp;

    /// <inheritdoc/>
    internal override bool Pads => true;

    /// <inheritdoc/>
    internal override int SealedLength(SecurityAssociation sa, bool isIPv4, int split, int length)
    {
        IpsecSuite suite = sa.Suite;
        int carried = sa.Mode == IpsecMode.Tunnel ? length : length - split;
        return Before(sa, split) + _udp + HeaderLength + suite.IvLength + RoundUp(carried + TrailerLength, suite.BlockLength) + suite.IcvLength;
    }

    /// <inheritdoc/>
    internal override int LongestFor(SecurityAssociation sa, bool isIPv4, int split, int mtu)
    {
        IpsecSuite suite = sa.Suite;
        int text = mtu - Before(sa, split) - _udp - HeaderLength - suite.IvLength - suite.IcvLength;
        int carried = (text & -suite.BlockLength) - TrailerLength;
        return sa.Mode == IpsecMode.Tunnel ? carried : carried + split;
    }

    /// <inheritdoc/>
    internal override bool TryWrap(
        ref Packet packet, OutboundSa sa, ulong sequence, ushort identification, int padTo, bool dummy, out CryptoJob job)
    {
        IpsecSuite suite = sa.Suite;
        bool tunnel = sa.Mode == IpsecMode.Tunnel;
        ReadOnlySpan<byte> datagram = packet.Datagram;
        int nextHeaderAt = 0;
        int split = tunnel ? 0 : IpHeader.SplitForProtection(datagram, out nextHeaderAt);

        // 1. Where everything comes to lie: the carried bytes stay, what is before them moves to the front.
        int length = datagram.Length - split;
        int carried = tunnel ? Math.Max(length, padTo) : length;
        int textLength = RoundUp(carried + TrailerLength, suite.BlockLength);
        int front = (tunnel ? TunnelHeader.LengthFor(sa.Remote) : 0) + _udp + HeaderLength + suite.IvLength;
        int text = packet.Start + packet.Network + split;
        Unsafe.SkipInit(out job);        // made where it stays: copying one that holds references is slow
        job.Key = sa.Key;
        job.Slab = packet.Slab;
        job.Header = text - suite.IvLength - HeaderLength;
        job.Iv = text - suite.IvLength;
        job.Text = text;
        job.Icv = text + textLength;
        job.Sequence = sequence;
        job.Extended = sa.Settings.ExtendedSequence;
        if (packet.Headroom < front || job.Icv + suite.IcvLength > packet.Ceiling)
        {
            return false;
        }

        byte nextHeader = dummy ? IpProtocol.NoNext : tunnel
            ? (IpHeader.IsIPv4(datagram) ? IpProtocol.IPv4 : IpProtocol.IPv6)
            : datagram[nextHeaderAt];
        MakeRoom(ref packet, split, front, job.Icv + suite.IcvLength);

        // 2. The IP header: the packet's own, or one around it.
        byte[] slab = packet.Slab;
        WriteIp(ref packet, sa, slab.AsSpan(text, length), nextHeaderAt, _udp > 0 ? IpProtocol.Udp : IpProtocol.Esp, identification);
        slab.AsSpan(text + length, carried - length).Clear();

        // 3. A UDP header, its checksum zero over IPv4 (RFC 3948 §2.1), and the ESP header.
        if (_udp > 0)
        {
            Span<byte> udp = packet.Bytes[(job.Header - packet.Start - _udp)..];
            BinaryPrimitives.WriteUInt16BigEndian(udp, sa.Settings.Encapsulation.GetValueOrDefault().LocalPort);
            BinaryPrimitives.WriteUInt16BigEndian(udp[2..], sa.PeerPort);
            BinaryPrimitives.WriteUInt16BigEndian(udp[4..], (ushort)udp.Length);
            BinaryPrimitives.WriteUInt16BigEndian(udp[6..], 0);
        }

        Span<byte> esp = slab.AsSpan(job.Header);
        BinaryPrimitives.WriteUInt32BigEndian(esp, sa.Spi);
        BinaryPrimitives.WriteUInt32BigEndian(esp[4..], (uint)sequence);

        // 4. Padding counts 1, 2, 3 … (RFC 4303 §2.4); then its length, and what is inside.
        int padding = textLength - carried - TrailerLength;
        WriteTrailer(slab.AsSpan(text + carried), padding, nextHeader);

        NoteSealed(ref packet, sa, job.Header - _udp - packet.Start, sequence, length);
        packet.Payload = packet.Transport + _udp + HeaderLength;
        return true;
    }

    /// <summary>Writes padding and trailer; up to eight bytes at once, of which the last may be the ICV's, which comes later.</summary>
    internal static void WriteTrailer(Span<byte> to, int padding, byte nextHeader)
    {
        ulong trailer = (uint)padding | ((ulong)nextHeader << 8);
        if (padding <= sizeof(ulong) - TrailerLength && to.Length >= sizeof(ulong))
        {
            int bits = 8 * padding;
            BinaryPrimitives.WriteUInt64LittleEndian(to, (0x0006_0504_0302_01UL & ((1UL << bits) - 1)) | (trailer << bits));
            return;
        }

        for (int i = 0; i < padding; i++)
        {
            to[i] = (byte)(i + 1);
        }

        BinaryPrimitives.WriteUInt16LittleEndian(to[padding..], (ushort)trailer);
    }

    /// <inheritdoc/>
    internal override DropReason TryAddress(in Packet packet, InboundSa sa, out CryptoJob job)
    {
        IpsecSuite suite = sa.Suite;
        int header = packet.Start + packet.Transport + _udp;
        int text = header + HeaderLength + suite.IvLength;
        int icv = packet.Start + (_udp > 0 ? packet.Transport + LengthOfUdp(packet.Segment) : packet.End) - suite.IcvLength;
        Unsafe.SkipInit(out job);        // made where it stays: copying one that holds references is slow
        job.Key = sa.Key;
        job.Slab = packet.Slab;
        job.Header = header;
        job.Iv = header + HeaderLength;
        job.Text = text;
        job.Icv = icv;
        job.Sequence = sa.Extend(packet.Sequence);
        job.Extended = sa.Settings.ExtendedSequence;
        if (icv - text < suite.BlockLength || ((icv - text) & (suite.BlockLength - 1)) != 0)
        {
            sa.Statistics.Malformed++;
            return DropReason.BadEsp;
        }

        return LookAtNumber(sa, job.Sequence);
    }

    /// <inheritdoc/>
    internal override DropReason Unwrap(ref Packet packet, InboundSa sa, in CryptoJob job)
    {
        DropReason why = TakeNumber(sa, job.Sequence);
        if (why != DropReason.None)
        {
            return why;
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

        why = Uncover(ref packet, sa, job.Text, carried, nextHeader);
        if (why == DropReason.None && _udp > 0 && sa.Mode == IpsecMode.Transport)
        {
            TranslatedChecksum.Mend(packet.Datagram, packet.Transport - packet.Network, nextHeader, sa.Settings.Encapsulation.GetValueOrDefault());
        }

        return why;
    }

    /// <inheritdoc/>
    internal override void Finish(ref Packet packet)
    {
        if (_udp > 0 && !packet.IsIPv4)
        {
            // IPv6 wants one (RFC 8200 §8.1), and peers drop what has none.
            Span<byte> udp = packet.Segment;
            ulong pseudo = Checksum.PseudoHeader(IpHeader.Source(packet.Datagram), IpHeader.Destination(packet.Datagram), IpProtocol.Udp, udp.Length);
            ushort sum = Checksum.Finish(Checksum.Sum(udp, pseudo));
            BinaryPrimitives.WriteUInt16BigEndian(udp[6..], sum == 0 ? ushort.MaxValue : sum);
        }
    }

    /// <summary>
    /// The length of a datagram by its own header. Parsing has found it within the packet, but for a super-frame's, which says
    /// whatever it likes.
    /// </summary>
    internal static int LengthOfUdp(ReadOnlySpan<byte> udp) =>
        Math.Clamp((int)BinaryPrimitives.ReadUInt16BigEndian(udp[4..]), UdpLength, udp.Length);

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
}

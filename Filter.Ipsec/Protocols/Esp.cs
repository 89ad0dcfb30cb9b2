using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Protocols;

/// <summary>ESP (RFC 4303).</summary>
internal sealed class Esp : Protection
{
    /// <summary>ESP directly behind IP.</summary>
    internal static readonly Esp Bare = new();

    private const int HeaderLength = 8;
    private const int TrailerLength = 2;

    /// <inheritdoc/>
    internal override bool Pads => true;

    /// <inheritdoc/>
    internal override int SealedLength(SecurityAssociation sa, bool isIPv4, int split, int length)
    {
        IpsecSuite suite = sa.Suite;
        int carried = sa.Mode == IpsecMode.Tunnel ? length : length - split;
        return Before(sa, split) + HeaderLength + suite.IvLength + RoundUp(carried + TrailerLength, suite.BlockLength) + suite.IcvLength;
    }

    /// <inheritdoc/>
    internal override int LongestFor(SecurityAssociation sa, bool isIPv4, int split, int mtu)
    {
        IpsecSuite suite = sa.Suite;
        int text = mtu - Before(sa, split) - HeaderLength - suite.IvLength - suite.IcvLength;
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
        int front = (tunnel ? TunnelHeader.LengthFor(sa.Remote) : 0) + HeaderLength + suite.IvLength;
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
        MakeRoom(ref packet, split, front, job.Icv + suite.IcvLength);

        // 2. The IP header: the packet's own, or one around it.
        byte[] slab = packet.Slab;
        WriteIp(ref packet, sa, slab.AsSpan(text, length), nextHeaderAt, IpProtocol.Esp, identification);
        slab.AsSpan(text + length, carried - length).Clear();

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

        NoteSealed(ref packet, sa, job.Header - packet.Start, sequence, length);
        packet.Payload = packet.Transport + HeaderLength;
        return true;
    }

    /// <inheritdoc/>
    internal override DropReason TryAddress(in Packet packet, InboundSa sa, out CryptoJob job)
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

        return Uncover(ref packet, sa, job.Text, carried, nextHeader);
    }

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

using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Protocols;

/// <summary>AH (RFC 4302): nothing is hidden, and the IP header before it is authenticated too.</summary>
internal sealed class Ah : Protection
{
    /// <summary>The one there is.</summary>
    internal static readonly Ah Plain = new();

    /// <summary>Next header, length, reserved, SPI, number; then the ICV, and an IV before it where the suite has one.</summary>
    private const int FixedLength = 12;

    /// <inheritdoc/>
    internal override int SealedLength(SecurityAssociation sa, bool isIPv4, int split, int length) => length + Overhead(sa, isIPv4);

    /// <inheritdoc/>
    internal override int LongestFor(SecurityAssociation sa, bool isIPv4, int split, int mtu) => mtu - Overhead(sa, isIPv4);

    /// <inheritdoc/>
    internal override bool TryWrap(
        ref Packet packet, OutboundSa sa, ulong sequence, ushort identification, int padTo, bool dummy, out CryptoJob job)
    {
        bool tunnel = sa.Mode == IpsecMode.Tunnel;
        ReadOnlySpan<byte> datagram = packet.Datagram;
        int nextHeaderAt = 0;
        int split = tunnel ? 0 : IpHeader.SplitForProtection(datagram, out nextHeaderAt);

        // 1. The carried bytes stay, what is before them moves to the front.
        int carried = datagram.Length - split, front = Overhead(sa, packet.IsIPv4);
        int length = tunnel ? front - TunnelHeader.LengthFor(sa.Remote) : front;
        int text = packet.Start + packet.Network + split, ah = text - length;
        Unsafe.SkipInit(out job);        // made where it stays: copying one that holds references is slow
        job.Key = sa.Key;
        job.Slab = packet.Slab;
        job.Header = packet.Start + packet.Network - front;
        job.Iv = ah + FixedLength;
        job.Icv = ah + FixedLength + sa.Suite.IvLength;
        job.Text = text;
        job.End = text + carried;
        job.Sequence = sequence;
        job.Extended = sa.Settings.ExtendedSequence;
        if (packet.Headroom < front)
        {
            return false;
        }

        byte nextHeader = tunnel
            ? (IpHeader.IsIPv4(datagram) ? IpProtocol.IPv4 : IpProtocol.IPv6)
            : datagram[nextHeaderAt];
        MakeRoom(ref packet, split, front, job.End);

        // 2. The IP header: the packet's own, or one around it.
        byte[] slab = packet.Slab;
        WriteIp(ref packet, sa, slab.AsSpan(text, carried), nextHeaderAt, IpProtocol.Ah, identification);

        // 3. AH. Its length is in words of 32 bits, two less than there are (RFC 4302 §2.2); padding is zero.
        Span<byte> header = slab.AsSpan(ah, length);
        header.Clear();
        header[0] = nextHeader;
        header[1] = (byte)((length / 4) - 2);
        BinaryPrimitives.WriteUInt32BigEndian(header[4..], sa.Spi);
        BinaryPrimitives.WriteUInt32BigEndian(header[8..], (uint)sequence);

        NoteSealed(ref packet, sa, ah - packet.Start, sequence, carried);
        packet.Payload = packet.Transport;
        return true;
    }

    /// <inheritdoc/>
    internal override DropReason TryAddress(in Packet packet, InboundSa sa, out CryptoJob job)
    {
        int ah = packet.Start + packet.Transport, end = packet.Start + packet.End;
        int length = (packet.Slab[ah + 1] + 2) * 4;
        int icv = ah + FixedLength + sa.Suite.IvLength;
        Unsafe.SkipInit(out job);        // made where it stays: copying one that holds references is slow
        job.Key = sa.Key;
        job.Slab = packet.Slab;
        job.Header = packet.Start + packet.Network;
        job.Iv = ah + FixedLength;
        job.Icv = icv;
        job.Text = ah + length;
        job.End = end;
        job.Sequence = sa.Extend(packet.Sequence);
        job.Extended = sa.Settings.ExtendedSequence;

        // IPv4 asks for whole words of 32 bits, and some pad it to 64 all the same; IPv6 asks for that (RFC 4302 §2.6).
        if (job.Text > end || (length != LengthFor(sa, packet.IsIPv4) && length != LengthFor(sa, isIPv4: false)))
        {
            sa.Statistics.Malformed++;
            return DropReason.BadAh;
        }

        return LookAtNumber(sa, job.Sequence);
    }

    /// <inheritdoc/>
    internal override DropReason Unwrap(ref Packet packet, InboundSa sa, in CryptoJob job)
    {
        DropReason why = TakeNumber(sa, job.Sequence);
        return why != DropReason.None
            ? why
            : Uncover(ref packet, sa, job.Text, job.End - job.Text, job.Slab[packet.Start + packet.Transport]);
    }

    /// <inheritdoc/>
    internal override bool TryBlank(in Packet packet, in CryptoJob job, SavedHeaders aside, int number)
    {
        Span<byte> headers = packet.Slab.AsSpan(job.Header, packet.Transport - packet.Network);
        if (!aside.TrySave(number, headers))
        {
            return false;
        }

        MutableFields.Blank(headers);
        return true;
    }

    /// <inheritdoc/>
    internal override void Restore(in CryptoJob job, SavedHeaders aside, int number) =>
        aside.Restore(number, job.Slab.AsSpan(job.Header));

    /// <summary>What it makes packets longer by.</summary>
    private static int Overhead(SecurityAssociation sa, bool isIPv4) => sa.Mode == IpsecMode.Tunnel
        ? TunnelHeader.LengthFor(sa.Remote) + LengthFor(sa, sa.Remote.IsIPv4)
        : LengthFor(sa, isIPv4);

    private static int LengthFor(SecurityAssociation sa, bool isIPv4) =>
        RoundUp(FixedLength + sa.Suite.IvLength + sa.Suite.IcvLength, isIPv4 ? sa.Settings.AhAlignment : 8);
}

using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// What is done to an IP header of either family once it was parsed: its length changed, its next header, its ECN; and
/// where something may be put between it and the payload.
/// </summary>
public static class IpHeader
{
    /// <summary>Length of an IPv4 header without options.</summary>
    public const int IPv4Length = 20;

    /// <summary>Length of an IPv6 header without extensions.</summary>
    public const int IPv6Length = 40;

    /// <summary>Length of an IPv6 fragment header (RFC 8200 §4.5).</summary>
    public const int FragmentHeaderLength = 8;

    /// <summary>The most that a length field of either family can say for a whole IPv4 packet or an IPv6 payload.</summary>
    public const int LongestLength = ushort.MaxValue;

    /// <summary>Whether the bytes begin as an IPv4 packet, else as IPv6.</summary>
    public static bool IsIPv4(ReadOnlySpan<byte> datagram) => datagram[0] >> 4 == 4;

    /// <summary>Length of the header without IPv6 extensions.</summary>
    public static int Length(ReadOnlySpan<byte> datagram) => IsIPv4(datagram) ? (datagram[0] & 15) * 4 : IPv6Length;

    /// <summary>The source as the header has it, whatever stands behind it.</summary>
    public static Address Source(ReadOnlySpan<byte> datagram) =>
        IsIPv4(datagram) ? Address.ReadIPv4(datagram[12..]) : Address.ReadIPv6(datagram[8..]);

    /// <summary>The destination as the header has it.</summary>
    public static Address Destination(ReadOnlySpan<byte> datagram) =>
        IsIPv4(datagram) ? Address.ReadIPv4(datagram[16..]) : Address.ReadIPv6(datagram[24..]);

    /// <summary>Whether the length field can hold a packet of so many bytes.</summary>
    public static bool CanHold(bool isIPv4, int length) => length - (isIPv4 ? 0 : IPv6Length) <= LongestLength;

    /// <summary>Says that the packet is as long as the span, and finishes the IPv4 header checksum.</summary>
    public static void SetLength(Span<byte> datagram)
    {
        if (IsIPv4(datagram))
        {
            BinaryPrimitives.WriteUInt16BigEndian(datagram[2..], (ushort)datagram.Length);
            FinishIPv4(datagram);
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(datagram[4..], (ushort)(datagram.Length - IPv6Length));
        }
    }

    /// <summary>
    /// Gives a packet without options or extensions another protocol and the span's length; IPv4's checksum stays as right or wrong as it was.
    /// </summary>
    public static void Become(Span<byte> datagram, byte protocol)
    {
        if (IsIPv4(datagram))
        {
            uint first = BinaryPrimitives.ReadUInt32BigEndian(datagram), third = BinaryPrimitives.ReadUInt32BigEndian(datagram[8..]);
            uint length = (first & 0xffff_0000) | (ushort)datagram.Length;
            ushort before = (ushort)(third >> 16), after = (ushort)((before & 0xff00) | protocol);
            ushort checksum = Checksum.Update(Checksum.Update((ushort)third, (ushort)first, (ushort)length), before, after);
            BinaryPrimitives.WriteUInt32BigEndian(datagram, length);
            BinaryPrimitives.WriteUInt32BigEndian(datagram[8..], ((uint)after << 16) | checksum);
        }
        else
        {
            uint second = BinaryPrimitives.ReadUInt32BigEndian(datagram[4..]);
            BinaryPrimitives.WriteUInt32BigEndian(datagram[4..], ((uint)(datagram.Length - IPv6Length) << 16) | ((uint)protocol << 8) | (second & 0xff));
        }
    }

    /// <summary>Computes the IPv4 header checksum anew (RFC 791 §3.1).</summary>
    public static void FinishIPv4(Span<byte> datagram)
    {
        datagram[10] = 0;
        datagram[11] = 0;
        BinaryPrimitives.WriteUInt16BigEndian(datagram[10..], Checksum.Finish(Checksum.Sum(datagram[..Length(datagram)])));
    }

    /// <summary>The traffic class: DSCP in the upper six bits, ECN in the lower two.</summary>
    public static byte TrafficClass(ReadOnlySpan<byte> datagram) =>
        IsIPv4(datagram) ? datagram[1] : (byte)((datagram[0] << 4) | (datagram[1] >> 4));

    /// <summary>TTL or hop limit.</summary>
    public static byte HopLimit(ReadOnlySpan<byte> datagram) => IsIPv4(datagram) ? datagram[8] : datagram[7];

    /// <summary>Takes one from TTL or hop limit, which is not 0. The IPv4 header checksum stays right where it was, and wrong where it was.</summary>
    public static void TakeHop(Span<byte> datagram)
    {
        if (IsIPv4(datagram))
        {
            // Read and written as one word: what was just written in pieces must not be read back in larger ones.
            uint word = BinaryPrimitives.ReadUInt32BigEndian(datagram[8..]);
            var before = (ushort)(word >> 16);
            var after = (ushort)(before - (1 << 8));
            BinaryPrimitives.WriteUInt32BigEndian(datagram[8..], ((uint)after << 16) | Checksum.Update((ushort)word, before, after));
        }
        else
        {
            datagram[7]--;
        }
    }

    /// <summary>Sets the two ECN bits (RFC 3168 §5). The IPv4 header checksum stays right where it was, and wrong where it was.</summary>
    public static void SetEcn(Span<byte> datagram, int ecn)
    {
        if (IsIPv4(datagram))
        {
            ushort before = BinaryPrimitives.ReadUInt16BigEndian(datagram);
            datagram[1] = (byte)((datagram[1] & 0xfc) | ecn);
            ushort checksum = BinaryPrimitives.ReadUInt16BigEndian(datagram[10..]);
            BinaryPrimitives.WriteUInt16BigEndian(
                datagram[10..], Checksum.Update(checksum, before, BinaryPrimitives.ReadUInt16BigEndian(datagram)));
        }
        else
        {
            datagram[1] = (byte)((datagram[1] & 0xcf) | (ecn << 4));
        }
    }

    /// <summary>
    /// Where ESP or AH goes in transport mode: behind IPv4's options, or behind the IPv6 headers that hops on the way look
    /// at, hop-by-hop, routing, fragment, and destination options that a routing header follows (RFC 4303 §3.1.1).
    /// </summary>
    /// <param name="datagram">A packet that the parser took.</param>
    /// <param name="nextHeaderAt">Where the field stands that names what follows there.</param>
    public static int SplitForProtection(ReadOnlySpan<byte> datagram, out int nextHeaderAt) =>
        Split(datagram, behindFragmentHeader: true, out nextHeaderAt);

    /// <summary>Where a fragment header goes: behind what each fragment must carry (RFC 8200 §4.5).</summary>
    /// <inheritdoc cref="SplitForProtection"/>
    public static int SplitForFragments(ReadOnlySpan<byte> datagram, out int nextHeaderAt) =>
        Split(datagram, behindFragmentHeader: false, out nextHeaderAt);

    /// <summary>Where the field stands that names the header at <paramref name="offset"/>; -1 where no header begins there.</summary>
    public static int NextHeaderField(ReadOnlySpan<byte> datagram, int offset)
    {
        if (IsIPv4(datagram))
        {
            return offset == Length(datagram) ? 9 : -1;
        }

        int field = 6, at = IPv6Length;
        while (at < offset && IsExtension(datagram[field]) && at + 8 <= datagram.Length)
        {
            int next = at + ExtensionLength(datagram[field], datagram[at + 1]);
            field = at;
            at = next;
        }

        return at == offset ? field : -1;
    }

    private static int Split(ReadOnlySpan<byte> datagram, bool behindFragmentHeader, out int nextHeaderAt)
    {
        nextHeaderAt = 9;
        if (IsIPv4(datagram))
        {
            return Length(datagram);
        }

        nextHeaderAt = 6;
        int split = IPv6Length, field = 6, at = IPv6Length;
        while (IsExtension(datagram[field]) && at + 8 <= datagram.Length)
        {
            byte kind = datagram[field];
            int next = at + ExtensionLength(kind, datagram[at + 1]);
            field = at;
            at = next;
            if (kind is IpProtocol.HopByHop or IpProtocol.Routing || (kind == IpProtocol.Fragment && behindFragmentHeader))
            {
                split = at;
                nextHeaderAt = field;
            }
        }

        return split;
    }

    private static bool IsExtension(byte protocol) =>
        protocol is IpProtocol.HopByHop or IpProtocol.Routing or IpProtocol.Fragment or IpProtocol.DestinationOptions;

    private static int ExtensionLength(byte kind, byte lengthField) =>
        kind == IpProtocol.Fragment ? FragmentHeaderLength : (lengthField + 1) * 8;
}

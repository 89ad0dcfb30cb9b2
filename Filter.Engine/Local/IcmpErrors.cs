using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Local;

/// <summary>What an ICMP error of Filter's own says; each has a type and code in both families.</summary>
public enum IcmpErrorKind : byte
{
    /// <summary>Fragmentation needed (RFC 1191 §4), packet too big (RFC 4443 §3.2).</summary>
    TooBig,

    /// <summary>Administratively prohibited (RFC 1812 §5.2.7.1, RFC 4443 §3.1).</summary>
    Prohibited,

    /// <summary>Host unreachable (RFC 792), address unreachable (RFC 4443 §3.1).</summary>
    Unreachable,

    /// <summary>Nobody asked for this connection: port unreachable (RFC 5382 REQ-4), administratively prohibited (RFC 6092 REC-34, REC-39).</summary>
    Unsolicited,

    /// <summary>TTL or hop limit is used up (RFC 792, RFC 4443 §3.3).</summary>
    HopLimit,
}

/// <summary>
/// ICMP errors that Filter sends about a packet. They come from the packet's own destination, link addresses swapped
/// and VLAN tags kept, so that a bridge without addresses can speak; and go back where the packet came in.
/// </summary>
public static class IcmpErrors
{
    private const int IcmpHeader = 8;
    private const int LongestIPv4 = 576;            // RFC 1812 §4.3.2.3
    private const int LongestIPv6 = 1280;           // RFC 4443 §2.4 (c)
    private const byte TimeToLive = 64;
    private const byte InternetworkControl = 0xc0;  // RFC 1812 §4.3.2.5

    /// <summary>Appends the error to the burst: passing, of Filter's own, towards the packet's ingress.</summary>
    /// <param name="burst">The burst that holds the packet.</param>
    /// <param name="about">Its index there; it was parsed.</param>
    /// <param name="kind">What to say.</param>
    /// <param name="mtu">The largest IP packet that would pass, in bytes; for <see cref="IcmpErrorKind.TooBig"/>.</param>
    /// <returns>False where none may be sent (RFC 1122 §3.2.2, RFC 4443 §2.4 (e)) or the burst is full.</returns>
    public static bool TryAppend(Burst burst, int about, IcmpErrorKind kind, int mtu = 0)
    {
        ref Packet cause = ref burst.Packets[about];
        if (!MayAnswer(cause))
        {
            return false;
        }

        bool isIPv4 = cause.IsIPv4;
        int header = isIPv4 ? IpHeader.IPv4Length : IpHeader.IPv6Length;
        int sent = SentLength(cause);
        int quoted = Math.Min(sent, (isIPv4 ? LongestIPv4 : LongestIPv6) - header - IcmpHeader);
        int length = cause.Network + header + IcmpHeader + quoted;
        if (!burst.TryAppend(length, out int index))
        {
            return false;
        }

        ref Packet error = ref burst.Packets[index];
        error.Length = length;
        error.End = length;
        error.Network = cause.Network;
        error.Transport = (ushort)(cause.Network + header);
        error.Payload = error.Transport + IcmpHeader;
        error.EtherType = cause.EtherType;
        error.Ingress = cause.Ingress;
        error.Egress = (ushort)(1 << cause.Ingress);
        error.Direction = Direction.Across;
        error.Kind = PacketKind.IcmpError;
        error.Own = true;
        error.Verdict = Verdict.Pass;
        error.HopLimit = TimeToLive;
        error.Key = new FlowKey(
            IpHeader.Destination(cause.Datagram), IpHeader.Source(cause.Datagram), 0, 0, isIPv4 ? IpProtocol.Icmp : IpProtocol.IcmpV6, cause.Key.Segment);

        Span<byte> frame = error.Bytes;
        cause.Bytes[..cause.Network].CopyTo(frame);
        cause.Bytes[..6].CopyTo(frame[6..]);
        cause.Bytes[6..12].CopyTo(frame);
        WriteIp(error.Datagram, error.Key);
        Span<byte> icmp = error.Segment;
        icmp[..IcmpHeader].Clear();
        (icmp[0], icmp[1]) = TypeAndCode(isIPv4, kind);
        if (kind == IcmpErrorKind.TooBig && isIPv4)
        {
            BinaryPrimitives.WriteUInt16BigEndian(icmp[6..], (ushort)Math.Min(mtu, ushort.MaxValue));
        }
        else if (kind == IcmpErrorKind.TooBig)
        {
            BinaryPrimitives.WriteUInt32BigEndian(icmp[4..], (uint)mtu);
        }

        cause.Datagram[..quoted].CopyTo(icmp[IcmpHeader..]);
        FixQuote(icmp[IcmpHeader..], cause, sent);
        ulong pseudo = isIPv4
            ? 0
            : Checksum.PseudoHeader(error.Key.Source, error.Key.Destination, IpProtocol.IcmpV6, icmp.Length);
        BinaryPrimitives.WriteUInt16BigEndian(icmp[2..], Checksum.Finish(Checksum.Sum(icmp, pseudo)));
        error.IcmpType = icmp[0];
        error.IcmpCode = icmp[1];
        error.Offload.Checksum = ChecksumState.Valid;
        return true;
    }

    /// <summary>The length of the packet that the sender's wire would have carried: of a super-frame, its first segment.</summary>
    private static int SentLength(in Packet cause)
    {
        int length = cause.End - cause.Network;
        return cause.Segments > 1 ? Math.Min(length, cause.Payload + cause.Offload.SegmentSize - cause.Network) : length;
    }

    /// <summary>A super-frame is quoted as its first segment, whose lengths are others; its checksum may be unfinished.</summary>
    private static void FixQuote(Span<byte> quote, in Packet cause, int sent)
    {
        if (cause.Segments <= 1)
        {
            return;
        }

        if (cause.IsIPv4)
        {
            BinaryPrimitives.WriteUInt16BigEndian(quote[2..], (ushort)sent);
            IpHeader.FinishIPv4(quote);
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(quote[4..], (ushort)(sent - IpHeader.IPv6Length));
        }

        int transport = cause.Transport - cause.Network;
        if (cause.Offload.Gso == GsoKind.Udp && transport + 6 <= quote.Length)
        {
            BinaryPrimitives.WriteUInt16BigEndian(quote[(transport + 4)..], (ushort)(sent - transport));
        }
    }

    private static bool MayAnswer(in Packet cause)
    {
        bool isIp = cause.EtherType is EtherTypes.IPv4 or EtherTypes.IPv6 && cause.Network >= 14;
        bool isQuery = cause.Key.Protocol is not (IpProtocol.Icmp or IpProtocol.IcmpV6)
            || cause.Kind == PacketKind.Tracked;

        // The error's source would be the group: so not even packet too big, which RFC 4443 §2.4 (e.3) would allow.
        bool oneReceiver = !cause.Key.Destination.IsMulticast && !cause.Key.Destination.IsLimitedBroadcast
            && (cause.Bytes[0] & 1) == 0;

        // What came by an SA is not answered in the clear.
        return isIp && isQuery && oneReceiver && cause.FragmentOffset == 0 && cause.ArrivedBy == 0
            && !cause.Key.Source.IsUnspecified && !cause.Key.Source.IsMulticast;
    }

    private static void WriteIp(Span<byte> datagram, in FlowKey key)
    {
        if (key.Source.IsIPv4)
        {
            datagram[..IpHeader.IPv4Length].Clear();
            datagram[0] = 0x45;
            datagram[1] = InternetworkControl;
            datagram[6] = 0x40;                     // never fragmented, so it needs no identification (RFC 6864 §4.1)
            datagram[8] = TimeToLive;
            datagram[9] = IpProtocol.Icmp;
            key.Source.Write(datagram[12..]);
            key.Destination.Write(datagram[16..]);
        }
        else
        {
            datagram[..IpHeader.IPv6Length].Clear();
            datagram[0] = 0x60 | (InternetworkControl >> 4);
            datagram[6] = IpProtocol.IcmpV6;
            datagram[7] = TimeToLive;
            key.Source.Write(datagram[8..]);
            key.Destination.Write(datagram[24..]);
        }

        IpHeader.SetLength(datagram);
    }

    private static (byte Type, byte Code) TypeAndCode(bool isIPv4, IcmpErrorKind kind) => (isIPv4, kind) switch
    {
        (true, IcmpErrorKind.TooBig) => (3, 4),
        (true, IcmpErrorKind.Prohibited) => (3, 13),
        (true, IcmpErrorKind.Unsolicited) => (3, 3),
        (true, IcmpErrorKind.HopLimit) => (11, 0),
        (true, _) => (3, 1),
        (false, IcmpErrorKind.TooBig) => (2, 0),
        (false, IcmpErrorKind.Prohibited or IcmpErrorKind.Unsolicited) => (1, 1),
        (false, IcmpErrorKind.HopLimit) => (3, 0),
        (false, _) => (1, 3),
    };
}

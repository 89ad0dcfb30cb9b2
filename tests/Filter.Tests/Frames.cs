using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests;

/// <summary>Frames written out byte by byte, of the family that their addresses say; for tests.</summary>
internal static class Frames
{
    public const ulong Client = 0x0200_0000_0001;
    public const ulong Server = 0x0200_0000_0002;

    public static byte[] Udp(string source, int sourcePort, string destination, int destinationPort, params byte[] payload)
    {
        var udp = new byte[8 + payload.Length];
        BinaryPrimitives.WriteUInt16BigEndian(udp, (ushort)sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(udp.AsSpan(2), (ushort)destinationPort);
        BinaryPrimitives.WriteUInt16BigEndian(udp.AsSpan(4), (ushort)udp.Length);
        payload.CopyTo(udp, 8);
        return Summed(udp, 6, source, destination, IpProtocol.Udp);
    }

    public static byte[] Tcp(
        string source, int sourcePort, string destination, int destinationPort, TcpFlags flags,
        uint sequence = 0, uint acknowledgment = 0, params byte[] payload)
    {
        var tcp = new byte[20 + payload.Length];
        BinaryPrimitives.WriteUInt16BigEndian(tcp, (ushort)sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(tcp.AsSpan(2), (ushort)destinationPort);
        BinaryPrimitives.WriteUInt32BigEndian(tcp.AsSpan(4), sequence);
        BinaryPrimitives.WriteUInt32BigEndian(tcp.AsSpan(8), acknowledgment);
        tcp[12] = 0x50;
        tcp[13] = (byte)flags;
        payload.CopyTo(tcp, 20);
        return Summed(tcp, 16, source, destination, IpProtocol.Tcp);
    }

    /// <summary>ICMP or ICMPv6, whichever the addresses need.</summary>
    public static byte[] Icmp(string source, string destination, byte type, byte code, params byte[] body)
    {
        byte[] icmp = [type, code, 0, 0, .. body];
        bool v4 = Address.Parse(source).IsIPv4;
        if (!v4)
        {
            return Summed(icmp, 2, source, destination, IpProtocol.IcmpV6);
        }

        BinaryPrimitives.WriteUInt16BigEndian(icmp.AsSpan(2), Checksum.Finish(Checksum.Sum(icmp)));
        return icmp;
    }

    /// <summary>An IP packet around a segment.</summary>
    /// <param name="source">Its source, which chooses the family.</param>
    /// <param name="destination">Its destination.</param>
    /// <param name="protocol">What the payload is; for IPv6 the first next header.</param>
    /// <param name="payload">Extension headers included.</param>
    /// <param name="id">IPv4 identification.</param>
    /// <param name="field">IPv4 flags and fragment offset as the header has them.</param>
    /// <param name="options">IPv4 options, padded.</param>
    /// <param name="hopLimit">TTL or hop limit.</param>
    public static byte[] Ip(
        string source, string destination, byte protocol, byte[] payload,
        ushort id = 1, ushort field = 0, byte[]? options = null, byte hopLimit = 64)
    {
        Address from = Address.Parse(source), to = Address.Parse(destination);
        options ??= [];
        int header = from.IsIPv4 ? 20 + options.Length : 40;
        var ip = new byte[header + payload.Length];
        payload.CopyTo(ip, header);
        if (from.IsIPv4)
        {
            ip[0] = (byte)(0x40 | (header / 4));
            BinaryPrimitives.WriteUInt16BigEndian(ip.AsSpan(4), id);
            BinaryPrimitives.WriteUInt16BigEndian(ip.AsSpan(6), field);
            ip[8] = hopLimit;
            ip[9] = protocol;
            from.Write(ip.AsSpan(12));
            to.Write(ip.AsSpan(16));
            options.CopyTo(ip, 20);
        }
        else
        {
            ip[0] = 0x60;
            ip[6] = protocol;
            ip[7] = hopLimit;
            from.Write(ip.AsSpan(8));
            to.Write(ip.AsSpan(24));
        }

        IpHeader.SetLength(ip);
        return ip;
    }

    /// <summary>
    /// One fragment of a payload, <paramref name="offset"/> a multiple of 8; for IPv6 behind the
    /// headers in <paramref name="before"/>, which begin with the protocol <paramref name="beforeProtocol"/>.
    /// </summary>
    public static byte[] Fragment(
        string source, string destination, byte protocol, uint id, int offset, bool more, ReadOnlySpan<byte> data,
        byte beforeProtocol = IpProtocol.Fragment, byte[]? before = null)
    {
        ushort field = (ushort)((offset & 0xfff8) | (more ? 1 : 0));
        if (Address.Parse(source).IsIPv4)
        {
            return Ip(source, destination, protocol, data.ToArray(), (ushort)id, (ushort)((more ? 0x2000 : 0) | (offset / 8)));
        }

        var header = new byte[8];
        header[0] = protocol;
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), field);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(4), id);
        return Ip(source, destination, beforeProtocol, [.. before ?? [], .. header, .. data]);
    }

    public static byte[] Ethernet(byte[] datagram, ulong source = Client, ulong destination = Server, params int[] vlans)
    {
        ushort type = datagram[0] >> 4 == 4 ? EtherTypes.IPv4 : EtherTypes.IPv6;
        return Ethernet(type, datagram, source, destination, vlans);
    }

    public static byte[] Ethernet(ushort type, byte[] body, ulong source, ulong destination, params int[] vlans)
    {
        var frame = new byte[14 + (4 * vlans.Length) + body.Length];
        WriteMac(frame, destination);
        WriteMac(frame.AsSpan(6), source);
        int at = 12;
        foreach (int vlan in vlans)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(at), EtherTypes.Vlan);
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(at + 2), (ushort)vlan);
            at += 4;
        }

        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(at), type);
        body.CopyTo(frame, at + 2);
        return frame;
    }

    public static byte[] Arp(int operation, ulong senderMac, string sender, ulong targetMac, string target, ulong to)
    {
        var arp = new byte[28];
        BinaryPrimitives.WriteUInt64BigEndian(arp, 0x0001_0800_0604_0000UL | (uint)operation);
        WriteMac(arp.AsSpan(8), senderMac);
        Address.Parse(sender).Write(arp.AsSpan(14));
        WriteMac(arp.AsSpan(18), targetMac);
        Address.Parse(target).Write(arp.AsSpan(24));
        return Ethernet(EtherTypes.Arp, arp, senderMac, to);
    }

    /// <summary>The frame of a packet line.</summary>
    public static byte[] Of(string line)
    {
        PacketLine read = PacketLine.Parse(line);
        var frame = new byte[FrameBuilder.Length(read)];
        FrameBuilder.Write(read, frame);
        return frame;
    }

    /// <summary>The frame of an IPv6 packet line, with extension headers before its upper layer.</summary>
    /// <param name="line">The line, untagged.</param>
    /// <param name="first">The protocol of the first extension header; the last names what follows.</param>
    /// <param name="headers">Their bytes.</param>
    public static byte[] Behind(string line, byte first, ReadOnlySpan<byte> headers)
    {
        byte[] frame = Of(line);
        byte[] longer = [.. frame[..54], .. headers, .. frame[54..]];
        longer[20] = first;
        BinaryPrimitives.WriteUInt16BigEndian(longer.AsSpan(18), (ushort)(longer.Length - 54));
        return longer;
    }

    /// <summary>The fragments of an IPv6 packet line, the first with so many bytes, a multiple of 8.</summary>
    public static byte[][] InPieces(string line, int first)
    {
        byte[] frame = Of(line);
        return [Piece(0, first, 1), Piece(first, frame.Length - 54 - first, 0)];

        byte[] Piece(int offset, int length, int more)
        {
            byte[] piece = [.. frame[..54], frame[20], 0, (byte)(offset >> 8), (byte)(offset | more), 0, 0, 0, 9, .. frame.AsSpan(54 + offset, length)];
            piece[20] = IpProtocol.Fragment;
            BinaryPrimitives.WriteUInt16BigEndian(piece.AsSpan(18), (ushort)(piece.Length - 54));
            return piece;
        }
    }

    /// <summary>The frame of a UDP packet line whose payload begins with these bytes, without a checksum.</summary>
    public static byte[] WithPayload(string line, params byte[] payload)
    {
        byte[] frame = Of(line);
        int udp = frame[12] == 0x08 ? 34 : 54;
        frame[udp + 6] = frame[udp + 7] = 0;
        payload.CopyTo(frame, udp + 8);
        return frame;
    }

    /// <summary>An ICMPv6 packet with a body of the test's own making.</summary>
    public static byte[] Icmpv6(string source, string destination, byte hopLimit, byte type, byte code, params byte[] body) =>
        Ethernet(Ip(source, destination, IpProtocol.IcmpV6, Icmp(source, destination, type, code, body), hopLimit: hopLimit));

    /// <summary>Appends a frame to the burst as a port would, and parses it.</summary>
    public static int Append(Burst burst, byte[] frame, byte ingress = 0, long number = 1)
    {
        Assert.True(burst.TryAppend(frame.Length, out int index));
        ref Packet packet = ref burst.Packets[index];
        packet.Length = frame.Length;
        frame.CopyTo(packet.Bytes);
        packet.Ingress = ingress;
        packet.Number = number;
        DropReason why = Parser.Parse(ref packet);
        if (why != DropReason.None)
        {
            packet.Drop(why);
        }

        return index;
    }

    /// <summary>Parses a packet's bytes as they now stand, as whoever receives it would.</summary>
    public static DropReason Reparse(in Packet packet, out Packet parsed)
    {
        parsed = new Packet { Slab = packet.Slab, Start = packet.Start, Length = packet.Length };
        return Parser.Parse(ref parsed);
    }

    public static void WriteMac(Span<byte> to, ulong mac)
    {
        BinaryPrimitives.WriteUInt16BigEndian(to, (ushort)(mac >> 32));
        BinaryPrimitives.WriteUInt32BigEndian(to[2..], (uint)mac);
    }

    public static byte[] Pattern(int length, int seed = 0) => [.. Enumerable.Range(0, length).Select(i => (byte)((i * 7) + seed + (i >> 8)))];

    private static byte[] Summed(byte[] segment, int field, string source, string destination, byte protocol)
    {
        ulong pseudo = Checksum.PseudoHeader(Address.Parse(source), Address.Parse(destination), protocol, segment.Length);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(field), Checksum.Finish(Checksum.Sum(segment, pseudo)));
        return segment;
    }
}

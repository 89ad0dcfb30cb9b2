using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Ipsec;

/// <summary>Ethernet frames with well-formed packets in them, written out byte by byte.</summary>
internal static class PlainFrames
{
    internal const int Ethernet = 14;

    internal static byte[] Udp(Address from, Address to, int payload, bool dontFragment = false, byte trafficClass = 0, byte[]? chain = null, byte firstNext = 17)
    {
        byte[] udp = new byte[8 + payload];
        BinaryPrimitives.WriteUInt16BigEndian(udp, 4000);
        BinaryPrimitives.WriteUInt16BigEndian(udp.AsSpan(2), 53);
        BinaryPrimitives.WriteUInt16BigEndian(udp.AsSpan(4), (ushort)udp.Length);
        Fill(udp.AsSpan(8));
        Sum(udp, 6, from, to, 17);
        return Ip(from, to, chain is null ? (byte)17 : firstNext, [.. chain ?? [], .. udp], dontFragment, trafficClass);
    }

    internal static byte[] Tcp(Address from, Address to, int payload, TcpFlags flags, byte[]? options = null, bool dontFragment = true, byte trafficClass = 0)
    {
        options ??= [];
        byte[] tcp = new byte[20 + options.Length + payload];
        BinaryPrimitives.WriteUInt16BigEndian(tcp, 40000);
        BinaryPrimitives.WriteUInt16BigEndian(tcp.AsSpan(2), 443);
        BinaryPrimitives.WriteUInt32BigEndian(tcp.AsSpan(4), 0xffff_ff00);
        BinaryPrimitives.WriteUInt32BigEndian(tcp.AsSpan(8), 77);
        tcp[12] = (byte)((20 + options.Length) / 4 << 4);
        tcp[13] = (byte)flags;
        BinaryPrimitives.WriteUInt16BigEndian(tcp.AsSpan(14), 65535);
        options.CopyTo(tcp, 20);
        Fill(tcp.AsSpan(20 + options.Length));
        Sum(tcp, 16, from, to, 6);
        return Ip(from, to, 6, tcp, dontFragment, trafficClass);
    }

    internal static byte[] Raw(Address from, Address to, byte protocol, int payload, byte trafficClass = 0)
    {
        byte[] bytes = new byte[payload];
        Fill(bytes);
        return Ip(from, to, protocol, bytes, dontFragment: false, trafficClass);
    }

    internal static byte[] Ip(Address from, Address to, byte protocol, byte[] payload, bool dontFragment, byte trafficClass, byte[]? options = null)
    {
        options ??= [];
        bool v4 = from.IsIPv4;
        int header = v4 ? 20 + options.Length : 40;
        byte[] frame = new byte[Ethernet + header + payload.Length];
        Convert.FromHexString("020000000002020000000001").CopyTo(frame, 0);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), v4 ? (ushort)0x0800 : (ushort)0x86dd);
        Span<byte> ip = frame.AsSpan(Ethernet);
        if (v4)
        {
            ip[0] = (byte)(0x40 | (header / 4));
            ip[1] = trafficClass;
            BinaryPrimitives.WriteUInt16BigEndian(ip[4..], 0x1234);
            ip[6] = (byte)(dontFragment ? 0x40 : 0);
            ip[8] = 61;
            ip[9] = protocol;
            from.Write(ip[12..]);
            to.Write(ip[16..]);
            options.CopyTo(ip[20..]);
        }
        else
        {
            BinaryPrimitives.WriteUInt32BigEndian(ip, (6u << 28) | ((uint)trafficClass << 20) | 0xabcde);
            ip[6] = protocol;
            ip[7] = 61;
            from.Write(ip[8..]);
            to.Write(ip[24..]);
        }

        payload.CopyTo(ip[header..]);
        IpHeader.SetLength(ip);
        return frame;
    }

    /// <summary>Checks an IP packet as a receiver would: parsed, every checksum right.</summary>
    internal static Packet Parsed(byte[] frame)
    {
        byte[] slab = GC.AllocateArray<byte>(frame.Length, pinned: true);
        frame.CopyTo(slab, 0);
        var packet = new Packet { Slab = slab, Length = slab.Length, Ceiling = slab.Length };
        Assert.Equal(DropReason.None, Parser.Parse(ref packet));
        return packet;
    }

    internal static byte[] Datagram(byte[] frame)
    {
        Packet packet = Parsed(frame);
        return packet.Datagram.ToArray();
    }

    private static void Fill(Span<byte> bytes)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] = (byte)(i * 7);
        }
    }

    private static void Sum(byte[] transport, int field, Address from, Address to, byte protocol)
    {
        ushort sum = Checksum.Finish(Checksum.Sum(transport, Checksum.PseudoHeader(from, to, protocol, transport.Length)));
        BinaryPrimitives.WriteUInt16BigEndian(transport.AsSpan(field), sum == 0 ? ushort.MaxValue : sum);
    }
}

using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Bench.Engine;

/// <summary>
/// Packets of as many flows as are asked for, written from a flow's number alone: by turns TCP and UDP, IPv4 and IPv6, all headers as
/// a NIC with checksum offload gives them. Every flow has hosts of its own, so that no limit of the table bites.
/// </summary>
internal static class Traffic
{
    internal const byte Outside = 0, Inside = 1;

    private const int Ethernet = EthernetHeader.Length;

    /// <summary>The service that the rules let out.</summary>
    private const ushort Service = 443;

    private const int FirstPort = 10_000, Ports = 50_000;

    private const uint OpenerStart = 1_000, AnswererStart = 9_000;

    /// <summary>Fills a burst with packets of so many flows, either way, at random, a microsecond after the last one.</summary>
    internal static void Fill(Burst burst, Random random, int flows)
    {
        Begin(burst);
        for (int k = 0; k < Burst.Intake; k++)
        {
            int pick = random.Next(2 * flows);
            Append(burst, pick >> 1, (pick & 1) != 0);
        }
    }

    /// <summary>The same with packets of these flows.</summary>
    internal static void Fill(Burst burst, Random random, int[] flows)
    {
        Begin(burst);
        for (int k = 0; k < Burst.Intake; k++)
        {
            int pick = random.Next(2 * flows.Length);
            Append(burst, flows[pick >> 1], (pick & 1) != 0);
        }
    }

    /// <summary>The same with packets of flows that are not there: UDP and SYNs.</summary>
    internal static void Fill(Burst burst, ref int next, bool unasked = false)
    {
        Begin(burst);
        for (int k = 0; k < Burst.Intake; k++, next++)
        {
            Append(burst, next, reply: false, TcpFlags.Syn, unasked: unasked);
        }
    }

    private static void Begin(Burst burst)
    {
        burst.Reset();
        burst.Now += 1_000;
    }

    /// <summary>Appends one packet of a flow.</summary>
    /// <param name="burst">Where to.</param>
    /// <param name="flow">The flow's number.</param>
    /// <param name="reply">From who was spoken to.</param>
    /// <param name="flags">Of TCP.</param>
    /// <param name="unasked">It comes from outside, though it is no answer.</param>
    /// <param name="hosts">How many flows a host has; they differ in their ports, and all of them are IPv6.</param>
    internal static void Append(Burst burst, int flow, bool reply, TcpFlags flags = TcpFlags.Ack, bool unasked = false, int hosts = 1)
    {
        bool tcp = (flow & 2) == 0, v6 = (flow & 1) != 0 || hosts > 1;
        int port = FirstPort + (flow % Ports), host = flow / hosts;
        int length = Ethernet + (v6 ? 40 : 20) + (tcp ? 20 : 18);
        if (!burst.TryAppend(length, out int index))
        {
            throw new InvalidOperationException("the burst is full");
        }

        ref Packet packet = ref burst.Packets[index];
        packet.Length = length;
        packet.Ingress = reply || unasked ? Outside : Inside;
        packet.Offload.Checksum = ChecksumState.Valid;
        Span<byte> frame = packet.Bytes;
        frame.Clear();
        frame[0] = 2;
        frame[5] = reply ? (byte)1 : (byte)2;
        frame[6] = 2;
        frame[11] = reply ? (byte)2 : (byte)1;
        Span<byte> ip = frame[Ethernet..];
        if (v6)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame[12..], EtherTypes.IPv6);
            ip[0] = 0x60;
            BinaryPrimitives.WriteUInt16BigEndian(ip[4..], (ushort)(ip.Length - 40));
            ip[6] = tcp ? IpProtocol.Tcp : IpProtocol.Udp;
            ip[7] = 64;
            WriteIPv6(ip[(reply ? 24 : 8)..], 0x2001_0db8_0000_0000, host);
            WriteIPv6(ip[(reply ? 8 : 24)..], 0x2001_0db9_0000_0000, flow);
            WriteTransport(ip[40..], port, reply, tcp, flags);
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame[12..], EtherTypes.IPv4);
            ip[0] = 0x45;
            ip[6] = 0x40;
            ip[8] = 64;
            ip[9] = tcp ? IpProtocol.Tcp : IpProtocol.Udp;
            BinaryPrimitives.WriteUInt32BigEndian(ip[(reply ? 16 : 12)..], 0x0a00_0000u + (uint)(flow & 0xff_ffff));
            BinaryPrimitives.WriteUInt32BigEndian(ip[(reply ? 12 : 16)..], 0x6400_0000u + (uint)(flow & 0xff_ffff));
            IpHeader.SetLength(ip);
            WriteTransport(ip[20..], port, reply, tcp, flags);
        }
    }

    /// <summary>Each in a network of its own: the table counts openers by those.</summary>
    private static void WriteIPv6(Span<byte> address, ulong prefix, int host)
    {
        BinaryPrimitives.WriteUInt64BigEndian(address, prefix + (uint)host);
        BinaryPrimitives.WriteUInt64BigEndian(address[8..], 1);
    }

    private static void WriteTransport(Span<byte> segment, int port, bool reply, bool tcp, TcpFlags flags)
    {
        BinaryPrimitives.WriteUInt16BigEndian(segment, reply ? Service : (ushort)port);
        BinaryPrimitives.WriteUInt16BigEndian(segment[2..], reply ? (ushort)port : Service);
        if (!tcp)
        {
            BinaryPrimitives.WriteUInt16BigEndian(segment[4..], (ushort)segment.Length);
            return;
        }

        bool syn = (flags & TcpFlags.Syn) != 0;
        BinaryPrimitives.WriteUInt32BigEndian(segment[4..], (reply ? AnswererStart : OpenerStart) + (syn ? 0u : 1));
        BinaryPrimitives.WriteUInt32BigEndian(segment[8..], (flags & TcpFlags.Ack) == 0 ? 0 : (reply ? OpenerStart : AnswererStart) + 1);
        segment[12] = 5 << 4;
        segment[13] = (byte)flags;
        BinaryPrimitives.WriteUInt16BigEndian(segment[14..], ushort.MaxValue);
    }
}

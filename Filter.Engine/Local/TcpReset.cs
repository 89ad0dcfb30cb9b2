using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Local;

/// <summary>
/// The reset with which a rejected TCP segment is answered, as its destination would (RFC 9293
/// §3.10.7.1). Addresses, ports and link addresses are the segment's own, swapped.
/// </summary>
public static class TcpReset
{
    private const int TcpLength = 20;

    /// <summary>Appends the reset to the burst: passing, of Filter's own, towards the segment's ingress.</summary>
    /// <returns>False for a reset, which is never answered, and where the burst is full.</returns>
    public static bool TryAppend(Burst burst, int about)
    {
        ref Packet cause = ref burst.Packets[about];
        if ((cause.TcpFlags & TcpFlags.Rst) != 0 || cause.Key.Destination.IsMulticast)
        {
            return false;
        }

        int header = cause.IsIPv4 ? IpHeader.IPv4Length : IpHeader.IPv6Length;
        int length = cause.Network + header + TcpLength;
        if (!burst.TryAppend(length, out int index))
        {
            return false;
        }

        ref Packet reset = ref burst.Packets[index];
        reset.Length = reset.End = length;
        reset.Network = cause.Network;
        reset.Transport = (ushort)(cause.Network + header);
        reset.Payload = length;
        reset.EtherType = cause.EtherType;
        reset.Key = cause.Key.Reverse;
        reset.Kind = PacketKind.Tracked;
        reset.Own = true;
        reset.Done = true;
        reset.Verdict = Verdict.Pass;
        reset.Ingress = cause.Ingress;
        reset.Egress = (ushort)(1 << cause.Ingress);
        reset.Offload.Checksum = ChecksumState.Valid;

        Span<byte> frame = reset.Bytes;
        ReadOnlySpan<byte> from = cause.Bytes;
        from[..cause.Network].CopyTo(frame);
        from[6..12].CopyTo(frame);
        from[..6].CopyTo(frame[6..]);
        Span<byte> ip = reset.Datagram;
        ip[..header].Clear();
        if (cause.IsIPv4)
        {
            ip[0] = 0x45;
            ip[6] = 0x40;
            ip[8] = 64;
            ip[9] = IpProtocol.Tcp;
            reset.Key.Source.Write(ip[12..]);
            reset.Key.Destination.Write(ip[16..]);
            BinaryPrimitives.WriteUInt16BigEndian(ip[2..], (ushort)ip.Length);
            BinaryPrimitives.WriteUInt16BigEndian(ip[10..], Checksum.Finish(Checksum.Sum(ip[..header])));
        }
        else
        {
            ip[0] = 0x60;
            BinaryPrimitives.WriteUInt16BigEndian(ip[4..], TcpLength);
            ip[6] = IpProtocol.Tcp;
            ip[7] = 64;
            reset.Key.Source.Write(ip[8..]);
            reset.Key.Destination.Write(ip[24..]);
        }

        WriteSegment(ip[header..], cause, reset.Key);
        return true;
    }

    private static void WriteSegment(Span<byte> tcp, in Packet cause, in FlowKey key)
    {
        tcp.Clear();
        BinaryPrimitives.WriteUInt16BigEndian(tcp, key.SourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[2..], key.DestinationPort);
        tcp[12] = (TcpLength / 4) << 4;
        if ((cause.TcpFlags & TcpFlags.Ack) != 0)
        {
            BinaryPrimitives.WriteUInt32BigEndian(tcp[4..], cause.Acknowledgment);
            tcp[13] = (byte)TcpFlags.Rst;
        }
        else
        {
            uint length = (uint)(cause.End - cause.Payload)
                + ((cause.TcpFlags & TcpFlags.Syn) != 0 ? 1u : 0) + ((cause.TcpFlags & TcpFlags.Fin) != 0 ? 1u : 0);
            BinaryPrimitives.WriteUInt32BigEndian(tcp[8..], cause.Sequence + length);
            tcp[13] = (byte)(TcpFlags.Rst | TcpFlags.Ack);
        }

        ulong sum = Checksum.PseudoHeader(key.Source, key.Destination, IpProtocol.Tcp, tcp.Length);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[16..], Checksum.Finish(Checksum.Sum(tcp, sum)));
    }
}

using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;

namespace Filter.Engine.Local;

/// <summary>
/// What the sender of a rejected packet hears: a reset for TCP, "administratively prohibited" for all
/// else, within a rate. It comes from where the packet was going, like the errors of
/// <see cref="IcmpErrors"/>. One writer.
/// </summary>
public sealed class Rejections
{
    private const int TcpHeader = 20;
    private const byte TimeToLive = 64;

    private TokenBucket _bucket;

    /// <summary>At most so many answers (RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8).</summary>
    public Rejections(RateLimit limit) => Limit(limit);

    /// <summary>Answers that were due but beyond the rate.</summary>
    public long Suppressed { get; private set; }

    /// <summary>From now on at most so many.</summary>
    public void Limit(RateLimit limit) => _bucket = new TokenBucket(limit);

    /// <summary>Goes on from what another worker has spent of the same rate.</summary>
    internal void CatchUp(Rejections other) => _bucket.CatchUp(other._bucket);

    /// <summary>
    /// Appends the answer to a parsed packet to its burst: passing, of Filter's own, towards the
    /// packet's ingress.
    /// </summary>
    /// <returns>False where none is due, the rate is spent, or the burst is full.</returns>
    public bool TryAppend(Burst burst, int rejected)
    {
        ref Packet packet = ref burst.Packets[rejected];
        if (!_bucket.TryTake(burst.Now))
        {
            Suppressed++;
            return false;
        }

        return packet.Key.Protocol == IpProtocol.Tcp
            ? TryAppendReset(burst, rejected)
            : IcmpErrors.TryAppend(burst, rejected, IcmpErrorKind.Prohibited);
    }

    /// <summary>
    /// Appends the reset that a closed port would send (RFC 9293 §3.10.7.1): never about a reset, a
    /// later fragment, a packet to a group, or what came by an SA; nor to a host away from home, who would take it for a
    /// stranger's.
    /// </summary>
    public static bool TryAppendReset(Burst burst, int about)
    {
        ref Packet cause = ref burst.Packets[about];
        bool due = cause.Key.Protocol == IpProtocol.Tcp && cause.Kind == PacketKind.Tracked
            && (cause.TcpFlags & TcpFlags.Rst) == 0 && cause.ArrivedBy == 0 && !cause.HasHomeAddress
            && !cause.Key.Source.IsUnspecified && !cause.Key.Destination.IsMulticast
            && !cause.Key.Destination.IsLimitedBroadcast && ((cause.Bytes[0] | cause.Bytes[6]) & 1) == 0;
        int header = cause.IsIPv4 ? IpHeader.IPv4Length : IpHeader.IPv6Length;
        int length = cause.Network + header + TcpHeader;
        if (!due || !burst.TryAppend(length, out int index))
        {
            return false;
        }

        ref Packet reset = ref burst.Packets[index];
        reset.Length = length;
        reset.Ingress = cause.Ingress;
        Span<byte> frame = reset.Bytes;
        frame.Clear();
        cause.Bytes[..6].CopyTo(frame[6..]);
        cause.Bytes[6..12].CopyTo(frame);
        cause.Bytes[12..cause.Network].CopyTo(frame[12..]);
        WriteIp(frame[cause.Network..], cause.Key.Destination, cause.Key.Source);
        WriteTcp(frame[(cause.Network + header)..], cause);
        if (Parser.Parse(ref reset) != DropReason.None)
        {
            burst.Trim(index);
            return false;
        }

        reset.Egress = (ushort)(1 << cause.Ingress);
        reset.Own = true;
        reset.Done = true;
        reset.Verdict = Verdict.Pass;
        return true;
    }

    private static void WriteIp(Span<byte> datagram, Address source, Address destination)
    {
        if (source.IsIPv4)
        {
            datagram[0] = 0x45;
            datagram[6] = 0x40;                     // never fragmented, so it needs no identification (RFC 6864 §4.1)
            datagram[8] = TimeToLive;
            datagram[9] = IpProtocol.Tcp;
            source.Write(datagram[12..]);
            destination.Write(datagram[16..]);
        }
        else
        {
            datagram[0] = 0x60;
            datagram[6] = IpProtocol.Tcp;
            datagram[7] = TimeToLive;
            source.Write(datagram[8..]);
            destination.Write(datagram[24..]);
        }

        IpHeader.SetLength(datagram);
    }

    private static void WriteTcp(Span<byte> tcp, in Packet cause)
    {
        BinaryPrimitives.WriteUInt16BigEndian(tcp, cause.Key.DestinationPort);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[2..], cause.Key.SourcePort);
        tcp[12] = TcpHeader / 4 << 4;
        if ((cause.TcpFlags & TcpFlags.Ack) != 0)
        {
            // <SEQ=SEG.ACK><CTL=RST>
            BinaryPrimitives.WriteUInt32BigEndian(tcp[4..], cause.Acknowledgment);
            tcp[13] = (byte)TcpFlags.Rst;
        }
        else
        {
            // <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>; SYN and FIN count as one each.
            uint length = (uint)(cause.End - cause.Payload);
            length += (cause.TcpFlags & TcpFlags.Syn) != 0 ? 1u : 0;
            length += (cause.TcpFlags & TcpFlags.Fin) != 0 ? 1u : 0;
            BinaryPrimitives.WriteUInt32BigEndian(tcp[8..], cause.Sequence + length);
            tcp[13] = (byte)(TcpFlags.Rst | TcpFlags.Ack);
        }

        ulong pseudo = Checksum.PseudoHeader(cause.Key.Destination, cause.Key.Source, IpProtocol.Tcp, tcp.Length);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[16..], Checksum.Finish(Checksum.Sum(tcp, pseudo)));
    }
}

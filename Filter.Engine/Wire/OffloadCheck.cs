using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// Offload metadata come with the frame and may lie: a guest writes its own. Whoever finishes a checksum later writes
/// two bytes where they say, so a packet could become another one behind its verdict.
/// </summary>
public static class OffloadCheck
{
    private const int SctpChecksum = 8;

    /// <summary>
    /// Holds the metadata of a parsed packet against what it is. An unfinished checksum that is not its transport
    /// header's own (a packet in a packet, or a lie) is written now, and the packet parsed again as it then reads.
    /// </summary>
    /// <returns>None, or why the packet must be dropped.</returns>
    public static DropReason Settle(ref Packet packet)
    {
        if (packet.Offload.Gso == GsoKind.None && packet.Offload.Checksum != ChecksumState.Partial)
        {
            return DropReason.None;
        }

        byte protocol = packet.Key.Protocol;
        bool whole = packet.Kind == PacketKind.Tracked && packet.FragmentHeader == 0;
        bool super = packet.Offload.Gso switch
        {
            GsoKind.None => true,
            GsoKind.TcpV4 => whole && protocol == IpProtocol.Tcp && packet.IsIPv4,
            GsoKind.TcpV6 => whole && protocol == IpProtocol.Tcp && !packet.IsIPv4,
            _ => whole && protocol == IpProtocol.Udp,
        };
        if (!super || (packet.Offload.Gso != GsoKind.None && packet.Offload.SegmentSize == 0))
        {
            return DropReason.BadLength;
        }

        int field = protocol switch
        {
            IpProtocol.Tcp => TcpHeader.ChecksumOffset,
            IpProtocol.Udp => UdpHeader.ChecksumOffset,
            IpProtocol.Sctp => SctpChecksum,
            _ => -1,
        };
        if (packet.Offload.Checksum != ChecksumState.Partial
            || (packet.Kind == PacketKind.Tracked && packet.Offload.ChecksumStart == packet.Transport && packet.Offload.ChecksumOffset == field))
        {
            return DropReason.None;
        }

        return packet.Offload.Gso == GsoKind.None && TryWrite(ref packet) ? Parser.Parse(ref packet) : DropReason.BadLength;
    }

    /// <summary>Writes what a NIC would.</summary>
    private static bool TryWrite(ref Packet packet)
    {
        int start = packet.Offload.ChecksumStart, at = start + packet.Offload.ChecksumOffset;
        if (start > packet.Length || at + sizeof(ushort) > packet.Length)
        {
            return false;
        }

        Span<byte> frame = packet.Bytes;
        ushort checksum = Checksum.Finish(Checksum.Sum(frame[start..]));
        BinaryPrimitives.WriteUInt16BigEndian(frame[at..], checksum == 0 ? ushort.MaxValue : checksum);
        packet.Offload = default;
        packet.Kind = PacketKind.Unknown;
        packet.Fragmented = false;
        packet.FragmentHeader = 0;
        return true;
    }
}

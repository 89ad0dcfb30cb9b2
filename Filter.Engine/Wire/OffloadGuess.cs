using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// The offload metadata of frames that come without any: from libpcap, live or from a file that was captured on
/// a sending host.
/// </summary>
public static class OffloadGuess
{
    private const ushort TcpChecksum = 16;
    private const ushort UdpChecksum = 6;

    /// <summary>
    /// A TCP or UDP checksum that holds the pseudo-header's sum alone is unfinished: a sender on the capturing box, or
    /// the kernel's own merging, left it to the device. A TCP packet larger than the MTU is a super-frame.
    /// </summary>
    /// <param name="packet">Not parsed yet.</param>
    /// <param name="mtu">Largest IP packet on the link, in bytes; a larger one is a super-frame.</param>
    public static Offload Of(in Packet packet, int mtu)
    {
        Packet parsed = packet;
        parsed.Offload.Checksum = ChecksumState.Valid;      // only where the headers are; the walk verifies
        if (Parser.Parse(ref parsed) != DropReason.None || parsed.Kind != PacketKind.Tracked || parsed.Fragmented
            || parsed.Key.Protocol is not (IpProtocol.Tcp or IpProtocol.Udp))
        {
            return default;
        }

        bool tcp = parsed.Key.Protocol == IpProtocol.Tcp;
        ushort field = tcp ? TcpChecksum : UdpChecksum;
        ReadOnlySpan<byte> segment = parsed.Segment;
        ulong pseudo = Checksum.PseudoHeader(parsed.Key.Source, parsed.Key.Destination, parsed.Key.Protocol, segment.Length);
        Offload offload = default;
        if (BinaryPrimitives.ReadUInt16BigEndian(segment[field..]) == Checksum.Fold(pseudo))
        {
            offload.Checksum = ChecksumState.Partial;
            offload.ChecksumStart = parsed.Transport;
            offload.ChecksumOffset = field;
        }

        int headers = parsed.Payload - parsed.Network;
        if (tcp && parsed.End - parsed.Network > mtu && headers < mtu)
        {
            offload.Gso = parsed.IsIPv4 ? GsoKind.TcpV4 : GsoKind.TcpV6;
            offload.SegmentSize = (ushort)(mtu - headers);
            offload.HeaderLength = (ushort)parsed.Payload;
        }

        return offload;
    }
}

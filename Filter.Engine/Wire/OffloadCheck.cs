using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// Offload metadata of frames that are not IP, and of SCTP. They come with the frame and may lie: whoever finishes a checksum later
/// writes two bytes where they say. Of IP the parser itself looks at them.
/// </summary>
public static class OffloadCheck
{
    /// <summary>Whether <see cref="Settle"/> has anything to do: not for what most packets are.</summary>
    public static bool Concerns(in Packet packet) => packet.Kind != PacketKind.Tracked || packet.Key.Protocol == IpProtocol.Sctp;

    /// <summary>
    /// An unfinished checksum somewhere in a frame that is not IP (a packet in something else, or a lie) is written now,
    /// and the frame parsed again as it then reads.
    /// </summary>
    /// <returns>None, or why the frame must be dropped.</returns>
    public static DropReason Settle(ref Packet packet)
    {
        if (packet.Kind == PacketKind.Tracked && packet.Key.Protocol == IpProtocol.Sctp && packet.Offload.ChecksumStart == packet.Transport)
        {
            // Who finishes checksums for packet sockets knows the Internet checksum alone.
            return Segmenter.TryFinishChecksum(ref packet) ? DropReason.None : DropReason.BadChecksum;
        }

        if (packet.Kind != PacketKind.Link || (packet.Offload.Gso == GsoKind.None && packet.Offload.Checksum != ChecksumState.Partial))
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
        return true;
    }
}

using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// Does in software what a NIC does with offload metadata: finishes checksums and cuts super-frames into the packets
/// that a wire carries (virtio 1.2 §5.1.6.2).
/// </summary>
public static class Segmenter
{
    private const int TcpChecksum = 16;
    private const int UdpChecksum = 6;
    private const int SctpChecksum = 8;

    /// <summary>Completes a transport checksum that the sender's stack left to its NIC; all others stay as they are.</summary>
    /// <returns>False where the metadata points outside the packet.</returns>
    public static bool TryFinishChecksum(ref Packet packet)
    {
        if (packet.Offload.Checksum != ChecksumState.Partial)
        {
            return true;
        }

        int start = packet.Offload.ChecksumStart, field = start + packet.Offload.ChecksumOffset;
        if (start > packet.End || field + 2 > packet.End)
        {
            return false;
        }

        Span<byte> frame = packet.Bytes;
        if (packet.Key.Protocol == IpProtocol.Sctp && packet.Offload.ChecksumOffset == SctpChecksum && field + 4 <= packet.End)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(frame[field..], 0);
            BinaryPrimitives.WriteUInt32LittleEndian(frame[field..], Checksum.Crc32C(frame[start..packet.End]));
            packet.Offload.Checksum = ChecksumState.Valid;
            return true;
        }

        // The field holds the pseudo-header's sum, so summing over it adds that in.
        ushort checksum = Checksum.Finish(Checksum.Sum(frame[start..packet.End]));
        BinaryPrimitives.WriteUInt16BigEndian(frame[field..], NeverZero(checksum));
        packet.Offload.Checksum = ChecksumState.Valid;
        return true;
    }

    /// <summary>
    /// Appends the segments of a super-frame to its burst, each a whole packet with all that was decided of the
    /// super-frame, and finishes that: it leaves by no port. What is one segment long stays and becomes ordinary.
    /// </summary>
    /// <returns>False where the burst has no room for them all, or the metadata fits no segment; nothing was changed then.</returns>
    public static bool TryCut(Burst burst, int index)
    {
        ref Packet whole = ref burst.Packets[index];
        int header = whole.Payload, size = whole.Offload.SegmentSize, end = whole.End;
        bool tcp = whole.Key.Protocol == IpProtocol.Tcp;
        if (whole.Offload.Gso == GsoKind.None || size == 0 || end - header <= size)
        {
            return TryMakeOrdinary(ref whole);
        }

        if (header - whole.Transport != (tcp ? TcpHeaderLength(whole) : 8) || (!tcp && whole.Key.Protocol != IpProtocol.Udp))
        {
            return false;
        }

        int before = burst.Count;
        int number = 0;
        for (int at = header; at < end; at += size, number++)
        {
            int length = Math.Min(size, end - at);
            if (!TryAppendPiece(burst, index, header + length, out int piece))
            {
                burst.Trim(before);
                return false;
            }

            ref Packet segment = ref burst.Packets[piece];
            Span<byte> bytes = segment.Bytes;
            whole.Bytes[..header].CopyTo(bytes);
            whole.Bytes.Slice(at, length).CopyTo(bytes[header..]);
            FinishSegment(ref segment, at - header, number, last: at + length == end);
        }

        whole.Egress = 0;
        whole.Done = true;
        return true;
    }

    /// <summary>
    /// Makes of a super-frame of UDP the datagrams that came in it, where it stands: itself the first, the others right behind.
    /// </summary>
    /// <returns>False where the burst has no room for them all, or the metadata fits no datagram; nothing was changed then.</returns>
    public static bool TryPart(Burst burst, int index)
    {
        ref Packet whole = ref burst.Packets[index];
        int header = whole.Payload, size = whole.Offload.SegmentSize, end = whole.End, datagrams = whole.Segments;
        if (datagrams == 1)
        {
            return TryMakeOrdinary(ref whole);
        }

        if (header - whole.Transport != UdpHeader.Length || !burst.TryInsert(index + 1, datagrams - 1, header + size))
        {
            return false;
        }

        for (int number = datagrams - 1; number >= 0; number--)
        {
            int at = header + (number * size), length = header + Math.Min(size, end - at);
            ref Packet datagram = ref burst.Packets[index + number];
            if (number > 0)
            {
                whole.Bytes[..header].CopyTo(datagram.Slab.AsSpan(datagram.Start));
                whole.Bytes[at..(at + length - header)].CopyTo(datagram.Slab.AsSpan(datagram.Start + header));
            }

            datagram.Length = length;
            datagram.End = length;
            datagram.Offload = default;
            FinishSegment(ref datagram, at - header, number, last: true);
        }

        return true;
    }

    /// <summary>
    /// Appends a packet with all that is known and decided of another, and its own bytes: room for
    /// <paramref name="length"/>, which is also its length.
    /// </summary>
    internal static bool TryAppendPiece(Burst burst, int index, int length, out int piece)
    {
        if (!burst.TryAppend(length, out piece))
        {
            return false;
        }

        ref Packet fresh = ref burst.Packets[piece];
        Packet like = burst.Packets[index];
        like.Slab = fresh.Slab;
        like.Start = fresh.Start;
        like.Floor = fresh.Floor;
        like.Ceiling = fresh.Ceiling;
        like.Length = length;
        like.End = length;
        like.Assembly = 0;
        like.Offload = default;
        fresh = like;
        return true;
    }

    private static int TcpHeaderLength(in Packet packet) =>
        packet.Transport + 20 <= packet.End ? (packet.Bytes[packet.Transport + 12] >> 4) * 4 : -1;

    private static bool TryMakeOrdinary(ref Packet packet)
    {
        // A lone datagram of a UDP super-frame says its own length already; so does a lone TCP segment.
        packet.Offload.Gso = GsoKind.None;
        packet.Offload.SegmentSize = 0;
        return TryFinishChecksum(ref packet);
    }

    private static void FinishSegment(ref Packet segment, int offset, int number, bool last)
    {
        Span<byte> datagram = segment.Datagram;
        Span<byte> transport = segment.Segment;
        if (IpHeader.IsIPv4(datagram))
        {
            // Each segment is a datagram of its own, so it has an identification of its own (RFC 6864 §4).
            ushort first = BinaryPrimitives.ReadUInt16BigEndian(datagram[4..]);
            BinaryPrimitives.WriteUInt16BigEndian(datagram[4..], (ushort)(first + number));
        }

        IpHeader.SetLength(datagram);
        int field = UdpChecksum;
        if (segment.Key.Protocol == IpProtocol.Tcp)
        {
            field = TcpChecksum;
            uint sequence = BinaryPrimitives.ReadUInt32BigEndian(transport[4..]);
            BinaryPrimitives.WriteUInt32BigEndian(transport[4..], sequence + (uint)offset);
            var flags = (TcpFlags)transport[13];
            flags &= last ? ~TcpFlags.None : ~(TcpFlags.Fin | TcpFlags.Psh);
            flags &= number == 0 ? ~TcpFlags.None : ~TcpFlags.Cwr;      // said once (RFC 3168 §6.1.2)
            transport[13] = (byte)flags;
            segment.TcpFlags = flags;
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(transport[4..], (ushort)transport.Length);
        }

        transport[field] = 0;
        transport[field + 1] = 0;
        ulong pseudo = Checksum.PseudoHeader(
            segment.Key.Source, segment.Key.Destination, segment.Key.Protocol, transport.Length);
        BinaryPrimitives.WriteUInt16BigEndian(transport[field..], NeverZero(Checksum.Finish(Checksum.Sum(transport, pseudo))));
        segment.Offload.Checksum = ChecksumState.Valid;
    }

    /// <summary>Zero means "no checksum" in UDP (RFC 768); all ones says the same sum, in TCP too.</summary>
    private static ushort NeverZero(ushort checksum) => checksum == 0 ? ushort.MaxValue : checksum;
}

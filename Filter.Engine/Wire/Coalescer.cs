using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// The <see cref="Segmenter"/>'s opposite: TCP segments, or UDP datagrams of one size, of a flow that follow each other in a
/// burst become one super-frame, which cut again gives the same packets. It leaves where the first of them stood; what
/// cannot join ends its flow's super-frame and leaves after it, so that nothing within a flow is reordered.
/// </summary>
/// <remarks>
/// Only what was opened is merged, and what came by ports before which nobody merges. Else what came in the clear leaves as
/// its sender, or a NIC, made it.
/// </remarks>
public sealed class Coalescer
{
    /// <summary>The longest super-frame: Linux cuts longer ones in software (GSO_LEGACY_MAX_SIZE), and the IP length ends there too.</summary>
    private const int Longest = ushort.MaxValue;

    private const int MaxOpen = 16;
    private const int TcpHeader = 20, UdpHeader = 8;
    private const int TcpChecksum = 16, UdpChecksum = 6;

    private readonly OpenFrame[] _open = new OpenFrame[MaxOpen];
    private int _count;

    /// <summary>Merges what passes and may be merged; what was merged keeps its verdict and leaves by no port.</summary>
    /// <param name="burst">All that was decided of its packets stands.</param>
    /// <param name="tcp">The ports that take super-frames of TCP, one bit each.</param>
    /// <param name="udp">The ports that take super-frames of UDP.</param>
    /// <param name="apart">The ports whose packets come as they were on the wire (<see cref="Ports.Port.ComesApart"/>).</param>
    /// <returns>How many packets went into others.</returns>
    public int Merge(Burst burst, ushort tcp, ushort udp, ushort apart = 0)
    {
        int merged = 0;
        for (int i = 0, count = burst.Count; i < count && (tcp | udp) != 0; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Verdict != Verdict.Pass || packet.Egress == 0)
            {
                continue;
            }

            if (packet.Flow == 0)
            {
                CloseAll(burst);            // of whatever flow it is: nothing may overtake it
                continue;
            }

            int at = Find(packet);
            bool fit = IsPlain(packet, tcp, udp, apart);
            if (at >= 0 && fit && TryJoin(burst, ref _open[at], ref packet, count - i))
            {
                merged++;
                if (EndsFrame(packet, _open[at].Size))
                {
                    Close(burst, at);
                }

                continue;
            }

            if (at >= 0)
            {
                Close(burst, at);
            }

            if (fit && (packet.TcpFlags & TcpFlags.Psh) == 0)
            {
                Open(burst, i);
            }
        }

        CloseAll(burst);
        return merged;
    }

    /// <summary>
    /// Whether looking closer may pay for packets that came apart: two of a flow follow each other. Where flows are many and
    /// their packets few, this is all that merging costs.
    /// </summary>
    public static bool IsWorthwhile(Burst burst, ushort apart)
    {
        Packet[] packets = burst.Packets;
        int before = 0;
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref packets[i];
            int flow = packet.Flow;
            if (flow != 0 && flow == before && ((apart >> packet.Ingress) & 1) != 0 && packet.End > packet.Payload)
            {
                return true;
            }

            before = flow;
        }

        return false;
    }

    /// <summary>It carries data and nothing that must be seen by itself, and its checksum is known to be right.</summary>
    private static bool IsPlain(in Packet packet, ushort tcp, ushort udp, ushort apart)
    {
        bool cameApart = packet.Depth == 0 && ((apart >> packet.Ingress) & 1) != 0;
        if ((packet.Depth == 0 && !cameApart) || packet.Ipsec == IpsecAction.Protect || packet.Kind != PacketKind.Tracked
            || packet.Own || packet.Log || packet.Fragmented || packet.Kept != 0 || packet.Extensions != ExtensionHeaders.None
            || packet.Offload.Gso != GsoKind.None || (packet.Offload.Checksum == ChecksumState.Partial && !cameApart)
            || packet.Transport - packet.Network != (packet.IsIPv4 ? 20 : IpHeader.IPv6Length)
            || packet.End <= packet.Payload || packet.End > packet.Length)
        {
            return false;
        }

        int header = packet.Payload - packet.Transport;
        ReadOnlySpan<byte> segment = packet.Segment;
        bool plain = packet.Key.Protocol switch
        {
            IpProtocol.Tcp => (packet.Egress & ~tcp) == 0 && (packet.TcpFlags & ~TcpFlags.Psh) == TcpFlags.Ack
                && header >= TcpHeader && header == (segment[12] >> 4) * 4,

            // A datagram without a checksum would get one (RFC 768), and one shorter than its packet would grow.
            IpProtocol.Udp => (packet.Egress & ~udp) == 0 && header == UdpHeader
                && BinaryPrimitives.ReadUInt16BigEndian(segment[4..]) == segment.Length
                && BinaryPrimitives.ReadUInt16BigEndian(segment[UdpChecksum..]) != 0,
            _ => false,
        };
        return plain && packet.Offload.Checksum switch
        {
            ChecksumState.Valid => true,

            // The far end of a veth left it to its device, and so will the super-frame.
            ChecksumState.Partial => packet.Offload.ChecksumStart == packet.Transport
                && packet.Offload.ChecksumOffset == (packet.Key.Protocol == IpProtocol.Tcp ? TcpChecksum : UdpChecksum),
            _ => IsChecksumRight(packet),
        };
    }

    private static bool IsChecksumRight(in Packet packet)
    {
        Span<byte> segment = packet.Segment;
        ulong pseudo = Checksum.PseudoHeader(packet.Key.Source, packet.Key.Destination, packet.Key.Protocol, segment.Length);
        return Checksum.Fold(Checksum.Sum(segment, pseudo)) == ushort.MaxValue;
    }

    /// <summary>Data that was pushed, or that fills less than a segment, is the last of its super-frame.</summary>
    private static bool EndsFrame(in Packet packet, int size) =>
        (packet.TcpFlags & TcpFlags.Psh) != 0 || packet.End - packet.Payload < size;

    private static bool TryJoin(Burst burst, ref OpenFrame open, ref Packet packet, int left)
    {
        ref Packet head = ref burst.Packets[open.Index];
        int length = packet.End - packet.Payload;
        if (length > open.Size || head.End + length > Longest
            || (packet.Key.Protocol == IpProtocol.Tcp && packet.Sequence != open.NextSequence)
            || !HaveSameHeaders(head, packet, open.Segments)
            || (open.Segments == 1 && !TryMakeRoom(burst, ref head, left * open.Size))
            || head.End + length > head.Ceiling - head.Start)
        {
            return false;
        }

        packet.Slab.AsSpan(packet.Start + packet.Payload, length).CopyTo(head.Slab.AsSpan(head.Start + head.End, length));
        head.End += length;
        head.Length = head.End;
        head.TcpFlags |= packet.TcpFlags;
        open.NextSequence += (uint)length;
        open.Segments++;
        packet.Egress = 0;
        packet.Done = true;
        return true;
    }

    /// <summary>All bytes in which the segments of one super-frame cannot differ are equal.</summary>
    private static bool HaveSameHeaders(in Packet head, in Packet packet, int number)
    {
        if (head.Egress != packet.Egress || head.Network != packet.Network || head.Transport != packet.Transport
            || head.Payload != packet.Payload)
        {
            return false;
        }

        ReadOnlySpan<byte> a = head.Bytes[..head.Payload], b = packet.Bytes[..packet.Payload];
        int network = head.Network, transport = head.Transport;
        if (!a[..network].SequenceEqual(b[..network]))
        {
            return false;
        }

        if (head.IsIPv4)
        {
            // Of atomic datagrams the identification says nothing (RFC 6864 §4.1); who counts it must go on counting.
            ushort first = BinaryPrimitives.ReadUInt16BigEndian(a[(network + 4)..]);
            ushort id = BinaryPrimitives.ReadUInt16BigEndian(b[(network + 4)..]);
            if ((id != (ushort)(first + number) && !(head.DontFragment && id == first))
                || !Same(a, b, network, 2) || !Same(a, b, network + 6, 4) || !Same(a, b, network + 12, 8))
            {
                return false;
            }
        }
        else if (!Same(a, b, network, 4) || !Same(a, b, network + 6, IpHeader.IPv6Length - 6))
        {
            return false;
        }

        return Same(a, b, transport, 4)                                                 // ports
            && (head.Key.Protocol == IpProtocol.Udp
                || (Same(a, b, transport + 8, 5)                                        // acknowledgment, data offset
                && Same(a, b, transport + 14, 2)                                        // window
                && Same(a, b, transport + 18, a.Length - transport - 18)));             // urgent pointer, options
    }

    private static bool Same(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, int start, int length) =>
        a.Slice(start, length).SequenceEqual(b.Slice(start, length));

    /// <summary>
    /// Room for all that may still come: most ports have given the frame as much, else it moves to one that has it.
    /// Where the arena has none, it stays.
    /// </summary>
    private static bool TryMakeRoom(Burst burst, ref Packet head, int more)
    {
        int capacity = Math.Min(Longest, head.End + more);
        if (head.Ceiling - head.Start < capacity)
        {
            if (!burst.Arena.TryRent(capacity, out int start))
            {
                return false;
            }

            head.Bytes[..head.End].CopyTo(burst.Arena.Slab.AsSpan(start, head.End));
            head.Slab = burst.Arena.Slab;
            head.Start = start;
            head.Floor = start - FrameArena.Room;
            head.Ceiling = start + capacity + FrameArena.Room;
        }

        head.Length = head.End;             // what padded a short frame is not part of it
        return true;
    }

    private int Find(in Packet packet)
    {
        for (int i = 0; i < _count; i++)
        {
            if (_open[i].Flow == packet.Flow && _open[i].Reply == packet.Reply)
            {
                return i;
            }
        }

        return -1;
    }

    private void Open(Burst burst, int index)
    {
        if (_count == MaxOpen)
        {
            Close(burst, First());
        }

        ref Packet packet = ref burst.Packets[index];
        int size = packet.End - packet.Payload;
        _open[_count++] = new OpenFrame
        {
            Index = index,
            Flow = packet.Flow,
            Reply = packet.Reply,
            Size = size,
            Segments = 1,
            NextSequence = packet.Sequence + (uint)size,
        };
    }

    /// <summary>Which of the open frames stands first in the burst.</summary>
    private int First()
    {
        int first = 0;
        for (int i = 1; i < _count; i++)
        {
            first = _open[i].Index < _open[first].Index ? i : first;
        }

        return first;
    }

    private void CloseAll(Burst burst)
    {
        while (_count > 0)
        {
            Close(burst, _count - 1);
        }
    }

    private void Close(Burst burst, int at)
    {
        OpenFrame open = _open[at];
        _open[at] = _open[--_count];
        if (open.Segments > 1)
        {
            Finish(ref burst.Packets[open.Index], open.Size);
        }
    }

    /// <summary>Lengths and checksums as the stack of a sender leaves them to its NIC (virtio 1.2 §5.1.6.2).</summary>
    private static void Finish(ref Packet head, int size)
    {
        IpHeader.SetLength(head.Datagram);
        Span<byte> segment = head.Segment;
        int field = TcpChecksum;
        if (head.Key.Protocol == IpProtocol.Tcp)
        {
            segment[13] = (byte)head.TcpFlags;
        }
        else
        {
            field = UdpChecksum;
            BinaryPrimitives.WriteUInt16BigEndian(segment[4..], (ushort)segment.Length);
        }

        ulong pseudo = Checksum.PseudoHeader(head.Key.Source, head.Key.Destination, head.Key.Protocol, segment.Length);
        BinaryPrimitives.WriteUInt16BigEndian(segment[field..], Checksum.Fold(pseudo));
        head.Offload = new Offload
        {
            Checksum = ChecksumState.Partial,
            Gso = head.Key.Protocol == IpProtocol.Udp ? GsoKind.Udp : head.IsIPv4 ? GsoKind.TcpV4 : GsoKind.TcpV6,
            HeaderLength = (ushort)head.Payload,
            SegmentSize = (ushort)size,
            ChecksumStart = head.Transport,
            ChecksumOffset = (ushort)field,
        };
    }

    private struct OpenFrame
    {
        public int Index, Flow, Size, Segments;
        public uint NextSequence;
        public bool Reply;
    }
}

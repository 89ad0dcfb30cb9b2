using System.Runtime.CompilerServices;
using Filter.Engine.Packets;

namespace Filter.Engine.Ports.Native;

/// <summary>Between the kernel's virtio_net_hdr and a packet's <see cref="Offload"/> (VIRTIO 1.2 §5.1.6).</summary>
internal static class VirtioNet
{
    private const int TcpHeaderMinimum = 20;
    private const int UdpHeader = 8;

    /// <summary>Linux takes super-frames of UDP since 6.2 (VIRTIO_NET_HDR_GSO_UDP_L4); one that knows them not refuses the frame.</summary>
    private static readonly bool s_takesDatagrams = Environment.OSVersion.Version >= new Version(6, 2);

    /// <summary>Whether the kernel takes super-frames of this kind from us.</summary>
    public static bool IsKnown(GsoKind kind) => kind != GsoKind.Udp || s_takesDatagrams;

    /// <summary>
    /// What a received header says. False where it says what no packet can be (a kind that is unknown, a checksum beyond
    /// the frame): such a frame is refused.
    /// </summary>
    /// <param name="header">As the kernel gave it.</param>
    /// <param name="frameLength">Length of the frame behind it.</param>
    /// <param name="shift">Bytes of VLAN tag that were put back before the network header.</param>
    /// <param name="offload">The same, in the packet's terms.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryRead(in VirtioNetHeader header, int frameLength, int shift, out Offload offload)
    {
        offload = default;
        if ((header.Flags & VirtioNetHeader.FlagNeedsChecksum) != 0)
        {
            int start = header.ChecksumStart + shift;
            if (start + header.ChecksumOffset + sizeof(ushort) > frameLength)
            {
                return false;
            }

            offload.Checksum = ChecksumState.Partial;
            offload.ChecksumStart = (ushort)start;
            offload.ChecksumOffset = header.ChecksumOffset;
        }
        else if ((header.Flags & VirtioNetHeader.FlagDataValid) != 0)
        {
            offload.Checksum = ChecksumState.Valid;
        }

        return header.GsoType == VirtioNetHeader.GsoNone || TryReadSegmentation(header, shift, ref offload);
    }

    /// <summary>The header to send a frame with. False where the metadata contradict the frame: it can't be sent.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryWrite(in Offload offload, ReadOnlySpan<byte> frame, out VirtioNetHeader header)
    {
        header = default;
        if (offload.Checksum == ChecksumState.Partial)
        {
            if (offload.ChecksumStart + offload.ChecksumOffset + sizeof(ushort) > frame.Length)
            {
                return false;
            }

            header.Flags = VirtioNetHeader.FlagNeedsChecksum;
            header.ChecksumStart = offload.ChecksumStart;
            header.ChecksumOffset = offload.ChecksumOffset;
        }

        return offload.Gso == GsoKind.None || TryWriteSegmentation(offload, frame, ref header);
    }

    private static bool TryReadSegmentation(in VirtioNetHeader header, int shift, ref Offload offload)
    {
        offload.GsoEcn = (header.GsoType & VirtioNetHeader.GsoEcn) != 0;
        offload.Gso = (byte)(header.GsoType & ~VirtioNetHeader.GsoEcn) switch
        {
            VirtioNetHeader.GsoTcp4 => GsoKind.TcpV4,
            VirtioNetHeader.GsoTcp6 => GsoKind.TcpV6,
            VirtioNetHeader.GsoUdp => GsoKind.Udp,
            _ => GsoKind.None,
        };
        offload.SegmentSize = header.GsoSize;
        offload.HeaderLength = (ushort)(header.HeaderLength + shift);
        return offload.Gso != GsoKind.None && header.GsoSize != 0;
    }

    private static bool TryWriteSegmentation(in Offload offload, ReadOnlySpan<byte> frame, ref VirtioNetHeader header)
    {
        header.GsoType = offload.Gso switch
        {
            GsoKind.TcpV4 => VirtioNetHeader.GsoTcp4,
            GsoKind.TcpV6 => VirtioNetHeader.GsoTcp6,
            _ => VirtioNetHeader.GsoUdp,
        };
        if (offload.GsoEcn)
        {
            header.GsoType |= VirtioNetHeader.GsoEcn;
        }

        header.GsoSize = offload.SegmentSize;

        // The length of all headers, from the packet itself: the walk may have grown or cut headers since it came in.
        int transport = offload.ChecksumStart;
        if (offload.Checksum != ChecksumState.Partial)
        {
            header.HeaderLength = (ushort)Math.Min((int)offload.HeaderLength, frame.Length);
            return offload.SegmentSize != 0;
        }

        int minimum = offload.Gso == GsoKind.Udp ? UdpHeader : TcpHeaderMinimum;
        if (transport + minimum > frame.Length)
        {
            return false;
        }

        int length = offload.Gso == GsoKind.Udp ? UdpHeader : (frame[transport + 12] >> 4) * 4;
        header.HeaderLength = (ushort)Math.Min(transport + length, frame.Length);
        return offload.SegmentSize != 0;
    }
}

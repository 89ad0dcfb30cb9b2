using System.Runtime.InteropServices;

namespace Filter.Engine.Ports.Native;

/// <summary>Numbers of AF_XDP sockets (linux/if_xdp.h).</summary>
internal static class XdpAbi
{
    public const int Family = 44;
    public const int Level = 283;

    public const int MmapOffsets = 1;
    public const int ReceiveRing = 2;
    public const int TransmitRing = 3;
    public const int RegisterUmem = 4;
    public const int FillRing = 5;
    public const int CompletionRing = 6;
    public const int Statistics = 7;
    public const int Options = 8;

    /// <summary>XDP_MAX_TX_SKB_BUDGET, since Linux 6.17: how many frames one send carries in copy mode.</summary>
    public const int TransmitBudget = 9;

    public const long ReceiveRingPage = 0;
    public const long TransmitRingPage = 0x8000_0000;
    public const long FillRingPage = 0x1_0000_0000;
    public const long CompletionRingPage = 0x1_8000_0000;

    public const ushort BindSharedUmem = 1;
    public const ushort BindCopy = 2;
    public const ushort BindZeroCopy = 4;
    public const ushort BindNeedWakeup = 8;

    /// <summary>XDP_OPTIONS_ZEROCOPY.</summary>
    public const int OptionZeroCopy = 1;

    /// <summary>XDP_RING_NEED_WAKEUP.</summary>
    public const uint RingNeedsWakeup = 1;

    /// <summary>XDP_PACKET_HEADROOM: bytes that the kernel keeps free before a received frame.</summary>
    public const int KernelHeadroom = 256;
}

/// <summary>struct xdp_umem_reg.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct XdpUmemRegistration
{
    public ulong Address;
    public ulong Length;
    public uint ChunkSize;
    public uint Headroom;
    public uint Flags;
    public uint TransmitMetadataLength;
}

/// <summary>struct xdp_ring_offset.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct XdpRingOffsets
{
    public ulong Producer;
    public ulong Consumer;
    public ulong Entries;
    public ulong Flags;
}

/// <summary>struct xdp_mmap_offsets.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct XdpMmapOffsets
{
    public XdpRingOffsets Receive;
    public XdpRingOffsets Transmit;
    public XdpRingOffsets Fill;
    public XdpRingOffsets Completion;
}

/// <summary>struct sockaddr_xdp.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct XdpSocketAddress
{
    public ushort Family;
    public ushort Flags;
    public int InterfaceIndex;
    public int Queue;
    public int SharedUmemSocket;
}

/// <summary>struct xdp_desc.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct XdpDescriptor
{
    public ulong Address;
    public uint Length;
    public uint Options;
}

/// <summary>struct xdp_statistics, counted since the socket was bound.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct XdpStatistics
{
    public ulong ReceiveDropped;
    public ulong ReceiveInvalid;
    public ulong TransmitInvalid;
    public ulong ReceiveRingFull;
    public ulong FillRingEmpty;
    public ulong TransmitRingEmpty;
}

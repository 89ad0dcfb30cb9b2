using System.Runtime.InteropServices;

namespace Filter.Engine.Ports.Native;

/// <summary>Numbers of packet sockets (linux/if_packet.h, packet(7)).</summary>
internal static class PacketAbi
{
    public const int Level = 263;
    public const int AddMembership = 1;
    public const int ReceivedAuxdata = 8;
    public const int Auxdata = 8;
    public const int ReceiveRing = 5;
    public const int Statistics = 6;
    public const int RingVersion = 10;
    public const int VnetHeader = 15;
    public const int QdiscBypass = 20;
    public const int IgnoreOutgoing = 23;

    /// <summary>TPACKET_V3.</summary>
    public const int RingOfBlocks = 2;

    public const ushort MembershipPromiscuous = 1;

    /// <summary>ETH_P_ALL, host order.</summary>
    public const ushort ProtocolAll = 3;

    /// <summary>TP_STATUS_USER: the block is ours.</summary>
    public const uint StatusOurs = 1;

    /// <summary>TP_STATUS_KERNEL: the block is the kernel's.</summary>
    public const uint StatusKernel = 0;

    /// <summary>TP_STATUS_VLAN_VALID: the tag was taken out of the frame and stands in the auxdata.</summary>
    public const uint StatusVlanValid = 1 << 4;

    /// <summary>TP_STATUS_VLAN_TPID_VALID: its ethertype stands there too.</summary>
    public const uint StatusVlanTpidValid = 1 << 6;
}

/// <summary>struct sockaddr_ll.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct LinkLayerAddress
{
    public ushort Family;
    public ushort ProtocolNetworkOrder;
    public int InterfaceIndex;
    public ushort HardwareType;
    public byte PacketType;
    public byte AddressLength;
    public ulong Address;
}

/// <summary>struct packet_mreq.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PacketMembership
{
    public int InterfaceIndex;
    public ushort Type;
    public ushort AddressLength;
    public ulong Address;
}

/// <summary>struct tpacket_auxdata.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PacketAuxdata
{
    public uint Status;
    public uint Length;
    public uint CapturedLength;
    public ushort MacOffset;
    public ushort NetworkOffset;
    public ushort VlanTci;
    public ushort VlanTpid;
}

/// <summary>struct tpacket_req3.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PacketRingRequest
{
    public uint BlockSize;
    public uint BlockCount;
    public uint FrameSize;
    public uint FrameCount;
    public uint RetireMilliseconds;
    public uint PrivateSize;
    public uint Features;
}

/// <summary>struct tpacket_block_desc with tpacket_hdr_v1, as far as it is used.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PacketBlock
{
    public uint Version;
    public uint PrivateOffset;
    public uint Status;
    public uint Count;
    public uint FirstOffset;
    public uint Length;
}

/// <summary>struct tpacket3_hdr, as far as it is used.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PacketInBlock
{
    public uint NextOffset;
    public uint Seconds;
    public uint Nanoseconds;
    public uint CapturedLength;
    public uint Length;
    public uint Status;
    public ushort MacOffset;
    public ushort NetworkOffset;
    public uint Hash;
    public uint VlanTci;
    public ushort VlanTpid;
    public ushort Padding;
}

/// <summary>struct tpacket_stats; reading it sets it back to zero.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PacketStatistics
{
    public uint Packets;
    public uint Drops;
}

/// <summary>
/// struct virtio_net_hdr, 10 bytes, host byte order: how much of a frame's checksum and segmentation is left to do
/// (VIRTIO 1.2 §5.1.6, the legacy form without a buffer count).
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct VirtioNetHeader
{
    public const int Size = 10;

    public const byte FlagNeedsChecksum = 1;
    public const byte FlagDataValid = 2;

    public const byte GsoNone = 0;
    public const byte GsoTcp4 = 1;
    public const byte GsoTcp6 = 4;
    public const byte GsoUdp = 5;
    public const byte GsoEcn = 0x80;

    public byte Flags;
    public byte GsoType;
    public ushort HeaderLength;
    public ushort GsoSize;
    public ushort ChecksumStart;
    public ushort ChecksumOffset;
}

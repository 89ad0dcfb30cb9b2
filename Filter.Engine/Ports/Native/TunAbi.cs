namespace Filter.Engine.Ports.Native;

/// <summary>Numbers of /dev/net/tun (linux/if_tun.h).</summary>
internal static class TunAbi
{
    public const string Device = "/dev/net/tun";

    public const nuint SetInterface = 0x400454ca;
    public const nuint SetVnetHeaderSize = 0x400454d8;
    public const nuint SetOffload = 0x400454d0;

    public const ushort FlagTap = 0x0002;
    public const ushort FlagNoPacketInformation = 0x1000;
    public const ushort FlagVnetHeader = 0x4000;

    /// <summary>IFF_TUN_EXCL: fail when the interface exists.</summary>
    public const ushort FlagExclusive = 0x8000;

    public const uint OffloadChecksum = 0x01;
    public const uint OffloadTcp4 = 0x02;
    public const uint OffloadTcp6 = 0x04;
    public const uint OffloadTcpEcn = 0x08;
    public const uint OffloadUdp4 = 0x20;
    public const uint OffloadUdp6 = 0x40;

    /// <summary>Where ifr_flags stands in struct ifreq.</summary>
    public const int RequestFlagsOffset = SocketAbi.InterfaceNameSize;
}

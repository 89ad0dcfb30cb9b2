using System.Runtime.InteropServices;

namespace Filter.Engine.Ports.Native;

/// <summary>Numbers of SIOCETHTOOL (linux/ethtool.h).</summary>
internal static class EthtoolAbi
{
    public const nuint Request = 0x8946;

    public const uint GetDriver = 0x03;
    public const uint GetFlags = 0x25;
    public const uint SetFlags = 0x26;
    public const uint GetGro = 0x2b;
    public const uint SetGro = 0x2c;
    public const uint GetChannels = 0x3c;

    /// <summary>ETH_FLAG_RXVLAN: the NIC takes tags out of frames.</summary>
    public const uint FlagTagsTakenOut = 1 << 8;

    /// <summary>ETH_FLAG_LRO: the NIC merges frames.</summary>
    public const uint FlagMergesReceived = 1 << 15;
}

/// <summary>struct ifreq of SIOCETHTOOL.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct EthtoolRequest
{
    public fixed byte Name[SocketAbi.InterfaceNameSize];
    public void* Data;
    public fixed byte Rest[16];
}

/// <summary>struct ethtool_value.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct EthtoolValue
{
    public uint Command;
    public uint Value;
}

/// <summary>struct ethtool_channels.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct EthtoolChannels
{
    public uint Command;
    public uint MostReceive;
    public uint MostTransmit;
    public uint MostOther;
    public uint MostCombined;
    public uint Receive;
    public uint Transmit;
    public uint Other;
    public uint Combined;
}

/// <summary>struct ethtool_drvinfo.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct EthtoolDriver
{
    public const int NameSize = 32;

    public uint Command;
    public fixed byte Name[NameSize];
    public fixed byte Rest[32 + 32 + 32 + 32 + 12 + (5 * 4)];
}

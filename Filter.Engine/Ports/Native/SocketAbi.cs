using System.Runtime.InteropServices;

namespace Filter.Engine.Ports.Native;

/// <summary>Numbers and layouts of sockets and descriptors in general (x86-64 and arm64 Linux agree on all of them).</summary>
internal static class SocketAbi
{
    public const int FamilyNetlink = 16;
    public const int FamilyPacket = 17;
    public const int FamilyInet = 2;
    public const int FamilyInet6 = 10;

    public const int TypeDatagram = 2;
    public const int TypeRaw = 3;
    public const int CloseOnExec = 0x80000;
    public const int NonBlocking = 0x800;

    public const int LevelSocket = 1;
    public const int OptionError = 4;
    public const int OptionSendBuffer = 7;
    public const int OptionReceiveBuffer = 8;
    public const int OptionSendBufferForce = 32;
    public const int OptionReceiveBufferForce = 33;
    public const int OptionMark = 36;
    public const int OptionBusyPoll = 46;
    public const int OptionPreferBusyPoll = 69;
    public const int OptionBusyPollBudget = 70;
    public const int OptionNamespaceCookie = 71;

    public const int MessageTruncated = 0x20;
    public const int MessageDontWait = 0x40;

    public const short PollIn = 0x1;
    public const short PollError = 0x8;
    public const short PollHangUp = 0x10;

    public const int OpenReadWrite = 2;

    /// <summary>SIOCGIFNAME: the name of an interface number.</summary>
    public const nuint GetInterfaceName = 0x8910;

    /// <summary>sizeof(struct ifreq).</summary>
    public const int InterfaceRequestSize = 40;

    /// <summary>IFNAMSIZ, the final zero included.</summary>
    public const int InterfaceNameSize = 16;
}

/// <summary>struct iovec.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct IoVector
{
    public void* Base;
    public nint Length;
}

/// <summary>struct msghdr.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct MessageHeader
{
    public void* Name;
    public uint NameLength;
    public IoVector* Vectors;
    public nuint VectorCount;
    public void* Control;
    public nuint ControlLength;
    public int Flags;
}

/// <summary>struct mmsghdr.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MultiMessage
{
    public MessageHeader Header;
    public uint Length;
}

/// <summary>struct cmsghdr; the data follows it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ControlHeader
{
    public nuint Length;
    public int Level;
    public int Type;
}

/// <summary>struct pollfd.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PollEntry
{
    public int Descriptor;
    public short Events;
    public short Returned;
}

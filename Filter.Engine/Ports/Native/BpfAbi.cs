using System.Runtime.InteropServices;

namespace Filter.Engine.Ports.Native;

/// <summary>Numbers of bpf(2) (linux/bpf.h) as far as a program of six instructions needs them.</summary>
internal static class BpfAbi
{
    public const int CreateMap = 0;
    public const int UpdateElement = 2;
    public const int LoadProgram = 5;
    public const int CreateLink = 28;

    /// <summary>BPF_MAP_TYPE_XSKMAP.</summary>
    public const uint SocketMap = 17;

    /// <summary>BPF_PROG_TYPE_XDP.</summary>
    public const uint XdpProgram = 6;

    /// <summary>BPF_PROG_TYPE_SCHED_CLS.</summary>
    public const uint TrafficProgram = 3;

    /// <summary>BPF_TCX_INGRESS as the type of an attachment.</summary>
    public const uint AttachIngress = 46;

    /// <summary>BPF_XDP as the type of an attachment.</summary>
    public const uint AttachXdp = 37;

    /// <summary>XDP_FLAGS_SKB_MODE.</summary>
    public const uint Generic = 2;

    /// <summary>XDP_FLAGS_DRV_MODE.</summary>
    public const uint Native = 4;

    /// <summary>The number of the system call.</summary>
    public static nint SystemCall { get; } = RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => 321,
        Architecture.Arm64 => 280,
        _ => -1,
    };
}

/// <summary>union bpf_attr of BPF_MAP_CREATE, as far as it is used.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct BpfMapAttributes
{
    public uint Type;
    public uint KeySize;
    public uint ValueSize;
    public uint MaxEntries;
    public uint Flags;
}

/// <summary>union bpf_attr of BPF_MAP_UPDATE_ELEM.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BpfElementAttributes
{
    public uint Map;
    public uint Padding;
    public void* Key;
    public void* Value;
    public ulong Flags;
}

/// <summary>union bpf_attr of BPF_PROG_LOAD, as far as it is used.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BpfProgramAttributes
{
    public uint Type;
    public uint InstructionCount;
    public void* Instructions;
    public void* License;
    public uint LogLevel;
    public uint LogSize;
    public void* Log;
    public uint KernelVersion;
    public uint Flags;
}

/// <summary>union bpf_attr of BPF_LINK_CREATE, as far as it is used.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct BpfLinkAttributes
{
    public uint Program;
    public int InterfaceIndex;
    public uint AttachType;
    public uint Flags;
}

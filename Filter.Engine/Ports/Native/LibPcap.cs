using System.Runtime.InteropServices;

namespace Filter.Engine.Ports.Native;

/// <summary>The calls of libpcap that SharpPcap does not offer, or offers only with exceptions and allocations.</summary>
internal static unsafe class LibPcap
{
    private const int DirectionIn = 1;

    // Debian's name first; other distributions count differently.
    private static readonly string[] s_names = ["libpcap.so.0.8", "libpcap.so.1", "libpcap.so"];
    private static readonly nint s_library = Load();
    private static readonly delegate* unmanaged<nint, int, int> s_setDirection =
        (delegate* unmanaged<nint, int, int>)NativeLibrary.GetExport(s_library, "pcap_setdirection");
    private static readonly delegate* unmanaged<nint, int> s_selectable =
        (delegate* unmanaged<nint, int>)NativeLibrary.GetExport(s_library, "pcap_get_selectable_fd");
    private static readonly delegate* unmanaged<nint, void*, nuint, int> s_inject =
        (delegate* unmanaged<nint, void*, nuint, int>)NativeLibrary.GetExport(s_library, "pcap_inject");

    /// <summary>Hears only what comes in, not what this box sends.</summary>
    public static bool TryHearInboundOnly(nint handle) => s_setDirection(handle, DirectionIn) == 0;

    /// <summary>A descriptor to poll, or -1. It belongs to the handle.</summary>
    public static int PollDescriptor(nint handle) => s_selectable(handle);

    /// <summary>Sends a frame; false where the device did not take it.</summary>
    public static bool TrySend(nint handle, ReadOnlySpan<byte> frame)
    {
        fixed (byte* bytes = frame)
        {
            return s_inject(handle, bytes, (nuint)frame.Length) == frame.Length;
        }
    }

    private static nint Load()
    {
        foreach (string name in s_names)
        {
            if (NativeLibrary.TryLoad(name, out nint library))
            {
                return library;
            }
        }

        throw new DllNotFoundException("libpcap");
    }
}

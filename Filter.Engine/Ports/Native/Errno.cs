using System.Runtime.InteropServices;

namespace Filter.Engine.Ports.Native;

/// <summary>The error numbers that ports meet (asm-generic/errno.h), and what they mean to the person who runs Filter.</summary>
internal static class Errno
{
    public const int NotPermitted = 1;
    public const int NoEntry = 2;
    public const int Interrupted = 4;
    public const int InputOutput = 5;
    public const int NoSuchDeviceOrAddress = 6;
    public const int Again = 11;
    public const int NoMemory = 12;
    public const int AccessDenied = 13;
    public const int Busy = 16;
    public const int Exists = 17;
    public const int NoDevice = 19;
    public const int Invalid = 22;
    public const int NoSpace = 28;
    public const int OutOfRange = 34;
    public const int MessageTooLong = 90;
    public const int NotSupported = 95;
    public const int AddressNotAvailable = 99;
    public const int NetworkDown = 100;
    public const int NoBuffers = 105;
    public const int BadDescriptor = 77;

    /// <summary>The error of the last call on this thread.</summary>
    public static int Last => Marshal.GetLastPInvokeError();

    /// <summary>One short clause, without a final stop.</summary>
    public static string Describe(int error) => error switch
    {
        NotPermitted or AccessDenied => "permission denied: it needs root or CAP_NET_ADMIN and CAP_NET_RAW",
        NoDevice or NoSuchDeviceOrAddress => "there is no such device",
        NetworkDown => "the device is down",
        Busy => "the device is busy: another program holds it",
        NoMemory or NoBuffers => "the kernel has no memory for it",
        _ => $"{Marshal.GetPInvokeErrorMessage(error)} (errno {error})",
    };
}

using System.Runtime.InteropServices;

namespace Filter.Ctl.Service;

/// <summary>Keys are in memory: what a crash leaves behind must not hold them, nor may others look into the process.</summary>
internal static class CoreFiles
{
    private const int SetDumpable = 4;          // PR_SET_DUMPABLE, prctl(2)
    private const int LimitOfCore = 4;          // RLIMIT_CORE, getrlimit(2)

    /// <summary>No core file from now on, and no tracing but by root. Best effort: a kernel that refuses is no reason to stop.</summary>
    public static void Forbid()
    {
        _ = prctl(SetDumpable, 0, 0, 0, 0);
        _ = setrlimit(LimitOfCore, [0, 0]);
    }

#pragma warning disable SYSLIB1054 // LibraryImport would make this project unsafe; numbers need no marshalling
    [DllImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int prctl(int option, nuint second, nuint third, nuint fourth, nuint fifth);

    [DllImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int setrlimit(int resource, nuint[] softAndHard);
#pragma warning restore SYSLIB1054
}

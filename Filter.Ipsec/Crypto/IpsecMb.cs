using System.Runtime.InteropServices;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Crypto;

/// <summary>
/// Intel's multi-buffer library, loaded once. Its manager is a struct of function pointers whose places are those of
/// version 1.3, so any other version counts as absent.
/// </summary>
internal sealed unsafe class IpsecMb
{
    private const uint Major = 1;
    private const uint Minor = 3;

    // IMB_MGR of intel-ipsec-mb.h 1.3.
    private const int Error = 60;
    private const int NextBurst = 952;
    private const int SubmitBurst = 968;
    private const int FlushBurst = 976;
    private const int GmacInit = 720;
    private const int GmacUpdate = 744;
    private const int GmacFinalize = 768;

    private readonly nint _library;

    private IpsecMb(nint library, string version)
    {
        _library = library;
        Version = version;
        Suites = [.. IpsecSuite.All.Select(IpsecMbSuite.Of)];
    }

    /// <summary>The library of this machine, or null where it is absent, of another version, or fails to start.</summary>
    internal static IpsecMb? Current { get; } = Load();

    /// <summary>The version it says it has.</summary>
    internal string Version { get; }

    /// <summary>How it does each suite, by the suite's number; null where it does not.</summary>
    internal IpsecMbSuite?[] Suites { get; }

    /// <summary>One manager, for one thread; null where the processor is not fit for the library.</summary>
    internal byte* CreateManager()
    {
        var allocate = (delegate* unmanaged<ulong, byte*>)NativeLibrary.GetExport(_library, "alloc_mb_mgr");
        var initialize = (delegate* unmanaged<byte*, int*, void>)NativeLibrary.GetExport(_library, "init_mb_mgr_auto");
        byte* manager = allocate(0);
        if (manager is null)
        {
            return null;
        }

        int architecture;
        initialize(manager, &architecture);
        if (*(int*)(manager + Error) != 0)
        {
            FreeManager(manager);
            return null;
        }

        return manager;
    }

    internal void FreeManager(byte* manager) =>
        ((delegate* unmanaged<byte*, void>)NativeLibrary.GetExport(_library, "free_mb_mgr"))(manager);

    /// <summary>Slots for as many jobs, to be filled and submitted in this order.</summary>
    internal static uint Slots(byte* manager, uint count, IpsecMbJob** jobs) =>
        ((delegate* unmanaged<byte*, uint, IpsecMbJob**, uint>)Function(manager, NextBurst))(manager, count, jobs);

    /// <summary>Hands the jobs over; those that are done already stand in their place afterwards.</summary>
    internal static uint Submit(byte* manager, uint count, IpsecMbJob** jobs) =>
        ((delegate* unmanaged<byte*, uint, IpsecMbJob**, uint>)Function(manager, SubmitBurst))(manager, count, jobs);

    /// <summary>Finishes jobs that wait for others to share lanes with.</summary>
    internal static uint Flush(byte* manager, uint count, IpsecMbJob** jobs) =>
        ((delegate* unmanaged<byte*, uint, IpsecMbJob**, uint>)Function(manager, FlushBurst))(manager, count, jobs);

    /// <summary>GMAC over bytes that do not lie together.</summary>
    internal static void Gmac(byte* manager, int keyLength, byte* key, byte* context, byte* iv, ReadOnlySpan<byte> first, byte* rest, ulong restLength, byte* tag)
    {
        int size = ((keyLength / 8) - 2) * sizeof(void*);
        ((delegate* unmanaged<byte*, byte*, byte*, ulong, void>)Function(manager, GmacInit + size))(key, context, iv, 12);
        var update = (delegate* unmanaged<byte*, byte*, byte*, ulong, void>)Function(manager, GmacUpdate + size);
        fixed (byte* start = first)
        {
            update(key, context, start, (ulong)first.Length);
        }

        update(key, context, rest, restLength);
        ((delegate* unmanaged<byte*, byte*, byte*, ulong, void>)Function(manager, GmacFinalize + size))(key, context, tag, 16);
    }

    internal static void* Function(byte* manager, int place) => *(void**)(manager + place);

    private static IpsecMb? Load()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64
            || !NativeLibrary.TryLoad("libIPSec_MB.so.1", out nint library)
            || !NativeLibrary.TryGetExport(library, "imb_get_version", out nint getVersion))
        {
            return null;
        }

        uint version = ((delegate* unmanaged<uint>)getVersion)();
        if (version >> 16 != Major || ((version >> 8) & 0xff) != Minor)
        {
            return null;
        }

        var loaded = new IpsecMb(library, $"{version >> 16}.{(version >> 8) & 0xff}.{version & 0xff}");
        byte* fit = loaded.CreateManager();
        if (fit is null)
        {
            return null;
        }

        loaded.FreeManager(fit);
        return loaded;
    }
}

using System.Runtime.InteropServices;
using System.Security.Cryptography;

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
    private const int ExpandAes128 = 112;
    private const int ExpandAes192 = 120;
    private const int ExpandAes256 = 128;
    private const int Sha256OneBlock = 176;
    private const int CipherBurst = 992;
    private const int HashBurst = 1008;

    private const int Sha256BlockLength = 64;

    private readonly nint _library;
    private readonly byte* _preparer;

    private IpsecMb(nint library, string version)
    {
        _library = library;
        Version = version;
        _preparer = CreateManager();
    }

    /// <summary>The library of this machine, or null where it is absent, of another version, or fails to start.</summary>
    internal static IpsecMb? Current { get; } = Load();

    /// <summary>The version it says it has.</summary>
    internal string Version { get; }

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

    /// <summary>Expands the AES key and hashes both pads, once for all packets.</summary>
    internal void Prepare(SaKey key)
    {
        int expand = key.Suite.CipherKeyLength switch { 16 => ExpandAes128, 24 => ExpandAes192, _ => ExpandAes256 };
        ((delegate* unmanaged<byte*, byte*, byte*, void>)Function(_preparer, expand))(key.CipherKey, key.EncryptSchedule, key.DecryptSchedule);

        byte* pad = stackalloc byte[Sha256BlockLength];
        var hash = (delegate* unmanaged<byte*, byte*, void>)Function(_preparer, Sha256OneBlock);
        Fill(pad, key, 0x36);
        hash(pad, key.InnerState);
        Fill(pad, key, 0x5c);
        hash(pad, key.OuterState);
        CryptographicOperations.ZeroMemory(new Span<byte>(pad, Sha256BlockLength));
    }

    /// <summary>Encrypts or decrypts jobs whose keys have one length, and returns how many are done.</summary>
    internal static uint Crypt(byte* manager, IpsecMbJob* jobs, uint count, int direction, int keyLength) =>
        ((delegate* unmanaged<byte*, IpsecMbJob*, uint, int, int, int, uint>)Function(manager, CipherBurst))(
            manager, jobs, count, IpsecMbJob.Cbc, direction, keyLength);

    /// <summary>Computes jobs' ICVs, and returns how many are done.</summary>
    internal static uint Authenticate(byte* manager, IpsecMbJob* jobs, uint count) =>
        ((delegate* unmanaged<byte*, IpsecMbJob*, uint, int, uint>)Function(manager, HashBurst))(
            manager, jobs, count, IpsecMbJob.HmacSha256);

    private static void* Function(byte* manager, int place) => *(void**)(manager + place);

    private static void Fill(byte* pad, SaKey key, byte with)
    {
        for (int i = 0; i < Sha256BlockLength; i++)
        {
            pad[i] = (byte)((i < key.Suite.IntegrityKeyLength ? key.IntegrityKey[i] : 0) ^ with);
        }
    }

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
        return loaded._preparer is null ? null : loaded;
    }
}

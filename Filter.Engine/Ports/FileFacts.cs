using Filter.Engine.Ports.Native;
using Microsoft.Win32.SafeHandles;

namespace Filter.Engine.Ports;

/// <summary>Whose a file is and what kind of thing, as statx(2) says.</summary>
/// <param name="Owner">User number.</param>
/// <param name="Group">Group number.</param>
/// <param name="Mode">Who may do what.</param>
/// <param name="IsRegular">An ordinary file.</param>
/// <param name="IsSocket">A Unix socket.</param>
/// <param name="IsFifo">A pipe, with a name or without.</param>
public readonly record struct FileFacts(uint Owner, uint Group, UnixFileMode Mode, bool IsRegular, bool IsSocket, bool IsFifo)
{
    private const UnixFileMode OfGroup = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute;
    private const UnixFileMode OfOthers = UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    // linux/stat.h and linux/fcntl.h; struct statx is the same on every machine.
    private const int CurrentFolder = -100;
    private const int EmptyPath = 0x1000;
    private const int NoFollow = 0x100;
    private const uint TypeModeOwners = 1 | 2 | 8 | 16;
    private const int StatxLength = 256;
    private const int OwnerAt = 20;
    private const int GroupAt = 24;
    private const int ModeAt = 28;
    private const int TypeMask = 0xf000;
    private const int TypeRegular = 0x8000;
    private const int TypeSocket = 0xc000;
    private const int TypeFifo = 0x1000;

    /// <summary>Whether nobody but its owner may read or change it.</summary>
    public bool IsForOwnerAlone => (Mode & (OfGroup | OfOthers)) == 0;

    /// <summary>Whether its owner is root, or runs this process.</summary>
    public bool IsOurs => Owner == 0 || Owner == Libc.EffectiveUser();

    /// <summary>Of an open file; null where the kernel does not say.</summary>
    public static FileFacts? Of(SafeFileHandle file)
    {
        bool held = false;
        try
        {
            file.DangerousAddRef(ref held);
            return Read((int)file.DangerousGetHandle(), "", EmptyPath);
        }
        finally
        {
            if (held)
            {
                file.DangerousRelease();
            }
        }
    }

    /// <summary>Of what stands at a path, be it a link; null where nothing does.</summary>
    public static FileFacts? At(string path) => Read(CurrentFolder, path, NoFollow);

    private static unsafe FileFacts? Read(int folder, string path, int flags)
    {
        byte* facts = stackalloc byte[StatxLength];
        if (Libc.FileStatus(folder, path, flags, TypeModeOwners, facts) != 0)
        {
            return null;
        }

        // The kernel writes numbers in the machine's order.
        int mode = *(ushort*)(facts + ModeAt);
        return new FileFacts(
            *(uint*)(facts + OwnerAt),
            *(uint*)(facts + GroupAt),
            (UnixFileMode)(mode & 0xfff),
            (mode & TypeMask) == TypeRegular,
            (mode & TypeMask) == TypeSocket,
            (mode & TypeMask) == TypeFifo);
    }
}

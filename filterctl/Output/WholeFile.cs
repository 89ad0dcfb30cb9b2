using System.Runtime.InteropServices;
using System.Text;
using Filter.Engine.Ports;

namespace Filter.Ctl.Output;

/// <summary>Replaces a file at once: whoever reads it sees the old or the new one, whatever happens in between.</summary>
internal static class WholeFile
{
    /// <summary>Puts other bytes in the place of an ordinary file. Links are followed; its mode and owner are kept.</summary>
    public static void Replace(string path, ReadOnlySpan<byte> bytes)
    {
        FileInfo file = new(path);
        string real = (file.ResolveLinkTarget(returnFinalTarget: true) ?? file).FullName;
        if (FileFacts.At(real) is not { IsRegular: true } facts)
        {
            throw new Refusal($"{path}: it is not an ordinary file, and is not written");
        }

        string beside = Path.Combine(Path.GetDirectoryName(real)!, $".{Path.GetFileName(real)}.{Guid.NewGuid():N}");
        try
        {
            using (FileStream stream = new(beside, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }))
            {
                stream.Write(bytes);
                if (FileFacts.Of(stream.SafeFileHandle) is { } made && (made.Owner != facts.Owner || made.Group != facts.Group)
                    && chown(Encoding.UTF8.GetBytes(beside + '\0'), facts.Owner, facts.Group) != 0)
                {
                    throw new Refusal($"{path}: it belongs to somebody else, and is not written");
                }

                File.SetUnixFileMode(stream.SafeFileHandle, facts.Mode);
                stream.Flush(flushToDisk: true);
            }

            File.Move(beside, real, overwrite: true);
        }
        catch
        {
            File.Delete(beside);
            throw;
        }
    }

#pragma warning disable SYSLIB1054 // LibraryImport would make this project unsafe; bytes need no marshalling
    [DllImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int chown(byte[] path, uint owner, uint group);
#pragma warning restore SYSLIB1054
}

using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Filter.Engine.Ports;

namespace Filter.Ctl.Control;

/// <summary>
/// The daemon's end of the control socket, and of PF_KEY's: bound by one daemon at a time, even against one that
/// starts in the same moment, and free again as soon as its owner is dead, however it died.
/// </summary>
internal sealed class ControlSocket : IDisposable
{
    private const UnixFileMode DirectoryMode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute;

    private const UnixFileMode SocketMode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    private readonly FileStream _lock;

    private ControlSocket(string path, FileStream held, Socket listener)
    {
        Path = path;
        _lock = held;
        Listener = listener;
    }

    /// <summary>Where it stands in the file system.</summary>
    public string Path { get; }

    /// <summary>The bound socket. It listens when its daemon is ready: until then nobody can connect.</summary>
    public Socket Listener { get; }

    /// <summary>Takes the path, replacing what a dead daemon left there.</summary>
    /// <param name="path">Where it is to stand.</param>
    /// <param name="access">Whose group may reach it.</param>
    /// <param name="type">A stream of lines, or for PF_KEY packets in sequence.</param>
    /// <exception cref="Refusal">Another daemon has it, or it can't be taken.</exception>
    public static ControlSocket Bind(string path, ControlAccess access, SocketType type = SocketType.Stream)
    {
        path = System.IO.Path.GetFullPath(path);
        if (Encoding.UTF8.GetByteCount(path) > ControlClient.MaxPath)
        {
            throw new Refusal($"{path}: a socket's path holds at most {ControlClient.MaxPath} bytes");
        }

        FileStream? held = null;
        Socket? listener = null;
        try
        {
            MakeDirectory(System.IO.Path.GetDirectoryName(path)!, access);
            held = Lock(path);
            if (Answers(path, type))
            {
                throw Busy(path);
            }

            if (FileFacts.At(path) is { IsSocket: false })
            {
                throw new Refusal($"{path} is there and is no socket: name another one");
            }

            File.Delete(path);
            listener = new Socket(AddressFamily.Unix, type, ProtocolType.Unspecified);
            listener.Bind(new UnixDomainSocketEndPoint(path));
            File.SetUnixFileMode(path, SocketMode);
            GiveTo(path, access);
            ControlSocket bound = new(path, held, listener);
            held = null;
            listener = null;
            return bound;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or SocketException)
        {
            throw new Refusal($"cannot listen on {path}: {failure.Message}");
        }
        finally
        {
            listener?.Dispose();
            held?.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Listener.Dispose();
        try
        {
            File.Delete(Path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // The next daemon replaces it.
        }

        _lock.Dispose();
    }

    private static Refusal Busy(string path) =>
        new($"another filterctl runs on {path}: stop it (filterctl stop --socket {path}), or give this one another --socket");

    // The lock is the kernel's (flock), so it ends with its process: a file left over holds nobody up.
    private static FileStream Lock(string path)
    {
        try
        {
            return new FileStream(path + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException failure) when (failure is not (DirectoryNotFoundException or PathTooLongException or FileNotFoundException))
        {
            throw Busy(path);
        }
    }

    private static bool Answers(string path, SocketType type)
    {
        if (!File.Exists(path))
        {
            return false;
        }

        using Socket probe = new(AddressFamily.Unix, type, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static void MakeDirectory(string directory, ControlAccess access)
    {
        bool ours = !Directory.Exists(directory);
        if (ours)
        {
            Directory.CreateDirectory(directory, DirectoryMode);
        }

        // systemd makes the usual one (RuntimeDirectory=), and knows nothing of the group.
        if (ours || directory == System.IO.Path.GetDirectoryName(ControlClient.DefaultPath))
        {
            GiveTo(directory, access);
        }
    }

    /// <summary>Lets the group reach it. Who may speak is decided by credentials all the same.</summary>
    private static void GiveTo(string path, ControlAccess access)
    {
        if (access.Group is { } group)
        {
            _ = chown(Encoding.UTF8.GetBytes(path + '\0'), uint.MaxValue, group);
        }
    }

#pragma warning disable SYSLIB1054 // LibraryImport would make this project unsafe; bytes need no marshalling
    [DllImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int chown(byte[] path, uint owner, uint group);
#pragma warning restore SYSLIB1054
}

using Microsoft.Win32.SafeHandles;

namespace Filter.Engine.Ports.Native;

/// <summary>A file descriptor that is closed exactly once.</summary>
internal sealed class FileDescriptor : SafeHandleMinusOneIsInvalid
{
    /// <summary>A descriptor that a system call gave; unless it is owned by somebody else, it is closed with this object.</summary>
    public FileDescriptor(int descriptor, bool owned = true)
        : base(owned) => SetHandle(descriptor);

    /// <summary>The number, for poll sets; valid while this object lives.</summary>
    public int Number => (int)handle;

    /// <summary>Opens a socket, or says in one line why it cannot.</summary>
    public static FileDescriptor Socket(int domain, int type, int protocol, string purpose)
    {
        int descriptor = Libc.Socket(domain, type | SocketAbi.CloseOnExec, protocol);
        return descriptor >= 0 ? new FileDescriptor(descriptor) : throw PortException.FromErrno(purpose, Errno.Last);
    }

    /// <summary>Sets an option of four bytes; false with <see cref="Errno.Last"/> where the kernel refuses.</summary>
    public unsafe bool TrySetOption(int level, int option, int value)
        => Libc.SetSocketOption(this, level, option, &value, sizeof(int)) == 0;

    /// <summary>What went wrong with a socket beside its calls (SO_ERROR), 0 for nothing; asked once, it is forgotten.</summary>
    public unsafe int TakeError()
    {
        int error = 0, length = sizeof(int);
        return Libc.GetSocketOption(this, SocketAbi.LevelSocket, SocketAbi.OptionError, &error, &length) == 0 ? error : 0;
    }

    /// <summary>Sets an option of four bytes that the port cannot do without.</summary>
    public void SetOption(int level, int option, int value, string purpose)
    {
        if (!TrySetOption(level, option, value))
        {
            throw PortException.FromErrno(purpose, Errno.Last);
        }
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle() => Libc.Close((int)handle) == 0;
}

using Filter.Engine.Ports.Native;

namespace Filter.Engine.Ports;

/// <summary>A port cannot be opened or set up; the message is one line for the person who runs Filter.</summary>
public sealed class PortException : Exception
{
    /// <summary>An error with this line.</summary>
    public PortException(string message)
        : base(message)
    {
    }

    /// <summary>An error with this line, and what was below it.</summary>
    public PortException(string message, Exception inner)
        : base(message, inner)
    {
    }

    /// <summary>The kernel's error number, 0 where the error is not the kernel's.</summary>
    public int Errno { get; private init; }

    /// <summary>"WHAT: why", from an error number.</summary>
    internal static PortException FromErrno(string what, int error)
        => new($"{what}: {Native.Errno.Describe(error)}") { Errno = error };
}

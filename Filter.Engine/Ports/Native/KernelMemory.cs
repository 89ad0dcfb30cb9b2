namespace Filter.Engine.Ports.Native;

/// <summary>Memory that a socket shares with the kernel, mapped until it is disposed.</summary>
internal sealed unsafe class KernelMemory : IDisposable
{
    private const int ReadWrite = 1 | 2;
    private const int Shared = 1, Populated = 0x8000;

    private nint _address;

    /// <summary>Maps a part of a descriptor.</summary>
    /// <param name="descriptor">A socket whose ring was sized.</param>
    /// <param name="offset">Which of its rings.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="purpose">What cannot be done without it, for the person who reads the error.</param>
    public KernelMemory(FileDescriptor descriptor, long offset, int length, string purpose)
    {
        nint address = Libc.Map(null, (nuint)length, ReadWrite, Shared | Populated, descriptor, offset);
        if (address == -1)
        {
            throw PortException.FromErrno(purpose, Errno.Last);
        }

        _address = address;
        Length = length;
    }

    /// <summary>How many bytes there are.</summary>
    public int Length { get; }

    /// <summary>Room for <paramref name="size"/> bytes at an offset that the kernel named: inside, and aligned, or refused.</summary>
    public void* At(ulong offset, int size, int alignment, string purpose) =>
        offset % (uint)alignment == 0 && offset <= (ulong)Length && (ulong)Length - offset >= (ulong)size
            ? (byte*)_address + offset
            : throw new PortException($"{purpose}: the kernel names a place outside of the ring");

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_address != 0)
        {
            Libc.Unmap(_address, (nuint)Length);
            _address = 0;
        }
    }
}

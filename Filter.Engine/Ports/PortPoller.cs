using Filter.Engine.Ports.Native;

namespace Filter.Engine.Ports;

/// <summary>
/// Where a worker waits: until a port has something to read, somebody calls <see cref="Wake"/>, or time is up.
/// </summary>
public sealed unsafe class PortPoller : IDisposable
{
    private readonly IReadOnlyList<Port> _ports;
    private readonly FileDescriptor _wake;
    private readonly PollEntry[] _entries;
    private readonly bool _busy;

    /// <summary>A place to wait for these ports; those without a descriptor to poll, and failed ones, are passed over.</summary>
    public PortPoller(IReadOnlyList<Port> ports)
    {
        int descriptor = Libc.EventDescriptor(0, SocketAbi.NonBlocking | SocketAbi.CloseOnExec);
        _wake = descriptor >= 0
            ? new FileDescriptor(descriptor)
            : throw PortException.FromErrno("cannot make a wake-up descriptor", Errno.Last);
        _ports = ports;
        _busy = ports.Any(static port => port.BusyPolls);
        _entries = GC.AllocateArray<PollEntry>(ports.Count + 1, pinned: true);
    }

    /// <summary>
    /// Waits for at most this long; 0 only looks, a negative number waits for ever. Where a port polls busily it only looks,
    /// whatever it is told. Called by the worker alone.
    /// </summary>
    /// <param name="timeoutMilliseconds">Milliseconds.</param>
    /// <returns>The ports that have something to read or have failed, one bit each (<see cref="Port.Mask"/>).</returns>
    public ushort Wait(int timeoutMilliseconds)
    {
        for (int i = 0; i < _ports.Count; i++)
        {
            _entries[i] = new PollEntry { Descriptor = _ports[i].PollHandle, Events = SocketAbi.PollIn };
        }

        int last = _ports.Count;
        _entries[last] = new PollEntry { Descriptor = _wake.Number, Events = SocketAbi.PollIn };
        int ready;
        fixed (PollEntry* entries = _entries)
        {
            ready = Libc.Poll(entries, (nuint)_entries.Length, _busy ? 0 : timeoutMilliseconds);
        }

        if (ready <= 0)
        {
            return 0;
        }

        if (_entries[last].Returned != 0)
        {
            ulong count;
            Libc.Read(_wake, &count, sizeof(ulong));
        }

        ushort mask = 0;
        for (int i = 0; i < last; i++)
        {
            if (_entries[i].Returned != 0)
            {
                mask |= _ports[i].Mask;
            }
        }

        return mask;
    }

    /// <summary>Ends a wait, or the next one at once. Any thread.</summary>
    public void Wake()
    {
        ulong one = 1;
        Libc.Write(_wake, &one, sizeof(ulong));
    }

    /// <inheritdoc/>
    public void Dispose() => _wake.Dispose();
}

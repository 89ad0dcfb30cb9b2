using Filter.Engine.Ports.Native;

namespace Filter.Engine.Ports.Xdp;

/// <summary>One queue of a NIC: its AF_XDP socket and the four rings between it and the kernel.</summary>
internal sealed unsafe class XdpQueue : IDisposable
{
    private const int SendBuffer = 8 << 20;

    /// <summary>Frames that one send carries in copy mode, where the kernel lets us choose.</summary>
    private const int TransmitBudget = 256;

    private readonly List<IDisposable> _held = [];
    private XdpStatistics _seen;

    /// <summary>Makes the socket and its rings, and binds it. Frames come once the program knows it.</summary>
    /// <param name="umem">The memory of all queues.</param>
    /// <param name="first">The first queue, by whose socket the kernel knows the memory; null to be the first.</param>
    /// <param name="interfaceIndex">The NIC.</param>
    /// <param name="number">Which of its queues.</param>
    /// <param name="size">Entries of each ring, a power of two.</param>
    /// <param name="bind">How the first is bound: XDP_COPY, XDP_ZEROCOPY, XDP_USE_NEED_WAKEUP.</param>
    /// <param name="busyPolls">The kernel is to look for frames when it is asked, not when the NIC interrupts.</param>
    /// <param name="purpose">What cannot be done without it.</param>
    public XdpQueue(XdpUmem umem, XdpQueue? first, int interfaceIndex, int number, int size, ushort bind, bool busyPolls, string purpose)
    {
        Number = number;
        Socket = Held(FileDescriptor.Socket(XdpAbi.Family, SocketAbi.TypeRaw, 0, purpose));
        try
        {
            if (first is null)
            {
                umem.Register(Socket, purpose);
            }

            Fill = Held(new XdpRing(Socket, XdpAbi.FillRing, XdpAbi.FillRingPage, size, sizeof(ulong), static all => all.Fill, purpose));
            Completion = Held(new XdpRing(Socket, XdpAbi.CompletionRing, XdpAbi.CompletionRingPage, size, sizeof(ulong), static all => all.Completion, purpose));
            Received = Held(new XdpRing(Socket, XdpAbi.ReceiveRing, XdpAbi.ReceiveRingPage, size, sizeof(XdpDescriptor), static all => all.Receive, purpose));
            Outgoing = Held(new XdpRing(Socket, XdpAbi.TransmitRing, XdpAbi.TransmitRingPage, size, sizeof(XdpDescriptor), static all => all.Transmit, purpose));
            if (!Socket.TrySetOption(SocketAbi.LevelSocket, SocketAbi.OptionSendBufferForce, SendBuffer))
            {
                Socket.TrySetOption(SocketAbi.LevelSocket, SocketAbi.OptionSendBuffer, SendBuffer);
            }

            if (busyPolls)
            {
                PollBusily();
            }

            XdpSocketAddress address = new()
            {
                Family = XdpAbi.Family,
                Flags = first is null ? bind : XdpAbi.BindSharedUmem,
                InterfaceIndex = interfaceIndex,
                Queue = number,
                SharedUmemSocket = first?.Socket.Number ?? 0,
            };
            if (Libc.Bind(Socket, &address, sizeof(XdpSocketAddress)) < 0)
            {
                throw PortException.FromErrno(purpose, Errno.Last);
            }

            Socket.TrySetOption(XdpAbi.Level, XdpAbi.TransmitBudget, TransmitBudget);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Which of the NIC's queues it is.</summary>
    public int Number { get; }

    /// <summary>Its socket.</summary>
    public FileDescriptor Socket { get; }

    /// <summary>Chunks that the kernel may fill.</summary>
    public XdpRing Fill { get; }

    /// <summary>Chunks that it has sent.</summary>
    public XdpRing Completion { get; }

    /// <summary>Frames that came.</summary>
    public XdpRing Received { get; }

    /// <summary>Frames that are to go.</summary>
    public XdpRing Outgoing { get; }

    /// <summary>Whether the NIC writes into the memory itself; else the kernel copies each frame.</summary>
    public bool IsZeroCopy
    {
        get
        {
            int options = 0, length = sizeof(int);
            return Libc.GetSocketOption(Socket, XdpAbi.Level, XdpAbi.Options, &options, &length) == 0 && (options & XdpAbi.OptionZeroCopy) != 0;
        }
    }

    /// <summary>Gives the kernel the first chunks to fill.</summary>
    public void Begin(XdpUmem umem, int firstChunk)
    {
        for (int i = 0; i < Fill.Size; i++)
        {
            Fill.Chunk(i) = umem.AddressOf(firstChunk + i);
        }

        Fill.Submit(Fill.Size);
    }

    /// <summary>Takes back the chunks that were sent.</summary>
    /// <returns>False where the kernel names what was never sent.</returns>
    public bool TryReap(XdpUmem umem)
    {
        int sent = Completion.Waiting();
        if (sent <= 0)
        {
            return sent == 0;
        }

        bool sound = true;
        for (int i = 0; i < sent; i++)
        {
            sound &= umem.TryGiveBack(Completion.Chunk(i));
        }

        Completion.Release(sent);
        return sound;
    }

    /// <summary>What the kernel lost since the last call: frames that came, and frames that it refused to send.</summary>
    public (long Lost, long Refused) ReadLosses()
    {
        XdpStatistics now = default;
        int length = sizeof(XdpStatistics);
        if (Libc.GetSocketOption(Socket, XdpAbi.Level, XdpAbi.Statistics, &now, &length) < 0)
        {
            return default;
        }

        // rx_dropped holds those too for which no chunk was left to fill, and those too long for one.
        long lost = (long)(now.ReceiveDropped - _seen.ReceiveDropped) + (long)(now.ReceiveRingFull - _seen.ReceiveRingFull);
        long refused = (long)(now.TransmitInvalid - _seen.TransmitInvalid);
        _seen = now;
        return (lost, refused);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // The rings before the socket that they belong to.
        for (int i = _held.Count - 1; i >= 0; i--)
        {
            _held[i].Dispose();
        }

        _held.Clear();
    }

    private void PollBusily()
    {
        const int Microseconds = 20, Frames = 64;
        Socket.TrySetOption(SocketAbi.LevelSocket, SocketAbi.OptionPreferBusyPoll, 1);
        Socket.TrySetOption(SocketAbi.LevelSocket, SocketAbi.OptionBusyPoll, Microseconds);
        Socket.TrySetOption(SocketAbi.LevelSocket, SocketAbi.OptionBusyPollBudget, Frames);
    }

    private T Held<T>(T resource)
        where T : IDisposable
    {
        _held.Add(resource);
        return resource;
    }
}

using Filter.Engine.Ports.Native;

namespace Filter.Engine.Ports.Xdp;

/// <summary>
/// The program that hands a NIC's frames to our sockets, each queue's to its own: six instructions, loaded without a
/// library. A frame without a socket is dropped, so no frame goes past Filter. It leaves the NIC with this object, and with
/// the process at the latest: the kernel holds it by descriptors alone.
/// </summary>
internal sealed class XdpProgram : IDisposable
{
    /// <summary>XDP_DROP, what bpf_redirect_map answers where the map has no socket.</summary>
    private const int Drop = 1;

    /// <summary>Offset of rx_queue_index in struct xdp_md.</summary>
    private const int QueueIndex = 16;

    /// <summary>bpf_redirect_map.</summary>
    private const int RedirectMap = 51;

    private readonly FileDescriptor _map;
    private readonly FileDescriptor _program;
    private FileDescriptor? _link;

    /// <summary>Loads it, for a NIC with so many queues.</summary>
    public XdpProgram(int queues, string purpose)
    {
        _map = Bpf.MakeMap(new() { Type = BpfAbi.SocketMap, KeySize = sizeof(uint), ValueSize = sizeof(uint), MaxEntries = (uint)queues }, purpose);
        try
        {
            _program = Bpf.Load(BpfAbi.XdpProgram, Instructions(_map.Number), purpose);
        }
        catch
        {
            _map.Dispose();
            throw;
        }
    }

    /// <summary>Has a queue's frames come to a socket.</summary>
    public void Serve(int queue, FileDescriptor socket, string purpose) => Bpf.SetElement(_map, (uint)queue, (uint)socket.Number, purpose);

    /// <summary>Puts it before a NIC.</summary>
    /// <param name="index">The NIC's number.</param>
    /// <param name="mode">By the NIC's own driver, or by the kernel.</param>
    /// <returns>0, or the kernel's error.</returns>
    public int Attach(int index, XdpMode mode)
    {
        _link = Bpf.TryAttach(_program, index, BpfAbi.AttachXdp, mode == XdpMode.Native ? BpfAbi.Native : BpfAbi.Generic);
        return _link is null ? Errno.Last : 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _link?.Dispose();
        _program.Dispose();
        _map.Dispose();
    }

    private static ulong[] Instructions(int map)
    {
        const int R0 = 0, R1 = 1, R2 = 2, R3 = 3;
        const byte LoadWord = 0x61, LoadWide = 0x18, CallHelper = 0x85;
        const int FromMap = 1;
        return
        [
            Bpf.Instruction(LoadWord, R2, R1, QueueIndex, 0),
            Bpf.Instruction(LoadWide, R1, FromMap, 0, map),
            0,                                              // the upper half of what is loaded wide
            Bpf.Instruction(Bpf.Move, R3, 0, 0, Drop),
            Bpf.Instruction(CallHelper, R0, 0, 0, RedirectMap),
            Bpf.Instruction(Bpf.Exit, R0, 0, 0, 0),
        ];
    }
}

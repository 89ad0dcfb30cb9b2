using System.Text;
using Filter.Engine.Ports.Native;

namespace Filter.Engine.Ports.Xdp;

/// <summary>
/// The program that hands a NIC's frames to our sockets, each queue's to its own: six instructions, loaded without a
/// library. A frame without a socket is dropped, so no frame goes past Filter. It leaves the NIC with this object, and with
/// the process at the latest: the kernel holds it by descriptors alone.
/// </summary>
internal sealed unsafe class XdpProgram : IDisposable
{
    private const int LogSize = 4096;

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
        BpfMapAttributes map = new() { Type = BpfAbi.SocketMap, KeySize = sizeof(uint), ValueSize = sizeof(uint), MaxEntries = (uint)queues };
        _map = Call(BpfAbi.CreateMap, &map, sizeof(BpfMapAttributes), purpose);
        try
        {
            _program = Load(_map.Number, purpose);
        }
        catch
        {
            _map.Dispose();
            throw;
        }
    }

    /// <summary>Has a queue's frames come to a socket.</summary>
    public void Serve(int queue, FileDescriptor socket, string purpose)
    {
        uint key = (uint)queue, value = (uint)socket.Number;
        BpfElementAttributes element = new() { Map = (uint)_map.Number, Key = &key, Value = &value };
        if (Libc.SystemCall(BpfAbi.SystemCall, BpfAbi.UpdateElement, &element, sizeof(BpfElementAttributes)) < 0)
        {
            throw PortException.FromErrno(purpose, Errno.Last);
        }
    }

    /// <summary>Puts it before a NIC.</summary>
    /// <param name="index">The NIC's number.</param>
    /// <param name="mode">By the NIC's own driver, or by the kernel.</param>
    /// <returns>0, or the kernel's error.</returns>
    public int Attach(int index, XdpMode mode)
    {
        BpfLinkAttributes link = new()
        {
            Program = (uint)_program.Number,
            InterfaceIndex = index,
            AttachType = BpfAbi.AttachXdp,
            Flags = mode == XdpMode.Native ? BpfAbi.Native : BpfAbi.Generic,
        };
        nint descriptor = Libc.SystemCall(BpfAbi.SystemCall, BpfAbi.CreateLink, &link, sizeof(BpfLinkAttributes));
        if (descriptor < 0)
        {
            return Errno.Last;
        }

        _link = new FileDescriptor((int)descriptor);
        return 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _link?.Dispose();
        _program.Dispose();
        _map.Dispose();
    }

    private static FileDescriptor Load(int map, string purpose)
    {
        const int R0 = 0, R1 = 1, R2 = 2, R3 = 3;
        const byte LoadWord = 0x61, LoadWide = 0x18, Move = 0xb7, CallHelper = 0x85, Exit = 0x95;
        const int FromMap = 1;
        ReadOnlySpan<ulong> instructions =
        [
            Instruction(LoadWord, R2, R1, QueueIndex, 0),
            Instruction(LoadWide, R1, FromMap, 0, map),
            0,                                              // the upper half of what is loaded wide
            Instruction(Move, R3, 0, 0, Drop),
            Instruction(CallHelper, R0, 0, 0, RedirectMap),
            Instruction(Exit, R0, 0, 0, 0),
        ];
        byte* log = stackalloc byte[LogSize];
        new Span<byte>(log, LogSize).Clear();
        fixed (ulong* code = instructions)
        fixed (byte* license = "GPL\0"u8)
        {
            BpfProgramAttributes program = new()
            {
                Type = BpfAbi.XdpProgram,
                InstructionCount = (uint)instructions.Length,
                Instructions = code,
                License = license,
                LogLevel = 1,
                LogSize = LogSize,
                Log = log,
            };
            try
            {
                return Call(BpfAbi.LoadProgram, &program, sizeof(BpfProgramAttributes), purpose);
            }
            catch (PortException refused) when (log[0] != 0)
            {
                string said = Encoding.UTF8.GetString(new ReadOnlySpan<byte>(log, new ReadOnlySpan<byte>(log, LogSize).IndexOf((byte)0)));
                throw new PortException($"{refused.Message} ({said.Split('\n')[0].Trim()})", refused);
            }
        }
    }

    private static ulong Instruction(byte code, int to, int from, short offset, int immediate) =>
        code | ((ulong)(to | (from << 4)) << 8) | ((ulong)(ushort)offset << 16) | ((ulong)(uint)immediate << 32);

    private static FileDescriptor Call(int command, void* attributes, int size, string purpose)
    {
        nint descriptor = BpfAbi.SystemCall < 0 ? -1 : Libc.SystemCall(BpfAbi.SystemCall, command, attributes, size);
        return descriptor >= 0
            ? new FileDescriptor((int)descriptor)
            : throw (Errno.Last == Errno.NotPermitted
                ? new PortException($"{purpose}: permission denied: it needs root, or CAP_BPF beside CAP_NET_ADMIN and CAP_NET_RAW")
                : PortException.FromErrno(purpose, Errno.Last));
    }
}

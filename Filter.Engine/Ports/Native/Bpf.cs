using System.Text;

namespace Filter.Engine.Ports.Native;

/// <summary>bpf(2): programs of a few instructions, loaded without a library.</summary>
internal static unsafe class Bpf
{
    private const int LogSize = 4096;

    /// <summary>mov64 REGISTER, IMMEDIATE.</summary>
    public const byte Move = 0xb7;

    /// <summary>What ends a program.</summary>
    public const byte Exit = 0x95;

    /// <summary>One instruction.</summary>
    public static ulong Instruction(byte code, int to, int from, short offset, int immediate) =>
        code | ((ulong)(to | (from << 4)) << 8) | ((ulong)(ushort)offset << 16) | ((ulong)(uint)immediate << 32);

    /// <summary>Loads a program, or says what the kernel's verifier has against it.</summary>
    public static FileDescriptor Load(uint type, ReadOnlySpan<ulong> instructions, string purpose)
    {
        byte* log = stackalloc byte[LogSize];
        new Span<byte>(log, LogSize).Clear();
        fixed (ulong* code = instructions)
        fixed (byte* license = "GPL\0"u8)
        {
            BpfProgramAttributes program = new()
            {
                Type = type,
                InstructionCount = (uint)instructions.Length,
                Instructions = code,
                License = license,
                LogLevel = 1,
                LogSize = LogSize,
                Log = log,
            };
            try
            {
                return Open(BpfAbi.LoadProgram, &program, sizeof(BpfProgramAttributes), purpose);
            }
            catch (PortException refused) when (log[0] != 0)
            {
                ReadOnlySpan<byte> said = new(log, LogSize);
                string words = Encoding.UTF8.GetString(said[..Math.Max(0, said.IndexOf((byte)0))]);
                throw new PortException($"{refused.Message} ({words.Split('\n')[0].Trim()})", refused);
            }
        }
    }

    /// <summary>Makes a map.</summary>
    public static FileDescriptor MakeMap(BpfMapAttributes map, string purpose) => Open(BpfAbi.CreateMap, &map, sizeof(BpfMapAttributes), purpose);

    /// <summary>Puts a number into a map.</summary>
    public static void SetElement(FileDescriptor map, uint key, uint value, string purpose)
    {
        BpfElementAttributes element = new() { Map = (uint)map.Number, Key = &key, Value = &value };
        if (Call(BpfAbi.UpdateElement, &element, sizeof(BpfElementAttributes)) < 0)
        {
            throw PortException.FromErrno(purpose, Errno.Last);
        }
    }

    /// <summary>Puts a program before a device, as long as the descriptor is open.</summary>
    /// <returns>The descriptor; null with <see cref="Errno.Last"/> where the kernel refuses.</returns>
    public static FileDescriptor? TryAttach(FileDescriptor program, int index, uint type, uint flags)
    {
        BpfLinkAttributes link = new() { Program = (uint)program.Number, InterfaceIndex = index, AttachType = type, Flags = flags };
        int descriptor = Call(BpfAbi.CreateLink, &link, sizeof(BpfLinkAttributes));
        return descriptor >= 0 ? new FileDescriptor(descriptor) : null;
    }

    private static FileDescriptor Open(int command, void* attributes, int size, string purpose)
    {
        int descriptor = Call(command, attributes, size);
        return descriptor >= 0
            ? new FileDescriptor(descriptor)
            : throw (Errno.Last == Errno.NotPermitted
                ? new PortException($"{purpose}: permission denied: it needs root, or CAP_BPF beside CAP_NET_ADMIN and CAP_NET_RAW")
                : PortException.FromErrno(purpose, Errno.Last));
    }

    private static int Call(int command, void* attributes, int size) =>
        BpfAbi.SystemCall < 0 ? -1 : (int)Libc.SystemCall(BpfAbi.SystemCall, command, attributes, size);
}

using Filter.Engine.Ports.Native;
using Filter.Engine.Ports.Netlink;

namespace Filter.Engine.Ports;

/// <summary>
/// Drops a NIC's frames in the kernel behind the packet sockets, by two instructions, while this object lives: what
/// <see cref="NicGate"/> does for good by nftables, for less time a frame. It stands before that and takes nothing from it.
/// </summary>
public sealed class IngressDrop : IDisposable
{
    /// <summary>TCX_DROP.</summary>
    private const int Drop = 2;

    private readonly FileDescriptor _program;
    private readonly FileDescriptor _link;

    private IngressDrop(FileDescriptor program, FileDescriptor link)
    {
        _program = program;
        _link = link;
    }

    /// <summary>Begins for a NIC of the calling thread's namespace; null where the kernel cannot (before Linux 6.6) or may not.</summary>
    public static IngressDrop? TryBegin(string device)
    {
        FileDescriptor? program = null;
        try
        {
            using var kernel = new Rtnetlink();
            program = Bpf.Load(BpfAbi.TrafficProgram, [Bpf.Instruction(Bpf.Move, 0, 0, 0, Drop), Bpf.Instruction(Bpf.Exit, 0, 0, 0, 0)], device);
            if (Bpf.TryAttach(program, kernel.RequireEthernet(device).Index, BpfAbi.AttachIngress, 0) is { } link)
            {
                return new IngressDrop(program, link);
            }
        }
        catch (PortException)
        {
            // The gate drops them too; it only takes longer.
        }

        program?.Dispose();
        return null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _link.Dispose();
        _program.Dispose();
    }
}

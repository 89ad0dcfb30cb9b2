using Filter.Engine.Packets;

namespace Filter.Engine.Ports;

/// <summary>
/// A place where packets come in and go out. Called once a burst by its one worker; an abstract
/// class, so that a worker can poll ports of different kinds.
/// </summary>
/// <remarks>
/// Receive and Transmit never block, throw or allocate. A device that fails says so in
/// <see cref="Failure"/>; the worker shows it and goes on without the port.
/// </remarks>
public abstract class Port : IDisposable
{
    /// <summary>The port's name in the ruleset, which is its zone.</summary>
    public required string Name { get; init; }

    /// <summary>Its number, 0..15, in the ruleset's order.</summary>
    public required byte Number { get; init; }

    /// <summary>The side of the boundary it stands on.</summary>
    public required Side Side { get; init; }

    /// <summary>Its bit in <see cref="Packet.Egress"/>.</summary>
    public ushort Mask => (ushort)(1 << Number);

    /// <summary>Largest IP packet it sends, in bytes.</summary>
    public int Mtu { get; protected set; } = 1500;

    /// <summary>Its own link address, 48 bits in numeric order; 0 where it has none.</summary>
    public ulong Mac { get; protected set; }

    /// <summary>What it counted; written by the worker alone.</summary>
    public PortCounters Counters { get; } = new();

    /// <summary>How it takes and sends frames, in a word of the ruleset.</summary>
    public string Driver { get; protected init; } = "memory";

    /// <summary>What more there is to say of that: how the driver runs, or why it was taken before another; null for nothing.</summary>
    public string? DriverNote { get; init; }

    /// <summary>Whether its worker is to ask for packets again and again rather than to wait until some come.</summary>
    public bool BusyPolls { get; init; }

    /// <summary>
    /// Whether nobody before it merges segments of a flow (GRO): then the walk does, for far ports that take super-frames. A
    /// packet socket hears what the kernel has merged, or was told to leave apart.
    /// </summary>
    public bool ComesApart { get; init; }

    /// <summary>A file descriptor to poll for input, or -1.</summary>
    public virtual int PollHandle => -1;

    /// <summary>One clear line once the device has failed for good; else null.</summary>
    public string? Failure { get; protected set; }

    /// <summary>
    /// Appends up to <see cref="Burst.Intake"/> packets that wait: bytes, offload metadata, ingress
    /// and time are set, VLAN tags are in the frame.
    /// </summary>
    /// <returns>How many were appended; 0 where none waits.</returns>
    public abstract int Receive(Burst burst);

    /// <summary>Whether it can send super-frames of this kind whole.</summary>
    public virtual bool Takes(GsoKind kind) => false;

    /// <summary>
    /// Another sender on the same device, for a thread of its own: it receives nothing. Null where all must be sent by this one, and
    /// so by its worker. The caller disposes it.
    /// </summary>
    public virtual Port? Companion() => null;

    /// <summary>Sends every packet of the burst whose verdict is Pass and whose egress names this port, in order.</summary>
    public abstract void Transmit(Burst burst);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives back what the port holds of the kernel.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}

/// <summary>A port's counters. One writer; others read by <see cref="Volatile"/>.</summary>
public sealed class PortCounters
{
    /// <summary>Frames that came in; a super-frame is one.</summary>
    public long ReceivedPackets;

    /// <summary>Their bytes.</summary>
    public long ReceivedBytes;

    /// <summary>Frames that went out.</summary>
    public long SentPackets;

    /// <summary>Their bytes.</summary>
    public long SentBytes;

    /// <summary>Frames that the kernel or device refused to send.</summary>
    public long SendErrors;

    /// <summary>Frames that the kernel lost before we read them (queue full).</summary>
    public long KernelDrops;
}

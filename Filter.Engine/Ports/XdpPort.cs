using Filter.Engine.Packets;
using Filter.Engine.Ports.Native;
using Filter.Engine.Ports.Netlink;
using Filter.Engine.Ports.Xdp;
using Filter.Engine.Wire;

namespace Filter.Engine.Ports;

/// <summary>
/// A NIC through AF_XDP sockets, one for each of its queues: frames are taken before the kernel makes packets of them, and
/// what no socket takes is dropped (<see cref="XdpProgram"/>). There are no super-frames and no offload metadata: what is
/// to go out is cut and its checksums finished here. The NIC is as it was once the port is closed.
/// </summary>
public sealed unsafe class XdpPort : Port
{
    /// <summary>More queues than NICs have that a program without a library should drive.</summary>
    private const int MostQueues = 64;

    private const int SmallChunk = 2048, LargeChunk = 4096;

    /// <summary>The driver of virtual cables: their far end leaves checksums, tags and segments to it.</summary>
    private const string VethDriver = "veth";

    /// <summary>Ethernet's header and two tags.</summary>
    private const int FrameHeader = 14 + 8;

    /// <summary>What a NIC sends beside its MTU: Ethernet's header and one tag.</summary>
    private const int SentHeader = 14 + 4;

    /// <summary>How often one <see cref="Transmit"/> calls the kernel again that takes nothing.</summary>
    private const int RetryBudget = 16;

    /// <summary>The kernel is asked for its losses, and whether the device is there, once in so many calls.</summary>
    private const int LookInterval = 256;

    private readonly string _device;
    private readonly int _index;
    private readonly Ethtool _ethtool;
    private readonly NicOffloads _found;
    private readonly bool _repairs;
    private readonly XdpUmem _umem;
    private readonly XdpProgram _program;
    private readonly XdpQueue[] _queues;
    private readonly FileDescriptor? _pollSet;
    private int _turn;
    private int _untilLook = LookInterval;
    private bool _heardSinceLook;
    private bool _down;
    private bool _disposed;

    /// <summary>Opens a device of the calling thread's network namespace.</summary>
    /// <param name="device">The NIC's name.</param>
    /// <param name="mode">Who runs the program.</param>
    /// <param name="zeroCopyOnly">Refuse a NIC whose frames the kernel copies.</param>
    /// <param name="busyPolls">Ask the NIC for frames instead of waiting for its interrupts.</param>
    /// <exception cref="PortException">It is missing, is not Ethernet, its driver or MTU does not allow it, or the rights do not.</exception>
    public XdpPort(string device, XdpMode mode, bool zeroCopyOnly = false, bool busyPolls = false)
    {
        _device = device;
        BusyPolls = busyPolls;
        ComesApart = true;
        using (var kernel = new Rtnetlink())
        {
            LinkState link = kernel.RequireEthernet(device);
            _index = link.Index;
            Mtu = link.Mtu;
            Mac = link.MacNumber;
        }

        string purpose = $"cannot open {device} by XDP";
        int chunk = Mtu + FrameHeader + XdpAbi.KernelHeadroom <= SmallChunk ? SmallChunk : LargeChunk;
        if (Mtu + FrameHeader + XdpAbi.KernelHeadroom > LargeChunk)
        {
            throw new PortException($"{purpose}: its MTU is {Mtu}, and a frame must fit in a page: at most {LargeChunk - XdpAbi.KernelHeadroom - FrameHeader}");
        }

        _ethtool = new Ethtool(device);
        List<XdpQueue> queues = [];
        try
        {
            string driver = _ethtool.Driver;
            int count = _ethtool.ReceiveQueues;
            if (count > MostQueues)
            {
                throw new PortException($"{purpose}: it has {count} queues, at most {MostQueues} are served; ethtool -L {device} combined {MostQueues}");
            }

            _repairs = mode == XdpMode.Generic || driver == VethDriver;
            Warning = driver == VethDriver ? WarningOf(mode) : null;
            _found = _ethtool.Offloads;
            Quieten(mode, purpose);
            int size = count == 1 ? 2048 : count <= 8 ? 1024 : 512;
            _umem = new XdpUmem(chunk, count * size, 2 * size);
            ushort bind = (ushort)(XdpAbi.BindNeedWakeup | (mode == XdpMode.Generic ? XdpAbi.BindCopy : zeroCopyOnly ? XdpAbi.BindZeroCopy : 0));
            for (int i = 0; i < count; i++)
            {
                queues.Add(Open(queues.FirstOrDefault(), i, size, bind, driver, purpose));
                queues[i].Begin(_umem, i * size);
            }

            _queues = [.. queues];
            _program = new XdpProgram(count, purpose);
            queues.ForEach(queue => _program.Serve(queue.Number, queue.Socket, purpose));
            Attach(mode, driver, purpose);
            _pollSet = count == 1 ? null : PollSetOf(_queues, purpose);
        }
        catch
        {
            _program?.Dispose();
            queues.ForEach(static queue => queue.Dispose());
            if (_found is not null)
            {
                _ethtool.Apply(_found);
            }

            _ethtool.Dispose();
            throw;
        }

        Driver = mode == XdpMode.Generic ? "xdp-generic" : "xdp";
        DriverNote = mode == XdpMode.Generic ? null : _queues[0].IsZeroCopy ? "native, zero-copy" : "native";
    }

    /// <summary>What the far end must not do, in one line; null where nothing is to be said.</summary>
    public string? Warning { get; }

    /// <inheritdoc/>
    public override int PollHandle => Failure is not null ? -1 : (_pollSet ?? _queues[0].Socket).Number;

    /// <inheritdoc/>
    /// <remarks>A packet socket: it sends past the queues, whose rings are this port's alone, and takes super-frames besides.</remarks>
    public override Port? Companion() => new PacketSender(_device, Driver) { Name = Name, Number = Number, Side = Side };

    /// <inheritdoc/>
    public override int Receive(Burst burst)
    {
        if (Failure is not null)
        {
            return 0;
        }

        int count = 0;
        for (int i = 0; i < _queues.Length && count < Burst.Intake; i++)
        {
            count += Take(_queues[(_turn + i) % _queues.Length], burst, Burst.Intake - count);
        }

        _turn = (_turn + 1) % _queues.Length;
        if (_queues[0].Outgoing.Untaken() > 0)
        {
            int retries = 1;
            Kick(ref retries);          // what the device had no room for
        }

        if (--_untilLook <= 0 || (count == 0 && _heardSinceLook))
        {
            Look();
        }

        _heardSinceLook |= count > 0;
        return count;
    }

    /// <inheritdoc/>
    public override void Transmit(Burst burst)
    {
        int mask = Mask;
        int queued = 0;
        int retries = RetryBudget;
        if (_down)
        {
            Kick(ref retries);
        }

        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if ((packet.Egress & mask) == 0 || packet.Verdict != Verdict.Pass)
            {
                continue;
            }

            // The segments stand behind in the burst: this loop comes to them, and so do the ports after this one.
            if (packet.Offload.Gso != GsoKind.None && Segmenter.TryCut(burst, i) && packet.Egress == 0)
            {
                continue;
            }

            packet = ref burst.Packets[i];
            bool sendable = Failure is null && !_down && packet.Offload.Gso == GsoKind.None && packet.Length is > 14 && packet.Length <= Mtu + SentHeader
                && Segmenter.TryFinishChecksum(ref packet);
            if (!sendable || !TryQueue(packet, ref queued, ref retries))
            {
                Counters.SendErrors++;
                continue;
            }

            Counters.SentPackets++;
            Counters.SentBytes += packet.Length;
        }

        if (queued > 0)
        {
            _queues[0].Outgoing.Submit(queued);
            Kick(ref retries);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            _program.Dispose();
            _pollSet?.Dispose();
            Array.ForEach(_queues, static queue => queue.Dispose());
            _ethtool.Apply(_found);
            _ethtool.Dispose();
        }

        base.Dispose(disposing);
    }

    private static string WarningOf(XdpMode mode) =>
        "a veth hands XDP no VLAN tags that its far end leaves to the device (there: ethtool -K DEVICE txvlan off)"
        + (mode == XdpMode.Generic ? ", and no segments (tso off gso off)" : "");

    /// <summary>Frames must come as they were on the wire: not merged, and with their tags.</summary>
    private void Quieten(XdpMode mode, string purpose)
    {
        bool seesMerged = mode == XdpMode.Generic;          // the kernel merges before it runs the program
        _ethtool.Apply(new NicOffloads(seesMerged ? false : null, false, false));
        NicOffloads now = _ethtool.Offloads;
        string? left = now.TagsTakenOut == true ? "takes VLAN tags out of frames" : now.Lro == true || (seesMerged && now.Gro == true) ? "merges frames" : null;
        if (left is not null)
        {
            throw new PortException($"{purpose}: it {left} that come in, and cannot be told not to");
        }
    }

    private XdpQueue Open(XdpQueue? first, int number, int size, ushort bind, string driver, string purpose)
    {
        try
        {
            return new XdpQueue(_umem, first, _index, number, size, bind, BusyPolls, purpose);
        }
        catch (PortException refused) when (refused.Errno == Errno.NotSupported && (bind & XdpAbi.BindZeroCopy) != 0)
        {
            throw new PortException($"{purpose}: its driver {driver} copies each frame", refused);
        }
        catch (PortException refused) when (refused.Errno == Errno.Busy)
        {
            throw new PortException($"{purpose}: another program holds its queue {number}", refused);
        }
    }

    private void Attach(XdpMode mode, string driver, string purpose)
    {
        switch (_program.Attach(_index, mode))
        {
            case 0:
                return;
            case Errno.NotSupported or Errno.Invalid when mode == XdpMode.Native:
                throw new PortException($"{purpose}: its driver {driver} has no XDP of its own, or not for this MTU and these queues");
            case Errno.OutOfRange:
                throw new PortException($"{purpose}: its MTU, or that of its far end, is too large");
            case Errno.Busy or Errno.Exists:
                throw new PortException($"{purpose}: another program holds its XDP");
            case var error:
                throw PortException.FromErrno(purpose, error);
        }
    }

    private static FileDescriptor PollSetOf(XdpQueue[] queues, string purpose)
    {
        const int Add = 1;
        int descriptor = Libc.CreatePollSet(SocketAbi.CloseOnExec);
        FileDescriptor set = descriptor >= 0 ? new FileDescriptor(descriptor) : throw PortException.FromErrno(purpose, Errno.Last);
        byte* what = stackalloc byte[16];           // struct epoll_event, packed on some machines and not on others
        new Span<byte>(what, 16).Clear();
        *(uint*)what = (uint)SocketAbi.PollIn;
        foreach (XdpQueue queue in queues)
        {
            if (Libc.ChangePollSet(set, Add, queue.Socket, what) < 0)
            {
                set.Dispose();
                throw PortException.FromErrno(purpose, Errno.Last);
            }
        }

        return set;
    }

    /// <summary>Takes frames of a queue; their chunks go back to the kernel at once.</summary>
    private int Take(XdpQueue queue, Burst burst, int most)
    {
        int waiting = queue.Received.Waiting();
        if (waiting <= 0)
        {
            if (waiting < 0)
            {
                Failure = Corrupted;
            }

            return 0;
        }

        int taken = 0, given = 0, first = burst.Count;
        int room = queue.Fill.Size - queue.Fill.Untaken();
        for (; taken < Math.Min(waiting, most); taken++)
        {
            if (!_umem.TryRead(queue.Received.Frame(taken), out ReadOnlySpan<byte> frame, out int chunk))
            {
                Failure = Corrupted;
                break;
            }

            if (!burst.TryAppend(frame.Length, out int index))
            {
                break;
            }

            ref Packet packet = ref burst.Packets[index];
            packet.Length = frame.Length;
            packet.Ingress = Number;
            frame.CopyTo(packet.Bytes);
            Counters.ReceivedBytes += frame.Length;
            if (_repairs)
            {
                packet.Offload = OffloadGuess.Of(packet, Mtu);
            }

            if (given < room)
            {
                queue.Fill.Chunk(given++) = _umem.AddressOf(chunk);
            }
        }

        Counters.ReceivedPackets += burst.Count - first;
        queue.Received.Release(taken);
        queue.Fill.Submit(given);
        if (queue.Fill.NeedsWakeup)
        {
            Libc.Receive(queue.Socket, null, 0, SocketAbi.MessageDontWait);
        }

        return burst.Count - first;
    }

    /// <summary>Copies a frame into a chunk and writes its descriptor. False where the rings are full and stay so.</summary>
    private bool TryQueue(in Packet packet, ref int queued, ref int retries)
    {
        XdpQueue queue = _queues[0];
        if (!queue.TryReap(_umem))
        {
            Failure = Corrupted;
            return false;
        }

        int untaken = queue.Outgoing.Untaken();
        if (untaken < 0)
        {
            Failure = Corrupted;
            return false;
        }

        if (untaken + queued >= queue.Outgoing.Size || !_umem.TryTake(out int chunk))
        {
            queue.Outgoing.Submit(queued);
            queued = 0;
            Kick(ref retries);
            if (Failure is not null || !queue.TryReap(_umem) || queue.Outgoing.Untaken() >= queue.Outgoing.Size || !_umem.TryTake(out chunk))
            {
                return false;
            }
        }

        packet.Bytes.CopyTo(_umem.RoomOf(chunk));
        queue.Outgoing.Frame(queued++) = new XdpDescriptor { Address = _umem.AddressOf(chunk), Length = (uint)packet.Length };
        return true;
    }

    /// <summary>Has the kernel send what waits, as long as it takes some.</summary>
    private void Kick(ref int retries)
    {
        XdpQueue queue = _queues[0];
        int untaken = queue.Outgoing.Untaken();
        _down = false;
        while (untaken > 0 && queue.Outgoing.NeedsWakeup)
        {
            int error = Libc.Send(queue.Socket, null, 0, SocketAbi.MessageDontWait) < 0 ? Errno.Last : 0;
            if (error is Errno.NetworkDown or Errno.NoDevice or Errno.NoSuchDeviceOrAddress)
            {
                _down = true;           // what the rings hold goes once it is up; nothing is put behind it meanwhile
                CheckDevice();
                return;
            }

            if (error == Errno.Busy && !_queues[0].IsZeroCopy)
            {
                // In copy mode this frame was taken and lost; the ones behind it go on.
                Counters.SentPackets--;
                Counters.SendErrors++;
            }

            int left = queue.Outgoing.Untaken();
            if (left == untaken && retries-- <= 0)
            {
                return;         // the device has no room; the next call tries again
            }

            queue.TryReap(_umem);
            untaken = left;
        }
    }

    private void Look()
    {
        _untilLook = LookInterval;
        _heardSinceLook = false;
        foreach (XdpQueue queue in _queues)
        {
            (long lost, long refused) = queue.ReadLosses();
            Counters.KernelDrops += lost;
            Counters.SendErrors += refused;
        }

        CheckDevice();
    }

    /// <summary>A device that is down comes back and loses what is sent meanwhile; one that is gone has failed for good.</summary>
    private void CheckDevice()
    {
        if (!_ethtool.IsThere(_index))
        {
            Failure ??= $"{_device} has vanished: {Errno.Describe(Errno.NoDevice)}";
        }
    }

    private string Corrupted => $"{_device}: the kernel's rings contradict themselves";
}

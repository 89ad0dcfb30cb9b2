using System.Net.Sockets;
using System.Text;
using Filter.Engine.Packets;
using Filter.Engine.Ports.Native;
using Filter.Engine.Ports.Netlink;

namespace Filter.Engine.Ports;

/// <summary>
/// A TAP interface behind which the box's own dual stack stands. Made here and gone with the process; frames carry a
/// virtio_net_hdr, so the stack's super-frames pass whole.
/// </summary>
public sealed unsafe class TapPort : Port
{
    /// <summary>Frames of the box's stack that may wait for Filter.</summary>
    private const uint QueueLength = 4096;

    /// <summary>How often a link that was set up is asked whether it is.</summary>
    private const int UpAttempts = 100;

    private readonly FileDescriptor _tun;
    private readonly string _device;
    private readonly bool _isCompanion;

    /// <summary>Makes the interface in the calling thread's network namespace and sets it up.</summary>
    /// <exception cref="PortException">The name is taken, the rights are missing, or an address or route is refused.</exception>
    public TapPort(TapSettings settings)
    {
        _device = settings.Device;
        Driver = "tap";
        RequireName(_device);
        int descriptor = Libc.Open(TunAbi.Device, SocketAbi.OpenReadWrite | SocketAbi.NonBlocking | SocketAbi.CloseOnExec);
        if (descriptor < 0)
        {
            throw Errno.Last == Errno.NoEntry
                ? new PortException($"cannot make the TAP {_device}: {TunAbi.Device} is missing (kernel module 'tun')")
                : PortException.FromErrno($"cannot make the TAP {_device}", Errno.Last);
        }

        _tun = new FileDescriptor(descriptor);
        try
        {
            Attach();
            SetUp(settings);
        }
        catch
        {
            _tun.Dispose();
            throw;
        }
    }

    /// <summary>A sender beside another port, through its descriptor: the kernel takes frames of several threads at once.</summary>
    private TapPort(TapPort beside)
    {
        (_device, _tun, _isCompanion) = (beside._device, beside._tun, true);
        (Mtu, Mac) = (beside.Mtu, beside.Mac);
    }

    /// <summary>The interface's name.</summary>
    public string Device => _device;

    /// <inheritdoc/>
    public override Port? Companion() => new TapPort(this) { Name = Name, Number = Number, Side = Side };

    /// <inheritdoc/>
    public override int PollHandle => Failure is null ? _tun.Number : -1;

    /// <inheritdoc/>
    public override int Receive(Burst burst)
    {
        int count = 0;
        VirtioNetHeader header;
        IoVector* vectors = stackalloc IoVector[2];
        vectors[0] = new IoVector { Base = &header, Length = VirtioNetHeader.Size };
        while (count < Burst.Intake && Failure is null && burst.TryAppend(FrameArena.MaxFrame, out int index))
        {
            ref Packet packet = ref burst.Packets[index];
            nint length;
            fixed (byte* frame = &packet.Slab[packet.Start])
            {
                vectors[1] = new IoVector { Base = frame, Length = FrameArena.MaxFrame };
                length = Libc.ReadVector(_tun, vectors, 2);
            }

            if (length < VirtioNetHeader.Size)
            {
                int error = Errno.Last;
                burst.Trim(index);
                if (length < 0 && error is not (Errno.Again or Errno.Interrupted))
                {
                    Fail(error);
                }

                break;
            }

            count++;
            packet.Ingress = Number;
            packet.Length = (int)length - VirtioNetHeader.Size;
            Counters.ReceivedPackets++;
            Counters.ReceivedBytes += packet.Length;
            if (!VirtioNet.TryRead(header, packet.Length, 0, out packet.Offload))
            {
                packet.Offload = default;
                packet.Drop(DropReason.BadLength);
            }
        }

        return count;
    }

    /// <inheritdoc/>
    public override bool Takes(GsoKind kind) => VirtioNet.IsKnown(kind);

    /// <inheritdoc/>
    public override void Transmit(Burst burst)
    {
        VirtioNetHeader header;
        IoVector* vectors = stackalloc IoVector[2];
        vectors[0] = new IoVector { Base = &header, Length = VirtioNetHeader.Size };
        Packet[] packets = burst.Packets;
        int mask = Mask;
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref packets[i];
            if ((packet.Egress & mask) == 0 || packet.Verdict != Verdict.Pass)
            {
                continue;
            }

            if (packet.Length == 0 || Failure is not null || !VirtioNet.TryWrite(packet.Offload, packet.Bytes, out header))
            {
                Counters.SendErrors++;
                continue;
            }

            nint written;
            fixed (byte* frame = &packet.Slab[packet.Start])
            {
                vectors[1] = new IoVector { Base = frame, Length = packet.Length };
                written = Libc.WriteVector(_tun, vectors, 2);
            }

            if (written >= 0)
            {
                Counters.SentPackets++;
                Counters.SentBytes += packet.Length;
                continue;
            }

            Counters.SendErrors++;
            if (Errno.Last == Errno.BadDescriptor)
            {
                Fail(Errno.BadDescriptor);
            }
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && !_isCompanion)
        {
            _tun.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>What the kernel takes as an interface's name (dev_valid_name), and nft as a string.</summary>
    internal static void RequireName(string name)
    {
        bool valid = name.Length > 0 && name is not ("." or "..")
            && Encoding.UTF8.GetByteCount(name) < SocketAbi.InterfaceNameSize
            && !name.Any(c => c is '/' or ':' or '"' or '\\' or '%' || char.IsWhiteSpace(c) || char.IsControl(c));
        if (!valid)
        {
            throw new PortException($"'{name}' cannot be the name of a network device");
        }
    }

    private void Attach()
    {
        byte* request = stackalloc byte[SocketAbi.InterfaceRequestSize];
        new Span<byte>(request, SocketAbi.InterfaceRequestSize).Clear();
        Encoding.UTF8.GetBytes(_device, new Span<byte>(request, SocketAbi.InterfaceNameSize));
        *(ushort*)(request + TunAbi.RequestFlagsOffset) = unchecked((ushort)(
            TunAbi.FlagTap | TunAbi.FlagNoPacketInformation | TunAbi.FlagVnetHeader | TunAbi.FlagExclusive));
        if (Libc.Ioctl(_tun, TunAbi.SetInterface, request) < 0)
        {
            throw Errno.Last is Errno.Busy or Errno.Exists or Errno.Invalid
                ? new PortException($"cannot make the TAP {_device}: a device of this name exists already")
                : PortException.FromErrno($"cannot make the TAP {_device}", Errno.Last);
        }

        int size = VirtioNetHeader.Size;
        if (Libc.Ioctl(_tun, TunAbi.SetVnetHeaderSize, &size) < 0)
        {
            throw PortException.FromErrno($"cannot set up the TAP {_device}", Errno.Last);
        }

        // Each kernel knows some of these; what it does not take, it does in software before we see the frame.
        const uint Tcp = TunAbi.OffloadChecksum | TunAbi.OffloadTcp4 | TunAbi.OffloadTcp6 | TunAbi.OffloadTcpEcn;
        ReadOnlySpan<uint> offers = [Tcp | TunAbi.OffloadUdp4 | TunAbi.OffloadUdp6, Tcp, TunAbi.OffloadChecksum, 0];
        foreach (uint offer in offers)
        {
            if (Libc.Ioctl(_tun, TunAbi.SetOffload, (void*)offer) == 0)
            {
                break;
            }
        }
    }

    private void SetUp(TapSettings settings)
    {
        using var kernel = new Rtnetlink();
        LinkState link = kernel.RequireEthernet(_device);
        kernel.SetLink(_device, link.Index, 0, 0, settings.Mtu, settings.Mac, QueueLength);
        if (settings.Addresses.Any(a => !a.Address.IsIPv4) || settings.Routes.Any(r => !r.To.IsIPv4))
        {
            // A box may have IPv6 off by default; whoever writes an IPv6 address here wants it on.
            InterfaceSwitch.TryWrite(_device, AddressFamily.InterNetworkV6, InterfaceSwitch.DisableIPv6, "0");
        }

        kernel.SetLink(_device, link.Index, NetlinkAbi.LinkUp, NetlinkAbi.LinkUp);
        for (int i = 0; i < UpAttempts && !kernel.RequireEthernet(_device).IsRunning; i++)
        {
            Thread.Yield();         // writes before the link is up would fail with EIO
        }

        foreach (InterfaceAddress address in settings.Addresses)
        {
            kernel.AddAddress(_device, link.Index, address.Address, address.PrefixLength);
        }

        foreach (InterfaceRoute route in settings.Routes)
        {
            kernel.AddRoute(_device, link.Index, route.To, route.PrefixLength, route.Via);
        }

        link = kernel.RequireEthernet(_device);
        Mtu = link.Mtu;
        Mac = link.MacNumber;
    }

    private void Fail(int error)
        => Failure ??= $"the TAP {_device} has vanished: {(error == Errno.BadDescriptor ? Errno.Describe(Errno.NoDevice) : Errno.Describe(error))}";
}

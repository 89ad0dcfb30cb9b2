using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Ports.Native;
using Filter.Engine.Ports.Netlink;

namespace Filter.Engine.Ports;

/// <summary>
/// A NIC through a packet socket (packet(7)) with PACKET_VNET_HDR: super-frames pass whole, unfinished checksums stay
/// unfinished, VLAN tags that the kernel took out are put back, own sends are not heard. The kernel hears the frames too:
/// <see cref="NicGate"/> shuts its ears. Frames leave by sendmmsg; how they come is each driver's own.
/// </summary>
public abstract unsafe class PacketPort : Port
{
    /// <summary>Bytes of kernel memory for frames that wait to be read.</summary>
    private protected const int ReceiveBuffer = 16 << 20;

    /// <summary>Bytes of kernel memory for frames that wait to be sent.</summary>
    private const int SendBuffer = 4 << 20;

    /// <summary>How often one <see cref="Transmit"/> tries again when the device has no room, over all of its packets.</summary>
    private const int RetryBudget = 16;

    /// <summary>The kernel's own count of losses is asked for once in so many busy calls, and whenever traffic pauses.</summary>
    private const int StatisticsInterval = 256;

    private const ushort DefaultTpid = 0x8100;

    private protected const int MacsLength = 12;
    private protected const int VlanTagLength = 4;

    private readonly string _device;
    private readonly int _index;
    private readonly MessageRing _outgoing;
    private int _untilStatistics = StatisticsInterval;
    private bool _heardSinceStatistics;
    private bool _disposed;

    /// <summary>Opens the socket and sets it up; frames come once it is bound.</summary>
    private protected PacketPort(string device, string driver)
    {
        _device = device;
        Driver = driver;
        using (var kernel = new Rtnetlink())
        {
            LinkState link = kernel.RequireEthernet(device);
            _index = link.Index;
            Mtu = link.Mtu;
            Mac = link.MacNumber;
        }

        Socket = FileDescriptor.Socket(SocketAbi.FamilyPacket, SocketAbi.TypeRaw, 0, Purpose);
        _outgoing = new MessageRing(Burst.Intake, withControl: false);
        try
        {
            Configure();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The NIC's name.</summary>
    public string Device => _device;

    /// <inheritdoc/>
    public override Port? Companion() => new PacketSender(_device, Driver) { Name = Name, Number = Number, Side = Side };

    /// <inheritdoc/>
    public override int PollHandle => Failure is null ? Socket.Number : -1;

    /// <summary>The socket.</summary>
    private protected FileDescriptor Socket { get; }

    /// <summary>What the person who starts Filter wanted, where the kernel refuses.</summary>
    private protected string Purpose => $"cannot open {_device}";

    /// <inheritdoc/>
    public override bool Takes(GsoKind kind) => VirtioNet.IsKnown(kind);

    /// <inheritdoc/>
    public override void Transmit(Burst burst)
    {
        int mask = Mask;
        int waiting = 0;
        int retries = RetryBudget;
        Packet[] packets = burst.Packets;
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref packets[i];
            if ((packet.Egress & mask) == 0 || packet.Verdict != Verdict.Pass)
            {
                continue;
            }

            if (Failure is not null || !_outgoing.TrySetFrame(waiting, packet))
            {
                Counters.SendErrors++;
                continue;
            }

            if (++waiting == _outgoing.Capacity)
            {
                Send(waiting, ref retries);
                waiting = 0;
            }
        }

        if (waiting > 0)
        {
            Send(waiting, ref retries);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            Socket.Dispose();
            _outgoing.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>Something came: now and then, the kernel is asked what it lost meanwhile.</summary>
    private protected void SomethingCame()
    {
        _heardSinceStatistics = true;
        if (--_untilStatistics <= 0)
        {
            ReadKernelDrops();
        }
    }

    /// <summary>Nothing came: that is a moment to ask.</summary>
    /// <param name="error">What the kernel said.</param>
    private protected void NothingCame(int error)
    {
        if (error is not (Errno.Again or Errno.Interrupted))
        {
            CheckDevice(error);
        }

        if (_heardSinceStatistics)
        {
            ReadKernelDrops();
        }
    }

    /// <summary>Writes the tag that the kernel took out of a frame.</summary>
    private protected static void WriteTag(Span<byte> at, uint status, ushort tpid, ushort tci)
    {
        BinaryPrimitives.WriteUInt16BigEndian(at, (status & PacketAbi.StatusVlanTpidValid) != 0 ? tpid : DefaultTpid);
        BinaryPrimitives.WriteUInt16BigEndian(at[2..], tci);
    }

    private void Configure()
    {
        // Before all else: the header's presence must not change once frames flow.
        Socket.SetOption(PacketAbi.Level, PacketAbi.VnetHeader, 1, Purpose);
        Socket.SetOption(PacketAbi.Level, PacketAbi.IgnoreOutgoing, 1, Purpose);
        Socket.SetOption(PacketAbi.Level, PacketAbi.QdiscBypass, 1, Purpose);
        Socket.SetOption(SocketAbi.LevelSocket, SocketAbi.OptionMark, NicGate.Mark, Purpose);

        // FORCE goes beyond net.core.rmem_max and needs CAP_NET_ADMIN in the first user namespace.
        if (!Socket.TrySetOption(SocketAbi.LevelSocket, SocketAbi.OptionReceiveBufferForce, ReceiveBuffer))
        {
            Socket.TrySetOption(SocketAbi.LevelSocket, SocketAbi.OptionReceiveBuffer, ReceiveBuffer);
        }

        if (!Socket.TrySetOption(SocketAbi.LevelSocket, SocketAbi.OptionSendBufferForce, SendBuffer))
        {
            Socket.TrySetOption(SocketAbi.LevelSocket, SocketAbi.OptionSendBuffer, SendBuffer);
        }
    }

    /// <summary>Binds the socket to the NIC, whose frames come from then on, those for others too.</summary>
    /// <param name="hears">Whether they do: without a protocol a socket sends, and hears nothing.</param>
    private protected void Bind(bool hears = true)
    {
        var address = new LinkLayerAddress
        {
            Family = SocketAbi.FamilyPacket,
            ProtocolNetworkOrder = !hears ? (ushort)0 : (ushort)System.Net.IPAddress.HostToNetworkOrder((short)PacketAbi.ProtocolAll),
            InterfaceIndex = _index,
        };
        if (Libc.Bind(Socket, &address, sizeof(LinkLayerAddress)) < 0)
        {
            throw PortException.FromErrno(Purpose, Errno.Last);
        }

        if (!hears)
        {
            return;
        }

        var membership = new PacketMembership { InterfaceIndex = _index, Type = PacketAbi.MembershipPromiscuous };
        if (Libc.SetSocketOption(Socket, PacketAbi.Level, PacketAbi.AddMembership, &membership, sizeof(PacketMembership)) < 0)
        {
            throw PortException.FromErrno($"cannot make {_device} promiscuous", Errno.Last);
        }
    }

    private void Send(int count, ref int retries)
    {
        int sent = 0;
        bool wasDown = false;
        while (sent < count)
        {
            int accepted = Libc.SendMessages(
                Socket, _outgoing.Messages + sent, (uint)(count - sent), SocketAbi.MessageDontWait);
            if (accepted > 0)
            {
                for (int i = sent; i < sent + accepted; i++)
                {
                    Counters.SentBytes += _outgoing.FrameLength(i);
                }

                Counters.SentPackets += accepted;
                sent += accepted;
                continue;
            }

            int error = Errno.Last;
            if (error is Errno.Interrupted or Errno.NoBuffers or Errno.Again && retries-- > 0)
            {
                continue;       // the ring of the device is full; it drains by itself while we ask
            }

            if (error == Errno.NetworkDown && !wasDown)
            {
                wasDown = true;     // the socket says once that the device was down, though it may be up again
                continue;
            }

            // EMSGSIZE, EINVAL and the rest concern this one frame: count it and go on behind it.
            Counters.SendErrors++;
            sent++;
            if (error is Errno.NetworkDown or Errno.NoDevice or Errno.NoSuchDeviceOrAddress)
            {
                Counters.SendErrors += count - sent;
                CheckDevice(error);
                return;
            }
        }
    }

    /// <summary>A device that is down comes back and loses what is sent meanwhile; one that is gone has failed for good.</summary>
    private protected void CheckDevice(int error)
    {
        // Asked through the socket itself, which lives in the device's namespace whatever thread asks.
        byte* request = stackalloc byte[SocketAbi.InterfaceRequestSize];
        *(int*)(request + SocketAbi.InterfaceNameSize) = _index;
        bool gone = Libc.Ioctl(Socket, SocketAbi.GetInterfaceName, request) < 0
            && Errno.Last is Errno.NoSuchDeviceOrAddress or Errno.NoDevice;
        if (gone && Failure is null)
        {
            Failure = $"{_device} has vanished: {Errno.Describe(error == Errno.NetworkDown ? Errno.NoDevice : error)}";
        }
    }

    private void ReadKernelDrops()
    {
        _untilStatistics = StatisticsInterval;
        _heardSinceStatistics = false;
        PacketStatistics statistics = default;
        int length = sizeof(PacketStatistics);
        if (Libc.GetSocketOption(Socket, PacketAbi.Level, PacketAbi.Statistics, &statistics, &length) == 0)
        {
            Counters.KernelDrops += statistics.Drops;
        }
    }
}

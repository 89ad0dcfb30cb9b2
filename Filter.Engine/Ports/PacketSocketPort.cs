using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Filter.Engine.Packets;
using Filter.Engine.Ports.Native;
using Filter.Engine.Ports.Netlink;

namespace Filter.Engine.Ports;

/// <summary>
/// A NIC through a packet socket (packet(7)) with PACKET_VNET_HDR: super-frames pass whole, unfinished checksums stay
/// unfinished, VLAN tags that the kernel took out are put back, own sends are not heard. The kernel hears the frames too:
/// <see cref="NicGate"/> shuts its ears.
/// </summary>
public sealed unsafe class PacketSocketPort : Port
{
    /// <summary>Bytes of kernel memory for frames that wait to be read.</summary>
    private const int ReceiveBuffer = 16 << 20;

    /// <summary>Bytes of kernel memory for frames that wait to be sent.</summary>
    private const int SendBuffer = 4 << 20;

    /// <summary>How often one <see cref="Transmit"/> tries again when the device has no room, over all of its packets.</summary>
    private const int RetryBudget = 16;

    /// <summary>Room in the burst is prepared for at least so many frames, and for more while they keep coming.</summary>
    private const int SmallIntake = 4;

    /// <summary>The kernel's own count of losses is asked for once in so many busy calls, and whenever traffic pauses.</summary>
    private const int StatisticsInterval = 256;

    private const int MacsLength = 12;
    private const int VlanTagLength = 4;
    private const ushort DefaultTpid = 0x8100;

    private readonly FileDescriptor _socket;
    private readonly string _device;
    private readonly int _index;
    private readonly MessageRing _incoming;
    private readonly MessageRing _outgoing;
    private int _intake = SmallIntake;
    private int _untilStatistics = StatisticsInterval;
    private bool _heardSinceStatistics;
    private bool _disposed;

    /// <summary>Opens a device of the calling thread's network namespace.</summary>
    /// <param name="device">The NIC's name.</param>
    /// <exception cref="PortException">It is missing, is not Ethernet, or the rights are.</exception>
    public PacketSocketPort(string device)
    {
        _device = device;
        Driver = "packet";
        using (var kernel = new Rtnetlink())
        {
            LinkState link = kernel.RequireEthernet(device);
            _index = link.Index;
            Mtu = link.Mtu;
            Mac = link.MacNumber;
        }

        _socket = FileDescriptor.Socket(SocketAbi.FamilyPacket, SocketAbi.TypeRaw, 0, $"cannot open {device}");
        try
        {
            Configure();
        }
        catch
        {
            _socket.Dispose();
            throw;
        }

        _incoming = new MessageRing(Burst.Intake, withControl: true);
        _outgoing = new MessageRing(Burst.Intake, withControl: false);
    }

    /// <summary>The NIC's name.</summary>
    public string Device => _device;

    /// <inheritdoc/>
    public override int PollHandle => Failure is null ? _socket.Number : -1;

    /// <inheritdoc/>
    public override int Receive(Burst burst)
    {
        if (Failure is not null)
        {
            return 0;
        }

        int first = burst.Count;
        int prepared = Prepare(burst);
        if (prepared == 0)
        {
            return 0;
        }

        int got = Libc.ReceiveMessages(
            _socket, _incoming.Messages, (uint)prepared, SocketAbi.MessageDontWait, null);
        if (got <= 0)
        {
            burst.Trim(first);
            NothingCame();
            return 0;
        }

        burst.Trim(first + got);
        _intake = Math.Clamp(Math.Max(got * 2, prepared / 2), SmallIntake, Burst.Intake);
        Accept(burst, first, got);
        _heardSinceStatistics = true;
        if (--_untilStatistics <= 0)
        {
            ReadKernelDrops();
        }

        return got;
    }

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
            _socket.Dispose();
            _incoming.Dispose();
            _outgoing.Dispose();
        }

        base.Dispose(disposing);
    }

    private void Configure()
    {
        string purpose = $"cannot open {_device}";

        // Before all else: the header's presence must not change once frames flow.
        _socket.SetOption(PacketAbi.Level, PacketAbi.VnetHeader, 1, purpose);
        _socket.SetOption(PacketAbi.Level, PacketAbi.ReceivedAuxdata, 1, purpose);
        _socket.SetOption(PacketAbi.Level, PacketAbi.IgnoreOutgoing, 1, purpose);
        _socket.SetOption(PacketAbi.Level, PacketAbi.QdiscBypass, 1, purpose);
        _socket.SetOption(SocketAbi.LevelSocket, SocketAbi.OptionMark, NicGate.Mark, purpose);

        // FORCE goes beyond net.core.rmem_max and needs CAP_NET_ADMIN in the first user namespace.
        if (!_socket.TrySetOption(SocketAbi.LevelSocket, SocketAbi.OptionReceiveBufferForce, ReceiveBuffer))
        {
            _socket.TrySetOption(SocketAbi.LevelSocket, SocketAbi.OptionReceiveBuffer, ReceiveBuffer);
        }

        if (!_socket.TrySetOption(SocketAbi.LevelSocket, SocketAbi.OptionSendBufferForce, SendBuffer))
        {
            _socket.TrySetOption(SocketAbi.LevelSocket, SocketAbi.OptionSendBuffer, SendBuffer);
        }

        var address = new LinkLayerAddress
        {
            Family = SocketAbi.FamilyPacket,
            ProtocolNetworkOrder = (ushort)System.Net.IPAddress.HostToNetworkOrder((short)PacketAbi.ProtocolAll),
            InterfaceIndex = _index,
        };
        if (Libc.Bind(_socket, &address, sizeof(LinkLayerAddress)) < 0)
        {
            throw PortException.FromErrno(purpose, Errno.Last);
        }

        var membership = new PacketMembership { InterfaceIndex = _index, Type = PacketAbi.MembershipPromiscuous };
        if (Libc.SetSocketOption(_socket, PacketAbi.Level, PacketAbi.AddMembership, &membership, sizeof(PacketMembership)) < 0)
        {
            throw PortException.FromErrno($"cannot make {_device} promiscuous", Errno.Last);
        }
    }

    /// <summary>Appends room for frames to the burst and points the messages at it; a tag may need four bytes more.</summary>
    private int Prepare(Burst burst)
    {
        int prepared = 0;
        while (prepared < _intake && burst.TryAppend(FrameArena.MaxFrame, out int index))
        {
            ref Packet packet = ref burst.Packets[index];
            _incoming.SetRoom(prepared++, packet.Slab, packet.Start, FrameArena.MaxFrame);
        }

        return prepared;
    }

    private void Accept(Burst burst, int first, int got)
    {
        for (int i = 0; i < got; i++)
        {
            ref Packet packet = ref burst.Packets[first + i];
            ref MultiMessage message = ref _incoming.Messages[i];
            packet.Length = (int)message.Length - VirtioNetHeader.Size;
            packet.Ingress = Number;
            int shift = RestoreTag(ref packet, ref message);
            bool sound = packet.Length >= 0
                && (message.Header.Flags & SocketAbi.MessageTruncated) == 0
                && VirtioNet.TryRead(_incoming.Headers[i], packet.Length, shift, out packet.Offload);
            Counters.ReceivedPackets++;
            if (!sound)
            {
                // Longer than any frame, or metadata that contradict it: the walk sees it and names the reason.
                packet.Length = Math.Clamp(packet.Length, 0, FrameArena.MaxFrame);
                packet.Offload = default;
                packet.Drop(DropReason.BadLength);
            }

            Counters.ReceivedBytes += packet.Length;
        }
    }

    /// <summary>Puts the tag that the kernel took out back between addresses and ethertype; returns by how much the rest moved.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int RestoreTag(ref Packet packet, ref MultiMessage message)
    {
        if (message.Header.ControlLength < (nuint)(sizeof(ControlHeader) + sizeof(PacketAuxdata)))
        {
            return 0;
        }

        var control = (ControlHeader*)message.Header.Control;
        var auxdata = (PacketAuxdata*)(control + 1);
        if (control->Level != PacketAbi.Level || control->Type != PacketAbi.Auxdata
            || (auxdata->Status & PacketAbi.StatusVlanValid) == 0 || packet.Length < MacsLength)
        {
            return 0;
        }

        packet.Bytes[..MacsLength].CopyTo(packet.Slab.AsSpan(packet.Start - VlanTagLength));
        packet.Start -= VlanTagLength;
        packet.Length += VlanTagLength;
        ushort tpid = (auxdata->Status & PacketAbi.StatusVlanTpidValid) != 0 ? auxdata->VlanTpid : DefaultTpid;
        Span<byte> tag = packet.Bytes[MacsLength..];
        BinaryPrimitives.WriteUInt16BigEndian(tag, tpid);
        BinaryPrimitives.WriteUInt16BigEndian(tag[2..], auxdata->VlanTci);
        return VlanTagLength;
    }

    private void NothingCame()
    {
        int error = Errno.Last;
        _intake = SmallIntake;
        if (error is not (Errno.Again or Errno.Interrupted))
        {
            CheckDevice(error);
        }

        if (_heardSinceStatistics)
        {
            ReadKernelDrops();
        }
    }

    private void Send(int count, ref int retries)
    {
        int sent = 0;
        while (sent < count)
        {
            int accepted = Libc.SendMessages(
                _socket, _outgoing.Messages + sent, (uint)(count - sent), SocketAbi.MessageDontWait);
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
    private void CheckDevice(int error)
    {
        // Asked through the socket itself, which lives in the device's namespace whatever thread asks.
        byte* request = stackalloc byte[SocketAbi.InterfaceRequestSize];
        *(int*)(request + SocketAbi.InterfaceNameSize) = _index;
        bool gone = Libc.Ioctl(_socket, SocketAbi.GetInterfaceName, request) < 0
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
        if (Libc.GetSocketOption(_socket, PacketAbi.Level, PacketAbi.Statistics, &statistics, &length) == 0)
        {
            Counters.KernelDrops += statistics.Drops;
        }
    }
}

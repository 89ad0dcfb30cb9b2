using System.Runtime.CompilerServices;
using Filter.Engine.Packets;
using Filter.Engine.Ports.Native;

namespace Filter.Engine.Ports;

/// <summary>The packet port whose frames come by recvmmsg, straight into the burst: the least delay, and the driver unless told otherwise.</summary>
public sealed unsafe class PacketSocketPort : PacketPort
{
    /// <summary>Room in the burst is prepared for at least so many frames, and for more while they keep coming.</summary>
    private const int SmallIntake = 4;

    private readonly MessageRing _incoming;
    private int _intake = SmallIntake;

    /// <summary>Opens a device of the calling thread's network namespace.</summary>
    /// <param name="device">The NIC's name.</param>
    /// <exception cref="PortException">It is missing, is not Ethernet, or the rights are.</exception>
    public PacketSocketPort(string device)
        : base(device, "packet")
    {
        _incoming = new MessageRing(Burst.Intake, withControl: true);
        try
        {
            Socket.SetOption(PacketAbi.Level, PacketAbi.ReceivedAuxdata, 1, Purpose);
            Bind();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

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
            Socket, _incoming.Messages, (uint)prepared, SocketAbi.MessageDontWait, null);
        if (got <= 0)
        {
            burst.Trim(first);
            _intake = Math.Max(SmallIntake, _intake / 2);       // bursts come again and again: not from the smallest each time
            NothingCame(Errno.Last);
            return 0;
        }

        burst.Trim(first + got);
        _intake = Math.Clamp(Math.Max(got * 2, prepared / 2), SmallIntake, Burst.Intake);
        Accept(burst, first, got);
        SomethingCame();
        return got;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            _incoming?.Dispose();       // null where the socket itself could not be set up
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
        WriteTag(packet.Bytes[MacsLength..], auxdata->Status, auxdata->VlanTpid, auxdata->VlanTci);
        return VlanTagLength;
    }
}

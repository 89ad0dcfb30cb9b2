using Filter.Engine.Packets;
using Filter.Engine.Ports.Native;

namespace Filter.Engine.Ports;

/// <summary>
/// The packet port whose frames come in blocks of a ring that is shared with the kernel (TPACKET_V3): no call for what
/// comes in, so more packets per second, and up to a millisecond of delay where they come one by one.
/// </summary>
public sealed class PacketRingPort : PacketPort
{
    /// <summary>Calls without a frame after which the socket is asked what ails it: it says so to poll again and again until then.</summary>
    private const int LookInterval = 16;

    private readonly PacketRing _ring;
    private int _untilLook = LookInterval;

    /// <summary>Opens a device of the calling thread's network namespace.</summary>
    /// <param name="device">The NIC's name.</param>
    /// <exception cref="PortException">It is missing, is not Ethernet, or the rights are.</exception>
    public PacketRingPort(string device)
        : base(device, "ring")
    {
        try
        {
            _ring = new PacketRing(Socket, Purpose);
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

        int count = 0;
        PacketRingStep step = PacketRingStep.Empty;
        while (count < Burst.Intake && (step = _ring.TryPeek(out RingFrame frame)) == PacketRingStep.Frame)
        {
            bool tagged = (frame.Status & PacketAbi.StatusVlanValid) != 0 && frame.Bytes.Length >= MacsLength;
            int shift = tagged ? VlanTagLength : 0;
            int length = Math.Min(frame.Bytes.Length + shift, FrameArena.MaxFrame);
            if (!burst.TryAppend(length, out int index))
            {
                return count;
            }

            count++;
            ref Packet packet = ref burst.Packets[index];
            packet.Ingress = Number;
            packet.Length = length;
            Copy(frame, tagged, packet.Bytes);
            if (!frame.IsWhole || frame.Bytes.Length + shift > length
                || !VirtioNet.TryRead(frame.Header, length, shift, out packet.Offload))
            {
                packet.Offload = default;
                packet.Drop(DropReason.BadLength);
            }

            Counters.ReceivedPackets++;
            Counters.ReceivedBytes += length;
            _ring.Next();
        }

        if (count > 0)
        {
            SomethingCame();
        }
        else if (step == PacketRingStep.Broken)
        {
            Failure = $"{Device}: the kernel's ring contradicts itself";
        }
        else
        {
            NothingCame(--_untilLook <= 0 ? ReadError() : Errno.Again);
        }

        return count;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _ring?.Dispose();       // null where the socket itself could not be set up
        }

        base.Dispose(disposing);
    }

    private int ReadError()
    {
        _untilLook = LookInterval;
        return Socket.TakeError() is var error && error == 0 ? Errno.Again : error;
    }

    /// <summary>Copies a frame into the burst, its tag back between addresses and ethertype.</summary>
    private static void Copy(in RingFrame frame, bool tagged, Span<byte> to)
    {
        ReadOnlySpan<byte> bytes = frame.Bytes;
        if (!tagged)
        {
            bytes[..to.Length].CopyTo(to);
            return;
        }

        bytes[..MacsLength].CopyTo(to);
        WriteTag(to[MacsLength..], frame.Status, frame.VlanTpid, frame.VlanTci);
        Span<byte> rest = to[(MacsLength + VlanTagLength)..];
        bytes.Slice(MacsLength, rest.Length).CopyTo(rest);
    }
}

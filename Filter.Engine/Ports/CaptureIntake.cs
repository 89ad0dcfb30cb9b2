using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Ports;

/// <summary>How a captured frame becomes a packet of a burst.</summary>
public static class CaptureIntake
{
    /// <summary>
    /// Appends a captured frame. What is not Ethernet comes already dropped, for that reason. A frame of which the
    /// capture kept all headers is walked at its full length, the missing payload as zeros that no
    /// checksum is asked of (<see cref="Packet.Kept"/>); one whose headers are cut is dropped as truncated.
    /// A checksum that the capturing host had left to its NIC counts as unfinished, not as wrong: one of TCP or UDP that
    /// holds the pseudo-header's sum, one of an IPv4 header that is zero.
    /// </summary>
    /// <param name="burst">The burst.</param>
    /// <param name="bytes">What the capture kept.</param>
    /// <param name="originalLength">The frame's length on the wire.</param>
    /// <param name="isEthernet">Whether the capture's link type is Ethernet.</param>
    /// <param name="index">The packet's index.</param>
    /// <returns>False where the burst has no room.</returns>
    public static bool TryAppend(
        Burst burst, ReadOnlySpan<byte> bytes, int originalLength, bool isEthernet, out int index)
    {
        int kept = Math.Min(bytes.Length, FrameArena.MaxFrame);
        bool whole = kept >= originalLength;
        bool fits = originalLength <= FrameArena.MaxFrame;
        int length = whole || !fits ? kept : originalLength;
        if (!burst.TryAppend(length, out index))
        {
            return false;
        }

        ref Packet packet = ref burst.Packets[index];
        packet.Length = length;
        bytes[..kept].CopyTo(packet.Bytes);
        if (!isEthernet)
        {
            packet.Drop(DropReason.NotEthernet);
            return true;
        }

        FinishHeaderChecksum(packet);
        if (whole)
        {
            packet.Offload = OffloadGuess.Of(packet, int.MaxValue);
        }
        else
        {
            packet.Bytes[kept..].Clear();
            packet.Kept = kept;
            packet.Offload.Checksum = ChecksumState.Valid;
            Packet look = packet;
            DropReason why = fits ? Parser.Parse(ref look) : DropReason.Truncated;
            if (!fits || Math.Max(look.Payload, look.Network + 20) > kept
                || (look.EtherType == EtherTypes.Arp && look.End > kept) || (why == DropReason.None && look.Kind == PacketKind.Fragment))
            {
                packet.Drop(DropReason.Truncated);
            }
        }

        return true;
    }

    // Windows leaves it zero. On a wire zero is right for one header in 65,535, and then this changes nothing.
    private static void FinishHeaderChecksum(Packet look)
    {
        if (Parser.Parse(ref look) == DropReason.BadHeaderChecksum
            && Ipv4Header.TryRead(look.Bytes[look.Network..], out Ipv4Header header, out _) && header.HeaderChecksum == 0)
        {
            header.FinishChecksum();
        }
    }
}

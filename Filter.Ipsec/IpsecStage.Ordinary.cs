using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Protocols;

namespace Filter.Ipsec;

/// <content>
/// Most of what is sealed is whole, fits, and goes into bare ESP: that is wrapped here in one go, every header made in registers. All
/// else, and whatever ends otherwise than sealed, goes the long way; a test holds both to the same bytes.
/// </content>
public sealed partial class IpsecStage
{
    /// <summary>For tests: nothing goes the short way.</summary>
    internal bool IsThorough { get; set; }

    /// <summary>Makes an ordinary packet ready to be sealed; false, and nothing done, where it is of another kind.</summary>
    private bool TryPrepareOrdinary(ref Packet packet, int index, SpdEntry entry, OutboundSa sa)
    {
        ref readonly SealingPlan plan = ref sa.Plan;
        if (!plan.IsOrdinary || packet.Offload.Gso != GsoKind.None || packet.Offload.Checksum == ChecksumState.Partial
            || packet.Fragmented || packet.Assembly != 0 || IsThorough)
        {
            return false;
        }

        // 1. Where everything comes to lie: the carried bytes stay, what is before them moves to the front.
        bool isIPv4 = packet.IsIPv4;
        int split = plan.IsTunnel ? 0 : packet.Transport - packet.Network;
        if (split != 0 && split != (isIPv4 ? IpHeader.IPv4Length : IpHeader.IPv6Length))
        {
            return false;
        }

        int length = packet.End - packet.Network, carried = length - split;
        int textLength = (carried + Esp.TrailerLength + plan.Block - 1) & -plan.Block;
        int sealedLength = plan.Outer + split + plan.Header + textLength + plan.Icv, front = plan.Outer + plan.Header;
        int text = packet.Start + packet.Network + split, icv = text + textLength;
        if (sealedLength > Math.Min(MtuOf(packet.Egress), sa.PathMtuAt(_now)) || sealedLength > IpHeader.LongestLength
            || packet.Headroom < front || icv + plan.Icv > packet.Ceiling)
        {
            return false;
        }

        byte[] slab = packet.Slab;
        Span<byte> datagram = slab.AsSpan(packet.Start + packet.Network, length);
        bool isHop = plan.IsTunnel && packet.Ingress != _self?.Number;
        if (isHop && IpHeader.HopLimit(datagram) <= 1)
        {
            return false;
        }

        if (!sa.TryNext(out ulong sequence))
        {
            packet.Drop(DropReason.SequenceExhausted);
            return true;
        }

        // 2. The IP header: the packet's own, or one around it.
        if (isHop)
        {
            IpHeader.TakeHop(datagram);
        }

        byte nextHeader = plan.IsTunnel ? (isIPv4 ? IpProtocol.IPv4 : IpProtocol.IPv6) : datagram[isIPv4 ? 9 : 6];
        Protection.MakeRoom(ref packet, split, front, icv + plan.Icv);
        if (plan.IsTunnel)
        {
            Protection.WriteTunnel(ref packet, sa, datagram, IpProtocol.Esp, ++_identification);
        }
        else
        {
            IpHeader.Become(packet.Datagram, IpProtocol.Esp);
        }

        // 3. The ESP header, and the trailer: padding that counts 1, 2, 3 … (RFC 4303 §2.4), its length, and what is inside.
        int header = text - plan.Header;
        BinaryPrimitives.WriteUInt64BigEndian(slab.AsSpan(header), ((ulong)sa.Spi << 32) | (uint)sequence);
        Esp.WriteTrailer(slab.AsSpan(text + carried), textLength - carried - Esp.TrailerLength, nextHeader);

        ref CryptoJob job = ref _jobs[_count];
        job.Key = sa.Key;
        job.Slab = slab;
        job.Header = header;
        job.Iv = text - plan.Iv;
        job.Text = text;
        job.Icv = icv;
        job.Sequence = sequence;
        job.Extended = plan.Extended;

        // 4. What is known of it now.
        packet.Transport = (ushort)(header - packet.Start);
        packet.Payload = packet.Transport + Esp.HeaderLength;
        packet.Spi = sa.Spi;
        packet.Sequence = (uint)sequence;
        packet.Offload = default;
        sa.Statistics.Packets++;
        sa.Statistics.Bytes += carried;
        sa.LastSent = _now;
        Count(ref entry.Statistics.Protected);
        Count(ref entry.Statistics.ProtectedBytes, length);
        _packets[_count] = index;
        _ordinary[_count++] = true;
        return true;
    }
}

using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Protocols;

/// <summary>
/// Checksums of TCP and UDP that came in transport mode past a translator: it changed the addresses that they cover, and could
/// not see them (RFC 3948 §3.1.2). The ICV was good, so what they guard against did not happen.
/// </summary>
internal static class TranslatedChecksum
{
    /// <summary>Makes the checksum right for the addresses that the packet has now.</summary>
    /// <param name="datagram">The packet as it was opened.</param>
    /// <param name="split">Where its transport header begins.</param>
    /// <param name="protocol">Which one that is.</param>
    /// <param name="encapsulation">What is known of the addresses before.</param>
    internal static void Mend(Span<byte> datagram, int split, byte protocol, in UdpEncapsulation encapsulation)
    {
        int field = protocol switch { IpProtocol.Tcp => 16, IpProtocol.Udp => 6, _ => -1 };
        Span<byte> segment = datagram[split..];
        if (field < 0 || segment.Length < field + sizeof(ushort))
        {
            return;
        }

        Span<byte> checksum = segment.Slice(field, sizeof(ushort));
        ushort before = BinaryPrimitives.ReadUInt16BigEndian(checksum);
        if (protocol == IpProtocol.Udp && before == 0)
        {
            return;                                     // it had none
        }

        Address source = IpHeader.Source(datagram), destination = IpHeader.Destination(datagram);
        ulong sum;
        if (encapsulation is { OriginalRemote: { } sent, OriginalLocal: { } meant })
        {
            // What was wrong before stays wrong (RFC 1624).
            sum = (ushort)~before + Checksum.PseudoHeader(source, destination, 0, 0)
                + (ushort)~Checksum.Fold(Checksum.PseudoHeader(sent, meant, 0, 0));
        }
        else
        {
            checksum.Clear();
            sum = Checksum.Sum(segment, Checksum.PseudoHeader(source, destination, protocol, segment.Length));
        }

        ushort after = Checksum.Finish(sum);
        BinaryPrimitives.WriteUInt16BigEndian(checksum, protocol == IpProtocol.Udp && after == 0 ? ushort.MaxValue : after);
    }
}

using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>The maximum segment size that a TCP handshake announces (RFC 9293 §3.7.1).</summary>
public static class TcpMss
{
    private const int TcpHeader = 20;
    private const int ChecksumAt = 16;
    private const byte EndOfOptions = 0;
    private const byte NoOperation = 1;
    private const byte MaximumSegmentSize = 2;

    /// <summary>
    /// Lowers the MSS of a SYN or SYN-ACK so that full segments make IP packets of at most <paramref name="mtu"/> bytes, and
    /// corrects the checksum, which must be a finished one. Anything else, fragments included, is left as it is.
    /// </summary>
    /// <returns>Whether the packet was changed.</returns>
    public static bool Clamp(Span<byte> datagram, int mtu)
    {
        if (datagram.IsEmpty || datagram.Length < IpHeader.Length(datagram) + TcpHeader)
        {
            return false;
        }

        // A handshake with IPv6 extension headers is rarer than worth a walk.
        int header = IpHeader.Length(datagram);
        bool isIPv4 = IpHeader.IsIPv4(datagram);
        bool fragment = isIPv4 && (BinaryPrimitives.ReadUInt16BigEndian(datagram[6..]) & 0x3fff) != 0;
        Span<byte> tcp = datagram[header..];
        if (datagram[isIPv4 ? 9 : 6] != IpProtocol.Tcp || fragment || ((TcpFlags)tcp[13] & TcpFlags.Syn) == 0)
        {
            return false;
        }

        int most = Math.Clamp(mtu - (isIPv4 ? IpHeader.IPv4Length : IpHeader.IPv6Length) - TcpHeader, 1, ushort.MaxValue);
        int at = TcpHeader, end = Math.Min((tcp[12] >> 4) * 4, tcp.Length);
        while (at < end && tcp[at] != EndOfOptions)
        {
            if (tcp[at] == NoOperation)
            {
                at++;
                continue;
            }

            if (at + 2 > end || tcp[at + 1] < 2 || at + tcp[at + 1] > end)
            {
                return false;
            }

            if (tcp[at] == MaximumSegmentSize && tcp[at + 1] == 4)
            {
                return TryLower(tcp, at + 2, (ushort)most);
            }

            at += tcp[at + 1];
        }

        return false;
    }

    private static bool TryLower(Span<byte> tcp, int at, ushort most)
    {
        ushort before = BinaryPrimitives.ReadUInt16BigEndian(tcp[at..]);
        if (before <= most)
        {
            return false;
        }

        // At an odd place the two bytes belong to different words of the sum, which swaps them (RFC 1071 §2 B).
        bool odd = (at & 1) != 0;
        ushort checksum = Checksum.Update(
            BinaryPrimitives.ReadUInt16BigEndian(tcp[ChecksumAt..]),
            odd ? BinaryPrimitives.ReverseEndianness(before) : before,
            odd ? BinaryPrimitives.ReverseEndianness(most) : most);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[at..], most);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[ChecksumAt..], checksum);
        return true;
    }
}

using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// What a datagram's first fragment must hold: all headers, the upper layer's included, so that
/// nobody on the way has to guess (RFC 7112 for IPv6; RFC 1858 §3 for IPv4).
/// </summary>
public static class FirstFragment
{
    private const int MostHeaders = 8;

    /// <summary>Checks a parsed fragment with offset 0.</summary>
    /// <returns>None, or why it must be dropped.</returns>
    public static DropReason Check(in Packet fragment)
    {
        ReadOnlySpan<byte> data = fragment.Bytes[fragment.Payload..fragment.End];
        byte next = fragment.Key.Protocol;
        if (fragment.IsIPv4)
        {
            return HoldsHeader(next, data) ? DropReason.None : DropReason.BadFragment;
        }

        for (int count = 0; next is IpProtocol.HopByHop or IpProtocol.Routing or IpProtocol.Fragment or IpProtocol.DestinationOptions; count++)
        {
            // What routers look at stands before the fragment header, and of that there is one (RFC 8200 §4.1).
            if (next is IpProtocol.HopByHop or IpProtocol.Routing or IpProtocol.Fragment || count == MostHeaders)
            {
                return DropReason.BadExtensionChain;
            }

            int length = data.Length < 8 ? int.MaxValue : (data[1] + 1) * 8;
            if (length > data.Length)
            {
                return DropReason.FragmentHeaderChain;
            }

            next = data[0];
            data = data[length..];
        }

        return HoldsHeader(next, data) ? DropReason.None : DropReason.FragmentHeaderChain;
    }

    private static bool HoldsHeader(byte protocol, ReadOnlySpan<byte> data) => protocol switch
    {
        IpProtocol.Tcp => data.Length >= 20 && data.Length >= (data[12] >> 4) * 4,
        IpProtocol.Udp or IpProtocol.UdpLite or IpProtocol.Icmp or IpProtocol.Esp or IpProtocol.Mobility => data.Length >= 8,
        IpProtocol.Sctp or IpProtocol.Ah => data.Length >= 12,
        IpProtocol.IcmpV6 or IpProtocol.Gre => data.Length >= 4,
        IpProtocol.IPv4 => data.Length >= IpHeader.IPv4Length,
        IpProtocol.IPv6 => data.Length >= IpHeader.IPv6Length,
        _ => true,
    };
}

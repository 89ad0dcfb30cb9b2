using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// Whether what ICMPv6 says to its own link is valid, as every receiver must check: discovery of routers and neighbours
/// (RFC 4861, 3122, 3971), multicast listeners and routers (RFC 9777, 4286). What is not cannot have come from that link,
/// or is made to confuse.
/// </summary>
public static class Discovery
{
    /// <summary>Router solicitation.</summary>
    public const byte RouterSolicitation = 133;
    /// <summary>Router advertisement.</summary>
    public const byte RouterAdvertisement = 134;
    /// <summary>Neighbour solicitation.</summary>
    public const byte NeighbourSolicitation = 135;
    /// <summary>Neighbour advertisement.</summary>
    public const byte NeighbourAdvertisement = 136;
    /// <summary>Redirect.</summary>
    public const byte Redirect = 137;

    /// <summary>Certification path advertisement.</summary>
    internal const byte PathAdvertisement = 149;

    private const byte InverseSolicitation = 141, InverseAdvertisement = 142;
    private const byte ListenerQuery = 130, RouterAlert = 5;
    private const byte SourceLinkAddress = 1, TargetLinkAddress = 2;
    private const byte NoHopBetween = 255;
    private const int HeaderLength = 8, TargetLength = 24;

    /// <summary>Checks a parsed ICMPv6 message of the class <see cref="IcmpClass.Link"/>.</summary>
    /// <returns>None, or why it must be dropped.</returns>
    public static DropReason Check(in Packet packet) =>
        packet.HasHomeAddress ? DropReason.BadDiscovery
        : packet.IcmpType is (>= 130 and <= 132) or 143 or (>= 151 and <= 153) ? CheckGroups(packet) : CheckNeighbours(packet);

    /// <summary>The address that a neighbour solicitation or advertisement speaks of.</summary>
    public static bool TryReadTarget(in Packet packet, out Address target)
    {
        ReadOnlySpan<byte> message = packet.Segment;
        bool has = packet.Key.Protocol == IpProtocol.IcmpV6 && message.Length >= TargetLength
            && packet.IcmpType is NeighbourSolicitation or NeighbourAdvertisement or Redirect;
        target = has ? Address.ReadIPv6(message[HeaderLength..]) : default;
        return has;
    }

    /// <summary>The link address that a message claims for its sender or target; 0 where it claims none.</summary>
    public static ulong ClaimedMac(in Packet packet)
    {
        ReadOnlySpan<byte> options = packet.Segment[Math.Min(FixedLength(packet.IcmpType), packet.Segment.Length)..];
        while (options.Length >= 8 && options[1] != 0 && options[1] * 8 <= options.Length)
        {
            if (options[0] is SourceLinkAddress or TargetLinkAddress && options[1] == 1)
            {
                return Parser.DestinationMac(options[2..]);
            }

            options = options[(options[1] * 8)..];
        }

        return 0;
    }

    /// <summary>RFC 9777 §6.2, §7.4 (and RFC 4286 §3.4): hop limit 1, a link-local sender, the router alert option.</summary>
    private static DropReason CheckGroups(in Packet packet)
    {
        // A report may come from ::, while its sender has no address yet (RFC 3590 §4).
        bool mayBeUnspecified = packet.IcmpType is not ListenerQuery and < 151;
        bool sender = packet.Key.Source.IsLinkLocal || (mayBeUnspecified && packet.Key.Source.IsUnspecified);
        return sender && packet.HopLimit == 1 && !packet.Fragmented && HasRouterAlert(packet)
            ? DropReason.None
            : DropReason.BadDiscovery;
    }

    /// <summary>The hop-by-hop options header stands first or nowhere (RFC 8200 §4.1); parsing has seen that it fits.</summary>
    private static bool HasRouterAlert(in Packet packet)
    {
        ReadOnlySpan<byte> ip = packet.Datagram;
        if (ip[6] != IpProtocol.HopByHop)
        {
            return false;
        }

        ReadOnlySpan<byte> options = ip[(Ipv6Header.Length + 2)..(Ipv6Header.Length + ((ip[Ipv6Header.Length + 1] + 1) * 8))];
        while (options.Length >= 2)
        {
            if (options[0] == RouterAlert && options[1] == 2)
            {
                return true;
            }

            options = options[0] == 0 ? options[1..] : options[Math.Min(options[1] + 2, options.Length)..];
        }

        return false;
    }

    private static DropReason CheckNeighbours(in Packet packet)
    {
        // Never in fragments, nor behind a fragment header at all (RFC 6980 §5); certification paths may be long.
        ReadOnlySpan<byte> message = packet.Segment;
        if (packet.HopLimit != NoHopBetween || packet.IcmpCode != 0 || (packet.Fragmented && packet.IcmpType != PathAdvertisement)
            || message.Length < LeastLength(packet.IcmpType) || !HasGoodOptions(message[FixedLength(packet.IcmpType)..]))
        {
            return DropReason.BadDiscovery;
        }

        Address source = packet.Key.Source, destination = packet.Key.Destination;
        bool good = packet.IcmpType switch
        {
            // §6.1.1: who has no address has no link address to tell either.
            RouterSolicitation => !source.IsUnspecified || !Has(message[HeaderLength..], SourceLinkAddress),
            RouterAdvertisement => source.IsLinkLocal,                                                          // §6.1.2
            NeighbourSolicitation => !Target(message).IsMulticast && (!source.IsUnspecified
                || (IsSolicitedNode(destination) && !Has(message[TargetLength..], SourceLinkAddress))),         // §7.1.1
            NeighbourAdvertisement => !Target(message).IsMulticast && !source.IsUnspecified
                && (!destination.IsMulticast || !IsSolicited(message)),                                         // §7.1.2
            Redirect => source.IsLinkLocal && IsGoodRedirect(message),                                          // §8.1
            _ => true,
        };
        return good ? DropReason.None : DropReason.BadDiscovery;
    }

    /// <summary>Bytes before the options.</summary>
    private static int FixedLength(byte type) => type switch
    {
        RouterAdvertisement => 16,
        PathAdvertisement => 12,                                                                                // RFC 3971 §6.4.2
        NeighbourSolicitation or NeighbourAdvertisement => TargetLength,
        Redirect => 40,
        _ => HeaderLength,
    };

    /// <summary>Inverse discovery has options that it must not lack (RFC 3122 §4.1, §4.2).</summary>
    private static int LeastLength(byte type) => type switch
    {
        InverseSolicitation => 24,
        InverseAdvertisement => 48,
        _ => FixedLength(type),
    };

    /// <summary>Every option has a length, and fits (RFC 4861 §4.6).</summary>
    private static bool HasGoodOptions(ReadOnlySpan<byte> options)
    {
        while (!options.IsEmpty)
        {
            int length = options.Length < 2 ? 0 : options[1] * 8;
            if (length == 0 || length > options.Length)
            {
                return false;
            }

            options = options[length..];
        }

        return true;
    }

    private static bool Has(ReadOnlySpan<byte> options, byte type)
    {
        for (; !options.IsEmpty; options = options[(options[1] * 8)..])
        {
            if (options[0] == type)
            {
                return true;
            }
        }

        return false;
    }

    private static Address Target(ReadOnlySpan<byte> message) => Address.ReadIPv6(message[HeaderLength..]);

    private static bool IsSolicited(ReadOnlySpan<byte> message) => (message[4] & 0x40) != 0;

    /// <summary>ff02::1:ff00:0/104 (RFC 4291 §2.7.1).</summary>
    private static bool IsSolicitedNode(Address address) =>
        address.High == 0xff02_0000_0000_0000 && address.Low >> 24 == 0x0000_0001_ff;

    /// <summary>To a router, by its link-local address, or to the destination itself, which is on the link.</summary>
    private static bool IsGoodRedirect(ReadOnlySpan<byte> message)
    {
        Address target = Target(message), redirected = Address.ReadIPv6(message[TargetLength..]);
        return !redirected.IsMulticast && (target.IsLinkLocal || target == redirected);
    }
}

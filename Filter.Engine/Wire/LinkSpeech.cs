using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// Bodies of what ICMPv6 says to its link, for <see cref="FrameBuilder"/>: whole and valid where the line's length leaves
/// room, so that a line need not spell out options.
/// </summary>
internal static class LinkSpeech
{
    /// <summary>Hop-by-hop options with router alert for MLD (RFC 2711 §2.1) and two bytes of padding.</summary>
    public static ReadOnlySpan<byte> RouterAlert => [0, 0, 5, 2, 0, 0, 1, 0];

    /// <summary>Whether the line's message carries the router alert option (RFC 9777 §5, RFC 4286 §3).</summary>
    public static bool IsAlerting(PacketLine line) =>
        line.Protocol == IpProtocol.IcmpV6 && line.HasTransport && line.IcmpType is (>= 130 and <= 132) or 143 or (>= 151 and <= 153);

    /// <summary>Whether the line's message speaks of a target.</summary>
    public static bool HasTarget(PacketLine line) => line.Protocol == IpProtocol.IcmpV6 && line.HasTransport
        && line.IcmpType is Discovery.NeighbourSolicitation or Discovery.NeighbourAdvertisement or Discovery.Redirect;

    /// <summary>What the target is where the line does not say: whom it asks, or who answers.</summary>
    public static Address Target(PacketLine line) => line.IcmpType != Discovery.NeighbourSolicitation ? line.Source
        : line.Destination.IsMulticast ? new Address(0xfe80_0000_0000_0000, line.Destination.Low & 0xff_ffff)
        : line.Destination;

    /// <summary>Bytes behind the first eight that a message of the type needs; 0 where it needs none.</summary>
    public static int LeastLength(PacketLine line) => !HasTarget(line) ? 0 : line.IcmpType == Discovery.Redirect ? 32 : 16;

    /// <summary>Writes the body, what stands behind the message's first eight bytes, in zeroed bytes.</summary>
    /// <returns>False where the line's message is not of this kind.</returns>
    public static bool TryWrite(PacketLine line, Span<byte> body)
    {
        if (line.Protocol != IpProtocol.IcmpV6 || IcmpClasses.Of(IpProtocol.IcmpV6, line.IcmpType) != IcmpClass.Link)
        {
            return false;
        }

        if (IsAlerting(line))
        {
            return true;            // for all groups, without records
        }

        int options = line.IcmpType switch
        {
            Discovery.RouterAdvertisement => 8,
            Discovery.PathAdvertisement => 4,
            _ => LeastLength(line),
        };
        if (HasTarget(line) && body.Length >= options)
        {
            line.Target.Write(body);
            if (line.IcmpType == Discovery.Redirect)
            {
                line.Target.Write(body[16..]);      // the destination is a neighbour itself
            }
        }

        WriteOptions(line, body[Math.Min(options, body.Length)..]);
        return true;
    }

    /// <summary>The sender's link address, if it has an address; a nonce (RFC 3971 §5.3.2) as long as what is left.</summary>
    private static void WriteOptions(PacketLine line, Span<byte> options)
    {
        if (options.Length >= 8 && !line.Source.IsUnspecified)
        {
            bool ofTarget = line.IcmpType is Discovery.NeighbourAdvertisement or Discovery.Redirect;
            options[0] = ofTarget ? (byte)2 : (byte)1;
            options[1] = 1;
            LinkAddress.Write(line.SourceMac != 0 ? line.SourceMac : LinkAddress.Of(line.Source), options[2..]);
            options = options[8..];
        }

        while (options.Length >= 8)
        {
            int units = Math.Min(options.Length / 8, byte.MaxValue);
            options[0] = 14;
            options[1] = (byte)units;
            options = options[(units * 8)..];
        }
    }
}

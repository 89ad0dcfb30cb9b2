using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <content>The IPv6 header and its extension headers (RFC 8200).</content>
public static partial class Parser
{
    /// <summary>Most extension headers; RFC 8504 §5.3 lets a node limit them.</summary>
    private const int MaxExtensionHeaders = 8;

    /// <summary>Most bytes of extension headers.</summary>
    private const int MaxExtensionBytes = 2048;

    private const byte HomeAddressOption = 0xc9;
    private const byte JumboPayloadOption = 0xc2;

    /// <summary>The fixed header, and the chain up to the first header that is no extension.</summary>
    private static DropReason ParseIPv6(ref Packet packet, ReadOnlySpan<byte> frame)
    {
        int at = packet.Network;
        ReadOnlySpan<byte> ip = frame[at..];
        packet.Kind = PacketKind.Unknown;
        packet.DontFragment = true;
        if (ip.Length < 40)
        {
            return DropReason.Truncated;
        }

        if (ip[0] >> 4 != 6)
        {
            return DropReason.BadVersion;
        }

        // A jumbogram (RFC 2675) says length 0 and is longer than any frame we take.
        int payloadLength = BinaryPrimitives.ReadUInt16BigEndian(ip[4..]);
        if (40 + payloadLength > ip.Length || (payloadLength == 0 && ip[6] == IpProtocol.HopByHop))
        {
            return DropReason.BadLength;
        }

        packet.TrafficClass = (byte)((ip[0] << 4) | (ip[1] >> 4));
        packet.HopLimit = ip[7];
        packet.End = at + 40 + payloadLength;
        Address source = Address.ReadIPv6(ip[8..]);
        Address destination = Address.ReadIPv6(ip[24..]);
        packet.Key = packet.Key with { Source = source, Destination = destination, Protocol = ip[6] };
        if (source.IsIPv4 || destination.IsIPv4)
        {
            return DropReason.MappedAddress;
        }

        DropReason why = CheckAddresses(source, destination);
        return why == DropReason.None ? WalkChain(ref packet, frame[..packet.End], source, destination) : why;
    }

    private static ExtensionHeaders KindOf(byte header) => header switch
    {
        IpProtocol.HopByHop => ExtensionHeaders.HopByHop,
        IpProtocol.Routing => ExtensionHeaders.Routing,
        IpProtocol.Fragment => ExtensionHeaders.Fragment,
        _ => ExtensionHeaders.DestinationOptions,
    };

    private static DropReason WalkChain(
        ref Packet packet, ReadOnlySpan<byte> frame, Address source, Address destination)
    {
        byte next = packet.Key.Protocol;
        int first = packet.Network + 40;
        int at = first;
        packet.Extensions = packet.Assembly != 0 ? ExtensionHeaders.Fragment : ExtensionHeaders.None;     // put together without it
        bool routed = false, fragment = false;
        int options = 0;
        for (int count = 0; ; count++)
        {
            packet.Key = packet.Key with { Protocol = next };
            packet.Transport = (ushort)at;
            packet.Payload = at;
            if (next is not (IpProtocol.HopByHop or IpProtocol.Routing or IpProtocol.Fragment or IpProtocol.DestinationOptions))
            {
                return packet.HasHomeAddress && packet.Key.Source == packet.Key.Destination
                    ? DropReason.Land
                    : ParseTransport(ref packet, frame, source, destination);
            }

            ReadOnlySpan<byte> header = frame[at..];
            if (header.Length < 8)
            {
                return DropReason.Truncated;
            }

            int length = next == IpProtocol.Fragment ? 8 : (header[1] + 1) * 8;
            if (length > header.Length)
            {
                return DropReason.BadExtensionChain;
            }

            // Hop-by-hop stands first or nowhere; routing and fragment headers stand once and in this order; destination options
            // twice at most (RFC 8200 §4.1), before the fragment header too (RFC 6275 §6.3).
            if (count == MaxExtensionHeaders || at + length - first > MaxExtensionBytes
                || (next == IpProtocol.HopByHop && at != first)
                || (next == IpProtocol.Routing && (routed || fragment))
                || (next == IpProtocol.DestinationOptions && ++options > 2)
                || (next == IpProtocol.Fragment && fragment))
            {
                return DropReason.BadExtensionChain;
            }

            packet.Extensions |= KindOf(next);
            switch (next)
            {
                case IpProtocol.Routing:
                    routed = true;
                    if (header[2] is 0 or 1)
                    {
                        return DropReason.RoutingHeader0;
                    }

                    // A type 2 header leads to one home address, or was walked to its end (RFC 6275 §6.4.2).
                    if (header[2] == 2 && header[3] > 0)
                    {
                        if (length != 24 || header[3] != 1)
                        {
                            return DropReason.BadExtensionChain;
                        }

                        packet.HasHomeAddress = true;
                        packet.Key = packet.Key with { Destination = Address.ReadIPv6(header[8..]) };
                        DropReason bad = CheckHome(packet.Key.Destination);
                        if (bad != DropReason.None)
                        {
                            return bad;
                        }
                    }

                    // The checksum is over the final destination (RFC 8200 §8.1), which types 2
                    // (RFC 6275 §6.4) and 4 (RFC 8754 §2) keep in the first address of the list.
                    if (header[3] > 0 && header[2] is 2 or 4 && length >= 24)
                    {
                        destination = Address.ReadIPv6(header[8..]);
                    }

                    break;

                case IpProtocol.Fragment:
                    fragment = true;
                    int field = BinaryPrimitives.ReadUInt16BigEndian(header[2..]);
                    packet.FragmentHeader = (ushort)at;
                    packet.FragmentOffset = field & 0xfff8;
                    packet.MoreFragments = (field & 1) != 0;
                    packet.FragmentId = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
                    packet.Fragmented = true;
                    if (packet.FragmentOffset != 0 || packet.MoreFragments)
                    {
                        packet.Key = packet.Key with { Protocol = header[0] };
                        packet.Payload = at + 8;
                        packet.Transport = (ushort)(at + 8);
                        packet.Kind = PacketKind.Fragment;
                        ReadFirstPorts(ref packet, frame);
                        return DropReason.None;
                    }

                    // An atomic fragment is a whole packet (RFC 6946 §4).
                    break;

                default:
                    Address home = source;
                    DropReason why = WalkOptions(header[2..length], next == IpProtocol.DestinationOptions, ref home);
                    if (why != DropReason.None)
                    {
                        return why;
                    }

                    if (home != source)
                    {
                        why = CheckHome(home);
                        if (why != DropReason.None)
                        {
                            return why;
                        }

                        packet.HasHomeAddress = true;
                        packet.Key = packet.Key with { Source = home };
                        source = home;
                    }

                    break;
            }

            next = header[0];
            at += length;
        }
    }

    /// <summary>A home address is a routable one of one host (RFC 6275 §6.3, §6.4.2).</summary>
    private static DropReason CheckHome(Address home) => home.IsIPv4 ? DropReason.MappedAddress
        : home.IsMulticast || home.IsLinkLocal || home.IsLoopback || home.IsUnspecified ? DropReason.Martian
        : DropReason.None;

    private static DropReason WalkOptions(ReadOnlySpan<byte> options, bool destinationOptions, ref Address source)
    {
        while (!options.IsEmpty)
        {
            if (options[0] == 0)
            {
                options = options[1..];
                continue;
            }

            if (options.Length < 2 || options[1] + 2 > options.Length)
            {
                return DropReason.BadExtensionChain;
            }

            if (!destinationOptions && options[0] == JumboPayloadOption)
            {
                return DropReason.BadExtensionChain;            // beside a payload length (RFC 2675 §3)
            }

            // A mobile node's checksum is over its home address (RFC 6275 §6.1.1, §9.3.1), its flows' name.
            if (destinationOptions && options[0] == HomeAddressOption)
            {
                if (options[1] != 16)
                {
                    return DropReason.BadExtensionChain;
                }

                source = Address.ReadIPv6(options[2..]);
            }

            options = options[(options[1] + 2)..];
        }

        return DropReason.None;
    }
}

using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Path;

/// <summary>
/// Which worker a packet belongs to: by a keyed hash of its two addresses in either order. So both directions of a flow meet, and
/// with them its fragments, the errors that quote it, and what its ends announce to each other. The key is random: nobody outside
/// chooses addresses that all fall to one worker.
/// </summary>
public readonly struct Homes
{
    /// <summary>What cannot be read is dropped wherever it is.</summary>
    public const int Anywhere = -1;

    /// <summary>What speaks to its link, and has no flow, is for the first worker alone.</summary>
    public const int OfTheLink = 0;

    private readonly ulong _first, _second, _third;
    private readonly uint _workers;

    /// <summary>Homes among so many workers.</summary>
    public Homes(int workers)
    {
        Span<byte> key = stackalloc byte[3 * sizeof(ulong)];
        RandomNumberGenerator.Fill(key);
        _first = BinaryPrimitives.ReadUInt64LittleEndian(key);
        _second = BinaryPrimitives.ReadUInt64LittleEndian(key[8..]);
        _third = BinaryPrimitives.ReadUInt64LittleEndian(key[16..]);
        _workers = (uint)workers;
    }

    /// <summary>The home of what two addresses say to each other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Of(Address one, Address other)
    {
        ulong a = Fold(one.High ^ _first, one.Low ^ _second), b = Fold(other.High ^ _first, other.Low ^ _second);
        return (int)(((Fold(a + b, (a ^ b) ^ _third) >> 32) * _workers) >> 32);
    }

    /// <summary>The home of a packet, parsed or as it came.</summary>
    /// <returns>Its worker, or <see cref="Anywhere"/>.</returns>
    public int Of(in Packet packet)
    {
        if (packet.Kind != PacketKind.Unknown)
        {
            return OfParsed(packet);
        }

        // What shows its addresses at once, as nearly all does: no option, no tag, and no error that quotes others'.
        ReadOnlySpan<byte> frame = packet.Bytes;
        if (frame.Length >= EthernetHeader.Length + IpHeader.IPv6Length)
        {
            ushort type = BinaryPrimitives.ReadUInt16BigEndian(frame[12..]);
            if (type == EtherTypes.IPv4 && frame[23] != IpProtocol.Icmp)
            {
                return Of(Address.ReadIPv4(frame[26..]), Address.ReadIPv4(frame[30..]));
            }

            if (type == EtherTypes.IPv6 && frame[20] is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Esp or IpProtocol.Sctp)
            {
                return Of(Address.ReadIPv6(frame[22..]), Address.ReadIPv6(frame[38..]));
            }
        }

        Packet copy = packet;
        return Parser.Parse(ref copy) == DropReason.None ? OfParsed(copy) : Anywhere;
    }

    private int OfParsed(in Packet packet) => packet.Kind switch
    {
        PacketKind.Link => OfTheLink,
        PacketKind.IcmpError when Parser.TryReadQuote(packet, out FlowKey quoted)
            || Parser.TryReadProtectedQuote(packet, out quoted, out _, out _) => Of(quoted.Source, quoted.Destination),
        PacketKind.Untracked when packet.Key.Protocol == IpProtocol.IcmpV6 && packet.IcmpType is >= Discovery.RouterSolicitation and <= Discovery.Redirect => OfTheLink,
        _ => Of(packet.Key.Source, packet.Key.Destination),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Fold(ulong left, ulong right)
    {
        ulong high = Math.BigMul(left, right, out ulong low);
        return high ^ low;
    }
}

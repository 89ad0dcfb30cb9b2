using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Ctl.Replays;

/// <summary>
/// Tells of each packet of a capture whether its conversation's first sender sent it, or the one who
/// answers. A conversation is a pair of addresses with protocol and ports; an ICMP error belongs to
/// the one it quotes; fragments, and what has no ports, to their pair of addresses; what is not IP to
/// the pair of link addresses, ARP to the pair that it speaks of.
/// </summary>
internal sealed class Conversations
{
    private readonly Dictionary<Conversation, End> _openers = [];
    private readonly Dictionary<DatagramId, Conversation> _datagrams = [];

    /// <summary>Whether the first sender sent it. The packet was parsed, well or not.</summary>
    public bool IsFromOpener(in Packet packet)
    {
        if (packet.Length < 14)
        {
            return true;
        }

        if (packet.EtherType is not (EtherTypes.IPv4 or EtherTypes.IPv6) || packet.Key.Source == default)
        {
            return FromOpener(LinkKey(packet));
        }

        if (packet.Kind == PacketKind.IcmpError)
        {
            return IsErrorFromOpener(packet);
        }

        if (packet.Kind == PacketKind.Fragment || packet.Fragmented)
        {
            return IsFragmentFromOpener(packet);
        }

        return FromOpener(packet.Key);
    }

    // An error travels against what it quotes, and comes from where that was going.
    private bool IsErrorFromOpener(in Packet packet)
    {
        if (Parser.TryReadQuote(packet, out FlowKey quoted) && _openers.TryGetValue(new Conversation(quoted), out End opener))
        {
            return opener != new End(quoted.Source, quoted.SourcePort);
        }

        return FromOpener(PairOf(packet.Key));
    }

    // Only the first fragment shows ports; the others go where it went, if it came first.
    private bool IsFragmentFromOpener(in Packet packet)
    {
        DatagramId id = new(packet.Key.Source, packet.Key.Destination, packet.Key.Protocol, packet.FragmentId);
        FlowKey key = PairOf(packet.Key);
        if (packet.FragmentOffset == 0 && TryReadKey(packet, out FlowKey shown))
        {
            key = shown;
            _datagrams[id] = new Conversation(key);
        }
        else if (_datagrams.TryGetValue(id, out Conversation known) && _openers.TryGetValue(known, out End opener))
        {
            return opener.Address == packet.Key.Source;
        }

        return FromOpener(key);
    }

    private bool FromOpener(in FlowKey key)
    {
        Conversation conversation = new(key);
        End sender = new(key.Source, key.SourcePort);
        if (_openers.TryGetValue(conversation, out End opener))
        {
            return opener == sender;
        }

        _openers.Add(conversation, sender);
        return true;
    }

    /// <summary>The key that a first fragment shows of its datagram.</summary>
    private static bool TryReadKey(in Packet packet, out FlowKey key)
    {
        key = packet.Key;
        if (packet.Transport == 0 || packet.Transport + 8 > packet.Length)
        {
            return false;
        }

        ReadOnlySpan<byte> header = packet.Bytes[packet.Transport..];
        byte protocol = key.Protocol;
        if (IcmpQueries.Asks(protocol, header[0]) || IcmpQueries.Answers(protocol, header[0]))
        {
            key = IcmpQueries.Key(key, header[0], BinaryPrimitives.ReadUInt16BigEndian(header[4..]));
            return true;
        }

        key = key with
        {
            SourcePort = BinaryPrimitives.ReadUInt16BigEndian(header),
            DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(header[2..]),
        };
        return IpProtocol.HasPorts(protocol);
    }

    private static FlowKey PairOf(in FlowKey key) => key with { SourcePort = 0, DestinationPort = 0 };

    // Link addresses stand as addresses of their own kind: no protocol has the number 255 and the high half 1.
    private static FlowKey LinkKey(in Packet packet)
    {
        ReadOnlySpan<byte> frame = packet.Bytes;
        const int ArpLength = 28;
        if (packet.EtherType == EtherTypes.Arp && packet.Network > 0 && packet.Network + ArpLength <= frame.Length)
        {
            ReadOnlySpan<byte> arp = frame[packet.Network..];
            return new FlowKey(Address.ReadIPv4(arp[14..]), Address.ReadIPv4(arp[24..]), 0, 0, 254, 0);
        }

        return new FlowKey(new Address(1, Parser.SourceMac(frame)), new Address(1, Parser.DestinationMac(frame)), 0, 0, 255, 0);
    }

    private readonly record struct End(Address Address, ushort Port);

    private readonly record struct DatagramId(Address Source, Address Destination, byte Protocol, uint Id);

    /// <summary>Both ends, the lower first, so that both directions have one.</summary>
    private readonly record struct Conversation
    {
        public Conversation(in FlowKey key)
        {
            End source = new(key.Source, key.SourcePort), destination = new(key.Destination, key.DestinationPort);
            bool inOrder = source.Address != destination.Address ? source.Address < destination.Address : source.Port <= destination.Port;
            (Low, High) = inOrder ? (source, destination) : (destination, source);
            Protocol = key.Protocol;
        }

        public End Low { get; }

        public End High { get; }

        public byte Protocol { get; }
    }
}

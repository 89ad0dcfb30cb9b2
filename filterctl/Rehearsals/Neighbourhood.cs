using System.Buffers.Binary;
using System.Numerics;
using Filter.Ctl.Service;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Ctl.Rehearsals;

/// <summary>
/// Stands in for the machines around a gateway that is only rehearsed: what it asks of its neighbours
/// (ARP, neighbour solicitations) is answered at once, with made-up link addresses, so that what waits
/// for them goes on.
/// </summary>
internal sealed class Neighbourhood(Gateway gateway, Ruleset ruleset)
{
    private const int EthernetLength = 14;
    private const int ArpFrame = EthernetLength + 28;
    private const int SolicitationFrame = EthernetLength + 40 + 24;
    private const int AdvertisementLength = 32;
    private const ulong MadeUpMac = 0x02fe_0000_0000;

    private readonly List<Question> _questions = [];

    /// <summary>Notes what the gateway asks in a burst that was walked.</summary>
    public void Listen(Burst burst)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Own && packet.Egress != 0 && Read(packet.Bytes) is { } asked)
            {
                _questions.Add(asked with { Port = PortOf(asked.Target, packet.Egress) });
            }
        }
    }

    /// <summary>Answers in an empty burst what was noted; whoever calls walks it.</summary>
    /// <returns>Whether there is anything to walk.</returns>
    public bool TryAnswer(Burst burst)
    {
        foreach (Question asked in _questions)
        {
            if (burst.TryAppend(SolicitationFrame + 8, out int index))
            {
                ref Packet packet = ref burst.Packets[index];
                packet.Length = Write(asked, packet.Slab.AsSpan(packet.Start, SolicitationFrame + 8));
                packet.Ingress = asked.Port;
            }
        }

        _questions.Clear();
        return burst.Count > 0;
    }

    private static Question? Read(ReadOnlySpan<byte> frame)
    {
        if (frame.Length < ArpFrame)
        {
            return null;
        }

        ReadOnlySpan<byte> network = frame[EthernetLength..];
        ulong mac = Parser.SourceMac(frame);
        return BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) switch
        {
            EtherTypes.Arp when network[7] == ArpPacket.Request =>
                new Question(Address.ReadIPv4(network[24..]), Address.ReadIPv4(network[14..]), mac, 0),
            EtherTypes.IPv6 when frame.Length >= SolicitationFrame && network[6] == IpProtocol.IcmpV6 && network[40] == 135 =>
                new Question(Address.ReadIPv6(network[48..]), Address.ReadIPv6(network[8..]), mac, 0),
            _ => null,
        };
    }

    /// <summary>The port on which the target would stand: by prefixes, else the first that was asked.</summary>
    private byte PortOf(Address target, ushort asked) =>
        ruleset.PortOf(target) is { } port && (gateway.Ports[port.Number].Mask & asked) != 0
            ? port.Number
            : (byte)BitOperations.TrailingZeroCount(asked);

    private static int Write(in Question asked, Span<byte> frame)
    {
        ulong mac = MadeUpMac | (uint)asked.Target.Low;
        WriteMac(frame, asked.SenderMac);
        WriteMac(frame[6..], mac);
        Span<byte> network = frame[EthernetLength..];
        network.Clear();
        if (asked.Target.IsIPv4)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame[12..], EtherTypes.Arp);
            BinaryPrimitives.WriteUInt64BigEndian(network, 0x0001_0800_0604_0002);      // Ethernet, IPv4, reply
            WriteMac(network[8..], mac);
            asked.Target.Write(network[14..]);
            WriteMac(network[18..], asked.SenderMac);
            asked.Sender.Write(network[24..]);
            return ArpFrame;
        }

        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], EtherTypes.IPv6);
        network[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(network[4..], AdvertisementLength);
        network[6] = IpProtocol.IcmpV6;
        network[7] = 255;
        asked.Target.Write(network[8..]);
        asked.Sender.Write(network[24..]);
        Span<byte> message = network.Slice(40, AdvertisementLength);
        message[0] = 136;
        message[4] = 0x60;                                  // solicited, override (RFC 4861 §4.4)
        asked.Target.Write(message[8..]);
        message[24] = 2;                                    // target link-layer address, eight bytes
        message[25] = 1;
        WriteMac(message[26..], mac);
        ulong sum = Checksum.PseudoHeader(asked.Target, asked.Sender, IpProtocol.IcmpV6, AdvertisementLength);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], Checksum.Finish(Checksum.Sum(message, sum)));
        return EthernetLength + 40 + AdvertisementLength;
    }

    private static void WriteMac(Span<byte> to, ulong mac)
    {
        BinaryPrimitives.WriteUInt16BigEndian(to, (ushort)(mac >> 32));
        BinaryPrimitives.WriteUInt32BigEndian(to[2..], (uint)mac);
    }

    private readonly record struct Question(Address Target, Address Sender, ulong SenderMac, byte Port);
}

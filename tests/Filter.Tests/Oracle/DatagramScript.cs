using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Oracle;

/// <summary>UDP, UDP-Lite, and a protocol that shows no more than addresses.</summary>
internal static class DatagramScript
{
    public static Conversation Udp(int number, int family, bool bothMayOpen, Random random)
    {
        byte protocol = random.Next(6) switch { 0 => IpProtocol.UdpLite, 1 => 253, _ => IpProtocol.Udp };
        var talk = new Conversation(number, ProtocolNames.Word(protocol) ?? "another protocol", family, bothMayOpen);
        ushort near = (ushort)random.Next(1024, 65536), far = (ushort)random.Next(1, 1024);
        bool insideOpens = random.Next(4) != 0;
        PacketLine Datagram(bool fromInside) => talk.From(fromInside, protocol) with
        {
            SourcePort = fromInside == insideOpens ? near : far,
            DestinationPort = fromInside == insideOpens ? far : near,
            Length = random.Next(3) == 0 ? 0 : random.Next(200),
        };

        bool open = false;
        for (int left = random.Next(2, 12); left > 0; left--)
        {
            bool fromOpener = left == 1 || random.Next(2) == 0;
            bool fromInside = fromOpener == insideOpens;
            PacketLine line = Datagram(fromInside);
            switch (random.Next(10))
            {
                case 0 when protocol != 253:
                    talk.Add(new Step(fromInside, line with { Checksum = LineChecksum.Bad }, "bad checksum", Fate.MustDrop));
                    break;
                case 1 when protocol != 253 && !bothMayOpen:
                    talk.Add(new Step(false, Datagram(false) with { SourcePort = (ushort)random.Next(1024, 65536) }, "from another port", Fate.MustDrop));
                    break;
                case 2 when !bothMayOpen:
                    talk.Add(new Step(false, Datagram(false) with { Source = talk.Other }, "from another host", Fate.MustDrop));
                    break;
                default:
                    bool legal = open || fromInside || bothMayOpen;
                    talk.Add(new Step(fromInside, line, fromOpener ? "question" : "answer", legal ? Fate.MustPass : Fate.MustDrop));
                    open |= legal;
                    break;
            }
        }

        return talk;
    }
}

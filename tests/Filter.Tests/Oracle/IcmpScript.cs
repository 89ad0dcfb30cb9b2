using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Oracle;

/// <summary>ICMP and ICMPv6: questions with answers, and errors that quote.</summary>
internal static class IcmpScript
{
    /// <summary>Echo and, over IPv4, the other questions of RFC 792 and RFC 950.</summary>
    public static Conversation Queries(int number, int family, bool bothMayOpen, Random random)
    {
        var talk = new Conversation(number, "icmp queries", family, bothMayOpen);
        byte asks = family == 6 ? (byte)128 : (byte)(random.Next(4) switch { 0 => 13, 1 => 17, _ => 8 });
        byte answers = (byte)(family == 6 ? 129 : asks == 8 ? 0 : asks + 1);
        ushort id = (ushort)random.Next(65536);
        bool insideAsks = random.Next(5) != 0;
        PacketLine Message(bool question, bool fromAsker) => talk.From(fromAsker == insideAsks, talk.Icmp) with
        {
            IcmpType = question ? asks : answers,
            IcmpId = id,
            Sequence = (ushort)random.Next(5),
            Length = asks is 13 ? 12 : asks is 17 ? 4 : random.Next(64),
        };

        bool asked = false, askedBack = false;
        for (int left = random.Next(2, 10); left > 0; left--)
        {
            Fate question = insideAsks || bothMayOpen ? Fate.MustPass : Fate.MustDrop;
            switch (random.Next(12))
            {
                case 0:
                    Add(Message(false, false) with { IcmpId = (ushort)(id ^ 1) }, false, "answer under another identifier", Fate.MustDrop);
                    break;
                case 1:
                    Add(Message(false, true), true, "answer from who asked", askedBack ? Fate.Open : Fate.MustDrop);
                    break;
                case 2 when insideAsks:
                    Add(Message(false, false) with { Source = talk.Other }, false, "answer from another host", Fate.MustDrop);
                    break;
                case 3:
                    Add(Message(true, true) with { Checksum = LineChecksum.Bad }, true, "bad checksum", Fate.MustDrop);
                    break;
                case 4:
                    Add(Message(false, false) with { IcmpCode = 1 }, false, "answer with a code", Fate.Open);
                    break;
                case 5:
                    // A conversation of its own, under the same identifier.
                    Fate back = !insideAsks || bothMayOpen ? Fate.MustPass : Fate.MustDrop;
                    Add(Message(true, false), false, "question back", back);
                    askedBack |= back == Fate.MustPass;
                    break;
                case < 9:
                    Add(Message(true, true), true, "question", question);
                    asked |= question == Fate.MustPass;
                    break;
                default:
                    Add(Message(false, false), false, "answer", asked ? Fate.MustPass : Fate.MustDrop);
                    break;
            }
        }

        return talk;

        void Add(PacketLine line, bool fromAsker, string kind, Fate fate) =>
            talk.Add(new Step(fromAsker == insideAsks, line, kind, fate));
    }

    /// <summary>Errors about a flow of UDP, TCP or echo, and such as quote wrongly.</summary>
    public static Conversation Errors(int number, int family, bool bothMayOpen, Random random)
    {
        var talk = new Conversation(number, "icmp errors", family, bothMayOpen);
        int protocol = random.Next(3);
        ushort near = (ushort)random.Next(1024, 65536), far = (ushort)random.Next(1, 1024);
        uint sequence = (uint)random.NextInt64(uint.MaxValue);
        PacketLine Question(bool fromInside) => protocol switch
        {
            0 => talk.From(fromInside, IpProtocol.Udp) with { SourcePort = fromInside ? near : far, DestinationPort = fromInside ? far : near, Length = 20 },
            1 => talk.From(fromInside, IpProtocol.Tcp) with
            {
                SourcePort = fromInside ? near : far,
                DestinationPort = fromInside ? far : near,
                Flags = fromInside ? TcpFlags.Syn : TcpFlags.Syn | TcpFlags.Ack,
                Sequence = fromInside ? sequence : sequence + 5000,
                Acknowledgment = fromInside ? 0 : sequence + 1,
            },
            _ => talk.From(fromInside, talk.Icmp) with
            {
                IcmpType = fromInside ? family == 4 ? (byte)8 : (byte)128 : family == 4 ? (byte)0 : (byte)129,
                IcmpId = near,
                Length = 16,
            },
        };

        bool opened = false;
        if (random.Next(8) != 0)
        {
            talk.Add(new Step(true, Question(true), "question", Fate.MustPass));
            opened = true;
        }

        bool answered = opened && random.Next(2) == 0;
        if (answered)
        {
            talk.Add(new Step(false, Question(false), "answer", Fate.MustPass));
        }

        for (int left = random.Next(1, 6); left > 0; left--)
        {
            // Mostly to the inside, about what it sent; else to the outside, about what that sent.
            bool toInside = !answered || random.Next(3) != 0;
            PacketLine quote = Question(toInside);
            PacketLine error = talk.From(!toInside, talk.Icmp) with { Source = toInside && random.Next(2) == 0 ? talk.Other : Sender(!toInside) };
            (byte type, byte code) = Kind(family, random);
            error = error with { IcmpType = type, IcmpCode = code, Mtu = Mtu(family, type, code) };
            switch (random.Next(9))
            {
                case 0 when protocol < 2:
                    Add(error with { Quote = quote with { DestinationPort = (ushort)(quote.DestinationPort ^ 0x800) } }, !toInside, "error about another port", Fate.MustDrop);
                    break;
                case 1:
                    Add(error with { Quote = quote with { Destination = talk.Other } }, !toInside, "error about another host", Fate.MustDrop);
                    break;
                case 2 when toInside:
                    // It would have to go to who sent what it quotes.
                    Add(error with { Quote = Question(false) }, false, "error about what its receiver did not send", Fate.MustDrop);
                    break;
                case 3:
                    Add(error with { Quote = quote, Checksum = LineChecksum.Bad }, !toInside, "bad checksum", Fate.MustDrop);
                    break;
                case 4:
                    Add(error with { Quote = null, Length = random.Next(0, 27) }, !toInside, "error that quotes too little", Fate.MustDrop);
                    break;
                default:
                    Add(error with { Quote = quote }, !toInside, opened ? "error" : "error about nothing", opened ? Fate.MustPass : Fate.MustDrop);
                    break;
            }

            if (opened && random.Next(4) == 0)
            {
                talk.Add(new Step(true, Question(true), "question again", Fate.MustPass));
            }
        }

        return talk;

        Address Sender(bool inside) => inside ? talk.Inside : talk.Outside;

        void Add(PacketLine line, bool fromInside, string kind, Fate fate) =>
            talk.Add(new Step(fromInside, line with { Length = line.Quote is { } quote ? FrameBuilder.DatagramLength(quote) : line.Length }, kind, fate));
    }

    private static (byte Type, byte Code) Kind(int family, Random random) => (family, random.Next(5)) switch
    {
        (4, 0) => (11, 0),
        (4, 1) => (3, 4),
        (4, 2) => (12, 0),
        (4, _) => (3, (byte)random.Next(16)),
        (_, 0) => (3, 0),
        (_, 1) => (2, 0),
        (_, 2) => (4, (byte)random.Next(3)),
        _ => (1, (byte)random.Next(7)),
    };

    private static uint Mtu(int family, byte type, byte code) => (family, type, code) is (4, 3, 4) or (6, 2, _) ? 1280u : 0;
}

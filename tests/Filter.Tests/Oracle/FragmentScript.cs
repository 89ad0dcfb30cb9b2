using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Oracle;

/// <summary>A piece of a datagram.</summary>
/// <param name="Id">Identification.</param>
/// <param name="Offset">Its place in what the IP header carries, in bytes.</param>
/// <param name="Length">Its bytes.</param>
/// <param name="More">Whether more follow.</param>
internal readonly record struct Piece(uint Id, int Offset, int Length, bool More)
{
    public int End => Offset + Length;

    public override string ToString() => $"piece {Offset}..{End}{(More ? "+" : "")} id={Id}";
}

/// <summary>Datagrams in pieces: in any order, twice, overlapping, tiny, never whole.</summary>
internal static class FragmentScript
{
    public static Conversation Write(int number, int family, bool bothMayOpen, Random random)
    {
        bool overTcp = random.Next(5) == 0;
        var talk = new Conversation(number, overTcp ? "fragments of tcp" : "fragments", family, bothMayOpen) { InPieces = true };
        bool fromInside = random.Next(4) != 0;
        bool allowed = fromInside || bothMayOpen;
        uint id = (uint)random.Next(1, 60_000);
        PacketLine datagram = Datagram(talk, fromInside, overTcp, random);
        for (int left = random.Next(1, 4); left > 0; left--)
        {
            Send(talk, fromInside, datagram, ++id, allowed, random);
        }

        return talk;
    }

    private static PacketLine Datagram(Conversation talk, bool fromInside, bool overTcp, Random random)
    {
        int length = random.Next(64, 1400);
        return overTcp
            ? talk.From(fromInside, IpProtocol.Tcp) with { SourcePort = 40_000, DestinationPort = 80, Flags = TcpFlags.Syn, Sequence = 1000, Length = length }
            : random.Next(2) == 0
                ? talk.From(fromInside, IpProtocol.Udp) with { SourcePort = 40_000, DestinationPort = 53, Length = length }
                : talk.From(fromInside, talk.Icmp) with { IcmpType = talk.Family == 4 ? (byte)8 : (byte)128, IcmpId = 7, Length = length };
    }

    private static void Send(Conversation talk, bool fromInside, PacketLine datagram, uint id, bool allowed, Random random)
    {
        int total = FrameBuilder.DatagramLength(datagram) - (talk.Family == 4 ? Ipv4Header.Length : Ipv6Header.Length);
        List<Piece> pieces = Cut(id, total, random);
        if (random.Next(3) == 0)
        {
            pieces.Reverse();
        }
        else if (random.Next(2) == 0)
        {
            random.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(pieces));
        }

        Fate whole = allowed ? Fate.MustPass : Fate.MustDrop;
        string last = "last piece missing";
        int at = random.Next(pieces.Count);                     // where something odd happens, if anything
        int odd = random.Next(14);
        bool givenUp = false;
        if (odd == 0)
        {
            pieces.RemoveAt(at);
            whole = Fate.MustDrop;
            last = "piece of what never gets whole";
        }
        else if (odd == 1)
        {
            // The header of TCP across two pieces, or one byte less than eight of anything.
            pieces = [new Piece(id, 0, 8, true), new Piece(id, 8, total - 8, false)];
            whole = datagram.Protocol == IpProtocol.Tcp ? Fate.MustDrop : whole;
            last = "rest behind eight bytes";
        }

        for (int i = 0; i < pieces.Count; i++)
        {
            bool completes = i == pieces.Count - 1;
            Add(pieces[i], completes ? last : "piece", completes ? whole : Fate.Open);
            if (completes || i != at)
            {
                continue;
            }

            Piece held = pieces[i];
            switch (odd)
            {
                case 2 or 3:
                    Add(held, "piece twice", Fate.MustDrop);
                    last = "last piece missing, one came twice";
                    break;
                case 4 when held.Length >= 24:
                    Add(held with { Offset = held.Offset + 8, Length = 8, More = true }, "piece within another", Fate.MustDrop);
                    (whole, last) = (Fate.MustDrop, "last piece missing, one lay within another");
                    break;
                case 5 when held.More && pieces.Count > 2:
                    Add(held with { Offset = held.Offset + 8 }, "piece that overlaps another", Fate.MustDrop);
                    (whole, last, givenUp) = (Fate.MustDrop, "last piece missing, two overlapped", true);
                    break;
                case 6 when held.More:
                    Add(held with { Offset = (total / 8 * 8) + 8 }, "piece behind the end", Fate.MustDrop);
                    (whole, last) = (Fate.MustDrop, "last piece missing, one lay behind the end");
                    break;
                case 7:
                    Add(new Piece(id, held.Offset, held.Length > 9 ? 9 : 1, true), "piece of odd length", Fate.MustDrop);
                    (whole, last) = (Fate.Open, "last piece missing, one of odd length came");
                    break;
                default:
                    break;
            }
        }

        if (givenUp)
        {
            // What is left of it must not make another datagram (RFC 5722 §4).
            foreach (Piece piece in pieces.OrderBy(piece => piece.Offset))
            {
                Add(piece, "piece of what was given up", Fate.MustDrop);
            }
        }
        else if (odd == 8)
        {
            Add(new Piece(id + 1000, 0, total, false), "only piece", talk.Family == 6 || total <= 1480 ? allowed ? Fate.MustPass : Fate.MustDrop : Fate.Open);
        }

        void Add(Piece piece, string kind, Fate fate) => talk.Add(new Step(fromInside, datagram, kind, fate) { Piece = piece });
    }

    private static List<Piece> Cut(uint id, int total, Random random)
    {
        var pieces = new List<Piece>();
        int size = Math.Max(24, total / random.Next(2, 7) / 8 * 8);
        for (int offset = 0; offset < total; offset += size)
        {
            int length = Math.Min(size, total - offset);
            pieces.Add(new Piece(id, offset, length, offset + length < total));
        }

        return pieces;
    }
}

using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Oracle;

/// <summary>What an attacker, a scanner or a broken stack adds to a TCP connection: segments that neither end sent.</summary>
internal sealed class TcpAttack(TcpScript script, Conversation talk, Random random)
{
    private static readonly TcpFlags[] s_badFlags =
    [
        TcpFlags.None, TcpFlags.Fin, TcpFlags.Psh, TcpFlags.Urg, TcpFlags.Syn | TcpFlags.Fin, TcpFlags.Syn | TcpFlags.Rst,
        TcpFlags.Syn | TcpFlags.Fin | TcpFlags.Ack, TcpFlags.Rst | TcpFlags.Fin, TcpFlags.Rst | TcpFlags.Fin | TcpFlags.Ack,
        TcpFlags.Fin | TcpFlags.Psh | TcpFlags.Urg, TcpFlags.Syn | TcpFlags.Rst | TcpFlags.Ack,
    ];

    /// <summary>One such segment, in the name of one end to the other.</summary>
    public void Strike()
    {
        (TcpTalker name, TcpTalker victim) = random.Next(2) == 0 ? (script.Opener, script.Answerer) : (script.Answerer, script.Opener);
        bool fromInside = name.Inside;
        uint next = victim.Received, edge = victim.Edge, acknowledgment = victim.Next;
        bool known = victim.HeardSyn && name.HeardSyn;
        uint anywhere = (uint)random.NextInt64(uint.MaxValue);
        switch (random.Next(known ? 20 : 8))
        {
            case 0:
                Add(TcpFlags.Rst, anywhere, 0, "blind reset");
                break;
            case 1:
                Add(TcpFlags.Syn, anywhere, 0, "blind syn");
                script.IsSound &= !(name.Finished && victim.Finished);      // of what has ended, it may begin the next
                break;
            case 2:
                Add(TcpFlags.Syn | TcpFlags.Ack, anywhere, (uint)random.NextInt64(uint.MaxValue), "blind syn-ack");
                break;
            case 3:
                Add(TcpFlags.Ack, anywhere, (uint)random.NextInt64(uint.MaxValue), "blind data", 50);
                break;
            case 4:
                Add(s_badFlags[random.Next(s_badFlags.Length)], next, acknowledgment, "flags of no segment", 0, Fate.MustDrop);
                break;
            case 5:
                script.Add(fromInside, script.Line(fromInside, TcpFlags.Rst | TcpFlags.Ack, next, acknowledgment) with { Checksum = LineChecksum.Bad }, "bad checksum", Fate.MustDrop);
                break;
            case 6:
                PacketLine port = script.Line(fromInside, TcpFlags.Ack, next, acknowledgment, 20);
                script.Add(fromInside, port with { DestinationPort = (ushort)(port.DestinationPort ^ 0x400) }, "between other ports", Fate.MustDrop);
                break;
            case 7:
                PacketLine host = script.Line(false, TcpFlags.Ack, next, acknowledgment, 20);
                script.Add(false, host with { Source = talk.Other }, "from another host", Fate.MustDrop);
                break;
            case 8:
                Add(TcpFlags.Rst, next + 1 + (uint)random.Next(Math.Max(1, (int)(edge - next) - 1)), 0, edge - next > 2 ? "reset inside the window" : "reset at the window's edge");
                break;
            case 9:
                Add(TcpFlags.Rst, next - 1 - (uint)random.Next(1000), 0, "reset left of the window");
                break;
            case 10:
                Add(TcpFlags.Rst, edge + 70_000 + (uint)random.Next(1 << 30), 0, "reset right of the window");
                break;
            case 11:
                Add(TcpFlags.Rst | (random.Next(2) == 0 ? TcpFlags.Ack : 0), next, acknowledgment, "reset that guessed right");
                script.IsSound = false;
                break;
            case 12:
                Add(TcpFlags.Syn, next + (uint)random.Next(1 + (int)Math.Min(edge - next, 1000)), 0, "syn inside the window");
                script.IsSound &= !(name.Finished && victim.Finished);
                Challenge();
                break;
            case 13:
                Add(TcpFlags.Syn | TcpFlags.Ack, next, acknowledgment, "syn-ack inside the window");
                script.IsSound &= name.Established && victim.Established;   // else who knows the numbers has taken the handshake over
                Challenge();
                break;
            case 14:
                Add(TcpFlags.Ack, edge + 70_000 + (uint)random.Next(1 << 30), acknowledgment, "data right of the window", 50);
                Challenge();
                break;
            case 15:
                Add(TcpFlags.Ack, next - (1 << 23) - (uint)random.Next(1 << 30), acknowledgment, "data left of the window", 50);
                Challenge();
                break;
            case 16:
                Add(TcpFlags.Ack, next, acknowledgment + 1 + (uint)random.Next(1 << 30), "ack of what was not sent");
                Challenge();
                break;
            case 17:
                Add(TcpFlags.Ack, next, acknowledgment - (1 << 23) - (uint)random.Next(1 << 29), "ack of long ago");
                Challenge();
                break;
            case 18:
                Add(TcpFlags.Fin | TcpFlags.Ack, edge + 70_000 + (uint)random.Next(1 << 30), acknowledgment, "fin right of the window");
                break;
            default:
                Add(TcpFlags.Syn, name.Initial, 0, "its syn again, late");
                Challenge();
                break;
        }

        void Add(TcpFlags flags, uint sequence, uint ack, string kind, int length = 0, Fate fate = Fate.Open) =>
            script.Add(fromInside, script.Line(fromInside, flags, sequence, ack, length), kind, fate);

        // The victim answers with where it stands (RFC 9293 §3.10.7.4, RFC 5961 §3 to §5): an acknowledgment like any other.
        void Challenge()
        {
            if (!victim.HeardFin && random.Next(2) == 0)
            {
                script.Say(victim, new(victim.Next, 0, 0), "challenge ack");
            }
        }
    }
}

using System.Buffers.Binary;
using Filter.Engine.Flows.Trackers;
using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>
/// Two ends that keep to the rules, over a network that loses, doubles, delays and reorders on both sides of Filter: not one
/// segment that tells its receiver anything is dropped, and the connection comes to its end.
/// </summary>
public sealed class TcpPeaceTests
{
    private const int MostTurns = 60_000;

    [Theory]
    [InlineData(4, false)]
    [InlineData(6, false)]
    [InlineData(4, true)]
    [InlineData(6, true)]
    public void Ends_that_keep_to_the_rules_lose_nothing_to_the_filter(int family, bool atOnce)
    {
        Random random = Fuzzing.Seeded(out int seed);
        for (int round = 0; round < Fuzzing.Rounds(40); round++)
        {
            Converse(new Random(random.Next()), family, atOnce, $"seed {seed}, round {round}");
        }
    }

    private static void Converse(Random random, int family, bool atOnce, string place)
    {
        var net = new TestNet(atOnce ? Nets.Open : Nets.OutOnly);
        TcpEndpoint[] ends = [new(random, opens: true, random.Next(6000)), new(random, atOnce, random.Next(6000))];
        double loss = random.Next(3) switch { 0 => 0, 1 => 0.05, _ => 0.2 };
        int jitter = random.Next(3) switch { 0 => 1, 1 => 6, _ => 25 };
        var toFilter = new PriorityQueue<(int From, Segment Segment), int>();
        var behind = new PriorityQueue<(int To, Segment Segment), int>();
        int turn = 0;
        for (; turn < MostTurns && !(ends[0].IsDone && ends[1].IsDone && toFilter.Count == 0 && behind.Count == 0); turn++)
        {
            for (int i = 0; i < 2; i++)
            {
                foreach (Segment segment in ends[i].Speak())
                {
                    for (int copy = random.Next(20) == 0 ? 2 : 1; copy > 0 && random.NextDouble() >= loss; copy--)
                    {
                        toFilter.Enqueue((i, segment), turn + 1 + random.Next(jitter));
                    }
                }
            }

            if (turn % 100 == 0)
            {
                net.After("10ms");
            }

            while (toFilter.TryPeek(out (int From, Segment Segment) one, out int due) && due <= turn)
            {
                toFilter.Dequeue();
                string port = one.From == 0 ? "inside" : "outside", far = one.From == 0 ? "outside" : "inside";
                net.Sends(port, Frame(family, one.From, one.Segment), new Offload { Checksum = ChecksumState.Valid });
                bool passed = net.Take(far, null) is not null;
                Assert.True(
                    passed || !ends[1 - one.From].LearnsFrom(one.Segment) || IsLateAcknowledgment(net, one.Segment),
                    $"{place}, turn {turn}: end {one.From} lost {one.Segment}: {string.Join(", ", Enum.GetValues<DropReason>().Where(why => net.Path.Counters[why] > 0))}");
                if (passed && random.NextDouble() >= loss)
                {
                    behind.Enqueue((1 - one.From, one.Segment), turn + 1 + random.Next(jitter));
                }
            }

            while (behind.TryPeek(out (int To, Segment Segment) one, out int due) && due <= turn)
            {
                behind.Dequeue();
                ends[one.To].Hear(one.Segment);
            }
        }

        Assert.True(turn < MostTurns, $"{place}: the connection did not come to its end");
        Assert.Equal(1, net.Path.Flows.Count);
    }

    /// <summary>
    /// Once both ends were seen to be acknowledged, an acknowledgment passes for each segment that came again and no other: where
    /// the last one was lost behind Filter, the other end asks by its FIN. That it then gets one, the end of the test proves.
    /// </summary>
    private static bool IsLateAcknowledgment(TestNet net, Segment segment) =>
        (TcpPhase)net.Path.Flows[1].State == TcpPhase.TimeWait && segment is { Length: 0, Flags: TcpFlags.Ack };

    private static byte[] Frame(int family, int from, Segment segment)
    {
        string client = Nets.At(family, 1), server = Nets.At(family, 2);
        (string source, int sourcePort, string destination, int destinationPort) =
            from == 0 ? (client, 40000, server, 443) : (server, 443, client, 40000);
        bool scaled = (segment.Flags & TcpFlags.Syn) != 0 && segment.Scale != Packet.NoWindowScale;
        byte[] options = scaled ? [1, 3, 3, segment.Scale] : [];
        byte[] tcp = Frames.Tcp(
            source, sourcePort, destination, destinationPort, segment.Flags, segment.Sequence, segment.Acknowledgment,
            [.. options, .. new byte[segment.Length]]);
        tcp[12] = (byte)((20 + options.Length) << 2);
        BinaryPrimitives.WriteUInt16BigEndian(tcp.AsSpan(14), segment.Window);
        return Frames.Ethernet(Frames.Ip(source, destination, 6, tcp));
    }
}

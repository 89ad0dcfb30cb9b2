using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Tests.Wire;

namespace Filter.Tests.Conversations;

/// <summary>Whatever comes in by any port: the walk ends, and every packet has a verdict and is counted once.</summary>
public sealed class WalkFuzzTests
{
    private const int Bursts = 2_000;

    [Theory]
    [InlineData(nameof(Nets.OutOnly))]
    [InlineData(nameof(Nets.Open))]
    [InlineData(nameof(Nets.OneAnswer))]
    public void Mutated_packets_all_get_a_verdict_and_what_passes_is_well_formed(string ruleset)
    {
        Random random = Fuzzing.Seeded(out _);
        var net = new TestNet(
            ruleset switch { nameof(Nets.Open) => Nets.Open, nameof(Nets.OutOnly) => Nets.OutOnly, _ => Nets.OneAnswer },
            mtu: random.Next(2) == 0 ? 1280 : 1500,
            flows: 64);
        byte[][] seeds = [.. ParserFuzzTests.Seeds()];
        for (int burst = 0; burst < Fuzzing.Rounds(Bursts); burst++)
        {
            net.InOneBurst(() =>
            {
                for (int packet = 1 + random.Next(20); packet > 0; packet--)
                {
                    net.Sends(random.Next(2) == 0 ? "inside" : "outside", Mutate([.. seeds[random.Next(seeds.Length)]], random), Metadata(random));
                }
            });
            foreach (string port in new[] { "inside", "outside" })
            {
                while (net.Take(port, null) is { } heard)
                {
                    Assert.NotEqual(LineChecksum.BadHeader, heard.Checksum);
                }
            }

            if (random.Next(50) == 0)
            {
                net.After($"{random.Next(200)}s");
            }
        }

        Assert.True(net.Path.Counters[Verdict.Pass] > 0 && net.Path.Counters[Verdict.Drop] > 0);
    }

    private static byte[] Mutate(byte[] frame, Random random)
    {
        for (int change = random.Next(4); change > 0; change--)
        {
            frame[Math.Min(frame.Length - 1, 12 + random.Next(60))] = (byte)random.Next(256);
        }

        return random.Next(8) == 0 ? frame[..random.Next(frame.Length)] : frame;
    }

    /// <summary>What drivers may say of a frame, right or wrong.</summary>
    private static Offload Metadata(Random random) => random.Next(4) != 0 ? default : new Offload
    {
        Checksum = (ChecksumState)random.Next(3),
        Gso = (GsoKind)random.Next(4),
        SegmentSize = (ushort)random.Next(random.Next(2) == 0 ? 20 : 2000),
        HeaderLength = (ushort)random.Next(100),
        ChecksumStart = (ushort)random.Next(100),
        ChecksumOffset = (ushort)random.Next(20),
    };
}

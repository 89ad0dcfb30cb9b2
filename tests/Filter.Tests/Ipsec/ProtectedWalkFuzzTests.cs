using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Policy;
using Filter.Tests.Wire;

namespace Filter.Tests.Ipsec;

/// <summary>
/// Whatever comes to a gateway that protects everything, from either side, forged or well sealed around nonsense: the
/// walk ends, the counters balance, and on the unprotected side stands nothing but ESP, ARP and what stays on a link.
/// </summary>
public sealed class ProtectedWalkFuzzTests
{
    private const string Transport = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - allow: dns
            service: udp/53
            pinhole: one-answer
          - reject: telnet
            service: tcp/23
          - allow: rest
            limit: 1000000/s burst 1000000
            log: true
        ipsec:
          policies:
            - protect: all
              sa: pair
          sas:
            pair:
              mode: transport
              suite: aes-cbc-128+hmac-sha2-256-128
              mss: clamp
              out: { spi: 0x1002, encryption-key: 0x100102030405060708090a0b0c0d0e0f, integrity-key: 0x200102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f }
              in: { spi: 0x1001, encryption-key: 0x000102030405060708090a0b0c0d0e0f, integrity-key: 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f }
        """;

    private const string TunnelPorts = "  self: { tap: filter0, side: protected, mac: 02:00:00:00:01:01, addresses: [ 192.0.2.2/24, 10.0.0.1/8, \"2001:db8::1/32\" ] }\nrules:";

    [Theory]
    [InlineData("transport")]
    [InlineData("tunnel")]
    public void Nothing_leaks_and_every_packet_is_counted_once(string mode)
    {
        Random random = Fuzzing.Seeded(out int seed);
        string text = mode == "transport" ? Transport : Transport
            .Replace("rules:", TunnelPorts, StringComparison.Ordinal)
            .Replace("mode: transport", "mode: tunnel\n      local: 192.0.2.2\n      remote: 192.0.2.1", StringComparison.Ordinal);
        SaConfig ours = RulesetFile.Parse("site.yaml", text).Ruleset!.Ipsec!.Sas[0];
        SaConfig peer = Gateway.Mirror(ours);
        using Site site = new(text, superFrames: true);
        byte[][] seeds = [.. ParserFuzzTests.Seeds()];
        string[] ports = mode == "transport" ? ["outside", "inside"] : ["outside", "inside", "self"];
        for (int round = 0; round < Fuzzing.Rounds(600); round++)
        {
            site.Now += random.Next(20) == 0 ? random.NextInt64(100_000_000_000) : 1_000_000;
            string port = ports[random.Next(ports.Length)];
            List<(byte[], Offload)> frames = [];
            for (int i = 1 + random.Next(12); i > 0; i--)
            {
                byte[] frame = Mutate([.. seeds[random.Next(seeds.Length)]], random, 3);
                bool seal = port == "outside" && random.Next(4) != 0;
                if (seal)
                {
                    frame = Mutate(Sealed(peer, frame, random), random, random.Next(4) == 0 ? 2 : 0);
                }
                else if (random.Next(3) == 0 && frame.Length >= 6)
                {
                    Frames.WriteMac(frame, 0x0200_0000_0101);
                }

                frames.Add((frame, seal ? default : Metadata(random)));
            }

            try
            {
                long left = site.Path.Counters.Out;
                Dictionary<string, List<byte[]>> sent = site.Carry(port, frames);
                if (sent.TryGetValue("outside", out List<byte[]>? wire))
                {
                    wire.ForEach(CheckWire);
                }

                Assert.Equal(site.Path.Counters.Out - left, sent.Values.Sum(static frames => frames.Count));
                site.Tick();
                CheckBalance(site.Path);
            }
            catch (Exception e)
            {
                Assert.Fail($"seed {seed}, round {round}: {e}");
            }
        }

        // What came in by the SA, what went out by it, and what was made of both.
        PathCounters counters = site.Path.Counters;
        TestContext.Current.TestOutputHelper?.WriteLine(string.Join(", ", Enum.GetValues<Verdict>().Select(v => $"{v} {counters[v]}")
            .Concat(Enum.GetValues<DropReason>().Where(r => counters[r] > 0).Select(r => $"{r.Name()} {counters[r]}"))));
        Assert.True(counters[Verdict.Pass] > 0 && counters[Verdict.Held] >= 0);
    }

    private static void CheckWire(byte[] frame)
    {
        var packet = new Packet { Slab = frame, Length = frame.Length, Ceiling = frame.Length };
        DropReason why = Parser.Parse(ref packet);
        bool sealedOrLink = packet.Kind switch
        {
            PacketKind.Link => true,
            PacketKind.Fragment => packet.Key.Protocol == IpProtocol.Esp,
            _ => packet.Key.Protocol == IpProtocol.Esp || LinkScope.Holds(packet),
        };
        Assert.True(sealedOrLink, $"in the clear ({why}): {PacketLine.Of(packet, "outside")} {Convert.ToHexString(frame)}");
    }

    private static void CheckBalance(Conversations.NetWalk path)
    {
        PathCounters counters = path.Counters;
        Assert.Equal(0, counters[DropReason.None]);
        Assert.Equal(
            counters.In,
            counters[Verdict.Pass] + counters[Verdict.Drop] + counters[Verdict.Reject] + counters[Verdict.Answered]
                + counters[Verdict.Consumed] + counters[Verdict.Held]);
        while (path.Events.TryRead(out PathEvent taken))
        {
            string line = taken.Facts.Line("outside").ToString();
            Assert.True(PacketLine.TryParse(line, out _, out string? error), $"{line}: {error}");
        }
    }

    /// <summary>The frame's packet inside good ESP, once or several times, whole or in pieces, or something else inside.</summary>
    private static byte[] Sealed(SaConfig peer, byte[] frame, Random random)
    {
        byte[] inner = frame.Length > 14 ? frame[14..] : frame;
        bool tunnel = peer.Settings.Mode == IpsecMode.Tunnel;
        for (int layer = random.Next(5) == 0 ? random.Next(5) : 0; layer >= 0; layer--)
        {
            bool ipv4 = inner.Length == 0 || inner[0] >> 4 != 6;
            SaConfig sa = tunnel ? peer : Gateway.Between(
                peer,
                ipv4 && inner.Length >= 20 ? Address.ReadIPv4(inner.AsSpan(12)) : null,
                ipv4 && inner.Length >= 20 ? Address.ReadIPv4(inner.AsSpan(16)) : null);
            byte next = random.Next(8) == 0 ? (byte)random.Next(256) : tunnel ? (byte)(ipv4 ? 4 : 41)
                : inner.Length > 9 ? inner[ipv4 ? 9 : 6] : (byte)17;
            byte[] carried = tunnel ? inner : inner[Math.Min(inner.Length, 20)..];
            byte[] outer = EspNegativeTests.Seal(
                sa, (uint)random.Next(), carried, next, random.Next(10) == 0 ? text => text[^(1 + random.Next(2))] = (byte)random.Next(256) : null);
            if (random.Next(4) == 0)
            {
                outer[15] = (byte)random.Next(4);
                IpHeader.FinishIPv4(outer.AsSpan(14));
            }

            inner = outer[14..];
            frame = outer;
        }

        return frame;
    }

    private static byte[] Mutate(byte[] frame, Random random, int most)
    {
        for (int change = random.Next(most + 1); change > 0; change--)
        {
            frame[Math.Min(frame.Length - 1, 12 + random.Next(60))] = (byte)random.Next(256);
        }

        if (random.Next(2) == 0 && frame.Length >= 34 && BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(12)) == EtherTypes.IPv4
            && IpHeader.Length(frame.AsSpan(14)) is >= 20 and int header && header <= frame.Length - 14 && IpHeader.IsIPv4(frame.AsSpan(14)))
        {
            IpHeader.FinishIPv4(frame.AsSpan(14));
        }

        return most > 0 && random.Next(12) == 0 ? frame[..random.Next(frame.Length)] : frame;
    }

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

using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Tests.Worlds;

namespace Filter.Tests.Wire;

/// <summary>Random and mutated frames: never an exception, never a byte read that is not the frame's.</summary>
public sealed class ParserFuzzTests
{
    private const int Frames = 200_000;

    [Fact]
    public void Random_bytes_are_parsed_or_dropped()
    {
        Random random = Seeded();
        byte[] frame = new byte[256];
        ReadOnlySpan<ushort> types = [EtherTypes.IPv4, EtherTypes.IPv6, EtherTypes.Arp, EtherTypes.Vlan];
        for (int i = 0; i < Fuzzing.Rounds(Frames); i++)
        {
            random.NextBytes(frame);
            ushort type = types[random.Next(types.Length)];
            frame[12] = (byte)(type >> 8);
            frame[13] = (byte)type;
            frame[14] = (byte)((type == EtherTypes.IPv6 ? 0x60 : 0x40) | (random.Next(4) == 0 ? random.Next(16) : 5));
            Check(frame, random.Next(frame.Length));
        }
    }

    [Fact]
    public void Mutated_frames_are_parsed_or_dropped()
    {
        Random random = Seeded();
        byte[][] seeds = [.. Seeds()];
        for (int i = 0; i < Fuzzing.Rounds(Frames); i++)
        {
            byte[] frame = [.. seeds[random.Next(seeds.Length)]];
            for (int change = random.Next(6); change > 0; change--)
            {
                int at = Math.Min(frame.Length - 1, 12 + random.Next(random.Next(2) == 0 ? 60 : frame.Length));
                frame[at] = random.Next(3) switch { 0 => (byte)random.Next(256), 1 => 0, _ => (byte)(frame[at] ^ (1 << random.Next(8))) };
            }

            Check(frame, random.Next(4) == 0 ? random.Next(frame.Length) : frame.Length);
        }
    }

    [Fact]
    public void What_is_read_in_one_go_is_what_the_long_way_reads()
    {
        Random random = Seeded();
        byte[][] seeds = [.. Seeds()];
        int passed = 0;
        for (int i = 0; i < Fuzzing.Rounds(Frames); i++)
        {
            byte[] frame = [.. seeds[random.Next(seeds.Length)]];
            for (int change = random.Next(3); change > 0; change--)
            {
                frame[Math.Min(frame.Length - 1, 12 + random.Next(70))] = (byte)random.Next(256);
            }

            if (frame.Length >= 34 && frame[12] == 8 && frame[13] == 0 && frame[14] == 0x45 && random.Next(2) == 0)
            {
                IpHeader.FinishIPv4(frame.AsSpan(14, IpHeader.IPv4Length));
            }

            var packet = new Packet { Slab = frame, Length = random.Next(8) == 0 ? random.Next(frame.Length) : frame.Length, Ceiling = frame.Length };
            packet.Offload.Checksum = (ChecksumState)random.Next(3);
            packet.Offload.Gso = random.Next(4) == 0 ? (GsoKind)random.Next(4) : GsoKind.None;
            packet.Offload.SegmentSize = (ushort)(random.Next(2) * 1000);
            packet.Offload.ChecksumStart = (ushort)(random.Next(2) == 0 ? 34 : 54);
            packet.Offload.ChecksumOffset = (ushort)(random.Next(2) == 0 ? 16 : 6);
            Packet thorough = packet;
            packet.Reason = Parser.Parse(ref packet);
            thorough.Reason = Parser.ParseThoroughly(ref thorough);
            Assert.Equal(thorough.Reason, packet.Reason);
            Assert.True(packet.Reason != DropReason.None || thorough.Equals(packet), Differences(thorough, packet));
            passed += packet.Reason == DropReason.None ? 1 : 0;
        }

        Assert.InRange(passed, Frames / 10, int.MaxValue);
    }

    /// <summary>
    /// Parses the frame alone and with other bytes around it: what is found must be the same, and all
    /// offsets in order and within.
    /// </summary>
    private static void Check(byte[] frame, int length)
    {
        const int Around = 64;
        byte[] zeros = new byte[length + (2 * Around)];
        byte[] ones = new byte[length + (2 * Around)];
        Array.Fill(ones, (byte)0xff);
        frame.AsSpan(0, length).CopyTo(zeros.AsSpan(Around));
        frame.AsSpan(0, length).CopyTo(ones.AsSpan(Around));
        var exact = new Packet { Slab = frame[..length], Length = length, Ceiling = length };
        var first = new Packet { Slab = zeros, Start = Around, Length = length, Ceiling = zeros.Length };
        var second = new Packet { Slab = ones, Start = Around, Length = length, Ceiling = ones.Length };
        exact.Reason = Parser.Parse(ref exact);
        first.Reason = Parser.Parse(ref first);
        second.Reason = Parser.Parse(ref second);
        bool quotes = Quotes(exact, out FlowKey quoted);
        Assert.Equal(quotes, Quotes(second, out FlowKey again));
        Assert.Equal(quoted, again);
        string line = PacketLine.Of(exact, "outside").ToString();
        Assert.Equal(line, PacketLine.Of(second, "outside").ToString());
        second.Slab = first.Slab = [];
        Assert.Equal(first, second);
        Assert.True(PacketLine.TryParse(line, out _, out string? error), $"'{line}': {error}");
        if (exact.Reason == DropReason.None)
        {
            Assert.InRange(exact.End, 0, length);
            if (exact.Kind != PacketKind.Link)
            {
                Assert.True(
                    exact.Network <= exact.Transport && exact.Transport <= exact.Payload && exact.Payload <= exact.End,
                    $"{exact.Network} {exact.Transport} {exact.Payload} {exact.End}: {line}");
            }
        }
    }

    private static string Differences(Packet one, Packet other) => string.Join(", ", typeof(Packet).GetFields()
        .Where(field => !Equals(field.GetValue(one), field.GetValue(other)))
        .Select(field => $"{field.Name}: {field.GetValue(one)}, {field.GetValue(other)}")) + $" in {one.Reason} {Convert.ToHexString(one.Bytes)}";

    private static bool Quotes(in Packet packet, out FlowKey quoted)
    {
        quoted = default;
        return packet.Reason == DropReason.None && packet.Kind == PacketKind.IcmpError && Parser.TryReadQuote(packet, out quoted);
    }

    /// <summary>Good frames of every kind, and the first ones of each capture at hand.</summary>
    internal static IEnumerable<byte[]> Seeds()
    {
        foreach (TheoryDataRow<string> row in Packets.PacketLineTests.CanonicalLines)
        {
            PacketLine line = PacketLine.Parse(row.Data) with { SegmentSize = 0 };
            byte[] frame = new byte[FrameBuilder.Length(line)];
            FrameBuilder.Write(line, frame);
            yield return frame;
        }

        string folder = Path.Combine(Repository.Root, "..", "shared", "captures");
        if (!Directory.Exists(folder))
        {
            yield break;
        }

        foreach (string path in Directory.EnumerateFiles(folder, "*cap*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            var frames = new List<byte[]>();
            using (var reader = new CaptureReader(path))
            {
                while (frames.Count < 8 && reader.TryRead(out CapturedFrame frame) && frame.IsEthernet)
                {
                    frames.Add(frame.Bytes.ToArray());
                }
            }

            foreach (byte[] frame in frames.Where(frame => frame.Length > 12))
            {
                yield return frame;
            }
        }
    }

    private static Random Seeded() => Fuzzing.Seeded(out _);
}

using System.Buffers.Binary;
using System.Diagnostics;
using Filter.Engine.Packets;
using Filter.Engine.Ports;

namespace Filter.Tests.Ports;

public sealed class CaptureFileTests : IDisposable
{
    private const long Start = 1_700_000_000_123_456_789;
    private readonly string _folder = Directory.CreateTempSubdirectory("filter-captures-").FullName;

    [Fact]
    public void What_is_written_is_read_back_with_its_nanoseconds()
    {
        string path = In("two.pcapng");
        byte[][] frames = [Cable.Frame(60, 1), Cable.Frame(61, 2), Cable.Frame(1514, 3), Cable.Frame(65_549, 4)];
        WriteCapture(path, frames);

        using var reader = new CaptureReader(path);
        for (int i = 0; i < frames.Length; i++)
        {
            Assert.True(reader.TryRead(out CapturedFrame frame));
            Assert.Equal(frames[i], frame.Bytes.ToArray());
            Assert.Equal(Start + i, frame.Time);
            Assert.False(frame.IsSnapped);
            Assert.True(frame.IsEthernet);
        }

        Assert.False(reader.TryRead(out _));
        Assert.Null(reader.Failure);
    }

    [Fact]
    public void Tshark_reads_what_is_written()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/tshark"), "tshark is not installed");
        string path = In("two.pcapng");
        WriteCapture(path, [Cable.Frame(60), Cable.Frame(61)]);

        var start = new ProcessStartInfo("tshark", ["-r", path, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.interface_name"])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        };
        using Process tshark = Process.Start(start)!;
        string[] lines = tshark.StandardOutput.ReadToEnd().TrimEnd().Split('\n');
        tshark.WaitForExit();
        Assert.Equal(0, tshark.ExitCode);
        Assert.Equal(["1700000000.123456789\t60\toutside", "1700000000.123456790\t61\toutside"], lines);
    }

    [Fact]
    public void Writing_a_packet_allocates_nothing()
    {
        using var writer = PcapngWriter.Create(In("many.pcapng"));
        int port = writer.AddInterface("outside");
        byte[] frame = Cable.Frame(101);
        long least = Allocations.Least(() =>
        {
            for (int i = 0; i < 1000; i++)
            {
                writer.Write(port, Start + i, frame, frame.Length);
            }
        });

        Assert.InRange(least, 0, 1024);                 // flushing the buffer now and then
    }

    [Fact]
    public void A_port_gives_one_packet_at_a_time_with_its_time_and_number()
    {
        string path = In("two.pcapng");
        WriteCapture(path, [Cable.Frame(60, 1), Cable.Frame(61, 2)]);
        using var reader = new CaptureReader(path);
        using var port = new PcapFilePort(reader, null) { Name = "outside", Number = 1, Side = Side.Unprotected };
        var burst = new Burst();

        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(Start + i, port.NextTime);
            burst.Reset();
            Assert.Equal(1, port.Receive(burst));
            Packet packet = burst.Packets[0];
            Assert.Equal((Start + i, i + 1L, (byte)1, 60 + i), (packet.Time, packet.Number, packet.Ingress, packet.Length));
            Assert.False(packet.Done);
        }

        Assert.Null(port.NextTime);
        Assert.Equal(0, port.Receive(burst));
    }

    [Fact]
    public void What_a_port_sends_is_written()
    {
        string path = In("out.pcapng");
        using (PcapngWriter writer = PcapngWriter.Create(path))
        {
            using var port = new PcapFilePort(null, writer, writer.AddInterface("inside")) { Name = "inside", Number = 0, Side = Side.Protected };
            var burst = new Burst { Now = Start };
            burst.TryAppend(60, out int index);
            burst.Packets[index].Length = 60;
            Cable.Frame(60).CopyTo(burst.Packets[index].Bytes);
            burst.Packets[index].Verdict = Verdict.Pass;
            burst.Packets[index].Egress = port.Mask;
            burst.TryAppend(60, out _);                                  // dropped: Egress 0
            port.Transmit(burst);
            Assert.Equal((1, 60), (port.Counters.SentPackets, port.Counters.SentBytes));
        }

        using var reader = new CaptureReader(path);
        Assert.True(reader.TryRead(out CapturedFrame frame));
        Assert.Equal(Cable.Frame(60), frame.Bytes.ToArray());
        Assert.Equal(Start, frame.Time);
        Assert.False(reader.TryRead(out _));
    }

    [Fact]
    public void A_packet_of_which_only_the_headers_were_kept_is_given_at_its_length()
    {
        Packet packet = Snapped(42);
        Assert.Equal((false, 1514, 42), (packet.Done, packet.Length, packet.Kept));
        Assert.Equal(DropReason.None, Filter.Engine.Wire.Parser.Parse(ref packet));
        Assert.Equal((PacketKind.Tracked, 1514), (packet.Kind, packet.End));
    }

    [Theory]
    [InlineData(41)]
    [InlineData(33)]
    [InlineData(13)]
    public void A_packet_whose_headers_were_cut_is_dropped_as_truncated(int kept)
    {
        Packet packet = Snapped(kept);
        Assert.Equal((true, Verdict.Drop, DropReason.Truncated), (packet.Done, packet.Verdict, packet.Reason));
    }

    /// <summary>A UDP packet of 1,514 bytes of frame, of which a capture kept the first ones.</summary>
    private Packet Snapped(int kept)
    {
        byte[] frame = new byte[1514];
        Convert.FromHexString(
            "020000000002020000000001" + "0800" + "450005dc00004000401100000a0000010a000002" + "0fa0003505c80000").CopyTo(frame, 0);
        ushort sum = Filter.Engine.Wire.Checksum.Finish(Filter.Engine.Wire.Checksum.Sum(frame.AsSpan(14, 20)));
        (frame[24], frame[25]) = ((byte)(sum >> 8), (byte)sum);
        string path = In($"snapped-{kept}.pcapng");
        using (PcapngWriter writer = PcapngWriter.Create(path))
        {
            writer.Write(writer.AddInterface("outside"), Start, frame.AsSpan(0, kept), frame.Length);
        }

        Packet packet = Assert.Single(All(path, out string? failure));
        Assert.Null(failure);
        return packet;
    }

    [Fact]
    public void A_capture_of_another_link_type_is_dropped_as_not_Ethernet()
    {
        const ushort RawIp = 101;
        string path = In("raw.pcapng");
        using (PcapngWriter writer = PcapngWriter.Create(path))
        {
            writer.Write(writer.AddInterface("tun", RawIp), Start, Cable.Frame(60), 60);
        }

        Packet packet = Assert.Single(All(path, out string? failure));
        Assert.Null(failure);
        Assert.Equal((true, Verdict.Drop, DropReason.NotEthernet), (packet.Done, packet.Verdict, packet.Reason));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_file_that_is_cut_short_gives_its_good_packets_and_then_one_clear_line(bool classic)
    {
        string path = In(classic ? "cut.pcap" : "cut.pcapng");
        if (classic)
        {
            File.WriteAllBytes(path, Classic(Cable.Frame(60, 1), Cable.Frame(60, 2)));
        }
        else
        {
            WriteCapture(path, [Cable.Frame(60, 1), Cable.Frame(60, 2)]);
        }

        using (FileStream file = File.OpenWrite(path))
        {
            file.SetLength(file.Length - 30);
        }

        Assert.Single(All(path, out string? failure));
        Assert.StartsWith($"{path}: it ends in the middle", failure, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', failure!);
    }

    [Fact]
    public void Microseconds_of_an_old_file_become_nanoseconds()
    {
        string path = In("old.pcap");
        File.WriteAllBytes(path, Classic(Cable.Frame(60)));
        Assert.Equal((1_700_000_000L * 1_000_000_000) + 123_456_000, Assert.Single(All(path, out _)).Time);
    }

    [Fact]
    public void What_is_no_capture_is_one_clear_line()
    {
        string path = In("text.pcap");
        File.WriteAllText(path, "this is no capture, and long enough to be read as one\n");
        var error = Assert.Throws<PortException>(() => new CaptureReader(path));
        Assert.StartsWith($"{path}: it cannot be read as a capture: ", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);

        error = Assert.Throws<PortException>(() => new CaptureReader(In("absent.pcap")));
        Assert.Equal($"{In("absent.pcap")}: there is no such file", error.Message);
    }

    [Fact]
    public void Every_capture_at_hand_is_read_to_its_end()
    {
        string? root = AppContext.BaseDirectory;
        while (root is not null && !File.Exists(Path.Combine(root, "Filter.slnx")))
        {
            root = Path.GetDirectoryName(root);
        }

        string folder = Path.Combine(root ?? "", "..", "shared", "captures");
        Assert.SkipUnless(Directory.Exists(folder), "../shared/captures is absent");
        int files = 0;
        long packets = 0;
        foreach (string path in Directory.EnumerateFiles(folder, "*cap*", SearchOption.AllDirectories))
        {
            files++;
            packets += All(path, out string? failure).Count;
            TestContext.Current.TestOutputHelper?.WriteLine(failure ?? "");
        }

        Assert.True(files > 400 && packets > files, $"{files} files, {packets} packets");
    }

    [Fact]
    public void A_hostile_capture_is_read_or_refused_and_its_times_never_step_out_of_range()
    {
        Random random = Fuzzing.Seeded(out int seed);
        using MemoryStream written = new();
        PcapngWriter writer = new(written);
        writer.AddInterface("outside");
        writer.AddInterface("inside", linkType: 101);
        for (int i = 0; i < 4; i++)
        {
            writer.Write(i % 2, 1_700_000_000_000_000_000 + i, new byte[60 + i], 1500);
        }

        byte[] sample = written.ToArray();
        uint[] edges = [0, 1, 3, 4, 12, 28, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fffc, 1, 2, 3, 6, 0x0A0D0D0A];
        for (int round = 0; round < Fuzzing.Rounds(20_000); round++)
        {
            byte[] mutant = [.. sample];
            for (int change = random.Next(5); change > 0; change--)
            {
                int at = random.Next(mutant.Length / 4) * 4;
                BitConverter.TryWriteBytes(mutant.AsSpan(at), random.Next(2) == 0 ? edges[random.Next(edges.Length)] : (uint)random.Next());
            }

            mutant = random.Next(6) == 0 ? mutant[..random.Next(mutant.Length)] : mutant;
            try
            {
                using PcapngReader reader = new(new MemoryStream(mutant));
                while (reader.TryRead(out CapturedFrame frame))
                {
                    Assert.InRange(frame.Time, 0, 9_000_000_000_000_000_000);
                    Assert.InRange(frame.OriginalLength, frame.Bytes.Length, int.MaxValue);
                }
            }
            catch (Exception e)
            {
                Assert.Fail($"seed {seed}, round {round}: {e}");
            }
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static List<Packet> All(string path, out string? failure)
    {
        var packets = new List<Packet>();
        var burst = new Burst();
        using var reader = new CaptureReader(path);
        using var port = new PcapFilePort(reader, null) { Name = "outside", Number = 0, Side = Side.Unprotected };
        while (port.NextTime is not null)
        {
            burst.Reset();
            Assert.Equal(1, port.Receive(burst));
            packets.Add(burst.Packets[0]);
        }

        failure = port.Failure;
        return packets;
    }

    private static void WriteCapture(string path, byte[][] frames)
    {
        using PcapngWriter writer = PcapngWriter.Create(path);
        int port = writer.AddInterface("outside");
        for (int i = 0; i < frames.Length; i++)
        {
            writer.Write(port, Start + i, frames[i], frames[i].Length);
        }
    }

    /// <summary>A pcap file of the old kind, with microseconds.</summary>
    private static byte[] Classic(params byte[][] frames)
    {
        var file = new MemoryStream();
        Span<byte> header = stackalloc byte[24];
        BinaryPrimitives.WriteUInt32LittleEndian(header, 0xa1b2c3d4);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], 2);
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], 4);
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], 65535);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], 1);
        file.Write(header);
        foreach (byte[] frame in frames)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(header, 1_700_000_000);
            BinaryPrimitives.WriteUInt32LittleEndian(header[4..], 123_456);
            BinaryPrimitives.WriteInt32LittleEndian(header[8..], frame.Length);
            BinaryPrimitives.WriteInt32LittleEndian(header[12..], frame.Length);
            file.Write(header[..16]);
            file.Write(frame);
        }

        return file.ToArray();
    }

    private string In(string name) => Path.Combine(_folder, name);
}

using System.Buffers.Binary;
using System.Text.Json;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Tests.Worlds;

namespace Filter.Tests.Filterctl;

/// <summary>`filterctl replay`: captures in, verdicts and captures out.</summary>
public sealed class ReplayTests : IDisposable
{
    private const long Start = 1_700_000_000_123_456_789;
    private const long Second = 1_000_000_000;
    private static readonly string s_permissive = Path.Combine(Repository.Root, "rules", "permissive.yaml");
    private static readonly string s_bridge = Path.Combine(Repository.Root, "rules", "bridge.yaml");
    private readonly Scratch _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void Each_conversations_first_sender_stands_at_the_first_port()
    {
        string capture = Capture("mixed.pcapng",
            (0, "tcp 10.0.0.1:1000 > 10.0.0.2:80 syn"),
            (1, "tcp 10.0.0.2:80 > 10.0.0.1:1000 syn,ack"),
            (2, "udp [2001:db8::2]:53 > [2001:db8::1]:999"),
            (3, "udp [2001:db8::1]:999 > [2001:db8::2]:53"),
            (4, "arp 10.0.0.7 > 10.0.0.8 request"),
            (5, "arp 10.0.0.8 > 10.0.0.7 reply"),
            (6, "icmp 10.0.0.2 > 10.0.0.1 destination-unreachable code=1 quote=\"tcp 10.0.0.1:1000 > 10.0.0.2:80 syn\""),
            (7, "ether 02:00:00:00:00:01 > 02:00:00:00:00:02 type=0x88cc len=46"),
            (8, "ether 02:00:00:00:00:02 > 02:00:00:00:00:01 type=0x88cc len=46"));
        JsonElement[] verdicts = Replayed(s_permissive, $"inside,outside={capture}");
        Assert.Equal(
            ["inside", "outside", "inside", "outside", "inside", "outside", "outside", "inside", "outside"],
            verdicts.Select(static v => v.GetProperty("port").GetString()));
    }

    [Fact]
    public void There_is_one_object_for_each_packet_with_all_its_fields()
    {
        string capture = Capture("three.pcapng",
            (0, "udp 192.0.2.5:4000 > 9.9.9.9:53"),
            (1, "udp 9.9.9.9:53 > 192.0.2.5:4000"),
            (2, "udp 9.9.9.9:53 > 192.0.2.5:4000"));
        string[] lines = Lines(s_bridge, $"inside,outside={capture}");
        Assert.Equal(
            """{"n":1,"time":1700000000.123456789,"port":"inside","verdict":"pass","reason":null,"rule":"resolve","flow":1,"ipsec":"bypass"}""",
            lines[0]);
        Assert.Equal(
            """{"n":2,"time":1700000001.123456789,"port":"outside","verdict":"pass","reason":null,"rule":"resolve","flow":1,"ipsec":"bypass"}""",
            lines[1]);
        JsonElement third = JsonDocument.Parse(lines[2]).RootElement;
        Assert.Equal("drop", third.GetProperty("verdict").GetString());
        Assert.Equal("default-deny", third.GetProperty("reason").GetString());
        Assert.Equal(JsonValueKind.Null, third.GetProperty("flow").ValueKind);
        Assert.Equal([192, 5], Sent("outside", 26, 29));
        Assert.Equal([9, 9], Sent("inside", 26, 29));
    }

    [Fact]
    public void Two_captures_are_one_stream_in_the_order_of_their_times()
    {
        string inside = Capture("inside.pcapng", (0, "udp 192.0.2.5:4000 > 9.9.9.9:53"), (20, "udp 192.0.2.5:4001 > 9.9.9.9:53"));
        string outside = Capture("outside.pcapng", (10, "udp 9.9.9.9:53 > 192.0.2.5:4000"), (30, "udp 9.9.9.9:53 > 192.0.2.5:4001"));
        JsonElement[] verdicts = Replayed(s_bridge, $"outside={outside}", $"inside={inside}");
        Assert.Equal(["inside", "outside", "inside", "outside"], verdicts.Select(static v => v.GetProperty("port").GetString()));
        Assert.All(verdicts, static v => Assert.Equal("pass", v.GetProperty("verdict").GetString()));
    }

    [Fact]
    public void The_captures_clock_runs_the_timers()
    {
        string capture = Capture("late.pcapng",
            (0, "udp 192.0.2.5:4000 > 9.9.9.9:53"),
            (3600, "udp 9.9.9.9:53 > 192.0.2.5:4000"));
        Assert.Equal("drop", Replayed(s_bridge, $"inside,outside={capture}")[1].GetProperty("verdict").GetString());
    }

    [Fact]
    public void Times_at_the_end_of_all_clocks_do_not_turn_the_timers_round()
    {
        string path = _scratch["late.pcapng"];
        using (PcapngWriter writer = PcapngWriter.Create(path))
        {
            int link = writer.AddInterface("link");
            foreach (long time in new[] { 0, long.MaxValue, -1, 7, long.MinValue, long.MaxValue })
            {
                foreach (string line in new[] { "udp 192.0.2.5:4000 > 9.9.9.9:53", "udp 9.9.9.9:53 > 192.0.2.5:4000" })
                {
                    byte[] frame = Frame(line);
                    writer.Write(link, time, frame, frame.Length);
                }
            }
        }

        // Each question opens what its answer needs: none of them is over before it began.
        Assert.All(Replayed(s_bridge, $"inside,outside={path}"), static v => Assert.Equal("pass", v.GetProperty("verdict").GetString()));
    }

    [Fact]
    public void A_clear_packet_into_a_tunnel_leaves_as_esp_without_waiting_for_neighbours()
    {
        string capture = Capture("clear.pcapng", (0, "tcp 10.1.0.5:40000 > 10.2.0.5:22 syn"), (1, "tcp [2001:db8:a::5]:40000 > [2001:db8:b::5]:22 syn"));
        JsonElement[] verdicts = Replayed(Path.Combine(Repository.Root, "rules", "site-to-site.yaml"), $"inside={capture}");
        Assert.All(verdicts, static v => Assert.Equal(("pass", "protect"), (v.GetProperty("verdict").GetString(), v.GetProperty("ipsec").GetString())));
        Assert.Equal(2, Frames("outside").Count(static frame => frame[12] == 8 && frame[13] == 0 && frame[23] == IpProtocol.Esp));
    }

    [Fact]
    public void Packets_that_are_not_ethernet_get_their_own_reason_one_object_each()
    {
        string path = _scratch["radio.pcapng"];
        using (PcapngWriter writer = PcapngWriter.Create(path))
        {
            int radio = writer.AddInterface("radio", linkType: 105);
            writer.Write(radio, Start, new byte[40], 40);
            writer.Write(radio, Start + 1, new byte[40], 40);
        }

        JsonElement[] verdicts = Replayed(s_permissive, $"outside={path}");
        Assert.Equal(2, verdicts.Length);
        Assert.All(verdicts, static v => Assert.Equal("not-ethernet", v.GetProperty("reason").GetString()));
    }

    [Fact]
    public void A_pcapng_whose_interfaces_differ_is_read_all_the_same()
    {
        string path = _scratch["two-links.pcapng"];
        using (PcapngWriter writer = PcapngWriter.Create(path))
        {
            int ethernet = writer.AddInterface("eth"), radio = writer.AddInterface("radio", linkType: 105);
            writer.Write(ethernet, Start, Frame("udp 192.0.2.5:4000 > 9.9.9.9:53"), 42);
            writer.Write(radio, Start + 1, new byte[40], 40);
        }

        Assert.Equal([null, "not-ethernet"], Replayed(s_permissive, $"inside={path}").Select(static v => v.GetProperty("reason").GetString()));
    }

    [Theory]
    [InlineData("cut.pcapng")]
    [InlineData("cut.pcap")]
    public void A_capture_cut_short_gives_its_good_packets_one_line_and_status_1(string name)
    {
        string path = _scratch[name];
        byte[] frame = Frame("udp 192.0.2.5:4000 > 9.9.9.9:53");
        byte[] whole = name.EndsWith("ng", StringComparison.Ordinal)
            ? File.ReadAllBytes(Capture("whole.pcapng", (0, "udp 192.0.2.5:4000 > 9.9.9.9:53"), (1, "udp 192.0.2.5:4000 > 9.9.9.9:53")))
            : Classic(frame, frame);
        File.WriteAllBytes(path, whole[..^7]);
        Typed ran = Typed.Run("replay", s_permissive, "--port", $"inside={path}", "--write", _scratch["out"]);
        Assert.Equal(1, ran.Status);
        Assert.StartsWith($"filterctl: {path}: it ends in the middle", Assert.Single(ran.Complaints), StringComparison.Ordinal);
        Assert.Single(File.ReadAllLines(_scratch["out/verdicts.jsonl"]));
    }

    [Fact]
    public void A_port_that_the_ruleset_does_not_have_is_wrong_usage()
    {
        Typed ran = Typed.Run("replay", s_permissive, "--port", "nowhere=x.pcap");
        Assert.Equal(2, ran.Status);
        Assert.Contains("it has outside, inside", Assert.Single(ran.Complaints), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("inside=/no/such.pcap")]
    [InlineData("inside=/etc/passwd")]
    [InlineData("inside=/dev/null")]
    [InlineData("inside=/")]
    public void What_is_no_capture_is_one_line(string port)
    {
        Typed ran = Typed.Run("replay", s_permissive, "--port", port);
        Assert.Equal(1, ran.Status);
        Assert.Single(ran.Complaints);
    }

    [Fact]
    public void The_summary_in_json_counts_every_packet()
    {
        string capture = Capture("one.pcapng", (0, "udp 192.0.2.5:4000 > 9.9.9.9:53"));
        JsonElement json = Typed.Run("replay", s_permissive, "--port", $"inside={capture}", "--json").Json;
        Assert.Equal(1, json.GetProperty("packets").GetInt64());
        Assert.Equal(1, json.GetProperty("verdicts").GetProperty("pass").GetInt64());
        Assert.Equal(1, json.GetProperty("sent").GetProperty("outside").GetInt64());
    }

    private string Capture(string name, params (int Second, string Line)[] packets)
    {
        string path = _scratch[name];
        using PcapngWriter writer = PcapngWriter.Create(path);
        int link = writer.AddInterface("link");
        foreach ((int second, string line) in packets)
        {
            byte[] frame = Frame(line);
            writer.Write(link, Start + (second * Second), frame, frame.Length);
        }

        return path;
    }

    private static byte[] Frame(string line)
    {
        PacketLine packet = PacketLine.Parse(line);
        byte[] frame = new byte[FrameBuilder.Length(packet)];
        FrameBuilder.Write(packet, frame);
        return frame;
    }

    private string[] Lines(string ruleset, params string[] ports)
    {
        Typed ran = Typed.Run(["replay", ruleset, "--write", _scratch["out"], .. ports.SelectMany(static p => new[] { "--port", p })]);
        Assert.True(ran.Status == 0, ran.Error);
        return File.ReadAllLines(_scratch["out/verdicts.jsonl"]);
    }

    private JsonElement[] Replayed(string ruleset, params string[] ports) =>
        [.. Lines(ruleset, ports).Select(static line => JsonDocument.Parse(line).RootElement)];

    /// <summary>Two bytes of the first frame that a port sent.</summary>
    private int[] Sent(string port, int first, int second) => [Frames(port)[0][first], Frames(port)[0][second]];

    private List<byte[]> Frames(string port)
    {
        List<byte[]> frames = [];
        using CaptureReader reader = new(_scratch[$"out/{port}.pcapng"]);
        while (reader.TryRead(out CapturedFrame frame))
        {
            frames.Add(frame.Bytes.ToArray());
        }

        return frames;
    }

    /// <summary>A pcap file of the old kind.</summary>
    private static byte[] Classic(params byte[][] frames)
    {
        List<byte> file = [.. Words(0xa1b2c3d4, 0x0004_0002, 0, 0, 65535, 1)];
        foreach (byte[] frame in frames)
        {
            file.AddRange(Words(1_700_000_000, 0, (uint)frame.Length, (uint)frame.Length));
            file.AddRange(frame);
        }

        return [.. file];
    }

    private static byte[] Words(params uint[] words)
    {
        byte[] bytes = new byte[words.Length * 4];
        for (int i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4 * i), words[i]);
        }

        return bytes;
    }
}

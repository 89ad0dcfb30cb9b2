using System.Diagnostics;
using System.Runtime.Versioning;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Tests.Worlds;

namespace Filter.Tests.Filterctl;

/// <summary>filterctl capture, typed at daemons in memory; what it writes is read by tshark.</summary>
[SupportedOSPlatform("linux")]
public sealed class CaptureVerbTests
{
    private const string Datagram = "inside: udp 192.0.2.10:4000 > 192.0.2.20:4001";

    private const string Open = """
        filter: 1
        ports: { outside: { nic: eth0, side: unprotected }, inside: { nic: eth1, side: protected } }
        rules: [ { allow: all, from: inside } ]

        """;

    [Fact]
    public async Task Each_port_is_an_interface_and_each_frame_says_which_way_it_went()
    {
        using MemoryDaemon daemon = new(Open);
        string file = daemon.Scratch["all.pcapng"];
        Task<Typed> capture = await CapturingAsync(daemon, file, "--count", "6");
        for (int i = 0; i < 3; i++)
        {
            await InjectAsync(daemon, "inside", Frame(daemon, Datagram));
        }

        Typed ran = await capture;
        Assert.True(ran.Status == 0, ran.Error);
        Assert.Equal($"{file}: 6 frames\n", ran.Out);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        while (await daemon.Worker.AskAsync(_ => daemon.Worker.Tap is not null))
        {
            await Task.Yield();         // the daemon has yet to see that the client left
        }

        Assert.Equal(
            ["inside|0x00000001|4001", "inside|0x00000001|4001", "inside|0x00000001|4001", "outside|0x00000002|4001", "outside|0x00000002|4001", "outside|0x00000002|4001"],
            Read(file, "frame.interface_name", "frame.packet_flags_direction", "udp.dstport").Order());
    }

    [Fact]
    public async Task One_port_and_a_time_bound_it()
    {
        using MemoryDaemon daemon = new(Open);
        string file = daemon.Scratch["one.pcapng"];
        Task<Typed> capture = await CapturingAsync(daemon, file, "--port", "outside", "--time", "1s", "--json");
        await InjectAsync(daemon, "inside", Frame(daemon, Datagram));
        Typed ran = await capture;
        Assert.Equal((1, 0), (ran.Json.GetProperty("frames").GetInt64(), ran.Json.GetProperty("lost").GetInt64()));
        Assert.Equal(["outside|0x00000002|4001"], Read(file, "frame.interface_name", "frame.packet_flags_direction", "udp.dstport"));
    }

    [Fact]
    public async Task What_comes_out_of_an_SA_has_an_interface_of_its_own()
    {
        using MemoryDaemon a = new(File.ReadAllText(Path.Combine(Repository.Root, "tests/world/transport-a.yaml")));
        using MemoryDaemon b = new(File.ReadAllText(Path.Combine(Repository.Root, "tests/world/transport-b.yaml")));
        MemoryPort outside = Port(a, "outside");
        Assert.True(await a.Worker.AskAsync(_ => outside.KeepsSent = true));
        byte[] esp = [];
        await InjectAsync(a, "inside", Frame(a, Datagram));
        while (esp.Length == 0)
        {
            await Task.Yield();
            esp = await a.Worker.AskAsync(_ => outside.TakeSent() is [var sent, ..] ? sent.Bytes.ToArray() : []);
        }

        string file = b.Scratch["opened.pcapng"];
        Task<Typed> capture = await CapturingAsync(b, file, "--decrypt", "--count", "3");
        await InjectAsync(b, "outside", esp);
        Assert.Equal(0, (await capture).Status);
        Assert.Equal(
            ["inside|17|4001", "outside (opened)|17|4001", "outside|50|"],
            Read(file, "frame.interface_name", "ip.proto", "udp.dstport").Order(StringComparer.Ordinal));

        // With the keys of the other end tshark opens the same by itself.
        string[] keys = [.. a.Must("sa", "list", "--show-keys", "--wireshark").Split('\n', StringSplitOptions.RemoveEmptyEntries).SelectMany(static line => (string[])["-o", $"uat:esp_sa:{line}"])];
        Assert.Contains("outside|1|4001", Read(file, ["-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE", .. keys], "frame.interface_name", "esp.icv_good", "udp.dstport"));
    }

    [Theory]
    [InlineData("--count", "0")]
    [InlineData("--count", "-1")]
    [InlineData("--count", "all")]
    [InlineData("--size", "0")]
    [InlineData("--size", "-5")]
    [InlineData("--size", "9223372036854775807")]
    [InlineData("--time", "0s")]
    [InlineData("--time", "soon")]
    public void A_bound_that_is_none_is_refused_before_anything_is_overwritten(string option, string bound)
    {
        using Scratch scratch = new();
        string file = scratch.Write("kept.pcapng", "as it was");
        Typed ran = Typed.Run("capture", file, $"{option}={bound}");
        Assert.Equal(2, ran.Status);
        Assert.Contains(option, ran.Error, StringComparison.Ordinal);
        Assert.Equal("as it was", File.ReadAllText(file));
    }

    [Fact]
    public void Nothing_is_written_through_a_link()
    {
        using MemoryDaemon daemon = new(Open);
        string kept = daemon.Scratch.Write("kept.txt", "as it was"), file = daemon.Scratch["link.pcapng"];
        File.CreateSymbolicLink(file, kept);
        Assert.Contains("is no file", daemon.Type("capture", file).Error, StringComparison.Ordinal);
        Assert.Equal("as it was", File.ReadAllText(kept));
    }

    [Fact]
    public async Task It_is_for_root_and_one_at_a_time()
    {
        using MemoryDaemon daemon = new(Open);
        string file = daemon.Scratch["x.pcapng"];
        daemon.As = 1000;
        Typed refused = daemon.Type("capture", file);
        Assert.Equal(1, refused.Status);
        Assert.Contains("only root may capture", refused.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(file));

        daemon.As = 0;
        Assert.Contains("there is no port 'dmz'; there are outside, inside", daemon.Type("capture", file, "--port", "dmz").Error, StringComparison.Ordinal);
        Assert.Contains("is no file", daemon.Type("capture", "/dev/null").Error, StringComparison.Ordinal);
        Assert.True(File.Exists("/dev/null"));
        Task<Typed> first = await CapturingAsync(daemon, file, "--count", "1");
        Assert.Contains("somebody else captures", daemon.Type("capture", daemon.Scratch["y.pcapng"]).Error, StringComparison.Ordinal);
        await InjectAsync(daemon, "inside", Frame(daemon, Datagram));
        Assert.Equal(0, (await first).Status);
    }

    [Fact]
    public void What_finds_no_room_is_lost_and_counted_and_the_rest_comes_out_whole()
    {
        Random random = Fuzzing.Seeded(out int seed);
        PacketTap tap = new(ushort.MaxValue, opened: false, size: 4096);
        Burst burst = new();
        Queue<byte[]> expected = [];
        byte[] room = new byte[2048];
        long lost = 0;
        for (int round = 0; round < 2000; round++)
        {
            byte[] bytes = new byte[random.Next(1, 1500)];
            random.NextBytes(bytes);
            Assert.True(burst.TryAppend(bytes.Length, out int index));
            burst.Packets[index].Length = bytes.Length;
            bytes.CopyTo(burst.Packets[index].Bytes);
            long before = tap.Lost;
            tap.Received(burst);
            burst.Reset();
            if (tap.Lost == before)
            {
                expected.Enqueue(bytes);
            }

            lost += tap.Lost - before;
            while (random.Next(3) == 0 && tap.TryRead(out TappedFrame frame, room))
            {
                Assert.True(room.AsSpan(0, frame.Length).SequenceEqual(expected.Dequeue()), $"seed {seed}, round {round}");
            }
        }

        Assert.Equal(lost, tap.Lost);
        Assert.InRange(lost, 1, 1999);
    }

    private static MemoryPort Port(MemoryDaemon daemon, string name) => (MemoryPort)daemon.Gateway.Ports.Single(port => port.Name == name);

    private static Task<bool> InjectAsync(MemoryDaemon daemon, string port, byte[] frame) => daemon.Worker.AskAsync(_ =>
    {
        Port(daemon, port).Inject(frame);
        return true;
    });

    private static byte[] Frame(MemoryDaemon daemon, string text)
    {
        Assert.True(PacketLine.TryParse(text, out PacketLine? line, out string? error), error);
        Burst burst = new();
        Assert.True(FrameBuilder.TryAppend(line, burst, (byte)Port(daemon, line.Port!).Number, out int index));
        return burst.Packets[index].Bytes.ToArray();
    }

    /// <summary>Types a capture, and waits until it takes frames.</summary>
    private static async Task<Task<Typed>> CapturingAsync(MemoryDaemon daemon, string file, params string[] more)
    {
        Task<Typed> capture = Task.Run(() => daemon.Type(["capture", file, .. more]));
        while (!capture.IsCompleted && await daemon.Worker.AskAsync(_ => daemon.Worker.Tap is null))
        {
            await Task.Yield();
        }

        return capture;
    }

    /// <summary>Fields of each frame, as tshark reads them.</summary>
    private static string[] Read(string file, params string[] fields) => Read(file, [], fields);

    private static string[] Read(string file, string[] options, params string[] fields)
    {
        if (!File.Exists("/usr/bin/tshark"))
        {
            Assert.Skip("tshark is not installed");
        }

        ProcessStartInfo start = new("/usr/bin/tshark") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string word in (string[])["-n", "-r", file, .. options, "-T", "fields", "-E", "separator=|", .. fields.SelectMany(static field => (string[])["-e", field])])
        {
            start.ArgumentList.Add(word);
        }

        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd(), error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, error);
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}

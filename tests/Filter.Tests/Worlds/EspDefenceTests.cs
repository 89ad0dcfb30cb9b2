using Filter.Engine.Ports;

namespace Filter.Tests.Worlds;

/// <summary>What an attacker on the protected link can do: nothing.</summary>
[Collection(InNamespaces.Name)]
public sealed class EspDefenceTests
{
    private const string Client4 = "10.1.0.10", Server4 = "10.2.0.10", Server6 = "2001:db8:b::10";
    private static readonly string[] s_devices = ["outside=eth0", "inside=eth1"];

    [Fact]
    public void Clear_forged_and_replayed_packets_end_and_numbers_survive_a_kill()
    {
        using World world = World.EspTunnel();
        Daemon a = Start(world, "a", "rules/site-to-site.yaml"), b = Start(world, "b", "rules/site-to-site-peer.yaml");
        Host client = world.Client, link = world["link"];
        client.Must($"ping -q -c2 -i0.05 -W2 {Server4} && ping -q -c2 -i0.05 -W2 {Server6}");
        using Capture wire = Capture.Start(link, "eth1", "ip proto 50 and dst host 198.51.100.1");
        client.Must($"ping -q -c3 -i0.01 -W2 {Server4}");
        Assert.Equal(3, wire.End());
        byte[][] captured = Frames(wire.File);

        // Replayed, under a number that is still to come, under another SPI; and packets that should not be in the clear.
        using RawSender attacker = new(link, "eth1");
        Balance balance = Count(world, b);
        Array.ForEach(captured, frame => attacker.SendFrame(frame));
        byte[] forged = [.. captured[0]];
        forged[14 + 20 + 7] += 40;
        attacker.SendFrame(forged);
        byte[] unknown = [.. captured[0]];
        unknown[14 + 20 + 3] ^= 0x70;
        attacker.SendFrame(unknown);
        attacker.Send($"udp {Client4}:53 > {Server4}:53 len=10", world.Server.Mac("eth0"));
        attacker.Send("tcp [2001:db8:a::10]:4000 > [2001:db8:b::10]:80 syn", world.Server.Mac("eth0"));

        Counted counted = balance.Settle();
        Assert.Equal(captured.Length, counted["reason replayed"]);
        Assert.Equal(1, counted["reason bad-icv"]);
        Assert.Equal(1, counted["reason unknown-spi"]);
        Assert.Equal(2, counted["reason clear-for-protected"]);
        Assert.Equal(captured.Length + 4, counted.Dropped);
        Assert.Equal(0, counted["port inside sent"]);

        // The sender dies and comes back: the far end's window has seen none of its new numbers.
        a.Process.End("KILL");
        a.Dispose();
        a = Start(world, "a", "rules/site-to-site.yaml");
        client.Must($"ping -q -c3 -i0.01 -W2 {Server4} && ping -q -c3 -i0.01 -W2 {Server6}");
        Assert.Equal(captured.Length, balance.Settle()["reason replayed"]);

        // Nor does a reload of an unchanged SA move them.
        Running pings = client.Start($"exec ping -q -c100 -i0.01 {Server4}");
        for (int i = 0; i < 2; i++)
        {
            a.Must("reload");
            b.Must("reload");
        }

        Assert.Equal(0, pings.Ends());
        Assert.InRange(Host.MissedPings(pings.Said), 0, 1);
        Assert.Equal(captured.Length, balance.Settle()["reason replayed"]);
    }

    /// <summary>A Filter of the scene with a replay window, which keeps its numbers in a folder of its own.</summary>
    private static Daemon Start(World world, string host, string file)
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, file)).Replace("mss: clamp", "replay: 64", StringComparison.Ordinal);
        return Daemon.Start(world[host], world.Write($"{host}.yaml", text), s_devices, $"--state {world.Folder}/{host}.state");
    }

    private static Balance Count(World world, Daemon b) => Balance.Of(b,
        new("outside", world["link"], "eth1"), new("inside", world.Server, "eth0"), new("self", world["b"], "filter0"));

    private static byte[][] Frames(string file)
    {
        List<byte[]> frames = [];
        using CaptureReader reader = new(file);
        while (reader.TryRead(out CapturedFrame frame))
        {
            frames.Add(frame.Bytes.ToArray());
        }

        return [.. frames];
    }
}

using System.Runtime.Versioning;

namespace Filter.Tests.Worlds;

/// <summary>Keys of a running tunnel are changed by hand, at both ends, and taken away.</summary>
[Collection(InNamespaces.Name)]
[SupportedOSPlatform("linux")]
public sealed class ReKeyTests(EspTunnelScene scene) : IClassFixture<EspTunnelScene>
{
    private const string KeysOut = "c0ffee00c0ffee00c0ffee00c0ffee01\nfacade00facade00facade00facade00facade00facade00facade00facade01\n";
    private const string KeysIn = "c0ffee00c0ffee00c0ffee00c0ffee02\nfacade00facade00facade00facade00facade00facade00facade00facade02\n";

    [Fact]
    public void SAs_that_are_added_by_hand_take_over_between_two_packets_and_what_is_deleted_carries_nothing()
    {
        scene.Start();
        try
        {
            ChangeKeys();
        }
        finally
        {
            scene.Stop();
        }
    }

    private void ChangeKeys()
    {
        (Daemon a, Daemon b) = (scene.Filter("a"), scene.Filter("b"));
        long before = scene.Handled("a", "out");
        Balance atA = scene.Count("a"), atB = scene.Count("b");
        using Capture wire = Capture.Start(scene.World["link"], "eth0");
        string ofA = Write("a", "192.0.2.1", "198.51.100.1", "0x2001", KeysOut, "0x2002", KeysIn);
        string ofB = Write("b", "198.51.100.1", "192.0.2.1", "0x2002", KeysIn, "0x2001", KeysOut);

        // The old ones carry. Then b learns the new ones, and a; both send by the newest from then on, and open what is under way by the old.
        Ping(4);
        Assert.Contains("'fresh' added, both directions", b.Must($"sa add {ofB}"), StringComparison.Ordinal);
        Assert.Contains("'fresh' added, both directions", a.Must($"sa add {ofA}"), StringComparison.Ordinal);
        Ping(5);
        Assert.Equal((5, 5), (Packets(a, "0x2001"), Packets(a, "0x2002")));
        Assert.Equal((5, 5), (Packets(b, "0x2002"), Packets(b, "0x2001")));
        Assert.Equal(before + 4 + 5, scene.Handled("a", "out"));

        // One that would lead elsewhere is not taken, and changes nothing.
        Assert.Contains("different ends", a.Ctl($"sa add {Write("a", "192.0.2.1", "198.51.100.2", "0x3001", KeysOut, "0x3002", KeysIn, "astray")}").Errors, StringComparison.Ordinal);
        Assert.StartsWith("2 SAs deleted", a.Must("sa delete branch"), StringComparison.Ordinal);
        Assert.StartsWith("2 SAs deleted", b.Must("sa delete branch"), StringComparison.Ordinal);
        Ping(3);
        Assert.Equal((8, 8), (Packets(a, "0x2001"), Packets(b, "0x2001")));

        // Without an SA nothing leaves, neither protected nor in the clear.
        Assert.StartsWith("2 SAs deleted", a.Must("sa flush"), StringComparison.Ordinal);
        Assert.False(scene.Client.Run($"ping -q -c2 -i0.05 -W1 {scene.Server4}").Ok);
        Assert.Equal(2, a.Json("policy").GetProperty("policies")[0].GetProperty("refused").EnumerateArray()
            .Single(static cause => cause.GetProperty("name").GetString() == "no-sa").GetProperty("packets").GetInt64());

        // What stands in the ruleset comes back with it; the far end has deleted its half, and does so too.
        a.Must("reload");
        b.Must("reload");
        b.Must("sa flush");
        Ping(2);

        Counted lostAtA = atA.Settle();
        Assert.Equal(2, lostAtA.Dropped);
        Assert.Equal(0, atB.Settle().Dropped);
        wire.End();
        Assert.Empty(EspScene.Clear(wire));
        Assert.Equal(2 * 8, wire.Lines("ip proto 50 and (ip[20:4] = 0x2001 or ip[20:4] = 0x2002)").Length);
        Assert.Equal(2 * 6, wire.Lines("ip proto 50 and (ip[20:4] = 0x1001 or ip[20:4] = 0x1002)").Length);
    }

    private void Ping(int count) => scene.Client.Pings(scene.Server4, $"-c{count} -i0.02");

    private static long Packets(Daemon filter, string spi) =>
        filter.Json($"sa show {spi}").GetProperty("sas")[0].GetProperty("packets").GetInt64();

    private string Write(string host, string local, string remote, string leaves, string leaving, string comes, string coming, string name = "fresh")
    {
        string Keys(string way, string keys)
        {
            string file = scene.World.Write($"{host}-{name}-{way}.keys", keys);
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            return file;
        }

        return scene.World.Write($"{host}-{name}.yaml", $$"""
            {{name}}:
              policy: other-site
              mode: tunnel
              local: {{local}}
              remote: {{remote}}
              suite: aes-cbc-128+hmac-sha2-256-128
              out: { spi: {{leaves}}, key-file: {{Keys("out", leaving)}} }
              in: { spi: {{comes}}, key-file: {{Keys("in", coming)}} }

            """);
    }
}

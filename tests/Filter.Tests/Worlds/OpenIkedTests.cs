using System.Runtime.Versioning;
using System.Text.Json;

namespace Filter.Tests.Worlds;

/// <summary>
/// Debian's OpenIKED, unchanged, negotiates for Filter by PF_KEY: on the box it runs under `filterctl pfkey-run`, and at the far end on a
/// Linux kernel that has PF_KEY itself. What the box and the guest say to each other goes through Filter's SAs.
/// </summary>
[Collection(InNamespaces.Name)]
[SupportedOSPlatform("linux")]
public sealed class OpenIkedTests
{
    private const string Program = "/usr/sbin/iked";

    /// <summary>What the box lets in and out: IKE in the clear, and what came through a tunnel.</summary>
    private const string Ruleset = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          stack:
            tap: filter0
            side: protected
            mac: 02:00:00:00:00:10
            addresses: [ 192.0.2.1/24, "2001:db8:1::1/64", 10.1.0.1/32, "2001:db8:a::1/128" ]
            routes: [ { to: 10.2.0.0/24, via: 192.0.2.2 }, { to: "2001:db8:b::/64", via: "2001:db8:1::2" } ]
        rules:
          - allow: neighbours
            service: nd
          - allow: ike
            from: outside
            service: [ udp/500, udp/4500 ]
          - allow: out
            from: stack
          - allow: tunnelled
            from: outside
            ipsec: protected
        ipsec:
          policies:
            - protect: nobody-yet
              local: 10.99.0.1
              remote: 10.99.0.2
            - bypass: rest

        """;

    [Theory]
    [InlineData("aes-128-ctr auth hmac-sha1", "aes-ctr-128+hmac-sha1-96", "tunnel", 4, true, false)]
    [InlineData("aes-256-ctr auth hmac-sha1", "aes-ctr-256+hmac-sha1-96", "tunnel", 6, false, false)]
    [InlineData("aes-128-ctr auth hmac-sha1", "aes-ctr-128+hmac-sha1-96", "transport", 4, false, false)]
    [InlineData("3des auth hmac-sha1", "3des-cbc+hmac-sha1-96", "tunnel", 4, true, true)]
    public void It_negotiates_and_Filter_carries_what_it_agreed(string algorithms, string suite, string mode, int family, bool boxBegins, bool legacy)
    {
        using World world = Begin(algorithms, mode, family, boxBegins, legacy, "", out KernelGuest guest, out Daemon filter, out Running iked);
        (string box, string far) = KernelScene.Ends(family, mode == "tunnel");
        JsonElement[] sas = Sas(filter, iked, guest);
        Assert.All(sas, sa => Assert.Equal(suite, sa.GetProperty("suite").GetString()));
        Assert.Equal(["in", "out"], sas.Select(static sa => sa.GetProperty("direction").GetString()).Order());
        Assert.All(sas, sa => Assert.Equal(mode, sa.GetProperty("mode").GetString()));

        world.Filter.Pings(far, $"-c20 -i0.05 -I {box}");
        world.Filter.Pings(far, $"-c5 -i0.05 -s 3000 -I {box}");
        Assert.Contains(" 0% packet loss", guest.Must($"ping -q -c5 -i0.2 -I {far} {box}"), StringComparison.Ordinal);
        Assert.All(Sas(filter, iked, guest), static sa => Assert.InRange(sa.GetProperty("packets").GetInt64(), 30, 60));
        Assert.Matches(@"XfrmOutNoStates\s+0", guest.Must("cat /proc/net/xfrm_stat"));

        // It takes its SAs along when it goes; nothing goes in the clear then.
        world.Filter.Must($"kill {iked.Id}");
        Assert.Equal(0, iked.Ends());
        Assert.True(Eventually(() => filter.Json("sa list").GetProperty("sas").GetArrayLength() == 0 || filter.Json("policy list").GetProperty("policies").GetArrayLength() == 3), iked.Said);
    }

    [Fact]
    public void It_renews_keys_when_Filter_says_that_they_expire_and_no_packet_is_lost()
    {
        using World world = Begin("aes-128-ctr auth hmac-sha1", "tunnel", 4, boxBegins: true, legacy: false, "lifetime 10 ", out KernelGuest guest, out Daemon filter, out Running iked);
        string?[] Spis() => [.. Sas(filter, iked, guest).Select(static sa => sa.GetProperty("spi").GetString())];
        string?[] before = Spis();

        // Nine seconds pass until the soft limit.
        string said = world.Filter.Must("ping -q -c200 -i0.1 -I 10.1.0.1 10.2.0.1", TimeSpan.FromSeconds(40));
        Assert.InRange(Host.MissedPings(said), 0, 1);
        Assert.Empty(Spis().Intersect(before));
    }

    /// <summary>Filter on the box, and an OpenIKED on either end.</summary>
    private static World Begin(string algorithms, string mode, int family, bool boxBegins, bool legacy, string more, out KernelGuest guest, out Daemon filter, out Running iked)
    {
        Assert.SkipUnless(File.Exists(Program), $"no {Program} here: ./dev setup installs it (package openiked)");
        Assert.SkipUnless(File.Exists(Path.Combine(AppContext.BaseDirectory, "libfilter-pfkey.so")), "the library of pfkey-run was not built: it needs gcc");
        World world = World.WithGuest();
        guest = KernelGuest.Boot(world.Filter, "eth0", "192.0.2.2/24", "2001:db8:1::2/64");
        string socket = Path.Combine(world.Folder, "pfkey");
        filter = world.Keep(Daemon.Start(world.Filter, world.Write("box.yaml", Ruleset), [], $"--pfkey {socket}{(legacy ? " --pfkey-legacy" : "")} --state {world.Folder}/state"));

        (string box, string far) = KernelScene.Ends(family, inner: false);
        bool tunnels = mode == "tunnel";
        (string boxHost, _) = KernelScene.Ends(family, tunnels);
        string farNet = !tunnels ? far : family == 4 ? "10.2.0.0/24" : "2001:db8:b::/64";
        string near = Secret(world.Write("near.conf", Configuration(boxBegins, mode, $"from {boxHost} to {farNet} local {box} peer {far}", "a.test", "b.test", algorithms, more)));
        File.WriteAllText(Path.Combine(world.Folder, "guest", "far.conf"), Configuration(!boxBegins, mode, $"from {farNet} to {boxHost} local {far} peer {box}", "b.test", "a.test", algorithms, ""));
        const string StartFar = """
            modprobe -d /run af_key
            ip addr add 10.2.0.1/32 dev lo
            ip addr add 2001:db8:b::1/128 dev lo
            ip route add 10.1.0.1/32 via 192.0.2.1 src 10.2.0.1
            ip route add 2001:db8:a::1/128 via 2001:db8:1::1 src 2001:db8:b::1
            cp /mnt/far.conf /run/far.conf; chmod 600 /run/far.conf
            setsid iked -dvv -f /run/far.conf > /run/far.log 2>&1 < /dev/null &
            sleep 1
            """;
        if (boxBegins)
        {
            guest.Must(StartFar);
        }

        iked = world.Filter.Start($"exec {Daemon.Filterctl} pfkey-run --pfkey {socket} -- {Program} -dvv -s {world.Folder}/iked.sock -f {near}");
        if (!boxBegins)
        {
            Thread.Sleep(1000);
            guest.Must(StartFar);
        }

        return world;
    }

    private static JsonElement[] Sas(Daemon filter, Running iked, KernelGuest guest)
    {
        JsonElement[] sas = [];
        bool there = Eventually(() => (sas = [.. filter.Json("sa list").GetProperty("sas").EnumerateArray()]).Length == 2 && sas.All(static sa => sa.GetProperty("policies").GetArrayLength() > 0));
        Assert.True(there, there ? "" : $"{sas.Length} SAs\n{iked.Said}\nthe guest:\n{guest.Run("tail -60 /run/far.log").Output}");
        return sas;
    }

    private static bool Eventually(Func<bool> so)
    {
        for (int i = 0; i < 100; i++)
        {
            if (so())
            {
                return true;
            }

            Thread.Sleep(150);
        }

        return false;
    }

    private static string Configuration(bool begins, string mode, string between, string own, string other, string algorithms, string more) =>
        $"""
        ikev2 "test" {(begins ? "active" : "passive")} {mode} esp {between} ikesa enc aes-256 auth hmac-sha2-256 prf hmac-sha2-256 group modp2048 childsa enc {algorithms} srcid {own} dstid {other} {more}psk "a key of this test alone"

        """;

    /// <summary>It reads a file with keys only if nobody else may.</summary>
    private static string Secret(string path)
    {
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }
}

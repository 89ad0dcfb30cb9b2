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
            addresses: [ 192.0.2.1/24, 2001:db8:1::1/64, 10.1.0.1/32 ]
            routes: [ { to: 10.2.0.0/24, via: 192.0.2.2 } ]
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
    [InlineData("aes-128-ctr auth hmac-sha1", "aes-ctr-128+hmac-sha1-96", true, false)]
    [InlineData("aes-256-ctr auth hmac-sha1", "aes-ctr-256+hmac-sha1-96", false, false)]
    [InlineData("3des auth hmac-sha1", "3des-cbc+hmac-sha1-96", true, true)]
    public void It_negotiates_and_Filter_carries_what_it_agreed(string algorithms, string suite, bool boxBegins, bool legacy)
    {
        Assert.SkipUnless(File.Exists(Program), $"no {Program} here: ./dev setup installs it (package openiked)");
        Assert.SkipUnless(File.Exists(Path.Combine(AppContext.BaseDirectory, "libfilter-pfkey.so")), "the library of pfkey-run was not built: it needs gcc");
        using World world = World.WithGuest();
        KernelGuest guest = KernelGuest.Boot(world.Filter, "eth0", "192.0.2.2/24", "2001:db8:1::2/64");
        string socket = Path.Combine(world.Folder, "pfkey");
        using Daemon filter = Daemon.Start(world.Filter, world.Write("box.yaml", Ruleset), [], $"--pfkey {socket}{(legacy ? " --pfkey-legacy" : "")} --state {world.Folder}/state");

        string near = Secret(world.Write("near.conf", Configuration(boxBegins, "192.0.2.1", "10.1.0.1/32", "a.test", "192.0.2.2", "10.2.0.0/24", "b.test", algorithms)));
        File.WriteAllText(Path.Combine(world.Folder, "guest", "far.conf"), Configuration(!boxBegins, "192.0.2.2", "10.2.0.0/24", "b.test", "192.0.2.1", "10.1.0.1/32", "a.test", algorithms));
        string StartFar = """
            modprobe -d /run af_key
            ip addr add 10.2.0.1/32 dev lo
            ip route add 10.1.0.1/32 via 192.0.2.1 src 10.2.0.1
            cp /mnt/far.conf /run/far.conf; chmod 600 /run/far.conf
            setsid iked -dvv -f /run/far.conf > /run/far.log 2>&1 < /dev/null &
            sleep 1
            """;
        string control = Path.Combine(world.Folder, "iked.sock");
        if (boxBegins)
        {
            guest.Must(StartFar);
        }

        using Running iked = world.Filter.Start($"exec {Daemon.Filterctl} pfkey-run --pfkey {socket} -- {Program} -dvv -s {control} -f {near}");
        if (!boxBegins)
        {
            Thread.Sleep(1000);
            guest.Must(StartFar);
        }

        JsonElement[] sas = Sas(filter, iked, guest);
        Assert.All(sas, sa => Assert.Equal(suite, sa.GetProperty("suite").GetString()));
        Assert.Equal(["in", "out"], sas.Select(static sa => sa.GetProperty("direction").GetString()).Order());
        Assert.All(sas, static sa => Assert.NotEmpty(sa.GetProperty("policies").EnumerateArray()));

        world.Filter.Pings("10.2.0.1", "-c20 -i0.05 -I 10.1.0.1");
        world.Filter.Pings("10.2.0.1", "-c5 -i0.05 -s 3000 -I 10.1.0.1");
        Assert.Contains(" 0% packet loss", guest.Must("ping -q -c5 -i0.2 -I 10.2.0.1 10.1.0.1"), StringComparison.Ordinal);
        Assert.All(Sas(filter, iked, guest), static sa => Assert.InRange(sa.GetProperty("packets").GetInt64(), 30, 60));
        Assert.Matches(@"XfrmOutNoStates\s+0", guest.Must("cat /proc/net/xfrm_stat"));

        // It takes its SAs along when it goes; nothing goes in the clear then.
        world.Filter.Must($"kill {iked.Id}");
        Assert.Equal(0, iked.Ends());
        Assert.True(Eventually(() => filter.Json("sa list").GetProperty("sas").GetArrayLength() == 0 || filter.Json("policy list").GetProperty("policies").GetArrayLength() == 3), iked.Said);
    }

    private static JsonElement[] Sas(Daemon filter, Running iked, KernelGuest guest)
    {
        JsonElement[] sas = [];
        bool there = Eventually(() => (sas = [.. filter.Json("sa list").GetProperty("sas").EnumerateArray()]).Length == 2);
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

    private static string Configuration(bool begins, string local, string from, string own, string peer, string to, string other, string algorithms) =>
        $"""
        ikev2 "test" {(begins ? "active" : "passive")} esp from {from} to {to} local {local} peer {peer} ikesa enc aes-256 auth hmac-sha2-256 prf hmac-sha2-256 group modp2048 childsa enc {algorithms} srcid {own} dstid {other} psk "a key of this test alone"

        """;

    /// <summary>It reads a file with keys only if nobody else may.</summary>
    private static string Secret(string path)
    {
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }
}

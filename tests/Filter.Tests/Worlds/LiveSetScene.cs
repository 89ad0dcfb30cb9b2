using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json;

namespace Filter.Tests.Worlds;

/// <summary>client – Filter – server, with sets that are changed by hand, by a name server that stands beside Filter, and by a device's addresses.</summary>
public sealed class LiveSetScene : BridgeScene
{
    private const string Name = "updates.example.test";

    protected override string Ruleset => World.Write("sets.yaml", $$"""
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        sets:
          blocklist: { live: true, timeout: 1h, size: 4 }
          updates: { names: [ {{Name}} ] }
        rules:
          - allow: segment
            service: [ nd, mld, ping ]
          - drop: blocked
            from: inside
            destination: blocklist
          - allow: updates
            from: inside
            destination: updates
            service: tcp/9100
          - allow: talk
            from: inside
            service: tcp/9000

        """);

    /// <summary>The name has these addresses from the next time that anybody asks; none for none.</summary>
    public void Resolve(params string[] addresses)
    {
        World.Write("hosts", string.Concat(addresses.Select(static a => $"{a} {Name}\n")));
        World.Filter.Run("pkill -HUP -F /run/filter-dnsmasq-$(ip netns identify $$).pid");
    }

    private protected override World Build()
    {
        World world = base.Build();
        string hosts = world.Write("hosts", $"{World.Www4} {Name}\n{World.Www6} {Name}\n");
        world.Filter.Must("ip link set lo up; space=$(ip netns identify $$); mkdir -p /etc/netns/$space; echo 'nameserver 127.0.0.1' > /etc/netns/$space/resolv.conf");
        world.Filter.Start($"exec dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --listen-address=127.0.0.1 --bind-interfaces --addn-hosts={hosts} --local=/test/ --local-ttl=2 --pid-file=/run/filter-dnsmasq-$(ip netns identify $$).pid --user=root");
        return world;
    }

    /// <summary>Whether a connection is made, and carries a word each way.</summary>
    public bool Talks(string address, int port)
    {
        using Socket listener = Server.Open(address, port, SocketType.Stream);
        return Client.Run($"timeout 1 bash -c 'exec 3<>/dev/tcp/{address}/{port}'").Ok;
    }

    /// <summary>Until it is so, and no longer than the patience of a test.</summary>
    public static void Until(Func<bool> isSo, string what)
    {
        Stopwatch time = Stopwatch.StartNew();
        while (!isSo())
        {
            Assert.True(time.Elapsed < Host.Patience, what);
            Thread.Sleep(50);
        }
    }

    public IReadOnlyList<string> Held(string set) =>
        [.. Filter.Json($"set list {set}").GetProperty("set").GetProperty("elements").EnumerateArray().Select(static e => e.GetProperty("element").GetString()!)];
}

/// <summary>Sets that change while packets flow.</summary>
[Collection(InNamespaces.Name)]
public sealed class LiveSetTests(LiveSetScene scene) : IClassFixture<LiveSetScene>
{
    [Fact]
    public void Who_is_put_into_a_set_is_cut_off_in_the_middle_of_a_connection_and_comes_back_when_taken_out()
    {
        scene.Filter.Must("set flush blocklist");
        foreach (string address in new[] { World.Www4, World.Www6 })
        {
            using Socket listener = scene.Server.Open(address, 9000, SocketType.Stream);
            Running talk = scene.Client.Start($"exec 3<>/dev/tcp/{address}/9000; while sleep 0.05; do echo word >&3; done");
            LiveSetScene.Until(() => scene.Flows(9000).Any(), "the connection is made");
            long ended = scene.Filter.Ask("counters").GetProperty("counters").GetProperty("disallowed").GetInt64();
            scene.Filter.Must($"set add blocklist {address} 203.0.113.77");
            LiveSetScene.Until(() => !scene.Flows(9000).Any(), "the flow ends at its next packet");
            Assert.InRange(scene.Filter.Ask("counters").GetProperty("counters").GetProperty("disallowed").GetInt64(), ended + 1, long.MaxValue);
            talk.Dispose();
            listener.Dispose();
            Assert.False(scene.Talks(address, 9000));
            Assert.True(scene.Talks(address == World.Www4 ? World.Www6 : World.Www4, 9000), "the other family is not meant");

            scene.Filter.Must("reload");
            Assert.Contains(address, scene.Held("blocklist"));
            Assert.False(scene.Talks(address, 9000), "a reload forgets nothing that was added");

            scene.Filter.Must($"set delete blocklist {address} 203.0.113.77");
            LiveSetScene.Until(() => scene.Talks(address, 9000), "it is let in again");
        }
    }

    [Fact]
    public void An_element_leaves_when_its_time_is_over()
    {
        scene.Filter.Must($"set add blocklist {World.Gateway4} --timeout 5s");
        LiveSetScene.Until(() => !scene.Talks(World.Gateway4, 9000), "it is in the set");
        LiveSetScene.Until(() => scene.Talks(World.Gateway4, 9000), "its time is over");
        Assert.DoesNotContain(World.Gateway4, scene.Held("blocklist"));
    }

    [Fact]
    public void What_is_no_element_or_too_many_changes_nothing()
    {
        scene.Filter.Must("set flush blocklist");
        Assert.Contains("'10.0.0.300' is not an address", scene.Filter.Ctl("set add blocklist 10.0.0.1 10.0.0.300").ToString(), StringComparison.Ordinal);
        Assert.Contains("more than its 4 elements", scene.Filter.Ctl("set add blocklist 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5").ToString(), StringComparison.Ordinal);
        Assert.Contains("there is no set 'blocklst'", scene.Filter.Ctl("set add blocklst 10.0.0.1").ToString(), StringComparison.Ordinal);
        Assert.Contains("told by the DNS", scene.Filter.Ctl("set add updates 10.0.0.1").ToString(), StringComparison.Ordinal);
        Assert.Contains("not in it", scene.Filter.Ctl("set delete blocklist 10.0.0.1").ToString(), StringComparison.Ordinal);
        Assert.Empty(scene.Held("blocklist"));
    }

    [Fact]
    public void A_set_of_names_follows_the_name_server_in_both_families()
    {
        scene.Filter.Must("set flush blocklist");
        scene.Resolve(World.Www4, World.Www6);
        LiveSetScene.Until(() => scene.Held("updates").Count == 2, "the name is known");
        LiveSetScene.Until(() => scene.Talks(World.Www4, 9100) && scene.Talks(World.Www6, 9100), "who has the name is reached");
        Assert.False(scene.Talks(World.Gateway4, 9100));

        scene.Resolve(World.Gateway4, World.Www6);
        LiveSetScene.Until(() => scene.Held("updates").Contains(World.Gateway4), "the name moves");
        LiveSetScene.Until(() => scene.Talks(World.Gateway4, 9100), "and with it the way");
        Assert.False(scene.Talks(World.Www4, 9100));
        Assert.True(scene.Talks(World.Www6, 9100));

        // An answer may not open the box itself, or a group.
        scene.Resolve("127.0.0.1", "224.0.0.1", World.Www6);
        LiveSetScene.Until(() => scene.Held("updates").SequenceEqual([World.Www6]), "what no host has elsewhere is not believed");

        scene.Resolve();
        LiveSetScene.Until(() => scene.Held("updates").Count == 0, "a name that is gone has no address");
        LiveSetScene.Until(() => !scene.Talks(World.Www6, 9100), "and no way leads to it");
        Assert.Contains("knows no address", scene.Filter.Json("set list updates").GetProperty("set").GetProperty("trouble").GetString(), StringComparison.Ordinal);
    }
}

namespace Filter.Tests.Worlds;

/// <summary>The box protects itself: its own stack stands behind a TAP.</summary>
[Collection(InNamespaces.Name)]
public sealed class HostModeTests
{
    [Fact]
    public void With_the_rulesets_addresses_the_box_speaks_both_families()
    {
        using World world = World.BehindTap();
        string file = world.Write("own.yaml", """
            filter: 1
            ports:
              outside: { nic: eth0, side: unprotected }
              stack:
                tap: filter0
                side: protected
                mac: 02:00:00:00:00:10
                mtu: 1400
                addresses: [ 192.0.2.10/24, 2001:db8:1::10/64 ]
                routes: [ { to: 0.0.0.0/0, via: 192.0.2.1 }, { to: "::/0", via: "2001:db8:1::1" } ]
            rules:
              - allow: neighbours
                service: nd
              - allow: router-says
                from: outside
                service: icmpv6/router-advertisement
              - allow: groups
                from: stack
                service: mld
              - allow: resolve
                from: stack
                service: udp/53
                pinhole: one-answer
              - allow: out
                from: stack
              - allow: ping
                from: outside
                service: ping

            """);
        using Daemon daemon = Daemon.Start(world.Filter, file, []);
        string link = world.Filter.Must("ip addr show dev filter0; ip route; ip -6 route");
        Assert.All(
            (string[])["mtu 1400", "link/ether 02:00:00:00:00:10", "inet 192.0.2.10/24", "inet6 2001:db8:1::10/64", "default via 192.0.2.1 dev filter0", "default via 2001:db8:1::1 dev filter0"],
            expected => Assert.Contains(expected, link, StringComparison.Ordinal));

        Speak(world, daemon);
    }

    [Fact]
    public void With_leased_addresses_the_box_speaks_both_families()
    {
        using World world = World.BehindTap();
        using Daemon daemon = Daemon.Start(world.Filter, "rules/host.yaml", []);
        world.Lease("filter", "filter0");
        string addresses = world.Filter.Must("ip -br addr show dev filter0");
        Assert.Contains("192.0.2.10/24", addresses, StringComparison.Ordinal);
        Assert.Contains("2001:db8:1:0:ff:fe00:10/64", addresses.Replace("2001:db8:1::ff:", "2001:db8:1:0:ff:", StringComparison.Ordinal), StringComparison.Ordinal);

        Counted counted = Speak(world, daemon);
        Assert.InRange(counted["rule resolve"], 4, 40);
    }

    private static Counted Speak(World world, Daemon daemon)
    {
        Host box = world.Filter, far = world["far"];
        int port = far.Serve("body", bytes: 5_000_000, out string digest);
        box.Must($"ping -q -c1 -W2 {World.Www6}");
        using Running drops = daemon.Watch("drops");
        Balance balance = Balance.Of(daemon, new("outside", far, "eth0"), new("stack", box, "filter0"));

        box.Pings(World.Www4, "-c10 -i0.01");
        box.Pings(World.Www6, "-c10 -i0.01");
        far.Pings("192.0.2.10", "-c3 -i0.01");
        foreach (int family in (int[])[4, 6])
        {
            Assert.StartsWith("Hello from", box.Must($"curl -{family} -sS -m5 http://{World.Www}/"), StringComparison.Ordinal);
            Assert.Equal(digest, box.Must($"curl -{family} -sS -m9 http://{World.Www}:{port}/body | sha256sum"));
        }

        foreach (string server in (string[])[World.Www4, World.Www6])
        {
            Assert.InRange(Iperf.Run(box, server, "-n 20M").SentBytes, 20 << 20, long.MaxValue);
            Assert.InRange(Iperf.Run(box, server, "-n 20M -R").SentBytes, 20 << 20, long.MaxValue);
        }

        foreach (string server in (string[])[World.Gateway4, World.Gateway6])
        {
            Assert.InRange(Iperf.Run(box, server, "-u -b 40M -n 1M -l 1200").Datagrams, 500, 4000);
            Assert.InRange(Iperf.Run(box, server, "-u -b 40M -n 1M -l 1200 -R").Datagrams, 500, 4000);
        }

        Counted counted = balance.Settle();
        counted.NothingLost();
        Assert.True(counted.Dropped == 0, drops.Said);
        return counted;
    }
}

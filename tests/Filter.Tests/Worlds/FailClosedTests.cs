namespace Filter.Tests.Worlds;

/// <summary>
/// The kernel of the box behind Filter's NICs hears nothing that Filter did not give it: neither while Filter runs, nor
/// when it was killed, nor after a stop.
/// </summary>
[Collection(InNamespaces.Name)]
public sealed class FailClosedTests
{
    // The box has an address for its management, on a device that is none of Filter's; and the TAP's.
    private const string Management4 = "203.0.113.200", Management6 = "2001:db8:99::200";
    private const string Tap4 = "192.0.2.201", Tap6 = "2001:db8:1::201";

    private const string Ruleset = $$"""
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
          self:
            tap: filter0
            side: protected
            mac: 02:00:00:00:00:77
            addresses: [ {{Tap4}}/24, "{{Tap6}}/64" ]
        rules:
          - allow: neighbours
            service: nd
          - allow: out
            from: inside
            to: outside
          - allow: ping-the-box
            to: self
            destination: [ {{Tap4}}, "{{Tap6}}" ]
            service: ping

        """;

    [Fact]
    public void Frames_to_a_NICs_own_address_never_reach_the_box_alive_killed_or_stopped()
    {
        using World world = World.Bridge();
        world.Filter.Must($"ip link add mgmt type bridge && ip link set mgmt up && ip addr add {Management4}/24 dev mgmt && ip addr add {Management6}/64 dev mgmt nodad");
        // As if it had been so before Filter came.
        world.Filter.Must($"ip link add filter0 type bridge && ip link set filter0 up && ip addr add {Tap4}/24 dev filter0 && ip addr add {Tap6}/64 dev filter0 nodad");
        string file = world.Write("own.yaml", Ruleset);

        // Without Filter the box does hear all of them: what follows is Filter's doing.
        Assert.Equal(Knocks, Heard(world));
        world.Filter.Must("ip link del filter0");

        using (Daemon daemon = Daemon.Start(world.Filter, file, ["outside=eth0", "inside=eth1"]))
        {
            world.Client.Must($"ping -q -c1 -W2 {World.Www4}");
            Balance balance = Count(world, daemon);
            long arrivals = world.Filter.Arrivals();
            Heard(world);
            Counted counted = balance.Settle();
            Assert.Equal(Knocks, counted["in"]);
            Assert.Equal(Knocks / 2, counted["port outside received"]);
            Assert.Equal(0, counted["port self sent"]);
            Assert.Equal(arrivals, world.Filter.Arrivals());

            // What a rule lets in reaches the box, by its TAP, and only by it.
            world.Server.Must($"ping -q -c1 -W2 {Tap4} && ping -q -c1 -W2 {Tap6}");
            world.Server.Must($"ip route add {Management4} dev eth0");
            Assert.False(world.Server.Run($"ping -q -c1 -W0.3 {Management4}").Ok);

            daemon.Process.End("KILL");
        }

        Assert.Equal(0, Heard(world));
        AssertNothingCrosses(world);

        using (Daemon daemon = Daemon.Start(world.Filter, file, ["outside=eth0", "inside=eth1"]))
        {
            world.Client.Must($"ping -q -c1 -W2 {World.Www4} && ping -q -c1 -W2 {World.Www6}");
            daemon.Must("stop");
            Assert.Equal(0, daemon.Process.Ends());
        }

        Assert.Equal(0, Heard(world));
        AssertNothingCrosses(world);

        world.Filter.Must($"{Daemon.Filterctl} stop --restore --socket {world.Folder}/filter.sock");
        Assert.Equal(Knocks / 2, Heard(world, Management4, Management6));
    }

    [Fact]
    public void Stop_restore_gives_back_addresses_routes_and_switches_of_both_families()
    {
        using World world = World.Bridge();
        world.Filter.Must("ip addr add 192.0.2.200/24 dev eth1 && ip addr add 2001:db8:1::200/64 dev eth1 nodad");
        world.Filter.Must("ip route add 10.9.0.0/16 via 192.0.2.5 && ip -6 route add 2001:db8:9::/48 via 2001:db8:1::5 dev eth1");
        world.Filter.Must("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1");
        string before = State(world);

        using (Daemon daemon = Daemon.Start(world.Filter, "rules/bridge.yaml", ["outside=eth0", "inside=eth1"]))
        {
            Assert.DoesNotContain("200", world.Filter.Must("ip -br addr show dev eth1"), StringComparison.Ordinal);
            Assert.False(world.Client.Run("ping -q -c1 -W0.3 192.0.2.200").Ok);
            Assert.False(world.Client.Run("ping -q -c1 -W0.3 2001:db8:1::200").Ok);
            daemon.Must("stop --restore");
            Assert.Equal(0, daemon.Process.Ends());
        }

        Assert.Equal(before, State(world));
        world.Client.Must("ip neigh flush all");          // the search for a neighbour that was not to be found
        world.Client.Must("ping -q -c1 -W2 192.0.2.200 && ping -q -c1 -W2 2001:db8:1::200");
    }

    /// <summary>How many frames <see cref="Heard"/> sends.</summary>
    private const int Knocks = 16;

    /// <summary>Sends the box frames of either side to the link addresses of its NICs; gives how many its stack heard.</summary>
    private static long Heard(World world, params string[] only)
    {
        long before = world.Filter.Arrivals();
        foreach ((Host host, string nic, string from4, string from6) in ((Host, string, string, string)[])
            [(world.Server, "eth0", World.Gateway4, World.Gateway6), (world.Client, "eth1", World.Client4, World.Client6)])
        {
            using RawSender knocker = new(host, "eth0");
            string mac = world.Filter.Mac(nic);
            foreach (string to in only.Length > 0 ? only : [Management4, Tap4, Management6, Tap6])
            {
                bool v6 = to.Contains(':', StringComparison.Ordinal);
                string from = v6 ? $"[{from6}]" : from4, target = v6 ? $"[{to}]" : to;
                knocker.Send($"udp {from}:4000 > {target}:4000 len=20", mac);
                knocker.Send($"tcp {from}:4000 > {target}:22 syn", mac);
            }
        }

        // A frame enters the kernel at the other end of its cable soon after the sender's own call.
        world.Filter.Must("true");
        return world.Filter.Arrivals() - before;
    }

    private static void AssertNothingCrosses(World world)
    {
        LinkCounts client = world.Client.Counts("eth0"), server = world.Server.Counts("eth0");
        Assert.False(world.Client.Run($"ping -q -c1 -W0.3 {World.Www4}").Ok);
        Assert.False(world.Server.Run($"ping -q -c1 -W0.3 {World.Client6}").Ok);
        Assert.False(world.Server.Run($"ip neigh flush all; ping -q -c1 -W0.3 {Management4}").Ok);       // not even ARP is answered
        Assert.Equal(0, world.Client.Counts("eth0").Since(client).Received);
        Assert.Equal(0, world.Server.Counts("eth0").Since(server).Received);
    }

    private static Balance Count(World world, Daemon daemon) => Balance.Of(daemon,
        new("outside", world.Server, "eth0"), new("inside", world.Client, "eth0"), new("self", world.Filter, "filter0"));

    private static string State(World world) => world.Filter.Must(
        "ip -br addr show dev eth0; ip -br addr show dev eth1; ip route; ip -6 route; nft list ruleset; "
        + "sysctl net.ipv6.conf.eth0.disable_ipv6 net.ipv6.conf.eth1.disable_ipv6; ip -o link show | grep -c NOARP || true");
}

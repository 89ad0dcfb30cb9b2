namespace Filter.Tests.Worlds;

/// <summary>Tagged frames cross the bridge with their tags, and rules know the tags.</summary>
[Collection(InNamespaces.Name)]
public sealed class VlanTests
{
    private const string Ruleset = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - allow: neighbours
            service: nd
          - allow: groups
            service: mld
          - allow: ten
            from: inside
            vlan: 10
          - allow: stacked
            from: inside
            vlan: 100
          - allow: untagged
            from: inside
            vlan: none

        """;

    [Fact]
    public void A_rule_lets_its_VLAN_pass_in_both_families_and_no_other()
    {
        using World world = World.Bridge();
        Host client = world.Client, server = world.Server;
        using TaggedLink ten = Tagged(client, 5, 10), tenToo = Tagged(server, 1, 10);
        using TaggedLink twenty = Tagged(client, 5, 20), twentyToo = Tagged(server, 1, 20);
        using TaggedLink stacked = Tagged(client, 5, 100, 7), stackedToo = Tagged(server, 1, 100, 7);
        using Daemon daemon = Daemon.Start(world.Filter, world.Write("own.yaml", Ruleset), ["outside=eth0", "inside=eth1"]);
        Balance balance = Balance.Of(daemon, new("outside", server, "eth0"), new("inside", client, "eth0"));
        // Each end sees what comes; what goes, the tagging puts on the cable past tcpdump.
        using Capture atClient = Capture.Start(client, "eth0"), atServer = Capture.Start(server, "eth0");

        foreach (string address in (string[])["10.10.0.1", "fd00:10::1", "10.100.0.1", "fd00:100::1", World.Gateway4, World.Gateway6])
        {
            client.Pings(address, "-c3 -i0.01");
            Iperf.Run(client, address, "-n 5M");
            Iperf.Run(client, address, "-n 5M -R");
        }

        Counted counted = balance.Settle();
        counted.AllPassed();
        Assert.All((string[])["ten", "stacked", "untagged"], rule => Assert.InRange(counted[$"rule {rule}"], 100, long.MaxValue));
        atClient.End();
        atServer.End();
        Assert.InRange(atClient.Lines("vlan 10").Length + atServer.Lines("vlan 10").Length, counted["rule ten"], counted["rule ten"] + 50);       // ARP and ND beside

        balance = Balance.Of(daemon, new("outside", server, "eth0"), new("inside", client, "eth0"));
        Assert.False(client.Run("ping -q -c1 -W0.3 10.20.0.1").Ok);
        Assert.False(client.Run("ping -q -c1 -W0.3 fd00:20::1").Ok);
        counted = balance.Settle();
        Assert.Equal(2, counted.Dropped);
        Assert.Equal(2, counted["reason default-deny"]);
        Assert.Equal(2, counted["rule default out"]);
    }

    [Fact]
    public void A_flow_of_one_VLAN_is_no_way_in_for_another()
    {
        using World world = World.Bridge();
        using Daemon daemon = Daemon.Start(world.Filter, world.Write("own.yaml", Ruleset), ["outside=eth0", "inside=eth1"]);
        Balance balance = Balance.Of(daemon, new("outside", world.Server, "eth0"), new("inside", world.Client, "eth0"));
        using RawSender inside = new(world.Client, "eth0"), outside = new(world.Server, "eth0");
        string client = world.Client.Mac("eth0"), server = world.Server.Mac("eth0");

        inside.Send("udp 10.10.0.5:4000 > 10.10.0.1:5000 len=10 vlan=10", server);
        Settled(1);
        outside.Send("udp 10.10.0.1:5000 > 10.10.0.5:4000 len=10 vlan=20", client);
        outside.Send("udp 10.10.0.1:5000 > 10.10.0.5:4000 len=10", client);
        outside.Send("udp 10.10.0.1:5000 > 10.10.0.5:4000 len=10 vlan=10.10", client);
        outside.Send("udp 10.10.0.1:5000 > 10.10.0.5:4000 len=10 vlan=10", client);

        Counted counted = Settled(5);
        Assert.Equal(3, counted["reason default-deny"]);
        Assert.Equal(2, counted["rule ten"]);
        Assert.Equal(1, counted["port inside sent"]);

        Counted Settled(long packets)
        {
            Counted counted = balance.Settle();
            Assert.Equal(packets, counted["in"]);
            return counted;
        }
    }

    /// <summary>An interface in a VLAN, or in one within another, with an address of each family.</summary>
    private static TaggedLink Tagged(Host host, int end, params int[] vlans) => new(
        host, $"vlan{vlans[0]}", "eth0",
        vlans.Length == 1 ? [(0x8100, (ushort)vlans[0])] : [(0x88a8, (ushort)vlans[0]), (0x8100, (ushort)vlans[1])],
        [($"10.{vlans[0]}.0.{end}", 24), ($"fd00:{vlans[0]}::{end}", 64)]);
}

using System.Net;

namespace Filter.Tests.Worlds;

/// <summary>The far port takes less than the near one: senders are told, or what they let be cut is cut.</summary>
[Collection(InNamespaces.Name)]
public sealed class PathMtuTests
{
    private const int Mtu = 1400;

    [Fact]
    public void Every_size_crosses_a_bridge_to_a_smaller_network()
    {
        using World world = World.Bridge();
        world.Server.Must($"ip link set eth0 mtu {Mtu}");
        world.Filter.Must($"ip link set eth0 mtu {Mtu}");
        using Daemon daemon = Daemon.Start(world.Filter, "rules/bridge.yaml", ["outside=eth0", "inside=eth1"]);
        Balance balance = Balance.Of(daemon, new("outside", world.Server, "eth0"), new("inside", world.Client, "eth0"));
        using Running drops = daemon.Watch("drops");

        foreach ((string server, PathMtu pathMtu, int most) in ((string, PathMtu, int)[])
            [(World.Gateway4, PathMtu.Dont, 1), (World.Gateway4, PathMtu.Want, 2), (World.Gateway6, PathMtu.Want, 2)])
        {
            using UdpEcho echo = new(world.Client, world.Server, new IPEndPoint(IPAddress.Parse(server), 7000), pathMtu);
            for (int size = Mtu - 50; size <= 1500; size++)
            {
                Assert.True(echo.Try(size, most) > 0, $"{size} bytes to {server} did not cross\n{drops.Said}");
            }

            Assert.Equal(pathMtu == PathMtu.Dont ? 1500 : Mtu, echo.KnownMtu);
        }

        foreach (string server in (string[])[World.Www4, World.Www6])
        {
            Iperf.Run(world.Client, server, "-n 20M");
            Iperf.Run(world.Client, server, "-n 20M -R");
        }

        Counted counted = balance.Settle();
        Assert.True(counted.Dropped == 0, drops.Said);
        Assert.InRange(counted["verdict answered"], 2, 200);
        Assert.Equal(counted["own"], counted["verdict answered"]);
    }
}

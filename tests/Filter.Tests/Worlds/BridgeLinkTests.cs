using System.Net;
using System.Net.Sockets;

namespace Filter.Tests.Worlds;

/// <summary>What a segment needs beside its connections: spanning tree, address leases, errors.</summary>
[Collection(InNamespaces.Name)]
public sealed class BridgeLinkTests(BridgeScene scene) : IClassFixture<BridgeScene>
{
    [Theory]
    [InlineData("01:80:c2:00:00:00", "type=0x0026 len=46", null)]                       // spanning tree (LLC)
    [InlineData("01:80:c2:00:00:0e", "type=0x88cc len=46", null)]                       // LLDP, as the ruleset says
    [InlineData("01:80:c2:00:00:01", "type=0x8808 len=46", "link-local-frame")]         // pause
    [InlineData("01:80:c2:00:00:02", "type=0x8809 len=46", "link-local-frame")]         // LACP
    [InlineData("ff:ff:ff:ff:ff:ff", "type=0x1234 len=46", "unknown-ether-type")]
    public void Frames_that_are_not_IP_pass_or_end_as_bridges_have_it(string receiver, string words, string? reason)
    {
        using RawSender inside = new(scene.Client, "eth0"), outside = new(scene.Server, "eth0");
        Balance balance = scene.Count();

        inside.SendFrame(receiver, words);
        outside.SendFrame(receiver, words);

        Counted counted = balance.Settle();
        int passed = reason is null ? 1 : 0;
        Assert.Equal(2, counted["in"]);
        Assert.Equal(passed, counted["port inside sent"]);
        Assert.Equal(passed, counted["port outside sent"]);
        Assert.Equal(2 * passed, counted.Passed);
        Assert.Equal(2 - (2 * passed), counted[$"reason {reason}"]);
    }

    [Fact]
    public void A_machine_leases_its_addresses_through_the_bridge()
    {
        Host client = scene.Client, server = scene.Server;
        client.Must("sysctl -qw net.ipv6.conf.eth0.accept_ra=1 && ip -6 route del default");
        using Running dhcp = server.Start(
            $"exec dnsmasq -k --conf-file=/dev/null --pid-file= --user=root --port=0 --interface=eth0 --no-ping --log-facility=- "
            + $"--dhcp-leasefile={scene.World.Folder}/leases --dhcp-range=192.0.2.100,192.0.2.100,255.255.255.0,1h --dhcp-range=2001:db8:1::,ra-only,64,1h --enable-ra");
        Balance balance = scene.Count();

        client.Must("busybox udhcpc -q -n -t 5 -T 1 -i eth0 -s tests/world/leased.sh");
        Assert.Contains("192.0.2.100/24", client.Must("ip addr show dev eth0"), StringComparison.Ordinal);
        client.Must("for i in $(seq 100); do ip -6 route show default | grep -q 'proto ra' && exit 0; sleep 0.1; done; exit 1");
        client.Pings(World.Www6, "-c2 -i0.01");

        Counted counted = balance.Settle();
        counted.AllPassed();
        Assert.InRange(counted["rule dhcp-client"], 2, 10);
        Assert.InRange(counted["rule dhcp-server"], 2, 10);
        Assert.InRange(counted["rule router-says"], 1, 10);
    }

    [Theory]
    [InlineData(World.Www4)]
    [InlineData(World.Www6)]
    public void Where_nobody_listens_the_asker_is_told_at_once(string server)
    {
        IPEndPoint there = new(IPAddress.Parse(server), 9);
        Balance balance = scene.Count();
        using Socket tcp = scene.Client.Inside(() => new Socket(there.AddressFamily, SocketType.Stream, ProtocolType.Tcp));

        Assert.Equal(SocketError.ConnectionRefused, Assert.Throws<SocketException>(() => tcp.Connect(there)).SocketErrorCode);
        // To port 53, one question earns one answer: an error is none that was owed, and yet gets through.
        foreach (int port in (int[])[9, 53])
        {
            using Socket udp = scene.Client.Inside(() => new Socket(there.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 5000 });
            udp.Connect(new IPEndPoint(there.Address, port));
            udp.Send("anybody?"u8);
            Assert.Equal(SocketError.ConnectionRefused, Assert.Throws<SocketException>(() => udp.Receive(new byte[1])).SocketErrorCode);
        }

        balance.Settle().AllPassed();
    }

    [Fact]
    public void What_a_rule_rejects_is_told_at_once_over_both_families()
    {
        Balance balance = scene.Count();
        foreach (string client in (string[])[World.Client4, World.Client6])
        {
            IPEndPoint ident = new(IPAddress.Parse(client), 113);
            using Socket tcp = scene.Server.Inside(() => new Socket(ident.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
            Assert.Equal(SocketError.ConnectionRefused, Assert.Throws<SocketException>(() => tcp.Connect(ident)).SocketErrorCode);
        }

        Counted counted = balance.Settle();
        Assert.Equal(2, counted["verdict reject"]);
        Assert.Equal(2, counted["rule ident"]);
        Assert.Equal(2, counted["own"]);
        Assert.Equal(0, counted.Dropped);
    }
}

using System.Text.Json;

namespace Filter.Tests.Worlds;

/// <summary>What crosses the bridge crosses it by every driver of a NIC, and what each leaves of a NIC is the same.</summary>
[Collection(InNamespaces.Name)]
public sealed class DriverTests
{
    private const string Tagged = """
        filter: 1
        ports:
          outside:
            nic: eth0
            side: unprotected
          inside:
            nic: eth1
            side: protected
        rules:
          - allow: neighbours
            service: nd
          - allow: ten
            from: inside
            vlan: 10

        """;

    public static TheoryData<string> Drivers => ["packet", "ring", "xdp", "xdp-generic"];

    [Theory]
    [MemberData(nameof(Drivers))]
    public void TCP_UDP_ICMP_and_fragments_cross_and_every_frame_is_accounted_for(string driver)
    {
        using DriverScene scene = new(driver);
        int port = scene.Server.Serve("body", bytes: 1 << 20, out string digest);
        Balance balance = scene.Count();

        foreach (int family in (int[])[4, 6])
        {
            Assert.Equal(digest, scene.Client.Must($"curl -{family} -sS -m9 http://{World.Www}:{port}/body | sha256sum"));
        }

        foreach ((string address, string gateway, int header) in ((string, string, int)[])[(World.Www4, World.Gateway4, 28), (World.Www6, World.Gateway6, 48)])
        {
            scene.Client.Pings(address, "-c10 -i0.01");
            scene.Client.Pings(address, $"-c3 -i0.01 -M do -s {1500 - header}");    // just as long as the link is wide
            scene.Client.Pings(address, "-c5 -i0.01 -s 5000");                      // in four pieces
            Assert.InRange(Iperf.Run(scene.Client, address, "-n 5M").SentBytes, 5_000_000, long.MaxValue);
            Assert.InRange(Iperf.Run(scene.Client, address, "-n 5M -R").SentBytes, 5_000_000, long.MaxValue);
            long overflows = scene.Server.Overflows();
            Iperf datagrams = Iperf.Run(scene.Client, gateway, "-u -b 10M -n 1M -l 1400");
            Assert.InRange(datagrams.LostDatagrams, 0, scene.Server.Overflows() - overflows);
            Assert.InRange(datagrams.Datagrams, 700, 800);
        }

        Counted counted = balance.Settle();
        Assert.Equal(counted["in"], counted.Passed);
        Assert.Equal(0, counted["port inside lost"] + counted["port outside lost"] + counted["port inside refused"] + counted["port outside refused"]);
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public void Two_workers_send_by_both_NICs_and_every_frame_is_accounted_for(string driver)
    {
        using DriverScene scene = new(driver, workers: 2);
        int port = scene.Server.Serve("body", bytes: 1 << 20, out string digest);
        Balance balance = scene.Count();

        foreach ((int family, string address) in ((int, string)[])[(4, World.Www4), (6, World.Www6)])
        {
            Assert.Equal(digest, scene.Client.Must($"curl -{family} -sS -m9 http://{World.Www}:{port}/body | sha256sum"));
            scene.Client.Pings(address, "-c10 -i0.01");
            scene.Client.Pings(address, "-c5 -i0.01 -s 5000");
            Assert.InRange(Iperf.Run(scene.Client, address, "-n 5M -P 4").SentBytes, 5_000_000, long.MaxValue);
            Assert.InRange(Iperf.Run(scene.Client, address, "-n 5M -P 4 -R").SentBytes, 5_000_000, long.MaxValue);
        }

        balance.Settle().AllPassed();
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public void Tags_cross_with_their_frames(string driver)
    {
        using DriverScene scene = new(driver, Tagged);
        using TaggedLink client = new(scene.Client, "vlan10", "eth0", [(0x8100, 10)], [("10.10.0.5", 24), ("fd00:10::5", 64)]);
        using TaggedLink server = new(scene.Server, "vlan10", "eth0", [(0x8100, 10)], [("10.10.0.1", 24), ("fd00:10::1", 64)]);
        using Capture wire = Capture.Start(scene.Server, "eth0");

        foreach (string address in (string[])["10.10.0.1", "fd00:10::1"])
        {
            scene.Client.Pings(address, "-c3 -i0.01");
            scene.Client.Pings(address, $"-c3 -i0.01 -M do -s {(address.Contains(':', StringComparison.Ordinal) ? 1452 : 1472)}");
        }

        wire.End();
        // What the server's end hears; what it says, the tagging puts on the cable past tcpdump.
        Assert.InRange(wire.Lines("vlan 10 and icmp").Length, 6, 20);
        Assert.InRange(wire.Lines("vlan 10 and icmp6").Length, 6, 40);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Segments_that_XDP_hears_apart_leave_by_a_packet_socket_in_one_piece(int family)
    {
        const int Port = 9001;
        using DriverScene scene = new("packet", inside: "xdp");
        string came = Path.Combine(scene.World.Folder, "came");
        scene.Server.Start($"exec busybox nc -l -p {Port} > {came}");
        scene.Server.Must($"until ss -Hltn sport = :{Port} | grep -q .; do sleep 0.02; done");
        Balance balance = scene.Count();

        string body = Path.Combine(scene.World.Folder, "body");
        string sent = scene.Client.Must($"head -c 20000000 /dev/urandom > {body} && busybox nc {(family == 4 ? World.Www4 : World.Www6)} {Port} < {body} && sha256sum < {body}");
        Counted counted = balance.Settle();

        Assert.Equal(sent, scene.Server.Must($"sha256sum < {came}"));
        Assert.InRange(counted["coalesced"], 1000, counted.Passed);
        counted.AllPassed();
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public void A_NIC_that_goes_down_and_comes_back_carries_on(string driver)
    {
        using DriverScene scene = new(driver);
        scene.Client.Pings(World.Www4, "-c2 -i0.01");
        scene.World.Filter.Must("ip link set eth0 down");
        Assert.False(scene.Client.Run($"ping -q -c1 -W0.3 {World.Www4}").Ok);

        scene.World.Filter.Must("ip link set eth0 up");
        scene.Client.Must($"until ping -q -c1 -W1 {World.Www4}; do sleep 0.1; done && until ping -q -c1 -W1 {World.Www6}; do sleep 0.1; done");
        Assert.True(Port(scene, "outside").TryGetProperty("failure", out JsonElement failure) is false || failure.ValueKind == JsonValueKind.Null);
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public void A_Filter_that_is_killed_leaves_NICs_that_stay_closed_and_can_be_given_back(string driver)
    {
        using DriverScene scene = new(driver);
        Host filter = scene.World.Filter;
        scene.Client.Pings(World.Www4, "-c2 -i0.01");

        scene.Filter.Process.End("KILL");
        Assert.DoesNotContain("xdp", filter.Must("ip link show"), StringComparison.Ordinal);
        Assert.False(scene.Client.Run($"ping -q -c1 -W0.3 {World.Www4}").Ok);
        long arrivals = filter.Arrivals();
        scene.Client.Run($"ping -q -c1 -W0.3 {World.Www6}");
        Assert.Equal(arrivals, filter.Arrivals());

        scene.StartAgain();
        scene.Client.Must($"until ping -q -c1 -W1 {World.Www4}; do sleep 0.1; done");
        scene.Filter.Must("stop --restore");
        Assert.Equal(0, scene.Filter.Process.Ends());
        string[] left = [.. filter.Must("ethtool -k eth0; ethtool -k eth1").Split('\n').Where(static line => line.StartsWith("rx-vlan-offload", StringComparison.Ordinal))];
        Assert.All(left, static line => Assert.Equal("rx-vlan-offload: on", line));
        Assert.DoesNotContain("xdp", filter.Must("ip link show"), StringComparison.Ordinal);
    }

    [Fact]
    public void Auto_takes_the_packet_socket_where_the_kernel_would_copy_each_frame_and_says_so()
    {
        using DriverScene scene = new("auto");
        scene.Client.Pings(World.Www4, "-c2 -i0.01");

        JsonElement port = Port(scene, "outside");
        Assert.Equal("packet", port.GetProperty("driver").GetString());
        Assert.Equal("picked by auto: cannot open eth0 by XDP: its driver veth copies each frame", port.GetProperty("driverNote").GetString());
        Assert.Contains("outside: packet, picked by auto: cannot open eth0 by XDP: its driver veth copies each frame", scene.Filter.Must("status"), StringComparison.Ordinal);
    }

    [Fact]
    public void Status_says_how_XDP_runs()
    {
        using DriverScene scene = new("xdp");
        Assert.Equal("native", Port(scene, "inside").GetProperty("driverNote").GetString());
        Assert.Contains("inside: xdp, native", scene.Filter.Must("status"), StringComparison.Ordinal);
        Assert.Contains("warning: eth0: a veth hands XDP no VLAN tags", scene.Filter.Process.Said, StringComparison.Ordinal);
    }

    private static JsonElement Port(DriverScene scene, string name) => scene.Filter.Json("status").GetProperty("status").GetProperty("ports")
        .EnumerateArray().Single(port => string.Equals(port.GetProperty("name").GetString(), name, StringComparison.Ordinal));
}

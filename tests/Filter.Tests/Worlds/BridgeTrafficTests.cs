namespace Filter.Tests.Worlds;

/// <summary>What the machines behind the bridge ask for crosses it, all of it, and the answers come back.</summary>
[Collection(InNamespaces.Name)]
public sealed class BridgeTrafficTests(BridgeScene scene) : IClassFixture<BridgeScene>
{
    [Fact]
    public void Pings_are_answered_in_both_families()
    {
        Balance balance = scene.Count();

        scene.Client.Pings(World.Www4, "-c20 -i0.01");
        scene.Client.Pings(World.Www6, "-c20 -i0.01");
        // Larger than the link takes at once: both ways in fragments.
        scene.Client.Pings(World.Www4, "-c5 -i0.01 -s 5000");
        scene.Client.Pings(World.Www6, "-c5 -i0.01 -s 5000");

        Counted counted = balance.Settle();
        counted.AllPassed();
        Assert.InRange(counted["rule outbound"], 100, 200);
    }

    [Fact]
    public void A_page_and_a_long_body_are_fetched_by_name_over_both_families()
    {
        int port = scene.Server.Serve("body", bytes: 20_000_000, out string digest);
        Balance balance = scene.Count();

        foreach (int family in (int[])[4, 6])
        {
            Assert.StartsWith("Hello from", scene.Client.Must($"curl -{family} -sS -m5 http://{World.Www}/"), StringComparison.Ordinal);
            Assert.Equal(digest, scene.Client.Must($"curl -{family} -sS -m9 http://{World.Www}:{port}/body | sha256sum"));
        }

        balance.Settle().AllPassed();
    }

    [Theory]
    [InlineData(World.Www4, "")]
    [InlineData(World.Www4, "-R")]
    [InlineData(World.Www6, "")]
    [InlineData(World.Www6, "-R")]
    public void A_TCP_stream_crosses(string server, string direction)
    {
        Balance balance = scene.Count();

        Iperf iperf = Iperf.Run(scene.Client, server, $"-n 100M {direction}");

        Assert.InRange(iperf.SentBytes, 100 << 20, long.MaxValue);
        balance.Settle().AllPassed();
    }

    // To the server's first address: iperf3 answers datagrams from there, whatever they were sent to.
    [Theory]
    [InlineData(World.Gateway4, "-l 1400")]
    [InlineData(World.Gateway4, "-l 1400 -R")]
    [InlineData(World.Gateway6, "-l 1400")]
    [InlineData(World.Gateway6, "-l 1400 -R")]
    [InlineData(World.Gateway4, "-l 4000")]            // in three fragments each
    [InlineData(World.Gateway6, "-l 4000 -R")]
    public void Every_datagram_of_a_UDP_stream_crosses(string server, string options)
    {
        Balance balance = scene.Count();

        Host receiver = options.Contains("-R", StringComparison.Ordinal) ? scene.Client : scene.Server;
        long overflows = receiver.Overflows();
        Iperf iperf = Iperf.Run(scene.Client, server, $"-u -b 40M -n 1M {options}");

        // A slow receiver may lose some itself, but then it says so.
        Assert.InRange(iperf.LostDatagrams, 0, receiver.Overflows() - overflows);
        Assert.InRange(iperf.Datagrams, 250, 4000);
        Counted counted = balance.Settle();
        counted.AllPassed();
        Assert.InRange(counted.Passed, iperf.Datagrams, 4 * iperf.Datagrams);
    }

    [Fact]
    public void A_resolver_that_asks_for_A_and_AAAA_on_one_socket_gets_both()
    {
        Balance balance = scene.Count();
        using Capture wire = Capture.Start(scene.Client, "eth0", "udp port 53");

        // The resolver of the C library sends both questions from one socket before it reads an answer.
        string addresses = scene.Client.Must($"getent ahosts {World.Www}");

        Assert.Contains(World.Www4, addresses, StringComparison.Ordinal);
        Assert.Contains(World.Www6, addresses, StringComparison.Ordinal);
        Counted counted = balance.Settle();
        Assert.Equal(4, wire.End());
        string[] lines = wire.Lines();
        Assert.Single(lines.Where(static line => line.Contains("> 198.51.100.53.53:", StringComparison.Ordinal)).Select(static line => line.Split(' ')[1]).Distinct());
        Assert.Equal(4, counted["rule resolve"]);
        counted.AllPassed();
    }

    [Fact]
    public void Names_are_looked_up_over_both_families()
    {
        Balance balance = scene.Count();

        foreach (string server in (string[])[World.Dns4, World.Dns6])
        {
            Assert.Equal(World.Www4, scene.Client.Must($"dig +short +tries=1 +time=2 @{server} {World.Www} A").Trim());
            Assert.Equal(World.Www6, scene.Client.Must($"dig +short +tries=1 +time=2 @{server} {World.Www} AAAA").Trim());
            Assert.Equal(World.Www4, scene.Client.Must($"dig +short +tcp +tries=1 +time=2 @{server} {World.Www} A").Trim());
        }

        Counted counted = balance.Settle();
        Assert.Equal(8, counted["rule resolve"]);
        counted.AllPassed();
    }
}

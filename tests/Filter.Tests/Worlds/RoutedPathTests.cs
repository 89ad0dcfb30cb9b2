using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Filter.Tests.Worlds;

/// <summary>What routers on the way say reaches the machine behind the bridge whose packet they speak of, and nobody else.</summary>
[Collection(InNamespaces.Name)]
public sealed partial class RoutedPathTests(RoutedScene scene) : IClassFixture<RoutedScene>
{
    /// <summary>UDP to rising ports, UDP to the port of DNS (a one-answer pinhole), ICMP, TCP, UDP-Lite.</summary>
    private static readonly string[] s_methods = ["", "-U", "-I", "-T -p 80", "-UL"];

    [Theory]
    [InlineData(World.Gateway4, RoutedScene.Far4, World.Www4)]
    [InlineData(World.Gateway6, RoutedScene.Far6, World.Www6)]
    public void Traceroute_names_every_hop_but_the_bridge_whatever_it_asks_with(string near, string far, string server)
    {
        Balance balance = scene.Count();

        foreach (string method in s_methods)
        {
            Assert.Equal([near, far, server], Hops(scene.Client.Must($"traceroute -n -w 2 -m 8 {method} {server}")));
        }

        // Three probes a hop; those that went farther than they had to are answered as well.
        Counted counted = balance.Settle();
        counted.AllPassed();
        Assert.InRange(counted["in"], s_methods.Length * 3 * 3 * 2, 1000);
    }

    [Theory]
    [InlineData(World.Client4)]
    [InlineData(World.Client6)]
    public void Traceroute_from_outside_ends_before_the_bridge_unless_it_pings(string client)
    {
        // The rule ping-in lets an echo request come in, and its answer out again.
        string[] pinged = Hops(scene.Server.Must($"traceroute -n -q1 -w 2 -m 4 -I {client}"));
        Assert.Equal(3, pinged.Length);
        Assert.Equal(client, pinged[2]);
        Balance balance = scene.Count();
        long arrivals = scene.Client.Arrivals();

        string[] methods = ["", "-U", "-T -p 80", "-UL"];
        Running[] traceroutes = [.. methods.Select(method => scene.Server.Start($"exec traceroute -n -q1 -w 1 -m 4 {method} {client}"))];
        foreach (Running traceroute in traceroutes)
        {
            Assert.Equal(0, traceroute.Ends());
            Assert.Equal([.. pinged[..2], "*", "*"], Hops(traceroute.Said));
        }

        Counted counted = balance.Settle();
        Assert.Equal(methods.Length * 2, counted["reason default-deny"]);
        Assert.Equal(counted.Dropped, counted["in"]);
        Assert.Equal(arrivals, scene.Client.Arrivals());
    }

    [Theory]
    [InlineData(World.Www4, "")]
    [InlineData(World.Www6, "-6")]
    public void A_path_with_a_small_hop_is_found_out_and_used_to_its_last_byte(string server, string family)
    {
        int port = scene.Server.Serve("body", bytes: 5_000_000, out string digest);
        Balance balance = scene.Count();

        Forget();
        Assert.Contains($"F={RoutedScene.Mtu}", scene.Client.Must($"traceroute -n -w 2 -m 8 --mtu {server}"), StringComparison.Ordinal);
        Forget();
        Iperf.Run(scene.Client, server, "-n 10M");
        Assert.Contains($"mtu {RoutedScene.Mtu} ", scene.Client.Must($"ip {family} route get {server}"), StringComparison.Ordinal);
        Forget();
        Assert.Equal(digest, scene.Client.Must($"curl -sS -m9 http://{(family == "" ? server : $"[{server}]")}:{port}/body | sha256sum"));
        Forget();
        using (UdpEcho echo = new(scene.Client, scene.Server, new IPEndPoint(IPAddress.Parse(server), 7000), PathMtu.Want))
        {
            for (int size = RoutedScene.Mtu - 4; size <= 1500; size++)
            {
                // Once for the size to be told to one end, once to the other.
                Assert.True(echo.Try(size, most: 3) > 0, $"{size} bytes to {server} did not cross");
            }
        }

        // It is the routers that say so: both ends of the bridge take 1,500 bytes.
        Counted counted = balance.Settle();
        counted.AllPassed();
        Assert.Equal(0, counted["own"]);

        // Who has learnt the size also announces it, and then nobody else needs to.
        void Forget()
        {
            foreach (Host host in (Host[])[scene.Client, scene.Server])
            {
                host.Must("ip route flush cache && ip -6 route flush cache");
            }
        }
    }

    [Theory]
    [InlineData(World.Client4, World.Www4, World.Gateway4, "destination-unreachable code=4 mtu=700")]
    [InlineData(World.Client4, World.Www4, World.Gateway4, "time-exceeded")]
    [InlineData(World.Client6, World.Www6, World.Gateway6, "packet-too-big mtu=1300")]
    [InlineData(World.Client6, World.Www6, World.Gateway6, "time-exceeded")]
    public void A_routers_error_crosses_with_the_flow_that_it_quotes_and_with_no_other(string client, string server, string router, string error)
    {
        using Socket asker = scene.Client.Open(client, 0, SocketType.Dgram);
        using Socket answerer = scene.Server.Open(server, 7001, SocketType.Dgram);
        EndPoint here = asker.LocalEndPoint!, there = answerer.LocalEndPoint!;
        asker.SendTo("hello"u8, there);
        answerer.Receive(new byte[10]);
        Balance balance = scene.Count();
        using Capture inside = Capture.Start(scene.Client, "eth0", $"src host {router} and (icmp or icmp6)");
        using RawSender sender = new(scene.Outside, "eth0");
        string receiver = scene.Client.Mac("eth0");

        IPEndPoint elsewhere = new(((IPEndPoint)there).Address, 7002);
        Says(router, client, $"udp {here} > {there} len=5");
        Says(router, client, $"udp {here} > {elsewhere} len=5");               // of nobody's
        Says(router, client, $"udp {there} > {here} len=5");                   // of the answer, which the client did not send
        Says(router, client, $"tcp {here} > {there} seq=1");

        Counted counted = balance.Settle();
        Assert.Equal(4, counted["in"]);
        Assert.Equal(3, counted["reason stray-icmp-error"]);
        Assert.Equal(1, counted.Passed);
        Assert.Equal(1, inside.End());

        void Says(string from, string to, string quote) => sender.Send($"icmp {from} > {to} {error} quote=\"{quote}\"", receiver);
    }

    /// <summary>Who answered at each distance; `*` for nobody.</summary>
    private static string[] Hops(string traceroute) => [.. HopWords().Matches(traceroute).Select(static hop => hop.Groups[1].Value)];

    [GeneratedRegex(@"^ *\d+  (\S+)", RegexOptions.Multiline)]
    private static partial Regex HopWords();
}

using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Filter.Tests.Worlds;

/// <summary>Whoever scans from outside finds open what the rules open, and nothing else; the machines hear of nothing else either.</summary>
[Collection(InNamespaces.Name)]
public sealed partial class PortScanTests(BridgeScene scene) : IClassFixture<BridgeScene>
{
    /// <summary>Tells of each port `PORT/STATE/PROTOCOL/…` on one line; asks for no neighbour itself.</summary>
    private const string Nmap = "nmap -n -Pn --disable-arp-ping --send-ip -oG -";

    /// <summary>Where nothing is to be heard it does not listen long; where something is, a slow machine has time to say it.</summary>
    private const string Hasty = $"{Nmap} -T5 --max-retries 1", Patient = $"{Nmap} -T4 --max-retries 2";

    private const string Filtered = "filtered", Silent = "open|filtered";

    private static readonly int[] s_ports = [22, 80, 443, 3306, 8080];

    /// <summary>What nmap can scan with, what it says of a port that does not answer, and why Filter drops what it sends.</summary>
    private static readonly (string Scan, string State, string Reason)[] s_kinds =
    [
        ("-sS", Filtered, "default-deny"),
        ("-sT", Filtered, "default-deny"),
        ("-sU", Silent, "default-deny"),
        ("-sY", Filtered, "default-deny"),          // SCTP INIT
        ("-sZ", Silent, "no-flow"),                 // SCTP COOKIE-ECHO
        ("-sA", Filtered, "no-flow"),
        ("-sW", Filtered, "no-flow"),               // ACK again
        ("-sM", Silent, "no-flow"),                 // FIN and ACK
        ("-sF", Silent, "bad-flags"),
        ("-sX", Silent, "bad-flags"),               // FIN, PSH and URG
        ("-sN", Silent, "bad-flags"),               // no flag
    ];

    [Theory]
    [InlineData(World.Client4, "")]
    [InlineData(World.Client6, "-6")]
    public void No_kind_of_scan_finds_anything_on_a_machine_for_which_no_rule_opens_anything(string client, string family)
    {
        // Somebody listens everywhere: silence is Filter's doing.
        Socket[] sockets =
        [
            .. s_ports.Select(port => scene.Client.Open(client, port, SocketType.Stream)),
            .. s_ports.Select(port => scene.Client.Open(client, port, SocketType.Dgram)),
        ];
        Balance balance = scene.Count();
        long arrivals = scene.Client.Arrivals();

        Running[] scans = [.. s_kinds.Select(kind => scene.Server.Start($"exec {Hasty} {family} {kind.Scan} -p {string.Join(',', s_ports)} {client}"))];
        foreach ((Running scan, (_, string state, _)) in scans.Zip(s_kinds))
        {
            Assert.Equal(0, scan.Ends());
            Assert.Equal(s_ports.Select(port => (port, state)), Found(scan.Said));
        }

        Counted counted = balance.Settle();
        counted.NothingLost();
        Assert.Equal(counted["in"], counted.Dropped);
        Assert.Equal(0, counted["out"]);
        Assert.Equal(arrivals, scene.Client.Arrivals());
        foreach (IGrouping<string, string> reason in s_kinds.GroupBy(static kind => kind.Reason, static kind => kind.Scan))
        {
            // Each port is asked once more.
            Assert.InRange(counted[$"reason {reason.Key}"], reason.Count() * s_ports.Length, 3 * reason.Count() * s_ports.Length);
        }

        foreach (Socket socket in sockets)
        {
            Assert.False(socket.Poll(0, SelectMode.SelectRead));
            socket.Dispose();
        }
    }

    [Theory]
    [InlineData(World.Inner4, "", "tcp[13]", "icmp and icmp[0] != 8")]
    [InlineData(World.Inner6, "-6", "ip6[40 + 13]", "icmp6 and ip6[40] != 128 and not (ip6[40] = 135 or ip6[40] = 136)")]
    public void A_scan_finds_open_what_a_rule_opens_and_fingerprints_no_more_than_that(string machine, string family, string flags, string notEcho)
    {
        // web-in lets 80 and 443 in, where only the first has somebody who listens; ident is rejected.
        using Socket ssh = scene.Client.Open(machine, 22, SocketType.Stream);
        using Socket web = scene.Client.Open(machine, 80, SocketType.Stream);
        using Socket proxy = scene.Client.Open(machine, 8080, SocketType.Stream);
        using Capture illegal = Capture.Start(scene.Client, "eth0",
            $"(ip or ip6) and dst host {machine} and (udp or {notEcho} or tcp and (not (dst port 80 or dst port 443) or {flags} & 3 = 3 or {flags} & 63 = 0))");
        Balance balance = scene.Count();

        Running few = scene.Server.Start($"exec {Patient} {family} -sS -O --max-os-tries 1 -p 22,80,113,443,8080 {machine}");
        Running connecting = scene.Server.Start($"exec {Patient} {family} -sT -p 22,80,113,443,8080 {machine}");
        Running many = scene.Server.Start($"exec {Patient} {family} -sS --top-ports 100 --open {machine}");

        foreach (Running scan in (Running[])[few, connecting])
        {
            Assert.Equal(0, scan.Ends());
            Assert.Equal([(22, Filtered), (80, "open"), (113, "closed"), (443, "closed"), (8080, Filtered)], Found(scan.Said));
        }

        Assert.Equal(0, many.Ends());
        Assert.Equal([(80, "open")], Found(many.Said));
        Counted counted = balance.Settle();
        counted.NothingLost();
        Assert.Equal(0, illegal.End());
        Assert.InRange(counted["reason bad-flags"], 1, 100);        // of the fingerprint
    }

    [Theory]
    [InlineData(World.Client4, "", "4,6,17,41,47,50,51,89,112,132,136,253,255", 1)]
    // Extension headers that lead nowhere are protocols to nmap.
    [InlineData(World.Client6, "-6", "0,4,6,17,41,43,44,47,50,51,60,89,112,132,135,136,139,140,253,255", 58)]
    public void A_protocol_scan_finds_ping_alone(string client, string family, string protocols, int ping)
    {
        using Capture inside = Capture.Start(scene.Client, "eth0", $"(ip or ip6) and dst host {client} and not icmp and not icmp6");
        Balance balance = scene.Count();

        string said = scene.Server.Must($"{Patient} {family} -sO -p {protocols},{ping} {client}");

        string[] expected = [.. protocols.Split(',').Select(int.Parse).Append(ping).Order().Select(number => $"{number}/{(number == ping ? "open" : Silent)}")];
        Assert.Equal(expected, ProtocolWords().Matches(said).Select(static word => word.Value));
        Counted counted = balance.Settle();
        Assert.Equal(0, inside.End());
        Assert.InRange(counted["port inside sent"], 1, 8);
    }

    /// <summary>Ports and their states.</summary>
    private static IEnumerable<(int Port, string State)> Found(string said) =>
        PortWords().Matches(said).Select(static word => (int.Parse(word.Groups[1].Value, null), word.Groups[2].Value));

    [GeneratedRegex(@"(\d+)/([a-z|]+)/(?:tcp|udp|sctp)/")]
    private static partial Regex PortWords();

    [GeneratedRegex(@"\b\d+/[a-z|]+(?=/)")]
    private static partial Regex ProtocolWords();
}

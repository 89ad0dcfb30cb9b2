namespace Filter.Tests.Worlds;

/// <summary>rules/bridge.yaml, where moreover nothing from outside may have the source of a machine inside, or a private one.</summary>
public sealed class ForgeryScene : BridgeScene
{
    protected override string Ruleset
    {
        get
        {
            const string Outside = "    side: unprotected\n", Inbound = "  - allow: ping-in\n";
            string text = File.ReadAllText(Path.Combine(Repository.Root, "rules/bridge.yaml"));
            Assert.Contains(Outside, text, StringComparison.Ordinal);
            Assert.Contains(Inbound, text, StringComparison.Ordinal);
            return World.Write("forgery.yaml", text
                .Replace(Outside, $"{Outside}    antispoof: true\n", StringComparison.Ordinal)
                .Replace(Inbound, $"""
                  - drop: private
                    from: outside
                    source: [ 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, fc00::/7 ]
                {Inbound}
                """, StringComparison.Ordinal));
        }
    }
}

/// <summary>
/// Packets that no honest host sends, made by hping3 for IPv4 and nping for IPv6 and sent to a port that is open: none passes,
/// and each is counted for what is wrong with it.
/// </summary>
[Collection(InNamespaces.Name)]
public sealed class HostilePacketTests(ForgeryScene scene) : IClassFixture<ForgeryScene>
{
    private const int Each = 3;

    private readonly string _server = scene.Server.Mac("eth0"), _client = scene.Client.Mac("eth0");

    [Fact]
    public void Impossible_flags_over_IPv4() => Drops(Hping,
        ("-S -F", "bad-flags"), ("-S -R", "bad-flags"), ("-S -F -P -U", "bad-flags"), ("-F", "bad-flags"), ("-F -P -U", "bad-flags"),
        ("-X -Y", "bad-flags"), ("", "bad-flags"), ("-A", "no-flow"), ("-S -A", "no-flow"), ("-R", "no-flow"), ("-R -A", "no-flow"));

    [Fact]
    public void Impossible_flags_over_IPv6() => Drops(Nping,
        ("--tcp --flags syn,fin", "bad-flags"), ("--tcp --flags syn,rst", "bad-flags"), ("--tcp --flags syn,fin,psh,urg", "bad-flags"), ("--tcp --flags fin", "bad-flags"),
        ("--tcp --flags fin,psh,urg", "bad-flags"), ("--tcp --flags ecn,cwr", "bad-flags"), ("--tcp --flags none", "bad-flags"), ("--tcp --flags ack", "no-flow"),
        ("--tcp --flags syn,ack", "no-flow"), ("--tcp --flags rst", "no-flow"), ("--tcp --flags rst,ack", "no-flow"));

    [Fact]
    public void Broken_headers_over_IPv4() => Drops(Hping,
        ("-S --badcksum", "bad-checksum"), ("--udp --badcksum", "bad-checksum"), ("--icmp --badcksum", "bad-checksum"),
        ("-S --destport 0", "port-zero"), ("--udp --destport 0", "port-zero"), ("-S --tcpoff 4", "bad-header-length"),
        ("-S --morefrag", "bad-fragment"), ("--icmp --lsrr 192.0.2.1", "source-route"), ("--icmp --ssrr 192.0.2.1", "source-route"));

    [Fact]
    public void Broken_headers_over_IPv6() => Drops(Nping,
        ("--tcp --flags syn --badsum", "bad-checksum"), ("--udp --badsum", "bad-checksum"), ("--tcp --flags syn -p 0", "port-zero"), ("--udp -p 0", "port-zero"));

    [Fact]
    public void Forged_sources_over_IPv4() => Drops(Hping,
        ($"-S --spoof {World.Inner4} --baseport 80 --keep", "land"), ($"-S --spoof {World.Inner4} --baseport 81 --keep", "land"),
        ("-S --spoof 127.0.0.1", "martian"), ("-S --spoof 224.0.0.1", "bad-source"), ("-S --spoof 255.255.255.255", "bad-source"),
        ($"-S --spoof {World.Client4}", "spoofed-source"), ("-S --spoof 10.9.9.9", "denied"), ("-S --spoof 172.31.9.9", "denied"),
        ("-S --spoof 192.168.1.1", "denied"), ("-S --spoof 169.254.1.1", "denied"));

    [Fact]
    public void Forged_sources_over_IPv6() => Drops(Nping,
        ($"--tcp --flags syn -S {World.Inner6} -g 80", "land"), ($"--tcp --flags syn -S {World.Inner6} -g 81", "land"),
        ("--tcp --flags syn -S ::1", "martian"), ("--tcp --flags syn -S ::", "martian"), ("--tcp --flags syn -S ff02::1", "bad-source"),
        ("--udp -S ff0e::1", "bad-source"), ("--tcp --flags syn -S ::ffff:203.0.113.9", "mapped-address"),
        ($"--tcp --flags syn -S {World.Client6}", "spoofed-source"), ("--tcp --flags syn -S fd00::9", "denied"));

    [Fact]
    public void Answers_that_nobody_asked_for() => Drops(Hping,
        ("--icmp --icmptype 0", "no-flow"), ("--icmp --icmptype 3 --icmpcode 1", "stray-icmp-error"),
        ("--icmp --icmptype 3 --icmpcode 4", "stray-icmp-error"), ("--icmp --icmptype 11", "stray-icmp-error"),
        ("--icmp --icmptype 13", "default-deny"), ("--icmp --icmptype 17", "default-deny"),
        ("--udp --baseport 53 --keep --destport 40000", "default-deny"), ("--rawip --ipproto 89", "default-deny"));

    private string Hping(string words) => $"hping3 -n -q -i u2000 -c {Each} --destport 80 {words} {World.Inner4}";

    private string Nping(string words) =>
        $"nping -6 -H -q1 --delay 2ms -c {Each} -e eth0 --source-mac {_server} --dest-mac {_client} -S {World.Gateway6} -p 80 {words} {World.Inner6}";

    /// <summary>Sends some of each; none arrives, and each kind is dropped for its reason.</summary>
    private void Drops(Func<string, string> command, params (string Words, string Reason)[] kinds)
    {
        // Neighbours first: what is counted then are the packets that matter.
        scene.Server.Must($"ping -q -c1 -W2 {World.Inner4} && ping -q -c1 -W2 {World.Inner6}");
        Balance balance = scene.Count();
        long arrivals = scene.Client.Arrivals();

        scene.Server.Must(string.Concat(kinds.Select(kind => $"{command(kind.Words)} & ")) + "wait");

        Counted counted = balance.Settle();
        counted.NothingLost();
        foreach (IGrouping<string, string> reason in kinds.GroupBy(static kind => kind.Reason, static kind => kind.Words))
        {
            Assert.True(counted[$"reason {reason.Key}"] == Each * reason.Count(), $"{reason.Key} of {string.Join(", ", reason)}\n{counted}");
        }

        Assert.Equal(Each * kinds.Length, counted.Dropped);
        Assert.Equal(Each * kinds.Length, counted["in"]);
        Assert.Equal(0, counted["out"]);
        Assert.Equal(arrivals, scene.Client.Arrivals());
    }
}

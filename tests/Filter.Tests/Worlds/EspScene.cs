using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Filter.Tests.Worlds;

/// <summary>client – Filter a ═ link ═ Filter b – server: what the two Filters do for the hosts behind them.</summary>
public abstract partial class EspScene : IDisposable
{
    private readonly Dictionary<string, Daemon> _filters = [];
    private World? _world;

    private string _running = "";

    private protected EspScene(bool tunnel) => IsTunnel = tunnel;

    public bool IsTunnel { get; }

    public World World => _world ??= IsTunnel ? World.EspTunnel() : World.EspTransport();

    public Host Client => World.Client;

    public Host Server => World.Server;

    public string Client4 => IsTunnel ? "10.1.0.10" : "192.0.2.10";

    public string Client6 => IsTunnel ? "2001:db8:a::10" : "2001:db8:1::10";

    public string Server4 => IsTunnel ? "10.2.0.10" : "192.0.2.20";

    public string Server6 => IsTunnel ? "2001:db8:b::10" : "2001:db8:1::20";

    /// <summary>The ruleset of Filter a, relative to the repository's root.</summary>
    public string RulesetOfA => IsTunnel ? "rules/site-to-site.yaml" : "tests/world/transport-a.yaml";

    private string RulesetOfB => IsTunnel ? "rules/site-to-site-peer.yaml" : "tests/world/transport-b.yaml";

    /// <summary>Has both Filters run these rulesets, and the hosts know nothing of the path.</summary>
    /// <param name="clamped">As the rulesets are; else without `mss: clamp`.</param>
    public void Start(bool clamped = true)
    {
        if (_running != $"{clamped}")
        {
            Stop();
            StartOne("a", RulesetOfA, clamped);
            StartOne("b", RulesetOfB, clamped);
            _running = $"{clamped}";
        }

        foreach (Host host in (Host[])[Client, Server])
        {
            host.Must("ip route flush cache && ip -6 route flush cache");
        }

        // Neighbours and routers first: what is counted afterwards are the packets that matter.
        Client.Must($"ping -q -c2 -i0.05 -W2 {Server4} && ping -q -c2 -i0.05 -W2 {Server6}");
    }

    private void StartOne(string host, string file, bool clamped)
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, file));
        Assert.Contains("mss: clamp", text, StringComparison.Ordinal);
        string ruleset = clamped ? file : World.Write($"{host}.yaml", text.Replace("mss: clamp", "replay: off", StringComparison.Ordinal));
        _filters[host] = Daemon.Start(World[host], ruleset, ["outside=eth0", "inside=eth1"], $"--state {World.Folder}/{host}.state");
    }

    /// <summary>Starts to count on one of the Filters.</summary>
    public Balance Count(string filter)
    {
        List<FarEnd> ends =
        [
            new("outside", World["link"], filter == "a" ? "eth0" : "eth1"),
            new("inside", filter == "a" ? Client : Server, "eth0"),
        ];
        if (IsTunnel)
        {
            ends.Add(new("self", World[filter], "filter0"));
        }

        return Balance.Of(_filters[filter], [.. ends]);
    }

    /// <summary>One of the Filters.</summary>
    public Daemon Filter(string host) => _filters[host];

    /// <summary>Packets that a Filter's SAs sealed or opened.</summary>
    public long Handled(string filter, string direction) => _filters[filter].Ask("status").GetProperty("status").GetProperty("sas")
        .EnumerateArray().Where(sa => sa.GetProperty("direction").GetString() == direction)
        .Sum(static sa => sa.GetProperty("packets").GetInt64());

    /// <summary>Packets that a Filter's SAs refused.</summary>
    public long Refused(string filter) => _filters[filter].Ask("status").GetProperty("status").GetProperty("sas")
        .EnumerateArray().Sum(static sa => sa.GetProperty("badIcv").GetInt64() + sa.GetProperty("replayed").GetInt64());

    /// <summary>Starts to see what a Filter drops.</summary>
    public Running Drops(string filter) => _filters[filter].Watch("drops");

    /// <summary>Has tshark open a capture of the link with the keys of Filter a: how many ESP packets, and how many ICVs are good.</summary>
    public (int Packets, int Good) Open(string capture)
    {
        // Status 1 where one is not good: the counts say as much.
        Ran ran = World["link"].Run($"tests/world/icv.sh {capture} {RulesetOfA}", TimeSpan.FromSeconds(60));
        Match counts = IcvWords().Match(ran.Output);
        Assert.True(counts.Success, ran.ToString());
        return (int.Parse(counts.Groups[1].Value, CultureInfo.InvariantCulture), int.Parse(counts.Groups[2].Value, CultureInfo.InvariantCulture));
    }

    /// <summary>What of a capture is neither ESP, nor a piece of it, nor how hosts find each other.</summary>
    internal static string[] Clear(Capture wire) => wire.Lines(
        "ip and not ip proto 50 or (ip6 and not ip6 proto 50 and not (ip6[6] = 44 and ip6[40] = 50) and not (icmp6 and ip6[40] >= 133 and ip6[40] <= 137) "
        + "and not (ip6[6] = 0 and ip6[48] = 143))");

    public void Dispose()
    {
        Stop();
        _world?.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Stops both Filters: whoever starts them next finds them as their rulesets have them.</summary>
    public void Stop()
    {
        _running = "";
        foreach (Daemon filter in _filters.Values)
        {
            filter.Must("stop");
            Assert.Equal(0, filter.Process.Ends());
            filter.Dispose();
        }

        _filters.Clear();
    }

    [GeneratedRegex(@"(\d+) ESP packets, (\d+) with a good ICV")]
    private static partial Regex IcvWords();
}

/// <summary>Two sites, and a router between them.</summary>
public sealed class EspTunnelScene() : EspScene(tunnel: true);

/// <summary>Two hosts of one LAN.</summary>
public sealed class EspTransportScene() : EspScene(tunnel: false);

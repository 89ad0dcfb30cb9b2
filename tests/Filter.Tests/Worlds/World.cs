using System.Collections.Concurrent;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Filter.Tests.Worlds;

/// <summary>Tests in namespaces run one after another: they measure, and the machine is small.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class InNamespaces
{
    public const string Name = "in namespaces";
}

/// <summary>
/// Hosts in network namespaces with real programs on them, made by <c>tests/world/world.sh</c>, whose head
/// draws the scenes. A world ends with <see cref="Dispose"/>, and with the test process at the latest.
/// </summary>
public sealed partial class World : IDisposable
{
    // Addresses of the scenes `bridge`, `routed` and `host`; kept in step with tests/world/world.sh.
    public const string Www = "www.example.test";
    /// <summary>A name with 3,400 bytes of text.</summary>
    public const string Large = "large.example.test";
    public const string Www4 = "198.51.100.7", Www6 = "2001:db8:f::7";
    public const string Dns4 = "198.51.100.53", Dns6 = "2001:db8:f::53";
    public const string Client4 = "192.0.2.5", Client6 = "2001:db8:1::5";
    /// <summary>The client's host again, as the web server that <c>rules/bridge.yaml</c> lets in.</summary>
    public const string Inner4 = "192.0.2.10", Inner6 = "2001:db8:1::10";
    /// <summary>The server's end of the LAN that it shares with the client.</summary>
    public const string Gateway4 = "192.0.2.1", Gateway6 = "2001:db8:1::1";

    private static readonly ConcurrentDictionary<string, World> s_living = new();
    private static int s_count;

    private readonly string _prefix = string.Create(CultureInfo.InvariantCulture,
        $"fw-t{Environment.ProcessId}-{Interlocked.Increment(ref s_count)}");
    private readonly List<IDisposable> _running = [];

    static World() => AppDomain.CurrentDomain.ProcessExit += (_, _) =>
    {
        foreach (World world in s_living.Values)
        {
            world.Dispose();
        }
    };

    private World(string scene)
    {
        Assert.SkipUnless(MayMakeNamespaces(), "network namespaces need root (CAP_SYS_ADMIN and CAP_NET_ADMIN)");
        s_living[_prefix] = this;
        Ran ran = Script("up", scene, _prefix);
        if (!ran.Ok)
        {
            s_living.TryRemove(_prefix, out _);
            throw new InvalidOperationException($"world '{scene}' was not built: {ran}");
        }
    }

    /// <summary>client – filter – server; the server's host is also the client's gateway.</summary>
    public static World Bridge() => new("bridge");

    /// <summary>client – filter – near – far – server: near and far are routers, with room for 1,280 bytes between them.</summary>
    public static World Routed() => new("routed");

    /// <summary>far – filter, whose own stack stands behind the TAP that the ruleset describes.</summary>
    public static World BehindTap() => new("host");

    /// <summary>client – a – link – b – server on one LAN: the end hosts speak in transport mode, the Filters do it for them.</summary>
    public static World EspTransport() => new("esp");

    /// <summary>client – a – link – b – server; link routes between two sites, tunnelled by a and b.</summary>
    public static World EspTunnel() => new("esp-tunnel");

    /// <summary>far – filter, as <see cref="BehindTap"/>, but on far speaks only what the test starts there.</summary>
    public static World BesideNobody() => new("wire");

    /// <summary>filter alone: its eth0 is the cable to a <see cref="KernelGuest"/>, and its own stack stands behind a TAP.</summary>
    public static World WithGuest() => new("kernel");

    public Host Client => this["client"];
    public Host Server => this["server"];
    public Host Filter => this["filter"];

    /// <summary>Any host of the scene by its name: <c>near</c>, <c>far</c>, <c>a</c>, <c>link</c>, <c>b</c>.</summary>
    public Host this[string host] => new(this, host, $"{_prefix}-{host}");

    /// <summary>Where this world's own files are: sockets, logs of its servers. Removed with it.</summary>
    public string Folder => $"/run/filter-world/{_prefix}";

    /// <summary>Puts a file, a ruleset of the test's own, into <see cref="Folder"/>; gives its path.</summary>
    public string Write(string name, string text)
    {
        string path = Path.Combine(Folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    /// <summary>A kernel bridge where Filter would be; with a stateful nftables table if asked.</summary>
    public void PutKernelBridge(bool nftables = false) => Must(Script("kernel", _prefix, nftables ? "nft" : ""));

    public void RemoveKernelBridge() => Must(Script("unkernel", _prefix));

    /// <summary>Has a device of a host get its addresses and routes from the network, by DHCP and router advertisements.</summary>
    public void Lease(string host, string device) => Must(Script("lease", _prefix, host, device));

    /// <summary>Ends every process of the world, then the world.</summary>
    public void Dispose()
    {
        if (!s_living.TryRemove(_prefix, out _))
        {
            return;
        }
        foreach (IDisposable running in _running)
        {
            running.Dispose();
        }
        Script("down", _prefix);
    }

    /// <summary>What is disposed with the world, before its namespaces go.</summary>
    internal T Keep<T>(T running) where T : IDisposable
    {
        _running.Add(running);
        return running;
    }

    private static Ran Script(params string[] args) =>
        Ran.ToTheEnd([Path.Combine(Repository.Root, "tests", "world", "world.sh"), .. args], TimeSpan.FromSeconds(30));

    private static void Must(Ran ran) => Assert.True(ran.Ok, ran.ToString());

    private static bool MayMakeNamespaces()
    {
        const int NetAdmin = 12, SysAdmin = 21;
        Match effective = CapEff().Match(File.ReadAllText("/proc/self/status"));
        ulong capabilities = ulong.Parse(effective.Groups[1].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        return (capabilities >> NetAdmin & capabilities >> SysAdmin & 1) == 1;
    }

    [GeneratedRegex(@"^CapEff:\s*([0-9a-f]+)", RegexOptions.Multiline)]
    private static partial Regex CapEff();
}

namespace Filter.Tests.Worlds;

/// <summary>client – Filter with rules/bridge.yaml, unless told otherwise – server, both of Filter's NICs by one driver.</summary>
internal sealed class DriverScene : IDisposable
{
    private readonly string _ruleset;
    private readonly string _options;

    /// <param name="driver">Of both NICs.</param>
    /// <param name="ruleset">Another ruleset, with <c>nic: eth0</c> and <c>nic: eth1</c> on lines of their own.</param>
    /// <param name="inside">Of the inner one, where it is another.</param>
    /// <param name="workers">How many carry packets, unless all tests are run with some number.</param>
    public DriverScene(string driver, string? ruleset = null, string? inside = null, int workers = 1)
    {
        World = World.Bridge();
        if (driver.StartsWith("xdp", StringComparison.Ordinal) || inside is not null)
        {
            // What a veth's far end leaves to the device, no program of XDP can see; with one of the driver's own the kernel
            // itself sees to the segments.
            string segments = driver == "xdp-generic" ? "tso off gso off" : "";
            foreach (Host host in (Host[])[World.Client, World.Server])
            {
                host.Must($"ethtool -K eth0 txvlan off {segments}");
            }
        }

        _options = $"--state {World.Folder}/state" + (workers == 1 || Conversations.NetWalk.Usual != 1 ? "" : $" --workers {workers}");
        _ruleset = World.Write("own.yaml", Edited(ruleset ?? File.ReadAllText(Path.Combine(Repository.Root, "rules", "bridge.yaml")), driver, inside ?? driver));
        Filter = Start();
        foreach ((string own, string gateway) in (ReadOnlySpan<(string, string)>)
            [(World.Client4, World.Gateway4), (World.Client6, World.Gateway6), (World.Inner4, World.Gateway4), (World.Inner6, World.Gateway6)])
        {
            World.Client.Run($"ping -c 1 -W 2 -I {own} {gateway}");
        }
    }

    public World World { get; }

    public Host Client => World.Client;

    public Host Server => World.Server;

    public Daemon Filter { get; private set; }

    /// <summary>Starts Filter again, after it has ended.</summary>
    public void StartAgain()
    {
        Filter.Dispose();
        Filter = Start();
    }

    /// <summary>Starts to count.</summary>
    public Balance Count() => Balance.Of(Filter, new("outside", Server, "eth0"), new("inside", Client, "eth0"));

    public void Dispose()
    {
        Filter.Dispose();
        World.Dispose();
    }

    private Daemon Start() => Daemon.Start(World.Filter, _ruleset, ["outside=eth0", "inside=eth1"], _options);

    private static string Edited(string text, string driver, string inside)
    {
        string edited = text
            .Replace("    nic: eth0", $"    driver: {driver}\n    nic: eth0", StringComparison.Ordinal)
            .Replace("    nic: eth1", $"    driver: {inside}\n    nic: eth1", StringComparison.Ordinal);
        Assert.NotEqual(text, edited);
        return edited;
    }
}

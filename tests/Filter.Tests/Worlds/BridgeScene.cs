namespace Filter.Tests.Worlds;

/// <summary>client – Filter with rules/bridge.yaml – server, shared by the tests of a class; built when the first one asks.</summary>
public sealed class BridgeScene : IDisposable
{
    private World? _world;
    private Daemon? _filter;

    public World World => _world ??= World.Bridge();

    public Daemon Filter => _filter ??= Daemon.Start(World.Filter, "rules/bridge.yaml", ["outside=eth0", "inside=eth1"]);

    public Host Client => Ready().Client;

    public Host Server => Ready().Server;

    /// <summary>Starts to count.</summary>
    public Balance Count() => Balance.Of(Filter, new("outside", Server, "eth0"), new("inside", Client, "eth0"));

    /// <summary>Whichever test is the first, Filter stands between them.</summary>
    private World Ready() => Filter.Process.HasEnded ? throw new InvalidOperationException("Filter has ended") : World;

    public void Dispose()
    {
        _filter?.Dispose();
        _world?.Dispose();
    }
}

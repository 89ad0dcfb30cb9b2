using System.Text.Json;

namespace Filter.Tests.Worlds;

/// <summary>client – Filter with rules/bridge.yaml – server, shared by the tests of a class; built when the first one asks.</summary>
public class BridgeScene : IDisposable
{
    private World? _world;
    private Daemon? _filter;

    public World World => _world ??= Build();

    public Daemon Filter => _filter ??= Begin();

    public Host Client => Ready().Client;

    public Host Server => Ready().Server;

    /// <summary>Who stands at the outer end of Filter's cable: the server itself, or the first router on the way to it.</summary>
    public virtual Host Outside => Server;

    /// <summary>The ruleset, relative to the repository's root.</summary>
    protected virtual string Ruleset => "rules/bridge.yaml";

    /// <summary>Starts to count.</summary>
    public Balance Count() => Balance.Of(Filter, new("outside", Outside, "eth0"), new("inside", Client, "eth0"));

    /// <summary>The flows that Filter knows with this port of the client's.</summary>
    public IEnumerable<JsonElement> Flows(int port) => Filter.Json($"flows list :{port}").GetProperty("flows").EnumerateArray();

    /// <summary>A packet that the server sends the client, without being asked, is dropped by the default.</summary>
    public void StaysOut(string line)
    {
        Balance balance = Count();
        using (RawSender sender = new(Server, "eth0"))
        {
            sender.Send(line, Client.Mac("eth0"));
        }

        Counted counted = balance.Settle();
        Assert.Equal(1, counted["reason default-deny"]);
        Assert.Equal(0, counted["out"]);
    }

    /// <summary>Whichever test is the first, Filter stands between them.</summary>
    protected World Ready() => Filter.Process.HasEnded ? throw new InvalidOperationException("Filter has ended") : World;

    private protected virtual World Build() => World.Bridge();

    /// <summary>Whichever test is the first, everybody knows his neighbours before it counts.</summary>
    private Daemon Begin()
    {
        Daemon filter = Daemon.Start(World.Filter, Ruleset, ["outside=eth0", "inside=eth1"]);
        foreach ((string own, string gateway) in (ReadOnlySpan<(string, string)>)
            [(World.Client4, World.Gateway4), (World.Client6, World.Gateway6), (World.Inner4, World.Gateway4), (World.Inner6, World.Gateway6)])
        {
            World.Client.Run($"ping -c 1 -W 2 -I {own} {gateway}");
        }

        return filter;
    }

    public void Dispose()
    {
        _filter?.Dispose();
        _world?.Dispose();
        GC.SuppressFinalize(this);
    }
}

/// <summary>The same with two routers between Filter and the server, and less room between them than on the links at either end.</summary>
public sealed class RoutedScene : BridgeScene
{
    // Kept in step with tests/world/world.sh.
    public const string Far4 = "203.0.113.2", Far6 = "2001:db8:2::2";

    /// <summary>The largest packet between the routers, in bytes.</summary>
    public const int Mtu = 1280;

    /// <summary>The router beside Filter; it has the addresses <see cref="World.Gateway4"/> and <see cref="World.Gateway6"/> there.</summary>
    public override Host Outside => Ready()["near"];

    private protected override World Build() => World.Routed();
}

namespace Filter.Tests.Worlds;

/// <summary>client – Filter – server, where a rule lets in so many connections at once of each source.</summary>
public sealed class LimitScene : BridgeScene
{
    protected override string Ruleset => World.Write("limits.yaml", """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - allow: segment
            service: [ nd, mld, ping ]
          - allow: few
            from: inside
            service: tcp/9000
            limit: { per-source: { connections: 3 } }

        """);
}

/// <summary>Real stacks at the limits of a rule.</summary>
[Collection(InNamespaces.Name)]
public sealed class RuleLimitWorldTests(LimitScene scene) : IClassFixture<LimitScene>
{
    [Theory]
    [InlineData(World.Client4, World.Inner4, World.Gateway4)]
    [InlineData(World.Client6, null, World.Gateway6)]
    public void A_source_has_as_many_connections_as_it_may_and_takes_none_of_another(string greedy, string? other, string server)
    {
        using Running echo = scene.Server.Start($"exec ncat -lk {server} 9000 -e /bin/cat");
        scene.Server.Must("until ss -Hltn sport = :9000 | grep -q .; do sleep 0.02; done");
        Running[] held = [.. Enumerable.Range(0, 3).Select(_ => scene.Client.Start($"exec ncat -s {greedy} {server} 9000"))];
        LiveSetScene.Until(() => scene.Flows(9000).Count(flow => flow.GetProperty("state").GetString() == "established") == 3, "three connections stand");
        Assert.False(Connects(greedy, server));
        Assert.Contains(scene.Filter.Ask("counters").GetProperty("counters").GetProperty("reasons").EnumerateArray(), static reason => reason.ToString().Contains("\"connection-limit\"", StringComparison.Ordinal));
        Assert.Equal(3, scene.Flows(9000).Count());
        if (other is not null)
        {
            Assert.True(Connects(other, server), "another source has its own");
        }

        // The one that ends makes room.
        held[0].Dispose();
        LiveSetScene.Until(() => Connects(greedy, server), "there is room again");
        foreach (Running one in held)
        {
            one.Dispose();
        }

        scene.Filter.Must("flows delete all");
    }

    /// <summary>Whether a connection from that address is made within a second.</summary>
    private bool Connects(string from, string to) => scene.Client.Run($"ncat -s {from} -w 1 -z {to} 9000").Ok;
}

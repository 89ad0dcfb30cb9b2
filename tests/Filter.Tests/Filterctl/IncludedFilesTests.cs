using Filter.Tests.Worlds;

namespace Filter.Tests.Filterctl;

/// <summary>`filterctl run` with a ruleset of several files, and what a reload makes of them.</summary>
[Collection(InNamespaces.Name)]
public sealed class IncludedFilesTests
{
    private const string Ping = $"ping -q -c1 -W1 {World.Www4}";

    [Fact]
    public void One_wrong_file_changes_nothing_and_the_right_one_is_in_force_at_once()
    {
        using World world = World.Bridge();
        world.Write("pings.yaml", "filter: 1\nrules:\n  - allow: pings\n    service: ping\n");
        string file = world.Write("own.yaml", """
            filter: 1
            ports:
              outside: { nic: eth0, side: unprotected }
              inside: { nic: eth1, side: protected }
            rules:
              - group: outwards
                from: inside
                rules:
                  - include: pings.yaml
            """);
        string included = Path.Combine(Path.GetDirectoryName(file)!, "pings.yaml");
        using Daemon daemon = Daemon.Start(world.Filter, file, ["outside=eth0", "inside=eth1"]);
        world.Client.Must(Ping);
        Assert.Contains($"{included}:3", daemon.Must("counters"), StringComparison.Ordinal);

        world.Write("pings.yaml", "filter: 1\nrules:\n  - drop: pings\n    servce: ping\n");
        Ran refused = daemon.Ctl("reload");
        Assert.Equal(1, refused.Status);
        Assert.Contains($"{included}:4:5: error: a rule has no key 'servce'", refused.Errors, StringComparison.Ordinal);
        world.Client.Must(Ping);

        world.Write("pings.yaml", $"filter: 1\ninclude: {Path.GetFileName(file)}\n");
        Assert.Contains("files include each other in a ring", daemon.Ctl("reload").Errors, StringComparison.Ordinal);
        world.Client.Must(Ping);

        world.Write("pings.yaml", "filter: 1\nrules:\n  - drop: pings\n    service: ping\n");
        Assert.Contains("generation 2", daemon.Must("reload"), StringComparison.Ordinal);
        Assert.False(world.Client.Run(Ping).Ok);
    }
}

namespace Filter.Tests.Worlds;

/// <summary>The stage itself, with a kernel bridge where Filter will stand.</summary>
[Collection(InNamespaces.Name)]
public sealed class WorldTests
{
    [Theory]
    [InlineData("bridge", "client")]
    [InlineData("esp", "client")]
    [InlineData("esp-tunnel", "client")]
    [InlineData("host", "filter")]
    public void A_page_is_reached_by_name_over_both_families(string scene, string from)
    {
        using World world = Of(scene);
        world.PutKernelBridge();

        Assert.StartsWith("Hello from", world[from].Must($"curl -4 -sS -m 5 http://{World.Www}/"), StringComparison.Ordinal);
        Assert.StartsWith("Hello from", world[from].Must($"curl -6 -sS -m 5 http://{World.Www}/"), StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_passes_where_nobody_forwards()
    {
        using World world = World.Bridge();

        Assert.False(world.Client.Run($"ping -4 -c1 -W1 {World.Www4}").Ok);
        Assert.False(world.Client.Run($"ping -6 -c1 -W1 {World.Www6}").Ok);
    }

    [Fact]
    public void The_endpoints_count_what_they_exchange()
    {
        using World world = World.Bridge();
        world.PutKernelBridge();
        // Neighbours first, so that only the pings are counted.
        world.Client.Must($"ping -c1 {World.Www4} && ping -c1 {World.Www6}");
        LinkCounts client = world.Client.Counts("eth0"), server = world.Server.Counts("eth0");

        world.Client.Must($"ping -c5 -i0.02 {World.Www4} && ping -c5 -i0.02 {World.Www6}");

        client = world.Client.Counts("eth0").Since(client);
        server = world.Server.Counts("eth0").Since(server);
        Assert.Equal(client.Sent, server.Received);
        Assert.Equal(server.Sent, client.Received);
        Assert.InRange(client.Sent, 10, 20);
    }

    [Fact]
    public void A_world_leaves_nothing_behind_even_with_a_program_still_running()
    {
        string folder;
        Running capture;
        using (World world = World.Bridge())
        {
            folder = world.Folder;
            capture = world.Client.Start("exec tcpdump -n -i eth0");
            capture.Says("listening on eth0");
            Assert.Contains(Path.GetFileName(folder), Spaces(), StringComparison.Ordinal);
        }

        Assert.True(capture.HasEnded);
        Assert.False(Directory.Exists(folder));
        Assert.DoesNotContain(Path.GetFileName(folder), Spaces(), StringComparison.Ordinal);

        static string Spaces() => Ran.ToTheEnd(["ip", "netns", "list"], Host.Patience).Output;
    }

    private static World Of(string scene) => scene switch
    {
        "bridge" => World.Bridge(),
        "host" => World.BehindTap(),
        "esp" => World.EspTransport(),
        _ => World.EspTunnel(),
    };
}

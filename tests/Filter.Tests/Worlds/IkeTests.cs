using System.Runtime.Versioning;
using System.Text.Json;

namespace Filter.Tests.Worlds;

/// <summary>Keys are negotiated with strongSwan, over real links.</summary>
[Collection(InNamespaces.Name)]
[SupportedOSPlatform("linux")]
public sealed class IkeTests(IkeScene scene) : IClassFixture<IkeScene>
{
    [Fact]
    public void The_first_packet_brings_up_the_tunnel_and_is_not_lost()
    {
        using StrongSwan swan = scene.StartSwan(IkeScene.Connection());
        using Daemon filter = scene.StartFilter(scene.RulesetOfA());
        using Capture wire = Capture.Start(scene.World["link"], "eth1");

        scene.Client.Must($"ping -q -c3 -i0.2 -w9 {IkeScene.Server4}");
        scene.Client.Must($"ping -q -c3 -i0.2 -w9 {IkeScene.Server6}");

        JsonElement peer = filter.Json("ike list").GetProperty("peers")[0];
        Assert.Equal("up", peer.GetProperty("state").GetString());
        wire.End();
        Assert.DoesNotContain(EspScene.Clear(wire), static line => !line.Contains(".500 ", StringComparison.Ordinal) && !line.Contains(".4500 ", StringComparison.Ordinal));
        filter.Must("stop");
        swan.Says("received DELETE for IKE_SA");
    }

    [Fact]
    public void The_far_end_may_begin()
    {
        using StrongSwan swan = scene.StartSwan(IkeScene.Connection());
        using Daemon filter = scene.StartFilter(scene.RulesetOfA());

        swan.Must("--initiate --child net --timeout 10");
        scene.Server.Must($"ping -q -c3 -i0.2 -w9 {IkeScene.Client4}");
        scene.Server.Must($"ping -q -c3 -i0.2 -w9 {IkeScene.Client6}");
        filter.Must("stop");
    }
}

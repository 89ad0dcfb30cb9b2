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

    [Theory]
    [InlineData("rsa")]
    [InlineData("ecdsa")]
    [InlineData("ed25519")]
    public void Both_ends_prove_themselves_by_certificates(string kind)
    {
        string pki = StrongSwan.Certify(scene.World["b"], kind, "a.example.com", "b.example.com");
        using StrongSwan swan = scene.StartSwan(IkeScene.Connection(auth: "auth = pubkey", certificate: "certs = b.example.com.pem"), pki);
        using Daemon filter = scene.StartFilter(scene.RulesetOfA($"""
            local: {IkeScene.A4}
            remote: {IkeScene.B4}
            identity: a.example.com
            peer-identity: b.example.com
            certificate: {pki}/x509/a.example.com.pem
            key-file: {pki}/private/a.example.com.pem
            trust: {pki}/x509ca/ca.pem
            """));

        CrossBothWays(filter, swan);
        filter.Must("ike down site-b");
        swan.Must("--initiate --child net --timeout 10");
        scene.Server.Must($"ping -q -c2 -i0.2 -w9 {IkeScene.Client4}");
        filter.Must("stop");
    }

    [Fact]
    public void The_tunnel_may_run_over_IPv6()
    {
        using StrongSwan swan = scene.StartSwan(IkeScene.Connection(local: IkeScene.B6, remote: IkeScene.A6));
        using Daemon filter = scene.StartFilter(scene.RulesetOfA($"""
            local: "{IkeScene.A6}"
            remote: "{IkeScene.B6}"
            identity: a.example.com
            peer-identity: b.example.com
            psk: "{IkeScene.Psk}"
            """));

        CrossBothWays(filter, swan);
        filter.Must("stop");
    }

    [Fact]
    public void A_translator_may_stand_between()
    {
        scene.World["link"].Must("nft 'table ip nat { chain out { type nat hook postrouting priority 100; oifname eth1 masquerade; }; }'");
        try
        {
            using StrongSwan swan = scene.StartSwan(IkeScene.Connection(remote: "%any"));
            using Daemon filter = scene.StartFilter(scene.RulesetOfA());

            CrossBothWays(filter, swan);
// strongSwan's userspace ESP says that it is translated in any case, so as to have ESP in UDP.
            Assert.Equal("both", filter.Json("ike list").GetProperty("peers")[0].GetProperty("sas")[0].GetProperty("translated").GetString());
            filter.Must("stop");
        }
        finally
        {
            scene.World["link"].Must("nft delete table ip nat");
        }
    }

    [Fact]
    public void Keys_are_renewed_from_both_sides_and_not_one_packet_is_lost()
    {
        using StrongSwan swan = scene.StartSwan(IkeScene.Connection(esp: "aes256gcm16-x25519,aes256-sha256-x25519"));
        using Daemon filter = scene.StartFilter(scene.RulesetOfA());
        CrossBothWays(filter, swan);

        using Running stream = scene.Client.Start($"exec ping -q -i0.01 -c1500 -w60 {IkeScene.Server4}");
        for (int round = 0; round < 4; round++)
        {
            Renews(filter, IkeSas, () => filter.Must("ike rekey site-b"));
            Renews(filter, Children, () => filter.Must("ike rekey other-site"));
            Renews(filter, Children, () => swan.Must("--rekey --child net"));
            Renews(filter, IkeSas, () => swan.Must("--rekey --ike gw"));
        }

        stream.Says("packets transmitted", TimeSpan.FromSeconds(60));
        Assert.Equal(0, Host.MissedPings(stream.Said));
        filter.Must("stop");
    }

    [Fact]
    public void A_wrong_key_is_said_and_the_peer_shows_as_down()
    {
        using StrongSwan swan = scene.StartSwan(IkeScene.Connection().Replace(IkeScene.Psk, "another key than the sample", StringComparison.Ordinal));
        using Daemon filter = scene.StartFilter(scene.RulesetOfA());

        Assert.False(scene.Client.Run($"ping -q -c1 -w3 {IkeScene.Server4}").Ok);

        Assert.NotEqual("up", filter.Json("ike list").GetProperty("peers")[0].GetProperty("state").GetString());
        Assert.Contains("AUTHENTICATION_FAILED", filter.Must("ike explain site-b"), StringComparison.OrdinalIgnoreCase);
        filter.Must("stop");
    }

    [Fact]
    public void Tshark_opens_IKE_and_ESP_with_the_keys_that_root_may_have()
    {
        using StrongSwan swan = scene.StartSwan(IkeScene.Connection());
        using Daemon filter = scene.StartFilter(scene.RulesetOfA());
        Host link = scene.World["link"];
        using Capture wire = Capture.Start(link, "eth1", "udp");
        Ran first = scene.Client.Run($"ping -q -c3 -i0.2 -w9 {IkeScene.Server4}");
        Assert.True(first.Ok, $"{first}\n{swan.Tail()}");

        string folder = Path.Combine(scene.World.Folder, "tshark");
        Directory.CreateDirectory(folder);
        File.WriteAllText($"{folder}/ikev2_decryption_table", filter.Must("ike keys --table ike"));
        File.WriteAllText($"{folder}/esp_sa", filter.Must("ike keys --table esp"));
        wire.End();

        int Count(string shown) => link.Must(
            $"WIRESHARK_CONFIG_DIR={folder} tshark -n -r {wire.File} -o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE -Y '{shown}' 2> /dev/null",
            TimeSpan.FromSeconds(60)).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length;
        Assert.Equal(2, Count("isakmp.exchangetype == 35 && isakmp.typepayload == 39"));
        Assert.Equal(6, Count("esp.icv_good == 1 && icmp"));
        filter.Must("stop");
    }

    private static IEnumerable<JsonElement> UpSas(Daemon filter) =>
        filter.Json("ike list").GetProperty("peers")[0].GetProperty("sas").EnumerateArray().Where(static sa => sa.GetProperty("state").GetString() == "up");

    private static string IkeSas(Daemon filter) => string.Join(' ', UpSas(filter).Select(static sa => sa.GetProperty("spis").GetString()));

    private static string Children(Daemon filter) => string.Join(' ', UpSas(filter).SelectMany(static sa => sa.GetProperty("children").EnumerateArray())
        .Where(static child => child.GetProperty("state").GetString() == "up").Select(static child => child.GetProperty("in").GetString()));

    /// <summary>Gives an order, and waits until what was there has another in its place.</summary>
    private static void Renews(Daemon filter, Func<Daemon, string> what, Action order)
    {
        string before = what(filter);
        Assert.NotEmpty(before);
        order();
        DateTime until = DateTime.UtcNow + Host.Patience;
        while (what(filter) is var now && (now.Length == 0 || now.Contains(before, StringComparison.Ordinal)))
        {
            Assert.False(DateTime.UtcNow > until, $"still {now}\n{filter.Process.Said}");
        }
    }

    private void CrossBothWays(Daemon filter, StrongSwan swan)
    {
        Ran first = scene.Client.Run($"ping -q -c3 -i0.2 -w9 {IkeScene.Server4}");
        Assert.True(first.Ok, $"{first}\n{filter.Ctl("ike explain site-b")}\n{swan.Tail()}");
        scene.Client.Must($"ping -q -c3 -i0.2 -w9 {IkeScene.Server6}");
        scene.Server.Must($"ping -q -c3 -i0.2 -w9 {IkeScene.Client4}");
        scene.Server.Must($"ping -q -c3 -i0.2 -w9 {IkeScene.Client6}");
    }
}

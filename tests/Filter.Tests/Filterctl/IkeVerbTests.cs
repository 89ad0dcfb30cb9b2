using System.Runtime.Versioning;
using System.Text;
using System.Text.Json;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Ctl.Service;
using Filter.Ctl.Verbs;
using Filter.Engine.Packets;
using Filter.Ipsec.Ike;
using Filter.Rules.Policy;
using Filter.Tests.Rules;

namespace Filter.Tests.Filterctl;

/// <summary>filterctl ike: typed at a daemon in memory, and what it says of each way in which peers fail to agree.</summary>
[SupportedOSPlatform("linux")]
public sealed class IkeVerbTests : IDisposable
{
    private const long Second = 1_000_000_000, Now = 100_000 * Second;
    private static readonly string s_rules = Encoding.UTF8.GetString(SampleFiles.Bytes("rules/ike-site-to-site.yaml"));
    private static readonly IkePath s_path = new(At("192.0.2.1"), 500, At("198.51.100.1"), 500);

    private readonly MemoryDaemon _daemon = new(s_rules);

    public IkeVerbTests() =>
        _daemon.Ike = new IkeEngine(new DeafWorld(), SampleFiles.Read("rules/ike-site-to-site.yaml").Ruleset!.Ipsec!);

    public void Dispose() => _daemon.Dispose();

    [Fact]
    public void A_peer_that_nothing_needed_yet_is_configured_but_down()
    {
        Assert.Equal(
            """
            PEER    STATE  ENDS                      IDENTITY       SUITE  AGE  RE-KEY  POLICIES  LAST FAILURE
            site-b  down   192.0.2.1 > 198.51.100.1  b.example.com  -        -       -  1 down    -
            0 of 1 peer up; messages: 0 came, 0 went, 0 of them again; refused: -

            """,
            _daemon.Must("ike"));
        Assert.Equal(
            """
            site-b: down
              nothing went wrong: it begins when a packet needs it, when the peer does, or by filterctl ike up
            policy other-site: down

            """,
            _daemon.Must("ike", "explain", "other-site"));
        JsonElement peer = Assert.Single(_daemon.Type("ike", "--json").Json.GetProperty("peers").EnumerateArray().ToArray());
        Assert.Equal("down", peer.GetProperty("state").GetString());
        Assert.Equal("on-demand", peer.GetProperty("start").GetString());
    }

    [Fact]
    public void Status_has_the_number_of_peers_that_are_up() =>
        Assert.Contains("IKE: 0 of 1 peer up\n", _daemon.Must("status"), StringComparison.Ordinal);

    [Fact]
    public void Show_has_what_is_configured_and_no_secret()
    {
        string shown = _daemon.Must("ike", "show", "site-b") + _daemon.Must("ike", "show", "site-b", "--json") + _daemon.Must("ike", "list", "--json");

        Assert.Contains("  we        a.example.com, by PSK\n  peer      b.example.com, by PSK\n  begins    on-demand\n  proposes  aes-gcm-16-256+", shown, StringComparison.Ordinal);
        Assert.Contains("  policy    other-site: down, aes-gcm-16-256, aes-gcm-16-128, chacha20-poly1305, aes-cbc-256+hmac-sha2-256-128\n", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("SAMPLE", shown, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("show")]
    [InlineData("explain")]
    [InlineData("up")]
    [InlineData("down")]
    [InlineData("rekey")]
    public void A_name_that_is_none_is_refused(string order)
    {
        Typed ran = _daemon.Type("ike", order, "nobody");

        Assert.Equal(1, ran.Status);
        Assert.Contains("nobody", ran.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("up", "only root may begin and end SAs")]
    [InlineData("down", "only root may begin and end SAs")]
    [InlineData("rekey", "only root may begin and end SAs")]
    public void Only_root_and_who_runs_the_daemon_change_anything(string order, string why)
    {
        _daemon.As = 54321;
        Typed refused = _daemon.Type("ike", order, "site-b");

        Assert.Equal((1, true), (refused.Status, refused.Error.Contains(why, StringComparison.Ordinal)));
        Assert.Contains("site-b", _daemon.Must("ike"), StringComparison.Ordinal);
    }

    [Fact]
    public void Keys_are_for_root_alone_whoever_runs_the_daemon()
    {
        _daemon.As = ProcessRights.User == 0 ? 54321 : ProcessRights.User;
        Typed refused = _daemon.Type("ike", "keys");
        Assert.Equal((1, true), (refused.Status, refused.Error.Contains("only root may see keys", StringComparison.Ordinal)));

        _daemon.As = 0;
        Assert.Equal("# ikev2_decryption_table\n# esp_sa\n", _daemon.Must("ike", "keys"));
        Assert.Equal("", _daemon.Must("ike", "keys", "--table", "ike"));
        Assert.Equal(2, _daemon.Type("ike", "keys", "--table", "tls").Status);
    }

    [Fact]
    public void Without_peers_there_is_no_IKE()
    {
        using MemoryDaemon daemon = new(Encoding.UTF8.GetString(SampleFiles.Bytes("rules/site-to-site.yaml")));
        Typed ran = daemon.Type("ike");

        Assert.Equal((1, "filterctl: the ruleset in force names no peers: there is no IKE\n"), (ran.Status, ran.Error));
    }

    [Theory]
    [InlineData("certificate: gw.pem, key-file: gw.key, peer-key: ed.pub", null)]
    [InlineData("key-file: ed.key, peer-key: ed.pub", null)]
    [InlineData("certificate: gw.pem, key-file: ed.key, peer-key: ed.pub", "our private key does not belong to our certificate")]
    [InlineData("certificate: ed.pem, key-file: ed.key, peer-key: ed.pub", null)]
    [InlineData("key-file: ed.key, peer-key: small.pub", "its public key is of no use")]
    public void Check_finds_keys_that_cannot_do_what_they_are_for(string keys, string? why)
    {
        using Scratch folder = new();
        foreach (string file in Directory.GetFiles(Path.Combine(SampleFiles.Root, "rules/broken/ike")))
        {
            File.SetUnixFileMode(folder.Write(Path.GetFileName(file), File.ReadAllText(file)), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        string rules = folder.Write("rules.yaml", s_rules.Replace("psk: \"THE SAMPLE KEY OF TWO SITES\"", keys.Replace(", ", "\n        ", StringComparison.Ordinal), StringComparison.Ordinal)
            .Replace("identity: a.example.com", "identity: gw.example.com", StringComparison.Ordinal));
        Typed ran = Typed.Run("check", rules);

        Assert.True((why is null ? 0 : 1) == ran.Status, ran.Error);
        Assert.Contains(why ?? "", ran.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void More_peers_than_a_line_has_room_for_come_in_several()
    {
        const int Many = 1201;
        StringBuilder rules = new("""
            filter: 1
            ports: { outside: { nic: eth0, side: unprotected }, self: { tap: filter0, side: protected, addresses: [ 192.0.2.1/24 ] } }
            ipsec:
              policies: [ { bypass: rest } ]
              ike:
                peers:

            """);
        for (int i = 0; i < Many; i++)
        {
            rules.Append(System.Globalization.CultureInfo.InvariantCulture, $"      p{i}: {{ remote: any, identity: gw.example.com, peer-identity: p{i}.example.com, psk: \"a sample that everybody knows\" }}\n");
        }

        using MemoryDaemon daemon = new(rules.ToString());
        daemon.Ike = new IkeEngine(new DeafWorld(), Filter.Rules.RulesetFile.Parse("f.yaml", rules.ToString()).Ruleset!.Ipsec!);
        string[] lines = daemon.Must("ike").Split('\n');

        Assert.Equal(Many + 2, lines.Length - 1);
        Assert.StartsWith("0 of 1,201 peers up; ", lines[^2], StringComparison.Ordinal);
        Assert.Equal(3, daemon.Must("ike", "--json").Split('\n').Length - 1);
    }

    [Fact]
    public void Policies_say_whose_keys_they_wait_for()
    {
        Assert.Contains("  peer       site-b\n", _daemon.Must("policy", "show", "other-site"), StringComparison.Ordinal);
        Assert.Matches("other-site +protect .* by IKE with site-b\n", Typed.Run("policy", "list", _daemon.File).Out);
    }

    [Fact]
    public void Two_that_propose_what_the_other_does_not_know_see_both_lists_and_where_they_part()
    {
        IkeFailure failure = new(IkeFailureKind.NoProposal, "no proposal suits both: the group differs", Now - (5 * Second))
        {
            Mismatch = new(["aes-gcm-16-256+prf-hmac-sha2-256+x25519"], ["aes-gcm-16-256+prf-hmac-sha2-256+modp-2048", "aes-cbc-256+hmac-sha2-256-128+prf-hmac-sha2-256+modp-2048"], "group: we want x25519, the peer modp-2048"),
            IsUnproven = true,
        };

        Assert.Equal(
            """
            site-b: connecting, tried again in 20s
              5s ago, no-proposal: no proposal suits both: the group differs
              nobody has proved that he said so: it may be forged, and ended nothing
            OURS                                     THEIRS
            aes-gcm-16-256+prf-hmac-sha2-256+x25519  aes-gcm-16-256+prf-hmac-sha2-256+modp-2048
                                                     aes-cbc-256+hmac-sha2-256-128+prf-hmac-sha2-256+modp-2048
              differs   group: we want x25519, the peer modp-2048
            policy other-site: down

            """,
            Explained(new IkePeerReport("site-b", IkePeerState.Connecting, [], failure, Now + (20 * Second), [])));
    }

    [Fact]
    public void Selectors_that_do_not_meet_are_told_with_their_policy()
    {
        IkeFailure failure = new(IkeFailureKind.Selectors, "no traffic selector suits both", Now - (61 * Second))
        {
            Policy = "other-site", Mismatch = new(["10.1.0.0/16 > 10.2.0.0/16"], [], "remote: we want 10.2.0.0/16"),
        };

        Assert.Equal(
            """
            site-b: up
            policy other-site: down
              1m1s ago, selectors: no traffic selector suits both
            OURS                       THEIRS
            10.1.0.0/16 > 10.2.0.0/16  (not said)
              differs   remote: we want 10.2.0.0/16

            """,
            Explained(new IkePeerReport("site-b", IkePeerState.Up, [Sa()], null, null, [new("other-site", 0, failure)])));
    }

    [Fact]
    public void Who_is_not_who_he_should_be_is_told_beside_who_that_is()
    {
        IkeFailure failure = new(IkeFailureKind.Authentication, "the peer did not prove who it is", Now) { Expected = "b.example.com by PSK", Found = "c.example.com by PSK" };

        Assert.Equal(
            """
            site-b: down
              0s ago, authentication: the peer did not prove who it is
              expected  b.example.com by PSK
              found     c.example.com by PSK
            policy other-site: down

            """,
            Explained(new IkePeerReport("site-b", IkePeerState.Down, [], failure, null, [])));
    }

    [Fact]
    public void A_peer_that_is_up_is_shown_with_its_IKE_SA()
    {
        IkePeerReport report = new("site-b", IkePeerState.Up, [Sa()], null, null, [new("other-site", 2, null)]);
        using StringWriter shown = new();
        Screen screen = new(shown, TextWriter.Null, interactive: false, colour: false, errorColour: false);
        IkeWords.Show(screen, Told(report));
        screen.Table(IkeWords.Rows([Told(report)]));

        Assert.Contains(
            """
              IKE SA    0123456789abcdef fedcba9876543210: up, 1m40s old, begun by us
                        192.0.2.1:500 > 198.51.100.1:500, aes-gcm-16-256+prf-hmac-sha2-256+x25519, b.example.com
                        new keys in 4h0m
                        a device that translates addresses stands before the peer: ESP goes in UDP
                        addresses given: 10.9.0.7

            """,
            shown.ToString(), StringComparison.Ordinal);
        Assert.Contains("site-b  up     192.0.2.1:500 > 198.51.100.1:500  b.example.com  aes-gcm-16-256+prf-hmac-sha2-256+x25519  1m40s    4h0m  1 up      -\n", shown.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void All_of_it_fits_into_an_answer()
    {
        ControlResponse response = new() { Peers = [Told(new IkePeerReport("site-b", IkePeerState.Up, [Sa()], null, null, [new("other-site", 1, null)]))] };

        Assert.Contains("\"translated\":\"peer\"", JsonSerializer.Serialize(response, ControlJson.Plain.ControlResponse), StringComparison.Ordinal);
    }

    private static Address At(string text) => Address.TryParse(text, out Address address) ? address : throw new FormatException(text);

    private static IkeSaReport Sa() => new()
    {
        InitiatorSpi = 0x0123456789abcdef, ResponderSpi = 0xfedcba9876543210, IsInitiator = true, State = IkeSaState.Up, Path = s_path,
        RemoteIdentity = "b.example.com", Suite = "aes-gcm-16-256+prf-hmac-sha2-256+x25519", Since = Now - (100 * Second), RekeyAt = Now + (14_400 * Second),
        IsLocalTranslated = false, IsRemoteTranslated = true, Given = [At("10.9.0.7")], Children = [],
    };

    private static string Explained(IkePeerReport report)
    {
        using StringWriter shown = new();
        IkeWords.Explain(new Screen(shown, TextWriter.Null, interactive: false, colour: false, errorColour: false), Told(report));
        return shown.ToString();
    }

    private static IkePeerReply Told(IkePeerReport report)
    {
        IpsecConfig ipsec = SampleFiles.Read("rules/ike-site-to-site.yaml").Ruleset!.Ipsec!;
        return IkeTelling.Of(ipsec.Ike!.Peers.Single(), report, ipsec.Policies, Now);
    }

    /// <summary>A world in which nobody answers.</summary>
    private sealed class DeafWorld : IIkeHost
    {
        private uint _spi = 0x1000;

        public DateTimeOffset WallTime => DateTimeOffset.UnixEpoch;

        public void Send(in IkePath path, ReadOnlyMemory<byte> message)
        {
        }

        public Address? LocalFor(Address remote) => s_path.Local;

        public uint NewSpi() => ++_spi;

        public string? Install(ChildSa child, ChildDirections which) => null;

        public void Remove(ChildSa child, ChildDirections which)
        {
        }

        public long Opened(ChildSa child) => 0;

        public void Tell(IkeEvent told)
        {
        }
    }
}

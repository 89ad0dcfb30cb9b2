using System.Text;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Ctl.Service;
using Filter.Ctl.Verbs;
using Filter.Engine.Packets;
using Filter.Ipsec.Ike;
using Filter.Rules;
using Filter.Rules.Policy;
using Filter.Tests.Ipsec.Ike;
using Filter.Tests.Rules;

namespace Filter.Tests.Filterctl;

/// <summary>The sample rulesets negotiate with each other, and what `ike explain` says where one of them says something else.</summary>
public sealed class IkeExplainTests : IDisposable
{
    private readonly IkeNet _net = new();

    public void Dispose() => _net.Dispose();

    [Fact]
    public void The_two_sites_of_the_samples_agree()
    {
        (Site a, Site b) = Sites();
        Assert.True(_net.RunUntil(() => a.Node.IsUp && b.Node.IsUp));

        string shown = Tell(a, IkeWords.Show);
        Assert.Contains("site-b (rules/ike-site-to-site.yaml:", shown, StringComparison.Ordinal);
        Assert.Contains("): up\n", shown, StringComparison.Ordinal);
        Assert.Contains("192.0.2.1:500 > 198.51.100.1:500, aes-gcm-16-256+prf-hmac-sha2-256+x25519, b.example.com\n", shown, StringComparison.Ordinal);
        Assert.Contains("esp tunnel, aes-gcm-16-256, in 0x", shown, StringComparison.Ordinal);
        Assert.Equal("site-b: up\npolicy other-site: up\n", Tell(a, IkeWords.Explain));
        Assert.All(a.Node.Engine.ExportKeys(), static line => Assert.Matches("^[0-9a-f]{16},[0-9a-f]{16},[0-9a-f]{72},[0-9a-f]{72},\"AES-GCM-256 with 16 octet ICV \\[RFC5282\\]\",,,\"NONE \\[RFC4306\\]\"$", line));
        Assert.NotEmpty(a.Node.Engine.ExportKeys());
    }

    [Fact]
    public void Proposals_without_a_common_group()
    {
        (Site a, Site b) = Sites(
            "child:\n", "proposals: aes-gcm-16-256+prf-hmac-sha2-256+x25519\n        child:\n",
            "child:\n", "proposals: aes-gcm-16-256+prf-hmac-sha2-256+modp-2048\n        child:\n");
        _net.Run(3);

        Shows(
            Tell(a, IkeWords.Explain),
            """
            OURS                                           THEIRS
            ike aes-gcm-16-256, prf-hmac-sha2-256, x25519  ike aes-gcm-16-256, prf-hmac-sha2-256, modp-2048
              differs   group: ours x25519, theirs modp-2048
            policy other-site: down

            """);
        Shows(
            Tell(b, IkeWords.Explain),
            """
              nobody has proved that he said so: it may be forged, and ended nothing
            OURS                                              THEIRS
            ike aes-gcm-16-256, prf-hmac-sha2-256, modp-2048  (not said)

            """);
    }

    [Fact]
    public void Selectors_that_have_nothing_in_common()
    {
        (Site a, Site b) = Sites("there: [ 10.2.0.0/16, 2001:db8:b::/48 ]", "there: [ 10.3.0.0/16, 2001:db8:c::/48 ]");
        _net.Run(3);

        Shows(
            Tell(a, IkeWords.Explain),
            """
            OURS                                THEIRS
            other-site: local 10.1.0.0/16       local 10.1.0.0/16
            other-site: local 2001:db8:a::/48   local 2001:db8:a::/48
            other-site: remote 10.3.0.0/16      remote 10.2.0.0/16
            other-site: remote 2001:db8:c::/48  remote 2001:db8:b::/48

            """);
        Shows(
            Tell(b, IkeWords.Explain),
            """
            OURS                    THEIRS
            local 10.2.0.0/16       (not said)

            """);
        Assert.StartsWith("site-a: up\npolicy other-site: down\n", Tell(b, IkeWords.Explain), StringComparison.Ordinal);
    }

    [Fact]
    public void Another_PSK()
    {
        (Site a, Site b) = Sites("TWO SITES", "ONE SITE");
        _net.Run(3);

        Shows(
            Tell(a, IkeWords.Explain),
            """
              expected  a proof by the pre-shared key of b.example.com
              found     one by another key
            policy other-site: down

            """);
        Shows(
            Tell(b, IkeWords.Explain),
            """
              expected  us as b.example.com, by a pre-shared key
              found     AUTHENTICATION_FAILED, which says no more

            """);
    }

    [Fact]
    public void Another_identity()
    {
        (Site a, _) = Sites("b.example.com", "c.example.com");
        _net.Run(3);

        Shows(
            Tell(a, IkeWords.Explain),
            """
              expected  c.example.com
              found     b.example.com

            """);
    }

    [Fact]
    public void Nobody_answers()
    {
        (_, Site b) = Sites();
        _net.Lost = 100;
        _net.Run(400);

        Shows(Tell(b, IkeWords.Explain), "no-answer: 192.0.2.1 does not answer IKE_SA_INIT\n");
    }

    [Fact]
    public void Who_is_on_the_way_gets_an_address_of_the_office()
    {
        Site office = Add("rules/roadwarrior.yaml", Encoding.UTF8.GetString(SampleFiles.Bytes("rules/roadwarrior.yaml")), "192.0.2.1");
        Site laptop = Add("laptop.yaml", """
            filter: 1
            ports:
              outside: { nic: eth0, side: unprotected }
              self: { tap: filter0, side: protected }
            rules: [ { allow: work, from: self, family: ipv4, destination: 10.1.0.0/16 } ]
            ipsec:
              policies: [ { protect: office, remote: [ 10.1.0.0/16, 2001:db8:a::/48 ], ike: office }, { bypass: rest } ]
              ike:
                peers:
                  office:
                    remote: 192.0.2.1
                    identity: laptop@example.com
                    peer-identity: gw.example.com
                    psk: "THE SAMPLE KEY OF A LAPTOP"
                    request: [ ipv4, ipv6 ]
                    start: at-once
            """, "203.0.113.7");
        Assert.True(_net.RunUntil(() => laptop.Node.IsUp && office.Node.IsUp));

        Shows(Tell(laptop, IkeWords.Show), "addresses given: 10.9.0.1, 2001:db8:9::1\n");
        Shows(Tell(office, IkeWords.Show, "laptop"), "laptop@example.com\n");
        Shows(Tell(office, IkeWords.Explain, "phone"), "phone: down\n  nothing went wrong: it waits for phone@example.com to begin\n");
    }

    private static void Shows(string told, string part) => Assert.Contains(part, told, StringComparison.Ordinal);

    /// <summary>Both samples, with texts in the first replaced by others, then in the second.</summary>
    private (Site A, Site B) Sites(params string[] changes)
    {
        string a = Encoding.UTF8.GetString(SampleFiles.Bytes("rules/ike-site-to-site.yaml")), b = Encoding.UTF8.GetString(SampleFiles.Bytes("rules/ike-site-to-site-peer.yaml"));
        a = changes.Length >= 2 ? a.Replace(changes[0], changes[1], StringComparison.Ordinal) : a;
        b = changes.Length >= 4 ? b.Replace(changes[2], changes[3], StringComparison.Ordinal) : b;
        return (Add("rules/ike-site-to-site.yaml", a, "192.0.2.1"), Add("rules/ike-site-to-site-peer.yaml", b, "198.51.100.1"));
    }

    private Site Add(string file, string text, string address)
    {
        RulesetReading reading = RulesetFile.Parse(file, text);
        Assert.Empty(reading.Diagnostics);
        IpsecConfig ipsec = reading.Ruleset!.Ipsec!;
        return new Site(ipsec, _net.Add(file, Address.Parse(address), ipsec));
    }

    private string Tell(Site site, Action<Screen, IkePeerReply> how, string? peer = null)
    {
        peer ??= site.Config.Ike!.Peers.Single().Name;
        using StringWriter shown = new();
        how(
            new Screen(shown, TextWriter.Null, interactive: false, colour: false, errorColour: false),
            IkeTelling.Of(site.Config.Ike!.Peers.Single(p => p.Name == peer), Assert.Single(site.Node.Engine.Report(_net.Now), r => r.Name == peer), site.Config.Policies, _net.Now));
        return shown.ToString();
    }

    private sealed record Site(IpsecConfig Config, IkeNode Node);
}

using System.Text.Json;
using Filter.Engine.Packets;
using Filter.Rules;
using Filter.Rules.Analysis;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Tests.Rules.Policy;

/// <summary>What a ruleset says of peers, and what becomes of it.</summary>
public sealed class IkeLanguageTests
{
    private const string Psk = "psk: \"a sample that everybody knows\"";
    private const string Branch = "branch: { local: 192.0.2.1, remote: 198.51.100.1, " + Psk + " }";
    private const string OnePolicy = "{ protect: one, local: 10.1.0.0/24, remote: 10.2.0.0/24, ike: branch }";

    [Fact]
    public void A_peer_has_modern_algorithms_and_an_hour_for_its_children_unless_said()
    {
        IkePeer peer = Peer(Branch);

        Assert.Equal((Address("192.0.2.1"), Address("198.51.100.1"), null), (peer.Local, peer.Remote, peer.RemoteRange));
        Assert.Equal(("192.0.2.1", "198.51.100.1"), (peer.LocalIdentity.Text, peer.RemoteIdentity.ToString()));
        Assert.Equal((IkeStart.OnDemand, 4 * 3_600_000_000_000, 30_000_000_000, false, 1280), (peer.Start, peer.Rekey, peer.DeadPeerAfter, peer.ForceUdp, peer.FragmentSize));
        Assert.Equal([true, false], peer.Proposals.Select(static p => p.Integrity.IsEmpty));
        Assert.All(peer.Proposals, static p => Assert.Equal(["x25519", "ecp-256", "modp-3072", "modp-2048"], p.Groups.Select(static g => g.Name)));
        Assert.Equal(["aes-gcm-16-256", "aes-gcm-16-128", "chacha20-poly1305", "aes-cbc-256+hmac-sha2-256-128"], peer.Child.Suites.Select(static s => s.Name));
        Assert.Equal((IpsecMode.Tunnel, null, 0), (peer.Child.Settings.Mode, peer.Child.ExtendedSequence, peer.Child.Groups.Length));
        Assert.Equal((3_300_000_000_000, 3_600_000_000_000), (peer.Child.Settings.Soft.Nanoseconds, peer.Child.Settings.Hard.Nanoseconds));
    }

    [Fact]
    public void A_peer_says_all_that_it_may_be()
    {
        IkePeer peer = Peer($$"""
            branch:
                    local: 192.0.2.1
                    remote: 198.51.100.1
                    identity: gw.example.com
                    peer-identity: "CN=branch, O=Example"
                    psk: 0x000102030405060708090a0b0c0d0e0f10111213
                    proposals: [ aes-cbc-256+aes-cbc-128+hmac-sha2-512-256+prf-hmac-sha2-512+ecp-384+x448 ]
                    start: at-once
                    rekey: 2h
                    dpd: off
                    udp: force
                    fragment-size: 1400
                    request: [ ipv4, ipv6 ]
                    child: { suites: aes-gcm-16-128, pfs: [ x25519, modp-4096 ], esn: true, lifetime: { hard: { bytes: 12 GB } }, mss: clamp }
            """);

        Assert.Equal((IkeIdentityKind.DomainName, IkeIdentityKind.DistinguishedName), (peer.LocalIdentity.Kind, peer.RemoteIdentity.Exactly!.Kind));
        Assert.Equal(20, ((PskCredential)peer.LocalCredential).Key.Length);
        Assert.Same(peer.LocalCredential, peer.RemoteCredential);
        IkeProposal proposal = Assert.Single(peer.Proposals);
        Assert.Equal("aes-cbc-256 aes-cbc-128 hmac-sha2-512-256 prf-hmac-sha2-512 ecp-384 x448", string.Join(' ', proposal.Ciphers.Concat(proposal.Integrity).Concat(proposal.Prfs).Concat(proposal.Groups)));
        Assert.Equal(
            (IkeStart.AtOnce, 7_200_000_000_000, 0, true, 1400, RequestedAddresses.IPv4 | RequestedAddresses.IPv6),
            (peer.Start, peer.Rekey, peer.DeadPeerAfter, peer.ForceUdp, peer.FragmentSize, peer.Requests));
        Assert.Equal(["x25519", "modp-4096"], peer.Child.Groups.Select(static g => g.Name));
        Assert.True(peer.Child is { ExtendedSequence: true, Settings.ClampMss: true });
        Assert.Equal((11_000_000_000, 12_000_000_000), (peer.Child.Settings.Soft.Bytes, peer.Child.Settings.Hard.Bytes));
    }

    [Theory]
    [InlineData("192.0.2.9", IkeIdentityKind.IPv4Address, "C0000209")]
    [InlineData("2001:db8::1", IkeIdentityKind.IPv6Address, "20010DB8000000000000000000000001")]
    [InlineData("gw.example.com", IkeIdentityKind.DomainName, "67772E6578616D706C652E636F6D")]
    [InlineData("a@b.example", IkeIdentityKind.MailAddress, "6140622E6578616D706C65")]
    [InlineData("keyid:0x0102ff", IkeIdentityKind.KeyId, "0102FF")]
    [InlineData("keyid:ab", IkeIdentityKind.KeyId, "6162")]
    public void An_identity_is_what_it_looks_like(string text, IkeIdentityKind kind, string bytes)
    {
        IkeIdentity identity = Peer($"branch: {{ local: 192.0.2.1, remote: 198.51.100.1, {Psk}, identity: \"{text}\" }}").LocalIdentity;

        Assert.Equal((kind, bytes, text), (identity.Kind, Convert.ToHexString([.. identity.Bytes]), identity.ToString()));
    }

    [Theory]
    [InlineData("\"*.example.com\"", ".example.com", "*.example.com")]
    [InlineData("\"*@Example.com\"", "@example.com", "*@example.com")]
    public void Several_may_be_meant_by_one_name(string text, string suffix, string shown)
    {
        RulesetReading reading = Read($"branch: {{ local: 192.0.2.1, remote: any, {Psk}, peer-identity: {text} }}", OnePolicy);
        IkePeer peer = Assert.Single(reading.Ruleset!.Ipsec!.Ike!.Peers);

        Assert.Equal((null, suffix, shown, IkeStart.Never), (peer.RemoteIdentity.Exactly, peer.RemoteIdentity.Suffix, peer.RemoteIdentity.ToString(), peer.Start));
        Assert.Contains("several peers share one PSK", Assert.Single(reading.Diagnostics).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Distinguished_names_are_the_same_whatever_string_types_and_case_they_have()
    {
        Assert.True(DistinguishedNames.TryParse("CN=gw, O=Example", out byte[]? printable));
        byte[] utf8 = [.. printable];
        int at = utf8.AsSpan().LastIndexOf("gw"u8) - 2;
        Assert.Contains(utf8[at], (byte[])[0x13, 0x0c]);
        utf8[at] = utf8[at] == 0x13 ? (byte)0x0c : (byte)0x13;
        utf8[at + 2] = (byte)'G';

        Assert.True(DistinguishedNames.Same(printable, utf8));
        Assert.Equal("CN=gw, O=Example", DistinguishedNames.Text(printable));
        Assert.True(DistinguishedNames.TryParse("CN=gw, O=Other", out byte[]? other));
        Assert.False(DistinguishedNames.Same(printable, other));
        Assert.False(DistinguishedNames.Same(printable, "\x30\x03\x31\x01"u8));
        Assert.Null(DistinguishedNames.Text("\x30\xff"u8));
        Assert.False(DistinguishedNames.TryParse("=x", out _));
    }

    [Fact]
    public void A_policy_changes_what_its_peer_says_of_children_and_leaves_the_rest()
    {
        IpsecConfig config = Good(
            $"branch: {{ local: 192.0.2.1, remote: 198.51.100.1, {Psk}, child: {{ pfs: x25519, mss: clamp, replay: 64 }} }}",
            "{ protect: one, local: 10.1.0.0/24, remote: 10.2.0.0/24, ike: branch, child: { replay: 128, suites: aes-gcm-16-128 } }");
        IpsecPolicy policy = config.Policies[1];

        Assert.Same(config.Ike!.Peers[0], policy.Peer);
        Assert.Equal((128, true, "x25519", "aes-gcm-16-128"), (policy.Child!.Settings.ReplayWindow, policy.Child.Settings.ClampMss, policy.Child.Groups[0].Name, policy.Child.Suites[0].Name));
        Assert.Equal(64, policy.Peer!.Child.Settings.ReplayWindow);
        Assert.Null(Good(Branch, OnePolicy).Policies[1].Child);
    }

    [Fact]
    public void A_pool_that_is_a_network_gives_away_neither_its_first_address_nor_its_last()
    {
        IkeConfig ike = Good(
            $"branch: {{ local: 192.0.2.1, remote: any, {Psk}, peer-identity: a@b.example, pools: [ net, some, six ] }}",
            "{ protect: one, local: 10.1.0.0/24, remote: 10.9.0.0/16, ike: branch }",
            "pools: { net: 10.9.0.0/24, some: 10.9.1.10-10.9.1.20, six: 2001:db8:9::/64 }\n    limits: { cookies-above: 0, half-open: 50, half-open-per-source: 5 }").Ike!;

        Assert.Equal(["10.9.0.1-10.9.0.254", "10.9.1.10-10.9.1.20", "2001:db8:9::1-2001:db8:9:0:ffff:ffff:ffff:ffff"], ike.Peers[0].Pools.Select(static p => $"{p.Range}"));
        Assert.Equal(new IkeLimits(0, 50, 5), ike.Limits);
    }

    [Fact]
    public void Peers_and_pools_that_nobody_names_are_told()
    {
        RulesetReading reading = Read($"{Branch}\n      spare: {{ local: 192.0.2.1, remote: 198.51.100.9, {Psk} }}", OnePolicy, "pools: { unused: 10.9.0.0/24 }");

        Assert.Equal(
            ["no policy uses the peer 'spare': nothing is agreed with it", "no peer gets addresses of the pool 'unused'"],
            reading.Diagnostics.Select(static d => d.Message));
        Assert.NotNull(reading.Ruleset);
    }

    [Fact]
    public void Selectors_of_two_peers_that_overlap_are_told_and_those_of_one_are_not()
    {
        string peers = $"{Branch}\n      other: {{ local: 192.0.2.1, remote: 198.51.100.9, {Psk} }}";
        string[] Told(string second) => [.. PolicyAnalysis.Of(Good(peers, $"{OnePolicy}, {second}, {{ protect: third, ike: other, remote: 10.7.0.0/16 }}")).Select(static d => d.Message)];

        Assert.Equal(
            ["the policies 'one' and 'two' overlap, and their SAs are of two peers: what 'other' sends that is 'branch''s is dropped"],
            Told("{ protect: two, local: 10.1.0.0/16, remote: 10.2.0.0/16, ike: other }"));
        Assert.Empty(Told("{ protect: two, local: 10.1.0.0/16, remote: 10.2.0.0/16, ike: branch }"));
        Assert.Empty(Told("{ protect: two, local: 10.1.0.0/16, remote: 10.3.0.0/16, ike: other }"));
    }

    [Fact]
    public void What_differs_of_peers_is_told_by_name_and_without_secrets()
    {
        Ruleset before = Read(Branch, OnePolicy).Ruleset!;
        string[] Beside(string peers, string ike = "") => [.. RulesetDifference.Between(before, Read(peers, OnePolicy, ike).Ruleset!).Beside];

        Assert.Empty(Beside(Branch));
        Assert.Empty(Beside(Branch.Replace("everybody", "somebody", StringComparison.Ordinal)));
        Assert.Equal(["peer branch: described otherwise"], Beside(Branch.Replace("198.51.100.1", "198.51.100.2, child: { pfs: x25519 }", StringComparison.Ordinal)));
        Assert.Equal(["peer more: new", "ike limits: described otherwise"], Beside($"{Branch}\n      more: {{ local: 192.0.2.1, remote: 198.51.100.7, {Psk} }}", "limits: { half-open: 100 }"));
        Assert.Equal(["ike pools: described otherwise"], Beside(Branch, "pools: { p: 10.9.0.0/24 }"));
    }

    [Fact]
    public void What_is_read_again_is_unchanged_unless_a_word_or_a_secret_differs()
    {
        IkePeer before = Peer(Branch);

        Assert.True(Peer(Branch).IsUnchangedFrom(before));
        Assert.False(Peer(Branch.Replace("everybody", "somebody", StringComparison.Ordinal)).IsUnchangedFrom(before));
        Assert.False(Peer(Branch.Replace("}", ", dpd: 1m }", StringComparison.Ordinal)).IsUnchangedFrom(before));
        IpsecPolicy policy = Good(Branch, OnePolicy).Policies[1];
        Assert.True(Good(Branch, "{ protect: zero, ike: branch, remote: 10.8.0.0/16 }, " + OnePolicy).Policies[2].IsServedAs(policy));
        Assert.False(Good(Branch, OnePolicy.Replace("10.2", "10.3", StringComparison.Ordinal)).Policies[1].IsServedAs(policy));
    }

    [Fact]
    public void Secrets_are_wiped_with_the_ruleset_and_shown_by_nothing()
    {
        Ruleset ruleset = Read(Branch, OnePolicy).Ruleset!;
        PskCredential psk = (PskCredential)ruleset.Ipsec!.Ike!.Peers[0].LocalCredential;

        Assert.Equal("a sample that everybody knows"u8, psk.Key.Reveal());
        Assert.DoesNotContain("everybody", psk.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("everybody", ruleset.Ipsec.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("everybody", JsonSerializer.Serialize(psk), StringComparison.Ordinal);
        ruleset.WipeKeys();
        Assert.Equal(new byte[psk.Key.Length], psk.Key.Reveal());
    }

    [Theory]
    [InlineData("psk: [ hush, hush ]")]
    [InlineData("psk: { hush: hush }")]
    [InlineData("psk-file: 0, psk: hush")]
    [InlineData("psk: 0xhush")]
    public void A_PSK_in_a_wrong_shape_is_not_shown(string written)
    {
        RulesetReading reading = Read($"branch: {{ local: 192.0.2.1, remote: 198.51.100.1, {written} }}", OnePolicy);

        Assert.Null(reading.Ruleset);
        Assert.All(reading.Diagnostics, static d => Assert.DoesNotContain("hush", d.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public void The_two_sites_of_the_samples_mirror_each_other()
    {
        IpsecConfig a = SampleFiles.Read("rules/ike-site-to-site.yaml").Ruleset!.Ipsec!, b = SampleFiles.Read("rules/ike-site-to-site-peer.yaml").Ruleset!.Ipsec!;
        IkePeer here = a.Ike!.Peers.Single(), there = b.Ike!.Peers.Single();

        Assert.Equal((here.Local, here.Remote), (there.Remote, there.Local));
        Assert.Equal((here.LocalIdentity, here.RemoteIdentity.Exactly), (there.RemoteIdentity.Exactly, there.LocalIdentity));
        Assert.Equal(((PskCredential)here.LocalCredential).Key, ((PskCredential)there.LocalCredential).Key);
        Assert.Equal((a.Policies[1].Local, a.Policies[1].Remote), (b.Policies[1].Remote, b.Policies[1].Local));
        Assert.Equal((IkeStart.OnDemand, IkeStart.AtOnce), (here.Start, there.Start));
    }

    private static Address Address(string text) => Filter.Engine.Packets.Address.TryParse(text, out Address address) ? address : throw new FormatException(text);

    private static IkePeer Peer(string peer) => Assert.Single(Good(peer, OnePolicy).Ike!.Peers);

    private static IpsecConfig Good(string peers, string policies, string ike = "")
    {
        RulesetReading reading = Read(peers, policies, ike);
        Assert.Empty(reading.Diagnostics);
        return reading.Ruleset!.Ipsec!;
    }

    private static RulesetReading Read(string peers, string policies, string ike = "") => RulesetFile.Parse("f.yaml", $$"""
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
          self: { tap: filter0, side: protected, addresses: [ 192.0.2.1/24 ] }
        ipsec:
          policies: [ {{policies}} ]
          ike:
            peers:
              {{peers}}
            {{ike}}
        """);
}

using Filter.Engine.Packets;
using Filter.Rules;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Tests.Rules.Policy;

public sealed class IpsecLanguageTests
{
    private const string Ends = "local: 192.0.2.1, remote: 198.51.100.1";

    [Fact]
    public void An_SA_has_a_window_of_4096_and_nothing_else_unless_said()
    {
        SaSettings settings = Sa("mode: transport");

        Assert.Equal(4096, settings.ReplayWindow);
        Assert.Equal(
            (false, null, default, default, 0UL, OuterHeader.Default, default, false, false),
            (settings.ExtendedSequence, settings.Encapsulation, settings.Soft, settings.Hard, settings.Dscps, settings.Outer, settings.Padding,
            settings.FragmentAfterSealing, settings.ClampMss));
        Assert.Equal(0, Sa("mode: transport, replay: off").ReplayWindow);
        Assert.Equal(32, Sa("mode: transport, replay: 32").ReplayWindow);
    }

    [Fact]
    public void An_SA_says_all_that_it_may_be()
    {
        SaSettings settings = Sa($$"""
            mode: tunnel, {{Ends}}, esn: true, udp: { port: 4501, remote-port: 61000, keep-alive: 30s },
                    lifetime: { soft: { bytes: 900 MB, time: 7h }, hard: { bytes: 1 GB, packets: 5000, time: 8h } },
                    dscp: [ ef, af41, 3 ], outer: { df: set, dscp: af11, ecn: off, ttl: 9 }, padding: { to: 1300, dummies: 10s }, fragment: after
            """);

        Assert.True(settings is { ExtendedSequence: true, FragmentAfterSealing: true });
        Assert.Equal(new UdpEncapsulation(4501, 61000, 30_000_000_000), settings.Encapsulation);
        Assert.Equal(new SaLifetime(900_000_000, 0, 7 * 3_600_000_000_000), settings.Soft);
        Assert.Equal(new SaLifetime(1_000_000_000, 5000, 8 * 3_600_000_000_000), settings.Hard);
        Assert.Equal((1UL << 46) | (1UL << 34) | (1UL << 3), settings.Dscps);
        Assert.Equal(new OuterHeader(DontFragmentBit.Set, 10, 9, false), settings.Outer);
        Assert.Equal(new TrafficPadding(1300, 10_000_000_000), settings.Padding);
    }

    [Fact]
    public void AH_has_an_integrity_algorithm_and_its_key_alone()
    {
        RulesetReading reading = RulesetFile.Parse("f.yaml", """
            filter: 1
            ports:
              outside: { nic: eth0, side: unprotected }
              inside: { nic: eth1, side: protected }
            ipsec:
              policies: [ { protect: all, sa: pair } ]
              sas:
                pair:
                  protocol: ah
                  mode: transport
                  suite: hmac-sha2-256-128
                  ah-align: 8
                  out: { spi: 1000, integrity-key: 0x5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b }
                  in: { spi: 1001, integrity-key: 0x5c5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b }
            """);

        Assert.Empty(reading.Diagnostics);
        SaConfig sa = reading.Ruleset!.Ipsec!.Sas[0];
        Assert.Equal(8, sa.Settings.AhAlignment);
        Assert.Equal((51, true, 0, 32), (sa.Settings.Protocol, sa.Settings.Suite.IsAh, sa.Out.EncryptionKey.Length, sa.Out.IntegrityKey.Length));
    }

    [Fact]
    public void Udp_without_more_has_the_ports_of_RFC_3948()
    {
        Assert.Equal(new UdpEncapsulation(4500, 4500, 20_000_000_000), Sa("mode: transport, udp: {}").Encapsulation);
        Assert.Equal(0, Sa("mode: transport, udp: { keep-alive: off }").Encapsulation!.Value.KeepAlive);
        Assert.Equal(new OuterHeader(DontFragmentBit.Copy, null, 64, true), Sa($"mode: tunnel, {Ends}, outer: {{ dscp: copy, ecn: copy, df: copy }}").Outer);
    }

    [Fact]
    public void A_policy_has_several_SAs_or_populates_them_or_waits_for_a_key_manager()
    {
        RulesetReading reading = Read(
            "{ protect: several, remote: 10.2.0.0/16, sa: [ one, two ] }, { protect: from-packets, remote: 10.3.0.0/16, populate: [ local, protocol, remote-port ] }, { protect: later }",
            ("one", $"mode: tunnel, {Ends}, dscp: ef"), ("two", $"mode: tunnel, {Ends}"));

        Assert.Empty(reading.Diagnostics);
        IpsecPolicy[] policies = [.. reading.Ruleset!.Ipsec!.Policies];
        Assert.Equal(["one", "two"], policies[0].Sas.Select(static sa => sa.Name));
        Assert.Equal(PopulatedSelectors.Local | PopulatedSelectors.Protocol | PopulatedSelectors.RemotePort, policies[1].Populate);
        Assert.True(policies[2] is { Sas: [], Populate: PopulatedSelectors.None, Action: IpsecAction.Protect });
    }

    [Fact]
    public void DSCPs_that_no_SA_carries_are_told_of()
    {
        RulesetReading reading = Read("{ protect: some, sa: [ one, two ] }", ("one", "mode: transport, dscp: ef"), ("two", "mode: transport, dscp: [ af11, 0 ]"));

        Diagnostic told = Assert.Single(reading.Diagnostics);
        Assert.Equal(Severity.Warning, told.Severity);
        Assert.Contains("61 other DSCPs", told.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Ports_of_both_ends_stand_beside_the_service()
    {
        IpsecPolicy policy = Read("{ bypass: a, service: [ tcp, udp ], local-port: [ 6000-6009, 22, 6005-6020 ], remote-port: [ 80, 8000-8099 ] }").Ruleset!.Ipsec!.Policies[0];

        Assert.Equal([new(22, 22), new(6000, 6020)], policy.LocalPorts);
        Assert.Equal("tcp/80, tcp/8000-8099, udp/80, udp/8000-8099", policy.Service!.ToString());
        Assert.Empty(Read("{ bypass: a, service: tcp, local-port: any }").Ruleset!.Ipsec!.Policies[0].LocalPorts);
    }

    [Fact]
    public void Services_name_types_of_the_mobility_header()
    {
        ServiceSet service = Read("{ bypass: a, service: [ mobility/5, mobility/6 ] }, { bypass: b, service: mobility }").Ruleset!.Ipsec!.Policies[0].Service!;

        Assert.Equal("mobility/5, mobility/6", service.ToString());
        Assert.True(service.Matches(135, 0, 5, 0));
        Assert.False(service.Matches(135, 0, 1, 0));
        Assert.False(service.Matches(58, 0, 5, 0));
        Assert.Equal("mobility/5", service.Intersect(ServiceSet.Of([new Service(135, new PortRange(0, 5))])).ToString());
    }

    [Theory]
    [InlineData("opaque", null)]
    [InlineData("[ tcp/opaque, udp/opaque ]", "tcp, udp")]
    public void A_policy_may_be_for_pieces_that_show_no_ports(string service, string? protocols)
    {
        IpsecPolicy policy = Read($"{{ protect: a, service: {service} }}").Ruleset!.Ipsec!.Policies[0];

        Assert.True(policy.Opaque);
        Assert.Equal(protocols, policy.Service?.ToString());
    }

    private static SaSettings Sa(string says)
    {
        RulesetReading reading = Read("{ protect: a, sa: pair }", ("pair", says));
        Assert.DoesNotContain(reading.Diagnostics, static d => d.Severity == Severity.Error);
        return reading.Ruleset!.Ipsec!.Sas.Single().Settings;
    }

    private static RulesetReading Read(string policies, params (string Name, string Says)[] sas)
    {
        const string Keys = "encryption-key: 0x5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a, integrity-key: 0x5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b";
        return RulesetFile.Parse("f.yaml", "filter: 1\nports:\n  outside: { nic: eth0, side: unprotected }\n  inside: { nic: eth1, side: protected }\n"
            + "  self: { tap: f0, side: protected, addresses: [ 192.0.2.1/24 ] }\n"
            + $"ipsec:\n  policies: [ {policies} ]\n  sas:\n    {(sas.Length == 0 ? "{}" : "")}"
            + string.Concat(sas.Select((sa, i) =>
                $"{(i == 0 ? "" : "    ")}{sa.Name}: {{ {sa.Says}, suite: aes-cbc-128+hmac-sha2-256-128, out: {{ spi: {1000 + i}, {Keys} }}, in: {{ spi: {2000 + i}, {Keys} }} }}\n")) + "\n");
    }
}

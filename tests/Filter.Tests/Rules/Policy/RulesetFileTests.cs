using System.Text.Json;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Rules;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Tests.Rules.Policy;

/// <summary>What a ruleset says is what it means; what it must not say is an error with its place.</summary>
public sealed class RulesetFileTests
{
    private const string Ports = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected, prefixes: [ 0.0.0.0/0, ::/0 ] }
          inside: { nic: eth1, side: protected, prefixes: [ 192.0.2.0/24, 2001:db8:1::/64 ] }

        """;

    private const string Keys = "encryption-key: 0x5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a, integrity-key: 0xc3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3";

    [Fact]
    public void Accepts_the_smallest_ruleset_and_drops_by_default()
    {
        Ruleset ruleset = Accepts(Ports);

        Assert.Equal(RunMode.Bridge, ruleset.Mode);
        Assert.Equal(["outside", "inside"], ruleset.Ports.Select(static p => p.Name));
        Assert.Equal(new DefaultAction(RuleAction.Drop, null), ruleset.Defaults.Out);
        Assert.Equal(RuleAction.Drop, ruleset.Defaults.In.Action);
        Assert.Equal(Limits.DefaultFlows, ruleset.Limits.Flows);
        Assert.True(ruleset.Link.PassArp);
        Assert.False(ruleset.Link.PassUnknown);
        Assert.Null(ruleset.Ipsec);
    }

    [Theory]
    [InlineData("0x64.20")]
    [InlineData("100.0x14")]
    public void A_pair_of_vlans_is_written_in_either_base(string pair) =>
        Assert.Equal([100u | (20u << 12)], Accepts(Ports + $"rules: [ {{ allow: it, vlan: '{pair}' }} ]\n").Rules[0].Vlan!.Identifiers);

    [Fact]
    public void Accepts_a_rule_with_everything()
    {
        Rule rule = Accepts(Ports + """
            sets:
              lan: [ 192.0.2.0/24, 2001:db8:1::/64 ]
            rules:
              - allow: everything
                from: inside
                to: [ outside ]
                source: [ lan, 10.0.0.1-10.0.0.9 ]
                destination: any
                service: [ udp/53, ntp, udp/1000-2000 ]
                source-port: [ 53, 1024-65535 ]
                family: ipv6
                vlan: [ 20, 10 ]
                pinhole: one-answer
                limit: 10/m burst 20
                log: true
            """).Rules.Single();

        Assert.Equal("everything", rule.Name);
        Assert.Equal(8, rule.At.Line);
        Assert.Equal(RuleAction.Allow, rule.Action);
        Assert.Equal(0b10, rule.From);
        Assert.Equal(0b01, rule.To);
        Assert.True(rule.Source!.Contains(Address.Parse("10.0.0.5")));
        Assert.Null(rule.Destination);
        Assert.Equal("udp/53, udp/123, udp/1000-2000", rule.Service!.ToString());
        Assert.Equal([new PortRange(53, 53), new PortRange(1024, 65535)], rule.SourcePorts);
        Assert.Equal(Families.IPv6, rule.Families);
        Assert.Equal([10u, 20u], rule.Vlan!.Identifiers);
        Assert.Equal(PinholeKind.OneAnswer, rule.Pinhole);
        Assert.Equal(new RuleLimit(new RateLimit(6_000_000_000, 20)), rule.Limit);
        Assert.True(rule.Log);
    }

    [Theory]
    [InlineData("ping", "icmpv4/8, icmpv6/128")]
    [InlineData("icmp", "icmpv4, icmpv6")]
    [InlineData("icmp/destination-unreachable/4", "icmpv4/3/4, icmpv6/1/4")]
    [InlineData("icmp/packet-too-big", "icmpv6/2")]
    [InlineData("icmpv4/3", "icmpv4/3")]
    [InlineData("icmpv6/neighbor-solicitation", "icmpv6/135")]
    [InlineData("proto/47", "gre")]
    [InlineData("proto/254", "proto/254")]
    [InlineData("igmp", "igmp")]
    [InlineData("sctp/2905", "sctp/2905")]
    [InlineData("[ dns, tcp/53 ]", "tcp/53, udp/53")]
    public void Accepts_services_by_word_and_number(string written, string meaning) =>
        Assert.Equal(meaning, Accepts(Ports + $"rules: [ {{ drop: x, service: {written} }} ]").Rules.Single().Service!.ToString());

    [Fact]
    public void A_set_that_a_rule_names_alone_is_shared_not_copied()
    {
        Ruleset ruleset = Accepts(Ports + "sets: { lan: [ 192.0.2.0/24, 2001:db8:1::/64 ] }\nrules: [ { allow: a, source: lan }, { allow: b, source: [ lan ] } ]");
        Assert.Same(ruleset.AddressSets["lan"], ruleset.Rules[0].Source);
        Assert.Same(ruleset.AddressSets["lan"], ruleset.Rules[1].Source);
    }

    [Fact]
    public void Sets_hold_sets_in_any_order_of_writing()
    {
        Ruleset ruleset = Accepts(Ports + "sets:\n  all: [ servers, web-ish-net ]\n  servers: 192.0.2.1\n  web-ish-net: [ 192.0.2.2-192.0.2.3 ]\n  my-ports: [ web, tcp/8080 ]\n");
        Assert.Equal("192.0.2.1-192.0.2.3", ruleset.AddressSets["all"].ToString());
        Assert.Equal("tcp/80, tcp/443, tcp/8080, udp/443", ruleset.ServiceSets["my-ports"].ToString());
    }

    [Fact]
    public void The_longest_prefix_tells_the_port_of_an_address()
    {
        Ruleset ruleset = Accepts(Ports);
        Assert.Equal("inside", ruleset.PortOf(Address.Parse("192.0.2.9"))!.Name);
        Assert.Equal("inside", ruleset.PortOf(Address.Parse("2001:db8:1::9"))!.Name);
        Assert.Equal("outside", ruleset.PortOf(Address.Parse("198.51.100.1"))!.Name);
        Assert.Equal("outside", ruleset.PortOf(Address.Parse("2001:db8:2::9"))!.Name);
    }

    [Theory]
    [InlineData("a: { nic: e0, side: protected }, b: { nic: e1, side: unprotected }", RunMode.Bridge)]
    [InlineData("a: { nic: e0, side: protected }, b: { nic: e1, side: unprotected }, c: { tap: t0, side: protected }", RunMode.BridgeWithSelf)]
    [InlineData("a: { tap: t0, side: protected }, b: { nic: e1, side: unprotected }", RunMode.Host)]
    public void Accepts_the_machines_that_can_run(string ports, RunMode mode) =>
        Assert.Equal(mode, Accepts($"filter: 1\nports: {{ {ports} }}\n").Mode);

    [Fact]
    public void Accepts_tests_as_packets_and_conversations()
    {
        Ruleset ruleset = Accepts(Ports + """
            rules:
              - allow: out
                from: inside
            tests:
              - drop: "outside: udp 198.51.100.1:9 > 192.0.2.1:9"
                by: default
                reason: default-deny
              - conversation: both ways
                steps:
                  - pass: "inside: udp 192.0.2.1:9 > 198.51.100.1:9"
                    by: out
                    ipsec: bypass
                  - after: 1500ms
                  - held: "outside: udp 198.51.100.1:9 > 192.0.2.1:9"
            """);

        TestEntry packet = ruleset.Tests[0], talk = ruleset.Tests[1];
        Assert.False(packet.IsConversation);
        PacketStep step = Assert.IsType<PacketStep>(packet.Steps.Single());
        Assert.Equal((Verdict.Drop, "default", DropReason.DefaultDeny), (step.Expected, step.By, step.Reason));
        Assert.Equal(new SourceMark("f.yaml", 9, 11), step.Line.At);
        Assert.Equal("both ways", talk.Name);
        Assert.Equal(IpsecAction.Bypass, Assert.IsType<PacketStep>(talk.Steps[0]).Ipsec);
        Assert.Equal(1_500_000_000, Assert.IsType<PauseStep>(talk.Steps[1]).Nanoseconds);
        Assert.Equal(Verdict.Held, Assert.IsType<PacketStep>(talk.Steps[2]).Expected);
    }

    [Fact]
    public void Accepts_policies_in_order_and_gives_them_their_SAs()
    {
        IpsecConfig ipsec = Accepts(Ipsec("mode: transport, replay: 64, mss: clamp")).Ipsec!;

        Assert.Equal([(ushort)1, (ushort)2], ipsec.Policies.Select(static p => p.Number));
        Assert.Equal(IpsecAction.Protect, ipsec.Policies[0].Action);
        Assert.Same(ipsec.Sas[0], ipsec.Policies[0].Sas.Single());
        Assert.True(ipsec.Policies[0] is { Outbound: true, Inbound: true });
        Assert.True(ipsec.Policies[1] is { Outbound: false, Inbound: true, Sas: [] });
        Assert.Equal((64, true), (ipsec.Sas[0].Settings.ReplayWindow, ipsec.Sas[0].Settings.ClampMss));
        Assert.Equal(0x1001u, ipsec.Sas[0].Out.Spi);
        Assert.Equal(0x5a, ipsec.Sas[0].Out.EncryptionKey.Reveal()[15]);
        Assert.Equal(32, ipsec.Sas[0].In.IntegrityKey.Length);
    }

    [Fact]
    public void An_SA_that_only_moved_in_the_file_is_unchanged()
    {
        SaConfig before = Accepts(Ipsec("mode: transport")).Ipsec!.Sas[0];
        SaConfig moved = Accepts("# one more line\n" + Ipsec("mode: transport")).Ipsec!.Sas[0];
        SaConfig changed = Accepts(Ipsec("mode: transport").Replace("0x5a5a", "0x5a5b", StringComparison.Ordinal)).Ipsec!.Sas[0];

        Assert.NotEqual(before.At, moved.At);
        Assert.True(moved.IsUnchangedFrom(before));
        Assert.False(changed.IsUnchangedFrom(before));
    }

    [Fact]
    public void Keys_are_shown_nowhere_and_can_be_wiped()
    {
        Ruleset ruleset = Accepts(Ipsec("mode: transport"));
        SaConfig sa = ruleset.Ipsec!.Sas[0];
        string shown = sa + " " + sa.Out + JsonSerializer.Serialize(sa) + JsonSerializer.Serialize(sa.Out.EncryptionKey) + ruleset;

        Assert.DoesNotContain("5a5a", shown, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Wlpa", shown, StringComparison.Ordinal);           // base64 of the same
        Assert.DoesNotContain("90,90", shown, StringComparison.Ordinal);

        ruleset.WipeKeys();
        Assert.True(sa.Out.EncryptionKey.Reveal().IndexOfAnyExcept((byte)0) < 0);
        Assert.True(sa.In.IntegrityKey.Reveal().IndexOfAnyExcept((byte)0) < 0);
    }

    [Fact]
    public void No_message_ever_repeats_a_key()
    {
        RulesetReading reading = RulesetFile.Parse("f.yaml", Ipsec("mode: transport").Replace("-key: 0x", "-key: 0xSECRET5a", StringComparison.Ordinal));
        Assert.NotEqual(0, reading.ErrorCount);
        Assert.DoesNotContain(reading.Diagnostics, static d => d.ToString().Contains("SECRET", StringComparison.Ordinal) || d.ToString().Contains("5a5a", StringComparison.Ordinal));
    }

    [Fact]
    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    public void Accepts_keys_from_a_file_that_only_its_owner_reads()
    {
        string directory = Directory.CreateTempSubdirectory("filter-keys-").FullName;
        try
        {
            string file = Path.Combine(directory, "branch.keys"), ruleset = Path.Combine(directory, "site.yaml");
            File.WriteAllText(file, new string('a', 32) + "\n0x" + new string('b', 64) + "\n");
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            File.WriteAllText(ruleset, Ipsec("mode: transport").Replace(Keys, "key-file: branch.keys", StringComparison.Ordinal));

            RulesetReading good = RulesetFile.Read(ruleset);
            Assert.Empty(good.Diagnostics);
            Assert.Equal(0xaa, good.Ruleset!.Ipsec!.Sas[0].Out.EncryptionKey.Reveal()[0]);
            Assert.Equal(0xbb, good.Ruleset.Ipsec.Sas[0].Out.IntegrityKey.Reveal()[31]);

            foreach (string content in (string[])["", "aa\n", "aa\nbb\ncc\n", new string('x', 5000), "zz\nyy\n"])
            {
                File.WriteAllText(file, content);
                Assert.Contains(RulesetFile.Read(ruleset).Diagnostics, static d => d.Message.Contains("key", StringComparison.Ordinal));
            }

            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.GroupRead);
            Assert.Contains("others than its owner", RulesetFile.Read(ruleset).Diagnostics[0].Message, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Theory]
    [InlineData("/nowhere/at/all.yaml", "there is no such file")]
    [InlineData("/", "it is a directory, not a ruleset")]
    [InlineData("", "it cannot be read")]
    public void Rejects_a_file_that_is_none_in_one_line(string path, string why)
    {
        RulesetReading reading = RulesetFile.Read(path);
        Assert.Null(reading.Ruleset);
        Assert.StartsWith(why, Assert.Single(reading.Diagnostics).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Rejects_a_device_that_never_ends()
    {
        Assert.SkipUnless(File.Exists("/dev/zero"), "there is no /dev/zero");
        Assert.Contains("more than 16 MB", Assert.Single(RulesetFile.Read("/dev/zero").Diagnostics).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Rejects_everything_wrong_at_once()
    {
        RulesetReading reading = RulesetFile.Parse("f.yaml", Ports + "rules:\n  - allow: a\n    from: nowhere\n    source: 10.0.0.1/8\n    service: tcp/0\n  - allow: a\n    sevice: x\nsets: { web: [ 1.2.3.4 ] }\n");
        Assert.Equal([7, 8, 9, 10, 11, 12], reading.Diagnostics.Select(static d => d.At.Line));
    }

    [Fact]
    public void Rejects_sets_that_would_grow_without_bound()
    {
        string text = Ports + "sets:\n  big: [ " + string.Join(", ", Enumerable.Range(0, 5000).Select(static i => $"10.{i >> 8}.{i & 255}.1")) + " ]\n"
            + string.Concat(Enumerable.Range(0, 2000).Select(static i => $"  s{i}: [ big, 192.0.2.{i & 255} ]\n"));
        Assert.Contains("with all sets written out", Assert.Single(RulesetFile.Parse("f.yaml", text).Diagnostics).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Rejects_sets_nested_a_hundred_thousand_deep()
    {
        string text = Ports + "sets:\n" + string.Concat(Enumerable.Range(0, 100_000).Select(static i => $"  s{i}: [ s{i + 1} ]\n")) + "  s100000: [ 192.0.2.1 ]\n";
        RulesetReading reading = RulesetFile.Parse("f.yaml", text);
        Assert.Null(reading.Ruleset);
        Assert.Contains("deeper than", reading.Diagnostics[0].Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Warns_of_rules_that_no_packet_can_match()
    {
        RulesetReading reading = RulesetFile.Parse("f.yaml", Ports + "rules:\n  - allow: a\n    family: ipv6\n    source: 192.0.2.1\n  - allow: b\n    from: inside\n    to: inside\n  - allow: c\n    source: 192.0.2.1\n    destination: 2001:db8::1\n");
        Assert.NotNull(reading.Ruleset);
        Assert.Equal(["a", "b", "c"], reading.Diagnostics.Select(static d => d.Message.Split('\'')[1]));
        Assert.All(reading.Diagnostics, static d => Assert.Equal(Severity.Warning, d.Severity));
    }

    private static string Ipsec(string sa) => Ports + $$"""
        ipsec:
          policies:
            - { protect: a, local: 192.0.2.1, remote: 198.51.100.1, service: tcp, sa: pair }
            - { bypass: rest, direction: in }
          sas:
            pair: { {{sa}}, suite: aes-cbc-128+hmac-sha2-256-128, out: { spi: 0x1001, {{Keys}} }, in: { spi: 4098, {{Keys}} } }
        """;

    private static Ruleset Accepts(string text)
    {
        RulesetReading reading = RulesetFile.Parse("f.yaml", text);
        Assert.Empty(reading.Diagnostics);
        return reading.Ruleset!;
    }
}

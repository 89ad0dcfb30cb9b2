using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Compile;
using Filter.Rules.Policy;

namespace Filter.Tests.Rules.Policy;

/// <summary>What rules ask of a packet beside addresses and services: read, and held against a packet's facts.</summary>
public sealed class ConditionsTests
{
    private const string Head = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        schedules:
          work: mon-fri 08:00-18:00
          nights: [ 22:00-06:00, sun ]
        ipsec:
          policies:
            - bypass: ike
              service: ike
            - protect: to-branch
              remote: 10.2.0.0/16
              sa: a
            - protect: to-shop
              remote: 10.3.0.0/16
              sa: a
            - bypass: rest
          sas:
            a:
              mode: transport
              suite: aes-cbc-128+hmac-sha2-256-128
              out: { spi: 0x1001, encryption-key: 0x5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a0a, integrity-key: 0x5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b0b }
              in: { spi: 0x1002, encryption-key: 0xa5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a0, integrity-key: 0xb5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b0 }

        """;

    /// <summary>A SYN from inside, 60 bytes with DSCP 46 and a routing header, on a Monday at 10:30.</summary>
    private static readonly OpeningFacts s_syn = new(
        new FlowKey(Address.Parse("2001:db8::7"), Address.Parse("2001:db8:9::7"), 40000, 443, IpProtocol.Tcp, 0),
        1, 0, Direction.Out, TcpFlags.Syn | TcpFlags.Ece, 0, 0, (46 << 2) | 1, ArrivedBy: 2)
    {
        SourceMac = 0x0200_5e00_0001,
        DestinationMac = 0x0600_0000_0009,
        PacketLength = 60,
        Extensions = ExtensionHeaders.Routing | ExtensionHeaders.DestinationOptions,
    };

    [Theory]
    [InlineData("tcp-flags: syn", true)]
    [InlineData("tcp-flags: syn !ack", true)]
    [InlineData("tcp-flags: syn ece", true)]
    [InlineData("tcp-flags: [ syn !ece, fin ]", false)]
    [InlineData("tcp-flags: [ syn psh, '!ack' ]", true)]
    [InlineData("dscp: ef", true)]
    [InlineData("dscp: [ 0, af41, 46 ]", true)]
    [InlineData("dscp: [ cs5, 0x2d ]", false)]
    [InlineData("extension-headers: routing", true)]
    [InlineData("extension-headers: routing !fragment", true)]
    [InlineData("extension-headers: [ hop-by-hop, destination-options ]", true)]
    [InlineData("extension-headers: routing hop-by-hop", false)]
    [InlineData("extension-headers: none", false)]
    [InlineData("fragment: false", true)]
    [InlineData("fragment: true", false)]
    [InlineData("size: 60", true)]
    [InlineData("size: 1-59", false)]
    [InlineData("size: 61-65535", false)]
    [InlineData("source-mac: 02:00:5e:00:00:01", true)]
    [InlineData("source-mac: [ 02:00:00:00:00:01, 02:00:5e:00:00:00/24 ]", true)]
    [InlineData("source-mac: 06:00:00:00:00:09", false)]
    [InlineData("destination-mac: 06:00:00:00:00:09", true)]
    [InlineData("destination-mac: 07:00:00:00:00:00/8", false)]
    [InlineData("ipsec: clear", false)]
    [InlineData("ipsec: protected", true)]
    [InlineData("ipsec: to-branch", true)]
    [InlineData("ipsec: to-shop", false)]
    [InlineData("ipsec: [ clear, to-branch ]", true)]
    [InlineData("when: work", true)]
    [InlineData("when: nights", false)]
    [InlineData("when: [ nights, mon 10:30-10:31 ]", true)]
    [InlineData("when: mon 10:29-10:30", false)]
    [InlineData("when: tue-sun", false)]
    [InlineData("when: sat-mon", true)]
    [InlineData("when: 10:00-09:00", true)]
    public void Every_condition_must_hold(string condition, bool holds)
    {
        CompiledRuleset rules = Compile($"rules: [ {{ allow: it, {condition} }} ]\n", day: 0, time: (10 * 60) + 30);
        Assert.Equal(holds ? Verdict.Pass : Verdict.Drop, rules.Judge(s_syn).Verdict);
    }

    [Fact]
    public void Flags_are_tcps_alone_and_a_packet_without_a_frame_has_no_link_address()
    {
        CompiledRuleset rules = Compile("rules: [ { allow: it, tcp-flags: syn } ]\n", 0, 0);
        Assert.Equal(Verdict.Drop, rules.Judge(s_syn with { Key = s_syn.Key with { Protocol = IpProtocol.Udp } }).Verdict);

        rules = Compile("rules: [ { allow: it, source-mac: [ 00:00:00:00:00:00/1, 80:00:00:00:00:00/1 ] } ]\n", 0, 0);
        Assert.Equal(Verdict.Pass, rules.Judge(s_syn).Verdict);
        Assert.Equal(Verdict.Drop, rules.Judge(s_syn with { SourceMac = 0 }).Verdict);
    }

    [Fact]
    public void A_night_belongs_to_the_day_on_which_it_begins()
    {
        const string Friday = "rules: [ { allow: it, when: fri 22:00-06:00 } ]\n";
        Assert.Equal(Verdict.Pass, Compile(Friday, day: 5, time: 359).Judge(s_syn).Verdict);
        Assert.Equal(Verdict.Drop, Compile(Friday, day: 5, time: 360).Judge(s_syn).Verdict);
        Assert.Equal(Verdict.Drop, Compile(Friday, day: 4, time: 359).Judge(s_syn).Verdict);
        Assert.Equal(Verdict.Pass, Compile(Friday, day: 4, time: 1439).Judge(s_syn).Verdict);
    }

    [Fact]
    public void A_ruleset_says_when_its_schedules_change_and_only_then()
    {
        SetCalendar calendar = new();
        CompiledRuleset rules = RulesetCompiler.Compile(Read("rules: [ { allow: it, when: work }, { drop: b, when: tue } ]\n"), calendar);
        const long Minute = 60_000_000_000;
        calendar.Set(7 * 60, 0);
        List<long> changes = [];
        for (long minute = 0; minute < 2 * Schedule.Day; minute++)
        {
            if (rules.Advance(minute * Minute))
            {
                changes.Add(minute);
            }
        }

        Assert.Equal([60, 11 * 60, 17 * 60, (24 + 1) * 60, (24 + 11) * 60, (24 + 17) * 60], changes);

        // A clock that is set, as by NTP, is noticed at the next look.
        calendar.Set(9 * 60, 0);
        Assert.True(rules.Advance(0));
        Assert.Equal(Verdict.Pass, rules.Judge(s_syn).Verdict);
    }

    [Theory]
    [InlineData("tcp-flags: ack", "the rule 'it' matches no packet that opens a connection")]
    [InlineData("tcp-flags: [ syn ack, fin, '!syn' ]", "the rule 'it' matches no packet that opens a connection")]
    [InlineData("extension-headers: routing, family: ipv4", "the rule 'it' matches no packet")]
    public void What_can_match_nothing_is_worth_a_warning(string match, string warning) =>
        Assert.Equal([warning], RulesetFile.Parse("f.yaml", Head + $"rules: [ {{ allow: it, {match} }} ]\n").Diagnostics.Where(d => !d.Message.StartsWith("no policy", StringComparison.Ordinal)).Select(static d => d.Message));

    private static CompiledRuleset Compile(string rules, int day, int time)
    {
        SetCalendar calendar = new();
        calendar.Set((day * Schedule.Day) + time, 0);
        CompiledRuleset compiled = RulesetCompiler.Compile(Read(rules), calendar);
        compiled.Advance(0);
        return compiled;
    }

    private static Ruleset Read(string rules)
    {
        RulesetReading reading = RulesetFile.Parse("f.yaml", Head + rules);
        Assert.Empty(reading.Diagnostics);
        return reading.Ruleset!;
    }
}

using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Times of one rule's flows.</summary>
public sealed class RuleTimerTests
{
    private static string With(string timers) => Nets.Ports + $$"""

        timers: { udp-answered: 90s }
        rules:
          - allow: dns
            from: inside
            service: udp/4000
        {{timers}}
          - allow: all
            from: inside

        """;

    private const string Short = "    timers: { udp-opening: 10s, udp-answered: 20s, udp-lasting: 20s }";

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_rule_has_times_of_its_own_and_no_other_rule_has_them(int family)
    {
        var net = new TestNet(With(Short));
        (TestHost asks, TestHost answers) = net.Between(Nets.At(family, 1, 5000), Nets.At(family, 2, 4000), "udp");
        (TestHost others, TestHost far) = net.Between(Nets.At(family, 1, 5000), Nets.At(family, 2, 4001), "udp");
        asks.Reaches(answers, "len=1");
        others.Reaches(far, "len=1");
        net.After("9s");
        answers.Reaches(asks, "len=1");
        far.Reaches(others, "len=1");
        net.After("19s");
        net.ExpectsFlows(2);
        net.After("2s");
        net.ExpectsFlows(1);
        net.After("68s");
        net.ExpectsFlows(1);
        net.After("2s");
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void What_a_rule_does_not_name_is_as_the_ruleset_says(int family)
    {
        var net = new TestNet(With("    timers: { udp-opening: 10s }"));
        (TestHost asks, TestHost answers) = net.Between(Nets.At(family, 1, 5000), Nets.At(family, 2, 4000), "udp");
        asks.Reaches(answers, "len=1");
        answers.Reaches(asks, "len=1");
        net.After("89s");
        net.ExpectsFlows(1);
        net.After("2s");
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_reload_changes_them_from_the_next_packet_on(int family)
    {
        var net = new TestNet(With(""));
        (TestHost asks, TestHost answers) = net.Between(Nets.At(family, 1, 5000), Nets.At(family, 2, 4000), "udp");
        asks.Reaches(answers, "len=1");
        answers.Reaches(asks, "len=1");
        net.Reloads(With(Short));
        net.After("30s");
        net.ExpectsFlows(1);
        asks.Reaches(answers, "len=1");
        net.After("21s");
        net.ExpectsFlows(0);
    }

    [Fact]
    public void What_a_helper_expected_has_the_times_of_its_parents_rule()
    {
        var net = new TestNet(Nets.Ports + """

            rules:
              - allow: boot
                from: inside
                service: udp/69
                helper: tftp
                timers: { udp-opening: 10s }

            """);
        net.Sends($"inside: udp {Nets.At(4, 1, 3000)} > {Nets.At(4, 2, 69)} data=\"\\x00\\x01name\\x00octet\\x00\"");
        net.Sends($"outside: udp {Nets.At(4, 2, 2000)} > {Nets.At(4, 1, 3000)} len=20");
        net.ExpectsNoDrops();
        net.ExpectsFlows(2);
        net.After("11s");
        net.ExpectsFlows(1);                                // the question itself is to a well-known port
    }
}

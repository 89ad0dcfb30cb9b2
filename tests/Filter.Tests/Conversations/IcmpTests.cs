using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>ICMP and ICMPv6 through the walk: queries, errors, discovery.</summary>
public sealed class IcmpTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_ping_from_inside_is_answered(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        for (int sequence = 1; sequence < 4; sequence++)
        {
            client.Reaches(server, $"echo-request id=7 seq={sequence} len=56");
            server.Reaches(client, $"echo-reply id=7 seq={sequence} len=56");
        }

        net.ExpectsFlows(1);
        net.ExpectsNoDrops();
        net.After("61s");
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4, "echo-request id=7 seq=1", DropReason.DefaultDeny)]
    [InlineData(6, "echo-request id=7 seq=1", DropReason.DefaultDeny)]
    [InlineData(4, "echo-reply id=7 seq=1", DropReason.NoFlow)]
    [InlineData(6, "echo-reply id=7 seq=1", DropReason.NoFlow)]
    [InlineData(4, "timestamp-reply id=7 seq=1 len=12", DropReason.NoFlow)]
    public void Unsolicited_queries_and_answers_from_outside_are_dropped(int family, string words, DropReason why)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        server.Sends(words);
        client.HearsNothing();
        net.Expects(why, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_answer_with_another_identifier_or_of_another_kind_is_dropped(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "echo-request id=7 seq=1");
        server.Sends("echo-reply id=8 seq=1");
        net.Expects(DropReason.NoFlow, 1);
        server.Sends("echo-request id=7 seq=1");
        client.HearsNothing();
        Assert.Equal(1, net.Path.Counters[DropReason.DefaultDeny]);
        server.Reaches(client, "echo-reply id=7 seq=1");
    }

    [Theory]
    [InlineData(4, 1)]
    [InlineData(6, 1)]
    [InlineData(4, 9)]
    [InlineData(6, 9)]
    [InlineData(4, 8)]
    [InlineData(6, 128)]
    public void Two_hosts_may_ask_each_other_under_one_identifier(int family, int id)
    {
        var net = new TestNet(Nets.Open);
        (TestHost one, TestHost other) = Pair(net, family);
        for (int sequence = 1; sequence < 3; sequence++)
        {
            one.Reaches(other, $"echo-request id={id} seq={sequence}");
            other.Reaches(one, $"echo-request id={id} seq={sequence}");
            other.Reaches(one, $"echo-reply id={id} seq={sequence}");
            one.Reaches(other, $"echo-reply id={id} seq={sequence}");
        }

        net.ExpectsFlows(2);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_error_about_an_error_is_dropped(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "echo-request id=0 seq=1");
        net.Sends($"outside: icmp {Nets.At(family, 3)} > {Nets.At(family, 1)} time-exceeded "
            + $"quote=\"icmp {Nets.At(family, 1)} > {Nets.At(family, 2)} destination-unreachable len=20\"");
        client.HearsNothing();
        net.Expects(DropReason.StrayIcmpError, 1);
    }

    [Theory]
    [InlineData(4, "destination-unreachable code=3", "udp")]
    [InlineData(6, "destination-unreachable code=4", "udp")]
    [InlineData(4, "destination-unreachable code=4 mtu=1400", "tcp")]
    [InlineData(6, "packet-too-big mtu=1280", "tcp")]
    [InlineData(4, "time-exceeded", "icmp")]
    [InlineData(6, "time-exceeded", "icmp")]
    [InlineData(6, "parameter-problem code=1", "udp")]
    public void An_error_belongs_to_the_flow_it_quotes(int family, string error, string protocol)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family, protocol);
        string words = protocol == "icmp" ? "echo-request id=7 seq=1" : protocol == "tcp" ? "SYN seq=5" : "len=10";
        client.Reaches(server, words);
        string line = $"icmp {Nets.At(family, 3)} > {Nets.At(family, 1)} {error} quote=\"{Quoted(family, protocol)} {words}\"";
        net.Sends("outside: " + line);
        client.HearsLine(line);
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_error_about_an_answer_goes_out_to_who_answered(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family, "udp");
        client.Reaches(server, "len=10");
        server.Reaches(client, "len=10");
        string line = $"icmp {Nets.At(family, 1)} > {Nets.At(family, 2)} destination-unreachable code={(family == 4 ? 3 : 4)} "
            + $"quote=\"udp {Nets.At(family, 2, 53)} > {Nets.At(family, 1, 4000)} len=10\"";
        net.Sends("inside: " + line);
        server.HearsLine(line);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_error_that_quotes_no_flow_of_ours_is_dropped(int family)
    {
        var net = new TestNet(Nets.Open);
        (TestHost client, _) = Pair(net, family, "udp");
        net.Sends($"outside: icmp {Nets.At(family, 3)} > {Nets.At(family, 1)} destination-unreachable quote=\"{Quoted(family, "udp")}\"");
        net.Sends($"outside: icmp {Nets.At(family, 3)} > {Nets.At(family, 1)} destination-unreachable len=0");
        net.Sends($"outside: icmp {Nets.At(family, 3)} > {Nets.At(family, 1)} destination-unreachable len=100");
        client.HearsNothing();
        net.Expects(DropReason.StrayIcmpError, 3);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_error_to_another_than_who_sent_the_quoted_packet_is_dropped(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family, "udp");
        client.Reaches(server, "len=10");
        net.Sends($"outside: icmp {Nets.At(family, 3)} > {Nets.At(family, 7)} destination-unreachable quote=\"{Quoted(family, "udp")}\"");
        net.HearsNothing("inside");
        net.Expects(DropReason.StrayIcmpError, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_error_from_the_side_of_who_sent_the_quoted_packet_is_dropped(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family, "udp");
        client.Reaches(server, "len=10");
        net.Sends($"inside: icmp {Nets.At(family, 7)} > {Nets.At(family, 1)} destination-unreachable quote=\"{Quoted(family, "udp")}\"");
        net.HearsNothing("outside");
        net.Expects(DropReason.WrongSide, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_error_neither_keeps_a_flow_alive_nor_ends_it(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family, "udp");
        client.Reaches(server, "len=10");
        net.After("29s");
        net.Sends($"outside: icmp {Nets.At(family, 3)} > {Nets.At(family, 1)} time-exceeded quote=\"{Quoted(family, "udp")}\"");
        net.ExpectsFlows(1);
        net.After("2s");
        net.ExpectsFlows(0);
    }

    [Fact]
    public void Neighbour_discovery_is_judged_packet_by_packet()
    {
        var net = new TestNet(Nets.OneAnswer);
        string ask = "icmp fe80::1 > ff02::1:ff00:5 neighbour-solicitation len=24 ttl=255";
        string answer = "icmp fe80::5 > fe80::1 neighbour-advertisement len=24 ttl=255";
        net.Sends("outside: " + ask);
        net.Hears("inside", ask);
        net.Sends("outside: " + answer);
        net.Hears("inside", answer);
        net.Sends("inside: " + answer);
        net.Hears("outside", answer);
        net.ExpectsFlows(0);
        net.ExpectsNoDrops();
        net.Reloads(Nets.OutOnly);
        net.Sends("outside: " + ask);
        net.HearsNothing("inside");
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Fact]
    public void Igmp_is_judged_packet_by_packet()
    {
        var net = new TestNet(Nets.OneAnswer);
        string report = "igmp 10.0.0.5 > 224.0.0.22 type=34 len=8 ttl=1";
        net.Sends("inside: " + report);
        net.Hears("outside", report);
        net.Sends("outside: " + report.Replace("10.0.0.5", "203.0.113.1", StringComparison.Ordinal));
        net.Hears("inside", report.Replace("10.0.0.5", "203.0.113.1", StringComparison.Ordinal));
        net.ExpectsFlows(0);
        net.ExpectsNoDrops();
    }

    private static string Quoted(int family, string protocol) => protocol == "icmp"
        ? $"icmp {Nets.At(family, 1)} > {Nets.At(family, 2)}"
        : $"{protocol} {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 53)}";

    private static (TestHost Client, TestHost Server) Pair(TestNet net, int family, string protocol = "icmp") => protocol == "icmp"
        ? net.Between(Nets.At(family, 1), Nets.At(family, 2), protocol)
        : net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), protocol);
}

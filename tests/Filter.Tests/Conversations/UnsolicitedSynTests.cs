using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Tests.Conversations;

/// <summary>A SYN or an INIT from outside that nobody asked for (RFC 6092 REC-34, REC-39, RFC 5382 REQ-4).</summary>
public sealed class UnsolicitedSynTests
{
    private const string Answering = Nets.Ports + """
        defaults: { out: allow, in: drop, unsolicited-syn: answer-after-6s }
        rules:
          - drop: telnet
            service: tcp/23

        """;

    [Theory]
    [InlineData(4, "tcp", "SYN seq=7", 3, 3)]               // port unreachable
    [InlineData(6, "tcp", "SYN seq=7", 1, 1)]               // administratively prohibited
    [InlineData(4, "sctp", "chunk=init itag=0x7", 3, 3)]
    [InlineData(6, "sctp", "chunk=init itag=0x7", 1, 1)]
    public void It_is_answered_after_six_seconds(int family, string protocol, string opening, byte type, byte code)
    {
        var net = new TestNet(Answering);
        net.Sends($"outside: {protocol} {Nets.At(family, 2, 4000)} > {Nets.At(family, 1, 22)} {opening}");
        net.After("5999ms");
        net.HearsNothing("outside");
        net.After("1ms");
        PacketLine? error = net.Take("outside", Address.Parse(Nets.At(family, 2)));
        Assert.Equal(type, error?.IcmpType);
        Assert.Equal(code, error?.IcmpCode);
        Assert.Equal(Address.Parse(Nets.At(family, 1)), error!.Source);
        Assert.Contains($"{Nets.At(family, 2, 4000)} > {Nets.At(family, 1, 22)}", error.ToString(), StringComparison.Ordinal);
        net.HearsNothing("outside");
        net.HearsNothing("inside");
        net.After("1m");
        net.HearsNothing("outside");
        net.Expects(DropReason.DefaultDeny, 1);
        Assert.Equal(1, net.Path.Counters.Own);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void It_is_not_answered_where_the_connection_was_opened_from_inside_meanwhile(int family)
    {
        var net = new TestNet(Answering);
        (TestHost inner, TestHost outer) = net.Between(Nets.At(family, 1, 5000), Nets.At(family, 2, 4000));
        outer.Sends("SYN seq=7");
        net.After("2s");
        inner.Reaches(outer, "SYN seq=99");
        outer.Reaches(inner, "SYN seq=7");  // again: now the two meet
        inner.Reaches(outer, "SYN,ACK seq=99 ack=8");
        net.After("10s");
        outer.HearsNothing();
        net.Expects(DropReason.DefaultDeny, 1);
        Assert.Equal(0, net.Path.Counters.Own);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Nor_where_the_association_was(int family)
    {
        var net = new TestNet(Answering);
        (TestHost inner, TestHost outer) = net.Between(Nets.At(family, 1, 5000), Nets.At(family, 2, 4000), "sctp");
        outer.Sends("chunk=init itag=0x7");
        net.After("2s");
        inner.Reaches(outer, "chunk=init itag=0x99");
        outer.Reaches(inner, "chunk=init itag=0x7");
        inner.Reaches(outer, "chunk=init-ack tag=0x7 itag=0x99");
        net.After("10s");
        outer.HearsNothing();
        net.Expects(DropReason.DefaultDeny, 1);
        Assert.Equal(0, net.Path.Counters.Own);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void What_a_rule_drops_or_is_no_SYN_or_comes_from_inside_is_not_answered(int family)
    {
        var net = new TestNet(Answering.Replace("out: allow", "out: drop", StringComparison.Ordinal));
        net.Sends($"outside: tcp {Nets.At(family, 2, 4000)} > {Nets.At(family, 1, 23)} SYN seq=7");
        net.Sends($"outside: tcp {Nets.At(family, 2, 4000)} > {Nets.At(family, 1, 22)} SYN,ACK seq=7 ack=1");
        net.Sends($"outside: tcp {Nets.At(family, 2, 4000)} > {Nets.At(family, 1, 22)} RST seq=7");
        net.Sends($"outside: udp {Nets.At(family, 2, 4000)} > {Nets.At(family, 1, 53)} len=1");
        net.Sends($"outside: sctp {Nets.At(family, 2, 4000)} > {Nets.At(family, 1, 22)} chunk=init-ack tag=0x1 itag=0x7");
        net.Sends($"outside: sctp {Nets.At(family, 2, 4000)} > {Nets.At(family, 1, 22)} chunk=cookie-echo tag=0x1");
        net.Sends($"inside: tcp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 22)} SYN seq=7");
        net.After("10s");
        net.HearsNothing("outside");
        net.HearsNothing("inside");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void By_default_it_is_never_answered(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        net.Sends($"outside: tcp {Nets.At(family, 2, 4000)} > {Nets.At(family, 1, 22)} SYN seq=7");
        net.After("10s");
        net.HearsNothing("outside");
    }

    [Theory]
    [InlineData("", 1)]
    [InlineData("defaults: { unsolicited-syn: drop }", 0)]
    public void Profile_rfc6092_answers_unless_the_ruleset_says_drop(string defaults, int answers)
    {
        var net = new TestNet("""
            filter: 1
            profile: rfc6092
            ports:
              outside: { nic: eth0, side: unprotected }
              inside: { nic: eth1, side: protected }

            """ + defaults);
        net.Sends("outside: tcp [2600:9::7]:4000 > [2600:0:1::5]:22 SYN seq=7");
        net.After("6s");
        Assert.Equal(answers, net.Path.Counters.Own);
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_flood_earns_no_more_answers_than_the_rate_and_leaves_room_afterwards(int family)
    {
        var net = new TestNet(Answering + "\nlimits: { answers: 10/s burst 50 }\n");
        for (int port = 1; port <= 3000; port++)
        {
            net.Sends($"outside: tcp {Nets.At(family, 2, port)} > {Nets.At(family, 1, 22)} SYN seq=7");
        }

        net.After("6s");
        Assert.Equal(50, net.Path.Counters.Own);
        Assert.Equal(3000 - 50, net.Path.Counters.Limits.Refused(Limit.Answers));
        net.After("10s");
        Assert.Equal(50, net.Path.Counters.Own);
        net.Sends($"outside: tcp {Nets.At(family, 2, 4000)} > {Nets.At(family, 1, 22)} SYN seq=7");
        net.After("6s");
        Assert.Equal(51, net.Path.Counters.Own);
        net.Expects(DropReason.DefaultDeny, 3001);
    }

    [Fact]
    public void A_reload_that_takes_the_answer_back_silences_what_waits()
    {
        var net = new TestNet(Answering);
        net.Sends("outside: tcp 203.0.113.2:4000 > 10.0.0.5:22 SYN seq=7");
        net.Reloads(Nets.OutOnly);
        net.After("10s");
        net.HearsNothing("outside");
    }
}

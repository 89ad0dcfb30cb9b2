using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>The one-answer pinhole: each datagram that goes out earns one answer, not more.</summary>
public sealed class OneAnswerTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_second_answer_is_dropped(int family)
    {
        var net = new TestNet(Nets.OneAnswer);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "len=30");
        server.Reaches(client, "len=100");
        net.ExpectsFlows(0);
        server.Sends("len=100");
        client.HearsNothing();
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_and_aaaa_on_one_socket_both_get_their_answer_and_not_a_third_packet(int family)
    {
        var net = new TestNet(Nets.OneAnswer);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "len=30");
        client.Reaches(server, "len=31");
        server.Reaches(client, "len=100");
        server.Reaches(client, "len=101");
        server.Sends("len=102");
        client.HearsNothing();
        net.Expects(DropReason.DefaultDeny, 1);
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Two_answers_in_one_burst_to_one_question_are_one_too_many(int family)
    {
        var net = new TestNet(Nets.OneAnswer);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "len=30");
        net.InOneBurst(() =>
        {
            server.Sends("len=100");
            server.Sends("len=101");
        });
        client.Hears("len=100");
        client.HearsNothing();
        net.Expects(DropReason.DefaultDeny, 1);
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_question_asked_twice_and_answered_twice_is_fair(int family)
    {
        var net = new TestNet(Nets.OneAnswer);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "len=30");
        server.Reaches(client, "len=100");
        client.Reaches(server, "len=30");
        server.Reaches(client, "len=100");
        net.ExpectsNoDrops();
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Each_segment_of_a_super_frame_earns_an_answer(int family)
    {
        var net = new TestNet(Nets.OneAnswer);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "len=250 gso=100");
        server.Reaches(client, "len=40");
        server.Reaches(client, "len=40");
        server.Reaches(client, "len=40");
        server.Sends("len=40");
        client.HearsNothing();
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_super_frame_of_more_answers_than_are_owed_is_dropped_whole(int family)
    {
        var net = new TestNet(Nets.OneAnswer);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "len=30");
        client.Reaches(server, "len=30");
        server.Sends("len=250 gso=100");
        client.HearsNothing();
        server.Reaches(client, "len=200 gso=100");
        net.Expects(DropReason.NotOwed, 1);
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_answer_after_the_pinhole_timed_out_is_dropped(int family)
    {
        var net = new TestNet(Nets.OneAnswer);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "len=30");
        net.After("121s");
        server.Sends("len=100");
        client.HearsNothing();
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_icmp_error_takes_no_answer_away(int family)
    {
        var net = new TestNet(Nets.OneAnswer);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "len=30");
        string error = $"icmp {Nets.At(family, 3)} > {Nets.At(family, 1)} time-exceeded "
            + $"quote=\"udp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 53)} len=30\"";
        net.Sends("outside: " + error);
        client.HearsLine(error);
        server.Reaches(client, "len=100");
        net.ExpectsNoDrops();
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_fragmented_answer_is_one_answer(int family)
    {
        var net = new TestNet(Nets.OneAnswer);
        (TestHost client, TestHost server) = Pair(net, family);
        string pieces = $"outside: udp {Nets.At(family, 2)} > {Nets.At(family, 1)} id=7";
        client.Reaches(server, "len=30");
        server.Sends("len=1000 total=1800 frag=0+ id=7");
        client.HearsNothing();
        net.Sends($"{pieces} len=800 frag=1008");
        client.Hears("len=1000 total=1800 frag=0+ id=7");
        client.HearsLine($"{pieces["outside: ".Length..]} len=800 frag=1008");
        net.ExpectsFlows(0);
        server.Sends("len=100");
        client.HearsNothing();
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_ping_too_may_have_one_answer_for_each_question(int family)
    {
        var net = new TestNet(Nets.OneAnswer.Replace("service: udp/53", "service: ping", StringComparison.Ordinal));
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1), Nets.At(family, 2), "icmp");
        client.Reaches(server, "echo-request id=7 seq=1");
        client.Reaches(server, "echo-request id=7 seq=2");
        server.Reaches(client, "echo-reply id=7 seq=1");
        server.Reaches(client, "echo-reply id=7 seq=2");
        server.Sends("echo-reply id=7 seq=2");
        client.HearsNothing();
        net.Expects(DropReason.NoFlow, 1);
        net.ExpectsFlows(0);
    }

    private static (TestHost Client, TestHost Server) Pair(TestNet net, int family) =>
        net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), "udp");
}

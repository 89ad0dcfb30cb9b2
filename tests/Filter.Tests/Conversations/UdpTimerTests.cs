using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>How long a UDP pinhole stays open: RFC 4787 REQ-5, RFC 6092 REC-14 to 16.</summary>
public sealed class UdpTimerTests
{
    [Theory]
    [InlineData(4, "udp")]
    [InlineData(6, "udp")]
    [InlineData(4, "udplite")]
    [InlineData(6, "udplite")]
    public void A_question_between_high_ports_may_be_answered_for_two_minutes(int family, string protocol)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family, 5000, protocol);
        client.Reaches(server);
        net.After("119s");
        server.Reaches(client);
        net.After("119s");
        server.Reaches(client);
        net.After("121s");
        server.Sends();
        client.HearsNothing();
        net.Expects(DropReason.Expired, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_question_to_a_well_known_port_may_be_answered_for_half_a_minute(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family, 53);
        client.Reaches(server);
        net.After("29s");
        server.Reaches(client);
        net.After("59s");
        server.Reaches(client);
        net.After("61s");
        server.Sends();
        client.HearsNothing();
        net.Expects(DropReason.Expired, 1);
        client.Reaches(server);
        net.After("31s");
        server.Sends();
        net.Expects(DropReason.Expired, 2);
    }

    [Theory]
    [InlineData(4, 53)]
    [InlineData(6, 53)]
    [InlineData(4, 5000)]
    [InlineData(6, 5000)]
    public void Only_answers_that_go_on_earn_the_five_minutes(int family, int port)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family, port);
        client.Reaches(server);
        server.Reaches(client);
        net.After("3s");
        client.Reaches(server);
        server.Reaches(client);
        net.After("299s");
        server.Reaches(client);
        net.After("299s");
        client.Reaches(server);
        net.After("301s");
        net.ExpectsFlows(0);
        server.Sends();
        net.Expects(DropReason.Expired, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Many_answers_at_once_do_not_last(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family, 53);
        for (int i = 0; i < 20; i++)
        {
            client.Reaches(server, $"len={i}");
            server.Reaches(client, $"len={i}");
        }

        net.After("61s");
        net.ExpectsFlows(0);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Answers_to_one_question_alone_do_not_last_however_long_they_come(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family, 53);
        client.Reaches(server);
        for (int i = 0; i < 10; i++)
        {
            net.After("30s");
            server.Sends($"len={i}");
        }

        net.ExpectsFlows(0);
        net.Expects(DropReason.DefaultDeny, 10);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Four_questions_without_an_answer_wait_no_longer_than_a_minute(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family, 5000);
        for (int i = 0; i < 3; i++)
        {
            client.Reaches(server);
        }

        net.After("61s");
        net.ExpectsFlows(1);
        client.Reaches(server);
        net.After("61s");
        net.ExpectsFlows(0);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_question_with_an_answer_long_ago_keeps_its_time(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family, 5000);
        client.Reaches(server);
        server.Reaches(client);
        for (int i = 0; i < 5; i++)
        {
            client.Reaches(server);
        }

        net.After("119s");
        server.Reaches(client);
        net.ExpectsNoDrops();
    }

    private static (TestHost Client, TestHost Server) Pair(TestNet net, int family, int port, string protocol = "udp") =>
        net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, port), protocol);
}

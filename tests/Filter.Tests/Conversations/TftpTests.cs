using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>TFTP: the server answers from a port of its own choice, once, to the port that asked (RFC 1350 §4).</summary>
public sealed class TftpTests
{
    private const string Request = "data=\"\\x00\\x01boot/kernel\\x00octet\\x00\"";

    private const string Ruleset = Nets.Ports + """
        rules:
          - allow: boot
            from: inside
            service: udp/69
            helper: tftp
          - allow: plain
            from: inside
            service: udp/70

        """;

    [Theory]
    [InlineData(4, Request)]
    [InlineData(6, Request)]
    [InlineData(4, "data=\"\\x00\\x02log\\x00NetASCII\\x00blksize\\x001428\\x00\"")]
    [InlineData(6, "data=\"\\x00\\x02log\\x00mail\\x00\"")]
    public void A_transfer_goes_on_between_the_ports_that_both_ends_chose(int family, string request)
    {
        TestNet net = Asked(family, request);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 2070), Nets.At(family, 2, 3445), "udp");
        server.Reaches(client, "len=516");
        client.Reaches(server, "len=4");
        server.Reaches(client, "len=100");
        net.ExpectsNoDrops();
        Assert.Equal((1, 1), (net.Path.Counters.Announced, net.Path.Counters.Met));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void The_rule_names_the_helper_not_the_port(int family)
    {
        TestNet net = Asked(family, Request, port: 70);
        StaysOut(net, family, 2, 3445, 2070);
        Assert.Equal(0, net.Path.Counters.Announced);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void One_request_earns_one_transfer(int family)
    {
        TestNet net = Asked(family, Request);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 2070), Nets.At(family, 2, 3445), "udp");
        server.Reaches(client, "len=516");
        StaysOut(net, family, 2, 3446, 2070);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_request_that_is_sent_again_awaits_one_transfer_still(int family)
    {
        TestNet net = Asked(family, Request);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 2070), Nets.At(family, 2, 69), "udp");
        client.Reaches(server, Request);
        Assert.Equal(1, net.Path.Flows.Expectations.Count);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Another_host_or_another_port_gets_nothing(int family)
    {
        StaysOut(Asked(family, Request), family, 3, 3445, 2070);
        StaysOut(Asked(family, Request), family, 2, 3445, 2071);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void After_half_a_minute_no_answer_is_awaited(int family)
    {
        TestNet net = Asked(family, Request);
        net.After("31s");
        StaysOut(net, family, 2, 3445, 2070);
    }

    [Theory]
    [InlineData("len=20")]
    [InlineData("data=\"\\x00\\x03ab\"")]
    [InlineData("data=\"\\x00\\x01name\\x00gopher\\x00\"")]
    [InlineData("data=\"\\x00\\x01name\\x00octet\"")]
    [InlineData("data=\"\\x00\\x01\\x00octet\\x00\"")]
    [InlineData("data=\"\\x00\\x01name\"")]
    [InlineData("data=\"\\x00\"")]
    [InlineData("")]
    public void What_is_no_request_announces_nothing(string datagram)
    {
        TestNet net = Asked(4, datagram);
        Assert.Equal(0, net.Path.Counters.Announced);
        StaysOut(net, 4, 2, 3445, 2070);
    }

    private static TestNet Asked(int family, string datagram, int port = 69)
    {
        var net = new TestNet(Ruleset);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 2070), Nets.At(family, 2, port), "udp");
        client.Reaches(server, datagram);
        return net;
    }

    private static void StaysOut(TestNet net, int family, int host, int from, int to)
    {
        net.Sends($"outside: udp {Nets.At(family, host, from)} > {Nets.At(family, 1, to)} len=516");
        net.HearsNothing("inside");
        net.Expects(DropReason.DefaultDeny, 1);
    }
}

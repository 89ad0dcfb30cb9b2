using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>UDP pinholes through the walk, of both families.</summary>
public sealed class DatagramTests
{
    [Theory]
    [InlineData(4, "udp")]
    [InlineData(6, "udp")]
    [InlineData(4, "udplite")]
    [InlineData(6, "udplite")]
    public void What_goes_out_opens_a_pinhole_for_its_answers_alone(int family, string protocol)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family, protocol);
        server.Sends("len=10");
        client.HearsNothing();
        client.Reaches(server, "len=10");
        server.Reaches(client, "len=100");
        server.Reaches(client, "len=100");
        client.Reaches(server, "len=10");
        net.Sends($"outside: {protocol} {Nets.At(family, 2, 54)} > {Nets.At(family, 1, 4000)} len=1");
        net.Sends($"outside: {protocol} {Nets.At(family, 9, 53)} > {Nets.At(family, 1, 4000)} len=1");
        net.Sends($"outside: {protocol} {Nets.At(family, 2, 53)} > {Nets.At(family, 1, 4001)} len=1");
        net.HearsNothing("inside");
        net.ExpectsFlows(1);
        net.Expects(DropReason.DefaultDeny, 4);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void UDP_and_UDP_Lite_do_not_answer_each_other(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family, "udp");
        (TestHost light, TestHost lightServer) = Pair(net, family, "udplite");
        client.Reaches(server, "len=10");
        lightServer.Sends("len=10");
        client.HearsNothing();
        net.Expects(DropReason.DefaultDeny, 1);
        light.Reaches(lightServer, "len=10");
        lightServer.Reaches(light, "len=10");
        server.Reaches(client, "len=10");
        net.ExpectsFlows(2);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void The_same_question_on_another_vlan_is_another_flow(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "vlan=10");
        server.Sends();
        server.Sends("vlan=11");
        server.Sends("vlan=10.10");
        client.HearsNothing();
        server.Reaches(client, "vlan=10");
        net.Expects(DropReason.DefaultDeny, 3);
    }

    [Theory]
    [InlineData(4, "gre")]
    [InlineData(6, "esp")]
    [InlineData(4, "proto-253")]
    [InlineData(6, "ospf")]
    public void Protocols_without_ports_are_tracked_by_their_addresses(int family, string protocol)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1), Nets.At(family, 2), protocol);
        server.Sends("len=20");
        client.HearsNothing();
        client.Reaches(server, "len=20");
        server.Reaches(client, "len=30");
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Out_and_back_in_one_burst_is_one_flow(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        (TestHost other, TestHost otherServer) = net.Between(Nets.At(family, 1, 4001), Nets.At(family, 2, 53), "udp");
        net.InOneBurst(() =>
        {
            client.Sends("len=1");
            client.Sends("len=2");
            other.Sends("len=3");
        });
        server.Hears("len=1");
        server.Hears("len=2");
        otherServer.Hears("len=3");
        net.ExpectsFlows(2);
        net.ExpectsNoDrops();
    }

    private static (TestHost Client, TestHost Server) Pair(TestNet net, int family, string protocol = "udp") =>
        net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), protocol);
}

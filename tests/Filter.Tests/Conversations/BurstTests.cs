using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Packets of one burst that end and begin flows under each other's feet.</summary>
public sealed class BurstTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_packet_never_meets_another_flow_under_the_number_of_its_own(int family)
    {
        var net = new TestNet(Nets.OneAnswer);
        (TestHost one, TestHost oneServer) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), "udp");
        (TestHost two, TestHost twoServer) = net.Between(Nets.At(family, 1, 4001), Nets.At(family, 2, 53), "udp");
        one.Reaches(oneServer, "len=1");
        two.Reaches(twoServer, "len=2");
        net.InOneBurst(() =>
        {
            oneServer.Sends("len=11");      // ends the first flow
            twoServer.Sends("len=12");      // ends the second
            one.Sends("len=3");             // a new question
            twoServer.Sends("len=13");      // nobody owes it
        });
        one.Hears("len=11");
        net.Hears("inside", $"udp {Nets.At(family, 2, 53)} > {Nets.At(family, 1, 4001)} len=12");
        net.HearsNothing("inside");
        oneServer.Hears("len=3");
        oneServer.Reaches(one, "len=14");
        net.Expects(DropReason.DefaultDeny, 1);
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Question_and_answer_may_come_in_one_burst(int family)
    {
        var net = new TestNet(Nets.OneAnswer);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), "udp");
        net.InOneBurst(() =>
        {
            client.Sends("len=1");
            server.Sends("len=2");
            server.Sends("len=3");
            client.Sends("len=4");
        });
        server.Hears("len=1");
        client.Hears("len=2");
        client.HearsNothing();
        server.Hears("len=4");
        net.Expects(DropReason.DefaultDeny, 1);
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_whole_connection_may_come_in_one_burst(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 40000), Nets.At(family, 2, 443));
        net.InOneBurst(() =>
        {
            client.Sends("SYN seq=99");
            server.Sends("SYN,ACK seq=9 ack=100");
            client.Sends("ACK seq=100 ack=10");
            client.Sends("FIN,ACK seq=100 ack=10");
            server.Sends("FIN,ACK seq=10 ack=101");
            client.Sends("ACK seq=101 ack=11");
            client.Sends("SYN seq=5000");
        });
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
        server.Sends("SYN,ACK seq=7 ack=5001");
        net.ExpectsNoDrops();
    }
}

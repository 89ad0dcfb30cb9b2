using Filter.Engine.Flows.Trackers;
using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Who may end a connection by a reset, and what becomes of one that its receiver refuses (RFC 5961 §3).</summary>
public sealed class TcpResetTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_reset_at_the_number_that_its_receiver_expects_ends_the_connection(int family)
    {
        (TestNet net, TestHost client, TestHost server) = Connect(family);
        server.Reaches(client, "RST seq=10");
        Assert.Equal(TcpPhase.Reset, Phase(net));
        server.Sends("ACK,PSH seq=10 ack=100 len=10");
        client.HearsNothing();
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_reset_behind_data_that_arrives_ends_the_connection_when_the_client_says_so(int family)
    {
        (TestNet net, TestHost client, TestHost server) = Connect(family);
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=500");
        server.Reaches(client, "RST,ACK seq=510 ack=100");
        Assert.Equal(TcpPhase.Resetting, Phase(net));
        client.Reaches(server, "ACK seq=100 ack=510");               // was under way when the reset came
        server.Reaches(client, "RST seq=510");                       // to that
        Assert.Equal(TcpPhase.Reset, Phase(net));
        net.ExpectsNoDrops();
        net.After("11s");
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_reset_that_overtakes_its_data_is_challenged_and_sent_again(int family)
    {
        (TestNet net, TestHost client, TestHost server) = Connect(family);
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=500");    // lost behind us
        server.Reaches(client, "RST seq=510");
        client.Reaches(server, "ACK seq=100 ack=10");                // the challenge
        server.Reaches(client, "RST seq=10");
        net.ExpectsNoDrops();
        net.After("241s");
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_forged_reset_that_guesses_what_is_under_way_loses_no_packet_of_the_connection(int family)
    {
        (TestNet net, TestHost client, TestHost server) = Connect(family);
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=500");
        server.Reaches(client, "RST seq=510");                       // forged
        client.Reaches(server, "ACK seq=100 ack=10");                // the challenge, which the server does not understand
        client.Reaches(server, "ACK seq=100 ack=510");
        server.Reaches(client, "ACK,PSH seq=510 ack=100 len=500");
        Assert.Equal(TcpPhase.Established, Phase(net));
        client.Reaches(server, "ACK,PSH seq=100 ack=1010 len=5");
        net.After("2h");
        server.Reaches(client, "ACK seq=1010 ack=105");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_client_that_closed_resets_what_still_comes_and_the_server_that_has_its_FIN_takes_only_the_second_reset(int family)
    {
        (TestNet net, TestHost client, TestHost server) = Connect(family);
        client.Reaches(server, "FIN,ACK seq=100 ack=10");
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=50");     // had been sent before the FIN came
        client.Reaches(server, "RST seq=100");                       // to that; to the server, which now expects 101, it is old
        Assert.Equal(TcpPhase.Resetting, Phase(net));
        server.Reaches(client, "FIN,ACK seq=60 ack=101");
        client.Reaches(server, "RST seq=101");
        Assert.Equal(TcpPhase.Reset, Phase(net));
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_connection_that_closes_and_proves_alive_after_a_forged_reset_comes_to_its_end(int family)
    {
        (TestNet net, TestHost client, TestHost server) = Connect(family);
        client.Reaches(server, "FIN,ACK seq=100 ack=10");
        server.Reaches(client, "ACK,PSH seq=10 ack=101 len=50");
        server.Reaches(client, "RST seq=60");                        // forged
        server.Reaches(client, "FIN,ACK seq=60 ack=101");
        Assert.Equal(TcpPhase.Closing, Phase(net));
        client.Reaches(server, "ACK seq=101 ack=61");
        Assert.Equal(TcpPhase.TimeWait, Phase(net));
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_client_that_aborts_with_data_under_way_may_connect_again_from_the_same_port(int family)
    {
        (TestNet net, TestHost client, TestHost server) = Connect(family);
        client.Reaches(server, "ACK,PSH seq=100 ack=10 len=500");
        client.Reaches(server, "RST seq=600");
        Assert.Equal(TcpPhase.Resetting, Phase(net));
        client.Reaches(server, "SYN seq=700000");
        server.Reaches(client, "SYN,ACK seq=80000 ack=700001");
        client.Reaches(server, "ACK seq=700001 ack=80001");
        server.Reaches(client, "ACK,PSH seq=80001 ack=700001 len=10");
        Assert.Equal(TcpPhase.Established, Phase(net));
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_reset_that_nobody_takes_back_ends_the_flow_after_four_minutes(int family)
    {
        (TestNet net, TestHost client, TestHost server) = Connect(family);
        client.Reaches(server, "ACK,PSH seq=100 ack=10 len=500");
        client.Reaches(server, "RST seq=600");
        net.After("241s");
        net.ExpectsFlows(0);
    }

    private static (TestNet Net, TestHost Client, TestHost Server) Connect(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 40000), Nets.At(family, 2, 443));
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
        return (net, client, server);
    }

    private static TcpPhase Phase(TestNet net) => (TcpPhase)net.Path.Flows[1].State;
}

using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Forged segments of somebody who knows addresses and ports of a connection, but not its numbers.</summary>
public sealed class TcpAttackTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_blind_reset_ends_nothing(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        server.Sends("RST seq=12345678");
        client.HearsNothing();
        server.Reaches(client, "RST,ACK seq=0 ack=100");            // within the window: for the receiver to challenge
        client.Reaches(server, "ACK seq=100 ack=10");
        client.Reaches(server, "RST seq=3");
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=10");
        client.Reaches(server, "ACK seq=100 ack=20");
        net.Expects(DropReason.OutOfWindow, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_blind_segment_does_not_prepare_a_blind_reset(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        server.Sends("ACK seq=1000000000 ack=100 len=5");
        server.Sends("RST seq=1000000005");
        server.Sends("ACK seq=10 ack=77777 len=5");
        client.Sends("RST seq=77777");
        client.HearsNothing();
        server.HearsNothing();
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=10");
        client.Reaches(server, "ACK seq=100 ack=20");
        net.Expects(DropReason.OutOfWindow, 4);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_blind_fin_closes_nothing(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        server.Sends("FIN,ACK seq=1000000000 ack=100");
        client.HearsNothing();
        net.After("10m");
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=10");
        net.Expects(DropReason.OutOfWindow, 1);
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_blind_segment_does_not_keep_a_connection_alive(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        net.After("2h");
        server.Sends("ACK seq=1000000000 ack=100 len=5");
        client.HearsNothing();
        server.Reaches(client, "RST seq=5");
        server.Reaches(client, "SYN,ACK seq=5 ack=7");
        server.Reaches(client, "SYN seq=5");
        client.Reaches(server, "SYN seq=7");
        net.After("5m");
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_forged_syn_ack_does_not_break_the_handshake(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=5 ack=77777");
        client.Reaches(server, "RST seq=77777");                // as RFC 9293 §3.10.7.3 says
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=10");
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_forged_syn_does_not_break_the_handshake(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN seq=5");
        client.Reaches(server, "SYN,ACK seq=99 ack=6");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=10");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4, "RST,ACK ack=101")]
    [InlineData(6, "RST,ACK ack=0")]
    [InlineData(4, "RST seq=0")]
    [InlineData(6, "RST seq=100")]
    public void A_reset_that_does_not_acknowledge_the_syn_is_dropped(int family, string words)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "SYN seq=99");
        server.Sends(words);
        client.HearsNothing();
        net.Expects(DropReason.InvalidState, 1);
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
    }

    [Theory]
    [InlineData(4, "ACK,PSH seq=9 ack=100 len=10")]
    [InlineData(6, "ACK,PSH seq=9 ack=100 len=10")]
    [InlineData(4, "FIN,ACK seq=9 ack=100")]
    public void Data_before_the_handshake_is_dropped(int family, string words)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "SYN seq=99");
        server.Sends(words);
        client.HearsNothing();
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_syn_from_outside_on_an_established_connection_is_for_the_client_to_challenge_and_opens_nothing(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        server.Reaches(client, "SYN seq=5000");
        client.Reaches(server, "ACK seq=100 ack=10");
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=10");
        net.ExpectsNoDrops();

        // Even if somebody answered it, the handshake would not come to its end.
        server.Reaches(client, "SYN seq=3000000000");
        client.Reaches(server, "SYN,ACK seq=2000000000 ack=3000000001");
        server.Sends("ACK seq=3000000001 ack=2000000001");
        client.HearsNothing();
        net.Expects(DropReason.OutOfWindow, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_syn_from_outside_does_not_take_a_closing_connection_away(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        client.Reaches(server, "FIN,ACK seq=100 ack=10");
        server.Reaches(client, "FIN,ACK seq=10 ack=101");
        client.Reaches(server, "ACK seq=101 ack=11");
        server.Sends("SYN seq=5000");
        net.Expects(DropReason.DefaultDeny, 1);
        server.Reaches(client, "FIN,ACK seq=10 ack=101");
        client.Reaches(server, "ACK seq=101 ack=11");
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_flood_of_openings_does_not_push_proven_connections_out(int family)
    {
        var net = new TestNet(Nets.Open, flows: 16, policy: static policy => policy with { Limits = FlowLimits.None });
        (TestHost client, TestHost server) = Connect(net, family);
        for (int port = 1024; port < 2024; port++)
        {
            net.Sends($"outside: tcp {Nets.At(family, 9, port)} > {Nets.At(family, 8, 80)} SYN seq={port}");
            net.Sends($"inside: tcp {Nets.At(family, 8, 80)} > {Nets.At(family, 9, port)} SYN,ACK seq=1 ack={port + 1}");
        }

        net.ExpectsFlows(16);
        net.ExpectsNoDrops();
        Assert.Equal(1000 + 1 - 16, net.Path.Counters.Evicted);
        (TestHost other, TestHost site) = net.Between(Nets.At(family, 1, 50000), Nets.At(family, 3, 443));
        other.Reaches(site, "SYN seq=1");
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=10");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_packet_whose_flow_was_given_up_in_its_own_burst_is_judged_afresh(int family)
    {
        var net = new TestNet(Nets.OutOnly, flows: 1, workers: 1);
        (TestHost one, TestHost oneServer) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), "udp");
        (TestHost two, TestHost twoServer) = net.Between(Nets.At(family, 1, 4001), Nets.At(family, 3, 53), "udp");
        one.Reaches(oneServer, "len=1");
        net.InOneBurst(() =>
        {
            two.Sends("len=2");             // takes the first flow's place, and its number
            oneServer.Sends("len=3");
            twoServer.Sends("len=4");
        });
        twoServer.Hears("len=2");
        two.Hears("len=4");
        net.Expects(DropReason.DefaultDeny, 1);
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_late_copy_of_the_syn_does_not_open_an_ended_connection_again(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        client.Reaches(server, "FIN,ACK seq=100 ack=10");
        server.Reaches(client, "FIN,ACK seq=10 ack=101");
        client.Reaches(server, "ACK seq=101 ack=11");
        client.Sends("SYN seq=99");
        server.HearsNothing();
        net.Expects(DropReason.InvalidState, 1);
        server.Reaches(client, "FIN,ACK seq=10 ack=101");        // the last acknowledgment was lost
        client.Reaches(server, "ACK seq=101 ack=11");
        client.Reaches(server, "SYN seq=70000");                 // a new one may, from the same port
        net.ExpectsFlows(1);
    }

    private static (TestHost Client, TestHost Server) Pair(TestNet net, int family) =>
        net.Between(Nets.At(family, 1, 40000), Nets.At(family, 2, 443));

    private static (TestHost Client, TestHost Server) Connect(TestNet net, int family)
    {
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
        return (client, server);
    }
}

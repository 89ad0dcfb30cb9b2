using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>What TCPs do rarely, and may: not one of these packets may be lost.</summary>
public sealed class TcpOddityTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_server_that_remembers_an_old_connection_challenges_and_is_reset(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "ACK seq=700 ack=4000");
        client.Reaches(server, "RST seq=4000");
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_client_that_crashed_may_connect_again_from_the_same_port(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        client.Reaches(server, "SYN seq=5000");
        server.Reaches(client, "ACK seq=10 ack=100");
        client.Reaches(server, "RST seq=100");
        client.Reaches(server, "SYN seq=5000");
        server.Reaches(client, "SYN,ACK seq=77 ack=5001");
        client.Reaches(server, "ACK seq=5001 ack=78");
        server.Reaches(client, "ACK,PSH seq=78 ack=5001 len=10");
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4, false)]
    [InlineData(6, false)]
    [InlineData(4, true)]
    [InlineData(6, true)]
    public void Both_may_begin_anew_where_both_have_forgotten(int family, bool closing)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        if (closing)
        {
            server.Reaches(client, "FIN,ACK seq=10 ack=100");
        }

        client.Reaches(server, "SYN seq=3000000000");
        server.Reaches(client, "SYN,ACK seq=2000000000 ack=3000000001");
        client.Reaches(server, "ACK seq=3000000001 ack=2000000001");
        server.Reaches(client, "ACK,PSH seq=2000000001 ack=3000000001 len=10");
        net.After("2h");
        client.Reaches(server, "FIN,ACK seq=3000000001 ack=2000000011");
        server.Reaches(client, "FIN,ACK seq=2000000011 ack=3000000002");
        client.Reaches(server, "ACK seq=3000000002 ack=2000000012");
        net.ExpectsNoDrops();
        server.Sends("ACK,PSH seq=2000000012 ack=3000000002 len=10");
        client.HearsNothing();
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_fin_sent_twice_is_acknowledged_twice(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        client.Reaches(server, "FIN,ACK seq=100 ack=10");
        server.Reaches(client, "FIN,ACK seq=10 ack=101");
        server.Reaches(client, "FIN,ACK seq=10 ack=101");
        client.Reaches(server, "ACK seq=101 ack=11");
        client.Reaches(server, "ACK seq=101 ack=11");
        net.ExpectsNoDrops();
        client.Sends("ACK seq=101 ack=11");
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Where_the_last_acknowledgment_is_lost_data_may_come_again_before_the_fin(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        client.Reaches(server, "FIN,ACK seq=100 ack=10");
        server.Reaches(client, "ACK,PSH seq=10 ack=101 len=500");
        server.Reaches(client, "FIN,ACK seq=510 ack=101 len=20");
        client.Reaches(server, "ACK seq=101 ack=531");
        server.Reaches(client, "ACK,PSH seq=10 ack=101 len=500");
        client.Reaches(server, "ACK seq=101 ack=531");
        server.Reaches(client, "FIN,ACK seq=10 ack=101 len=520");
        client.Reaches(server, "ACK seq=101 ack=531");
        net.ExpectsNoDrops();
        server.Sends("ACK,PSH seq=510 ack=101 len=50");
        client.HearsNothing();
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void What_the_others_fin_acknowledged_does_not_come_again_once_all_is_over(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=5");
        client.Reaches(server, "FIN,ACK seq=100 ack=15");
        server.Reaches(client, "FIN,ACK seq=15 ack=101");
        client.Reaches(server, "ACK seq=101 ack=16");
        server.Sends("ACK,PSH seq=10 ack=101 len=5");
        server.Sends("ACK,PSH seq=11 ack=101 len=4");
        client.HearsNothing();
        net.Expects(DropReason.InvalidState, 2);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Sequence_numbers_may_wrap(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "SYN seq=4294967295");
        server.Reaches(client, "SYN,ACK seq=4294967290 ack=0");
        client.Reaches(server, "ACK seq=0 ack=4294967291");
        server.Reaches(client, "ACK,PSH seq=4294967291 ack=0 len=100");
        client.Reaches(server, "ACK seq=0 ack=95 len=50");
        server.Reaches(client, "FIN,ACK seq=95 ack=50");
        client.Reaches(server, "FIN,ACK seq=50 ack=96");
        server.Reaches(client, "ACK seq=96 ack=51");
        net.ExpectsNoDrops();
        server.Sends("ACK seq=96 ack=51 len=1");
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Keep_alives_and_window_probes_pass_and_keep_the_connection(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        server.Reaches(client, "ACK seq=10 ack=100 win=0");
        client.Reaches(server, "ACK seq=99 ack=10");
        client.Reaches(server, "ACK seq=100 ack=10 len=1");
        server.Reaches(client, "ACK seq=10 ack=100 win=0");
        for (int i = 0; i < 4; i++)
        {
            net.After("1h");
            server.Reaches(client, "ACK seq=9 ack=100 len=1");
            client.Reaches(server, "ACK seq=101 ack=10");
        }

        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_syn_may_carry_data_which_may_be_taken_or_not(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "SYN seq=99 len=50");
        server.Reaches(client, "SYN,ACK seq=9 ack=150");
        server.Reaches(client, "ACK,PSH seq=10 ack=150 len=1000");
        client.Reaches(server, "ACK seq=150 ack=1010");
        (client, server) = net.Between(Nets.At(family, 1, 40001), Nets.At(family, 2, 443));
        client.Reaches(server, "SYN seq=99 len=50");
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK,PSH seq=100 ack=10 len=50");
        server.Reaches(client, "ACK seq=10 ack=150");
        (client, server) = net.Between(Nets.At(family, 1, 40002), Nets.At(family, 2, 443));
        client.Reaches(server, "SYN seq=99 len=50");
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "RST,ACK ack=150");
        net.ExpectsNoDrops();
        server.Sends("SYN,ACK seq=9 ack=100");
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_client_may_try_again_with_another_number(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "SYN seq=70000");
        server.Reaches(client, "SYN,ACK seq=2009 ack=70001");
        client.Reaches(server, "ACK seq=70001 ack=2010");
        server.Reaches(client, "ACK,PSH seq=2010 ack=70001 len=10");
        client.Reaches(server, "FIN,ACK seq=70001 ack=2020");
        server.Reaches(client, "FIN,ACK seq=2020 ack=70002");
        client.Reaches(server, "ACK seq=70002 ack=2021");
        net.ExpectsNoDrops();
        server.Sends("ACK,PSH seq=2021 ack=70002 len=1");
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_handshake_may_be_split(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "ACK seq=0 ack=100");
        server.Reaches(client, "SYN seq=9");
        client.Reaches(server, "SYN,ACK seq=99 ack=10");
        server.Reaches(client, "ACK seq=10 ack=100");
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=10");
        client.Reaches(server, "ACK seq=100 ack=20");
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_super_frame_may_end_with_a_fin(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        server.Reaches(client, "FIN,ACK seq=10 ack=100 len=30000 gso=1400");
        client.Reaches(server, "FIN,ACK seq=100 ack=30011");
        server.Reaches(client, "ACK seq=30011 ack=101");
        net.ExpectsNoDrops();
        server.Sends("ACK seq=30011 ack=101 len=1");
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_server_that_reset_resets_each_segment_that_was_under_way(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=500");
        client.Reaches(server, "ACK,PSH seq=100 ack=10 len=50");
        client.Reaches(server, "ACK,PSH seq=150 ack=510 len=50");
        server.Reaches(client, "RST,ACK seq=510 ack=100");
        client.Reaches(server, "ACK,PSH seq=200 ack=510 len=50");
        server.Reaches(client, "RST seq=10");
        server.Reaches(client, "RST seq=510");
        net.ExpectsNoDrops();
        server.Sends("ACK,PSH seq=510 ack=150 len=50");
        client.HearsNothing();
        net.Expects(DropReason.InvalidState, 1);
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

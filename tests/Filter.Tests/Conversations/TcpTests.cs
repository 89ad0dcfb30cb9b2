using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>TCP through the walk, of both families.</summary>
public sealed class TcpTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_connection_from_inside_opens_carries_data_and_closes(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        client.Reaches(server, "ACK,PSH seq=100 ack=10 len=1000");
        server.Reaches(client, "ACK seq=10 ack=1100 len=1400");
        server.Reaches(client, "ACK,PSH seq=1410 ack=1100 len=1400");
        client.Reaches(server, "ACK seq=1100 ack=2810");
        net.ExpectsFlows(1);
        Close(client, server, 1100, 2810);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void After_fin_fin_ack_nothing_new_comes_in(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        Close(client, server, 100, 10);
        server.Sends("ACK,PSH seq=11 ack=101 len=10");
        server.Sends("ACK,PSH seq=10 ack=101 len=10");
        client.HearsNothing();
        net.Expects(DropReason.InvalidState, 2);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void After_fin_fin_ack_the_server_cannot_open_the_same_ports(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        Close(client, server, 100, 10);
        server.Sends("SYN seq=5000");
        client.HearsNothing();
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_lost_last_ack_may_be_asked_for_and_given_again(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        Close(client, server, 100, 10);
        server.Reaches(client, "FIN,ACK seq=10 ack=101");
        client.Reaches(server, "ACK seq=101 ack=11");
        net.ExpectsNoDrops();
        client.Sends("ACK seq=101 ack=11 len=5");
        server.HearsNothing();
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Both_sides_may_close_at_once(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        client.Reaches(server, "FIN,ACK seq=100 ack=10");
        server.Reaches(client, "FIN,ACK seq=10 ack=100");
        client.Reaches(server, "ACK seq=101 ack=11");
        server.Reaches(client, "ACK seq=11 ack=101");
        server.Sends("ACK,PSH seq=11 ack=101 len=10");
        client.HearsNothing();
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void The_server_may_close_first_and_the_client_still_sends(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        server.Reaches(client, "FIN,ACK seq=10 ack=100");
        client.Reaches(server, "ACK seq=100 ack=11");
        client.Reaches(server, "ACK,PSH seq=100 ack=11 len=500");
        server.Reaches(client, "ACK seq=11 ack=600");
        client.Reaches(server, "FIN,ACK seq=600 ack=11");
        server.Reaches(client, "ACK seq=11 ack=601");
        net.ExpectsNoDrops();
        server.Sends("ACK,PSH seq=11 ack=601 len=1");
        client.HearsNothing();
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Each_FIN_that_was_sent_again_may_be_acknowledged_again_and_no_more(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        client.Reaches(server, "FIN,ACK seq=100 ack=10");
        server.Reaches(client, "ACK seq=10 ack=101");
        server.Reaches(client, "FIN,ACK seq=10 ack=101");
        server.Reaches(client, "FIN,ACK seq=10 ack=101");
        server.Reaches(client, "FIN,ACK seq=10 ack=101");
        client.Reaches(server, "ACK seq=101 ack=11");
        client.Reaches(server, "ACK seq=101 ack=11");
        client.Reaches(server, "ACK seq=101 ack=11");
        net.ExpectsNoDrops();
        client.Sends("ACK seq=101 ack=11");
        server.HearsNothing();
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void After_a_reset_the_port_is_closed(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        server.Reaches(client, "RST,ACK seq=10 ack=100");
        server.Sends("ACK,PSH seq=10 ack=100 len=10");
        server.Sends("SYN seq=500");
        client.HearsNothing();
        client.Reaches(server, "ACK,PSH seq=100 ack=10 len=10");                // was in flight
        server.Reaches(client, "RST seq=10");
        Assert.Equal(1, net.Path.Counters[DropReason.InvalidState]);
        Assert.Equal(1, net.Path.Counters[DropReason.DefaultDeny]);
        net.After("61s");
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_refused_connection_is_over(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "RST,ACK ack=100");
        server.Sends("SYN,ACK seq=9 ack=100");
        client.HearsNothing();
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void After_a_reset_the_client_may_connect_again_from_the_same_port(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        client.Reaches(server, "RST seq=100");
        client.Reaches(server, "SYN seq=5000");
        server.Reaches(client, "SYN,ACK seq=77 ack=5001");
        client.Reaches(server, "ACK seq=5001 ack=78");
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4, "SYN seq=1", DropReason.DefaultDeny)]
    [InlineData(6, "SYN seq=1", DropReason.DefaultDeny)]
    [InlineData(4, "SYN,ACK seq=1 ack=2", DropReason.NoFlow)]
    [InlineData(6, "SYN,ACK seq=1 ack=2", DropReason.NoFlow)]
    [InlineData(4, "ACK seq=1 ack=2", DropReason.NoFlow)]
    [InlineData(6, "FIN,ACK seq=1 ack=2", DropReason.NoFlow)]
    [InlineData(4, "RST seq=1", DropReason.NoFlow)]
    [InlineData(6, "RST,ACK seq=1 ack=2", DropReason.NoFlow)]
    public void Unsolicited_segments_from_outside_are_dropped(int family, string words, DropReason why)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        server.Sends(words);
        client.HearsNothing();
        net.Expects(why, 1);
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4, "SYN,FIN")]
    [InlineData(6, "SYN,FIN")]
    [InlineData(4, "SYN,RST")]
    [InlineData(6, "FIN")]
    [InlineData(4, "FIN,PSH,URG")]
    [InlineData(6, "none")]
    [InlineData(4, "SYN,ACK,FIN")]
    public void Flags_that_no_legal_segment_carries_are_dropped(int family, string flags)
    {
        var net = new TestNet(Nets.Open);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Sends($"{flags} seq=1");
        server.HearsNothing();
        net.Expects(DropReason.BadFlags, 1);
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_packet_to_its_own_sender_is_dropped(int family)
    {
        var net = new TestNet(Nets.Open);
        string self = Nets.At(family, 1, 139);
        net.Sends($"outside: tcp {self} > {self} SYN");
        net.HearsNothing("inside");
        net.Expects(DropReason.Land, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_segment_with_a_bad_checksum_changes_no_state(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        server.Sends("RST,ACK seq=10 ack=100 csum=bad");
        client.HearsNothing();
        client.Reaches(server, "ACK,PSH seq=100 ack=10 len=10");
        server.Reaches(client, "ACK seq=10 ack=110");
        net.Expects(DropReason.BadChecksum, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_answer_that_comes_from_the_wrong_side_is_dropped(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "SYN seq=99");
        net.Sends($"inside: tcp {Nets.At(family, 2, 443)} > {Nets.At(family, 1, 40000)} SYN,ACK seq=9 ack=100");
        client.HearsNothing();
        server.HearsNothing();
        net.Expects(DropReason.WrongSide, 1);
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Lost_packets_of_the_handshake_may_be_sent_again(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "SYN seq=99");
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=5");
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Two_hosts_may_open_to_each_other_at_once(int family)
    {
        var net = new TestNet(Nets.Open);
        (TestHost one, TestHost other) = Pair(net, family);
        one.Reaches(other, "SYN seq=99");
        other.Reaches(one, "SYN seq=9");
        one.Reaches(other, "SYN,ACK seq=99 ack=10");
        other.Reaches(one, "SYN,ACK seq=9 ack=100");
        one.Reaches(other, "ACK,PSH seq=100 ack=10 len=3");
        other.Reaches(one, "ACK,PSH seq=10 ack=103 len=3");
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_silent_connection_lives_two_hours_and_a_half_open_one_four_minutes(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        net.After("2h");
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=5");
        net.After("7441s");
        net.ExpectsFlows(0);
        server.Sends("ACK,PSH seq=15 ack=100 len=5");
        client.HearsNothing();
        client.Reaches(server, "SYN seq=1");
        net.After("239s");
        net.ExpectsFlows(1);
        net.After("2s");
        net.ExpectsFlows(0);
        net.Expects(DropReason.Expired, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_super_frame_passes_whole(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        client.Reaches(server, "ACK seq=100 ack=10 len=60000 gso=1400");
        server.Reaches(client, "ACK seq=10 ack=60100");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_reload_that_forbids_a_flow_ends_it_and_one_that_allows_keeps_it(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        net.Reloads(Nets.Open);
        server.Reaches(client, "ACK,PSH seq=10 ack=100 len=5");
        net.ExpectsFlows(1);
        net.Reloads(Nets.OneAnswer);
        server.Sends("ACK,PSH seq=15 ack=100 len=5");
        client.HearsNothing();
        net.Expects(DropReason.NoFlow, 1);
        net.ExpectsFlows(0);
    }

    [Fact]
    public void A_table_full_of_proven_connections_drops_openings_and_says_so()
    {
        var net = new TestNet(Nets.OutOnly, flows: 8, policy: static policy => policy with { Limits = FlowLimits.None });
        for (int port = 1000; port < 1008; port++)
        {
            (TestHost client, TestHost server) = net.Between($"10.0.0.5:{port}", "203.0.113.2:443");
            client.Reaches(server, "SYN seq=99");
            server.Reaches(client, "SYN,ACK seq=9 ack=100");
            client.Reaches(server, "ACK seq=100 ack=10");
        }

        net.Sends("inside: tcp 10.0.0.5:2000 > 203.0.113.2:443 SYN");
        net.HearsNothing("outside");
        net.Expects(DropReason.TableFull, 1);
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

    /// <summary>FIN, its ACK, FIN, its ACK.</summary>
    private static void Close(TestHost client, TestHost server, uint next, uint serverNext)
    {
        client.Reaches(server, $"FIN,ACK seq={next} ack={serverNext}");
        server.Reaches(client, $"ACK seq={serverNext} ack={next + 1}");
        server.Reaches(client, $"FIN,ACK seq={serverNext} ack={next + 1}");
        client.Reaches(server, $"ACK seq={next + 1} ack={serverNext + 1}");
    }
}

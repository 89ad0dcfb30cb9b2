using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Conversations;

/// <summary>The four bounds of TCP's windows (RFC 9293 §3.10.7.4, RFC 5961 §5): what lies at each of them passes, what lies behind does not.</summary>
public sealed class TcpWindowTests
{
    private const string Midstream = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - allow: outbound
            from: inside
            midstream: true
        """;

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void The_right_edge_is_what_the_receiver_offered(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family, window: 1000);
        server.Reaches(client, "ACK seq=1010 ack=100 len=5");       // begins at the edge: a probe
        server.Reaches(client, "ACK seq=1011 ack=100");             // behind a FIN that fell out of a full window
        server.Sends("ACK seq=1012 ack=100 len=5");
        client.HearsNothing();
        net.Expects(DropReason.OutOfWindow, 1);
        client.Reaches(server, "ACK seq=100 ack=1015 win=1000");
        server.Reaches(client, "ACK seq=2016 ack=100 len=5");
        server.Sends("ACK seq=2017 ack=100 len=5");
        client.HearsNothing();
        net.Expects(DropReason.OutOfWindow, 2);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void The_left_edge_is_a_window_before_what_was_sent(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family, window: 1000);
        server.Reaches(client, "ACK seq=10 ack=100 len=1000");
        client.Reaches(server, "ACK seq=100 ack=1010 win=1000");
        server.Reaches(client, "ACK seq=1010 ack=100 len=1000");
        server.Reaches(client, "ACK seq=1000 ack=100 len=9");       // ends one before the left edge: a keep-alive of old
        server.Sends("ACK seq=1000 ack=100 len=8");
        client.HearsNothing();
        net.Expects(DropReason.OutOfWindow, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Nobody_acknowledges_what_was_not_sent(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        client.Reaches(server, "ACK,PSH seq=100 ack=10 len=50");
        server.Sends("ACK seq=10 ack=151");
        client.HearsNothing();
        server.Reaches(client, "ACK seq=10 ack=150");
        net.Expects(DropReason.OutOfWindow, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Nor_what_was_acknowledged_long_ago(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        uint next = 100;
        for (int i = 0; i < 4; i++, next += 60_000)
        {
            client.Reaches(server, $"ACK seq={next} ack=10 len=60000 gso=1400");
            server.Reaches(client, $"ACK seq=10 ack={next + 60_000}");
        }

        server.Reaches(client, $"ACK seq=10 ack={next - 131_072}");
        server.Sends($"ACK seq=10 ack={next - 131_073}");
        client.HearsNothing();
        net.Expects(DropReason.OutOfWindow, 1);
    }

    [Theory]
    [InlineData(4, 7, 7, true)]
    [InlineData(6, 7, 7, true)]
    [InlineData(4, 7, 0, true)]
    [InlineData(4, 0, 7, false)]
    [InlineData(6, 0, 0, false)]
    [InlineData(4, 20, 0, true)]
    [InlineData(4, 7, null, false)]
    [InlineData(6, null, 7, false)]
    public void A_window_counts_as_both_have_scaled_it(int family, int? clients, int? servers, bool passes)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        Handshake(net, family, clients, servers);
        client.Reaches(server, "ACK seq=100 ack=10 win=65535");
        server.Sends("ACK seq=8000010 ack=100 len=100");
        Assert.Equal(passes, net.Take("inside", null) is not null);
        net.Expects(DropReason.OutOfWindow, passes ? 0 : 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_syn_that_leaves_the_scale_out_the_second_time_may_have_been_answered_the_first_time(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        SendsScaled(net, Syn(family), 7);
        Assert.NotNull(net.Take("outside", null));
        client.Reaches(server, "SYN seq=99");
        SendsScaled(net, SynAck(family), 7);
        Assert.NotNull(net.Take("inside", null));
        client.Reaches(server, "ACK seq=100 ack=10 win=65535");
        server.Reaches(client, "ACK seq=8000010 ack=100 len=100");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void The_window_of_a_syn_is_never_scaled(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (_, TestHost server) = Pair(net, family);
        Handshake(net, family, 7, 7);
        server.Sends("ACK seq=70000 ack=100 len=5");
        net.HearsNothing("inside");
        net.Expects(DropReason.OutOfWindow, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_window_that_was_offered_once_may_be_used_after_it_shrank(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        client.Reaches(server, "ACK seq=100 ack=10 win=0");
        server.Reaches(client, "ACK seq=10 ack=100 len=1400");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_reset_within_the_window_is_for_its_receiver_to_challenge_and_one_outside_is_dropped(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family, window: 1000);
        server.Reaches(client, "RST seq=11");
        server.Reaches(client, "RST seq=1011");
        server.Sends("RST seq=1012");
        client.HearsNothing();
        client.Reaches(server, "ACK seq=100 ack=10");               // the challenge (RFC 5961 §3.2)
        server.Reaches(client, "ACK seq=10 ack=100 len=5");
        net.Expects(DropReason.OutOfWindow, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Out_of_order_lost_and_repeated_segments_pass(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        server.Reaches(client, "ACK seq=1410 ack=100 len=1400");
        client.Reaches(server, "ACK seq=100 ack=10");
        server.Reaches(client, "ACK seq=2810 ack=100 len=1400");
        client.Reaches(server, "ACK seq=100 ack=10");
        server.Reaches(client, "ACK seq=10 ack=100 len=1400");
        client.Reaches(server, "ACK seq=100 ack=4210");
        server.Reaches(client, "ACK seq=10 ack=100 len=1400");
        client.Reaches(server, "ACK seq=100 ack=1410");             // an old acknowledgment that was overtaken
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_segment_outside_the_window_keeps_nothing_alive(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (_, TestHost server) = Connect(net, family);
        net.After("2h");
        server.Sends("ACK seq=1000000000 ack=100 len=5");
        net.After("5m");
        net.ExpectsFlows(0);
        net.Expects(DropReason.OutOfWindow, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_connection_under_way_is_picked_up_only_where_a_rule_says_so(int family)
    {
        var strict = new TestNet(Nets.OutOnly);
        strict.Between(Nets.At(family, 1, 40000), Nets.At(family, 2, 443)).Inside.Sends("ACK seq=5000 ack=9000 len=10");
        strict.HearsNothing("outside");
        strict.Expects(DropReason.NoFlow, 1);

        var net = new TestNet(Midstream);
        (TestHost client, TestHost server) = Pair(net, family);
        server.Sends("ACK seq=9000 ack=5000 len=10");                // outside begins nothing
        client.HearsNothing();
        client.Sends("RST seq=5000");
        client.Sends("FIN,ACK seq=5000 ack=9000");
        client.Sends("SYN,ACK seq=5000 ack=9000");
        server.HearsNothing();
        net.ExpectsFlows(0);
        net.Expects(DropReason.NoFlow, 4);
        client.Reaches(server, "ACK seq=5000 ack=9000 len=10");
        net.ExpectsFlows(1);
        server.Reaches(client, "ACK seq=9000 ack=5010");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Where_the_scale_was_not_seen_no_window_is_too_small(int family)
    {
        var net = new TestNet(Midstream);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "ACK seq=5000 ack=9000 win=100");
        server.Reaches(client, "ACK seq=60009000 ack=5000 len=1000");    // 60 MB are under way, from before we looked
        client.Reaches(server, "ACK seq=5000 ack=30009000 win=100");     // and this was sent before, too
        server.Reaches(client, "ACK seq=9000 ack=5000 len=1000");
        client.Reaches(server, "FIN,ACK seq=5000 ack=60010000");
        server.Reaches(client, "FIN,ACK seq=60010000 ack=5001");
        client.Reaches(server, "ACK seq=5001 ack=60010001");
        net.ExpectsNoDrops();
        server.Sends("ACK seq=60010001 ack=5001 len=1");
        net.Expects(DropReason.InvalidState, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_super_frame_counts_as_the_segments_it_is(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connect(net, family);
        client.Reaches(server, "ACK seq=100 ack=10 len=14000 gso=1400");
        Assert.Equal(2 + 10, net.Path.Flows[1].ForwardPackets);
        Assert.Equal(1, net.Path.Flows[1].ReplyPackets);
    }

    private static (TestHost Client, TestHost Server) Pair(TestNet net, int family) =>
        net.Between(Nets.At(family, 1, 40000), Nets.At(family, 2, 443));

    private static (TestHost Client, TestHost Server) Connect(TestNet net, int family, int window = 65535)
    {
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, $"SYN seq=99 win={window}");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, $"ACK seq=100 ack=10 win={window}");
        return (client, server);
    }

    private static string Syn(int family) => $"inside: tcp {Nets.At(family, 1, 40000)} > {Nets.At(family, 2, 443)} SYN seq=99";

    private static string SynAck(int family) => $"outside: tcp {Nets.At(family, 2, 443)} > {Nets.At(family, 1, 40000)} SYN,ACK seq=9 ack=100";

    private static void Handshake(TestNet net, int family, int? clients, int? servers)
    {
        SendsScaled(net, Syn(family), clients);
        SendsScaled(net, SynAck(family), servers);
        Assert.NotNull(net.Take("outside", null));
        Assert.NotNull(net.Take("inside", null));
    }

    /// <summary>Four bytes of payload become options: no operation, and window scale or further no operations.</summary>
    private static void SendsScaled(TestNet net, string line, int? scale)
    {
        PacketLine read = PacketLine.Parse($"{line} len=4");
        byte[] frame = new byte[FrameBuilder.Length(read)];
        FrameBuilder.Write(read, frame);
        int options = frame.Length - 4;
        frame[options - 8] = 0x60;
        byte[] written = scale is { } shift ? [1, 3, 3, (byte)shift] : [1, 1, 1, 1];
        written.CopyTo(frame, options);
        net.Sends(read.Port!, frame, new Offload { Checksum = ChecksumState.Valid });
    }
}

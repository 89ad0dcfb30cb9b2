using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Tests.Conversations;

/// <summary>Rules with <c>each-packet</c>: shown every packet of the flows that rules below them let in.</summary>
public sealed class EachPacketTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_large_ping_is_dropped_and_the_small_ones_of_its_flow_go_on(int family)
    {
        var net = new TestNet(Rules("""
              - drop: large
                service: icmp
                size: 1001-65535
                each-packet: true
              - allow: ping
                from: inside
                service: ping
            """));
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1), Nets.At(family, 2), "icmp");
        client.Reaches(server, "echo-request id=7 seq=1 len=100");
        server.Reaches(client, "echo-reply id=7 seq=1 len=100");
        client.Sends("echo-request id=7 seq=2 len=1000");
        server.HearsNothing();
        client.Reaches(server, "echo-request id=7 seq=3 len=100");

        // Answers are packets of the flow as well, with their own addresses and direction.
        server.Sends("echo-reply id=7 seq=3 len=1000");
        client.HearsNothing();
        server.Reaches(client, "echo-reply id=7 seq=3 len=100");
        net.Expects(DropReason.Denied, 2);
        Assert.Equal(2, net.Path.Counters.Rule(1));
        net.ExpectsFlows(1);
    }

    [Fact]
    public void Without_it_the_first_packet_speaks_for_all()
    {
        var net = new TestNet(Rules("""
              - drop: large
                service: icmp
                size: 1001-65535
              - allow: ping
                from: inside
            """));
        (TestHost client, TestHost server) = net.Between(Nets.At(4, 1), Nets.At(4, 2), "icmp");
        client.Reaches(server, "echo-request id=7 seq=1");
        client.Reaches(server, "echo-request id=7 seq=2 len=1000");
        client.Sends("echo-request id=8 seq=1 len=1000");
        server.HearsNothing();
        net.Expects(DropReason.Denied, 1);
    }

    [Fact]
    public void A_packet_is_asked_by_its_own_ports_and_addresses()
    {
        var net = new TestNet(Rules("""
              - drop: from-the-server
                from: outside
                source: 203.0.113.2
                source-port: 53
                service: udp/4000
                dscp: ef
                each-packet: true
              - allow: all
                from: inside
            """));
        (TestHost client, TestHost server) = net.Between("10.0.0.5:4000", "203.0.113.2:53", "udp");
        client.Reaches(server, "len=10 dscp=46");
        server.Sends("len=10 dscp=46");
        client.HearsNothing();
        server.Reaches(client, "len=10");
        net.Expects(DropReason.Denied, 1);
    }

    [Fact]
    public void Only_rules_above_the_one_that_let_the_flow_in_are_asked_and_a_pass_ends_the_asking()
    {
        var net = new TestNet(Rules("""
              - allow: calls
                service: udp/5004
                dscp: ef
                each-packet: true
              - drop: colours
                dscp: [ 1-dummy ]
                each-packet: true
              - allow: all
                from: inside
              - drop: below
                each-packet: true
            """.Replace("[ 1-dummy ]", "[ 46, 26 ]", StringComparison.Ordinal)));
        (TestHost client, TestHost server) = net.Between("10.0.0.5:4000", "203.0.113.2:5004", "udp");
        client.Reaches(server, "len=10");
        client.Reaches(server, "len=10 dscp=46");
        client.Sends("len=10 dscp=26");
        server.HearsNothing();
        server.Sends("len=10 dscp=46");                     // its destination port is not 5004: nobody passes it first
        client.HearsNothing();
        net.Expects(DropReason.Denied, 2);
        Assert.Equal((1, 2, 1, 0), (net.Path.Counters.Rule(1), net.Path.Counters.Rule(2), net.Path.Counters.Rule(3), net.Path.Counters.Rule(4)));
    }

    [Fact]
    public void What_it_drops_moves_no_state_and_what_it_rejects_is_told()
    {
        var net = new TestNet(Rules("""
              - drop: no-end
                tcp-flags: fin
                each-packet: true
              - reject: urgent
                tcp-flags: urg
                each-packet: true
              - allow: all
                from: inside
            """));
        (TestHost client, TestHost server) = net.Between("10.0.0.5:4000", "203.0.113.2:443");
        client.Reaches(server, "syn seq=99");
        server.Reaches(client, "syn,ack seq=9 ack=100");
        client.Reaches(server, "ack seq=100 ack=10");
        client.Sends("fin,ack seq=100 ack=10");
        server.HearsNothing();
        client.Sends("ack,urg seq=100 ack=10 len=5");
        server.HearsNothing();
        Assert.NotNull(net.Take("inside", null));           // a reset
        client.Reaches(server, "ack seq=100 ack=10 len=5");
        server.Reaches(client, "ack seq=10 ack=105");
        Assert.Equal((1, 1), (net.Path.Counters[DropReason.Denied], net.Path.Counters[DropReason.Rejected]));
        net.ExpectsFlows(1);
    }

    [Fact]
    public void An_error_about_a_flow_is_a_packet_of_it()
    {
        var net = new TestNet(Rules("""
              - drop: no-unreachables
                service: icmpv4/destination-unreachable/3
                each-packet: true
              - allow: all
                from: inside
            """));
        net.Sends("inside: udp 10.0.0.5:4000 > 203.0.113.2:53 len=10");
        net.Hears("outside", "udp 10.0.0.5:4000 > 203.0.113.2:53 len=10");
        const string Quote = "quote=\"udp 10.0.0.5:4000 > 203.0.113.2:53 len=10\"";
        net.Sends($"outside: icmp 203.0.113.2 > 10.0.0.5 destination-unreachable code=3 {Quote}");
        net.HearsNothing("inside");
        net.Sends($"outside: icmp 203.0.113.2 > 10.0.0.5 destination-unreachable code=1 {Quote}");
        net.Hears("inside", $"icmp 203.0.113.2 > 10.0.0.5 destination-unreachable code=1 {Quote}");
        net.Expects(DropReason.Denied, 1);
    }

    [Fact]
    public void A_datagram_in_fragments_is_one_packet_and_as_long_as_the_whole()
    {
        var net = new TestNet(Rules("""
              - count: large
                size: 1000-65535
                each-packet: true
              - drop: pieces
                fragment: true
                each-packet: true
              - allow: all
                from: inside
            """));
        net.Sends("inside: udp 10.0.0.5:4000 > 203.0.113.2:53 len=10");
        net.Hears("outside", "udp 10.0.0.5:4000 > 203.0.113.2:53 len=10");
        net.Sends("inside: udp 10.0.0.5:4000 > 203.0.113.2:53 len=800 total=1000 frag=0+ id=3");
        net.Sends("inside: udp 10.0.0.5 > 203.0.113.2 len=200 frag=808 id=3");
        net.HearsNothing("outside");
        Assert.Equal((1, 1), (net.Path.Counters.Rule(1), net.Path.Counters.Rule(2)));
    }

    [Fact]
    public void A_super_frame_is_as_long_as_its_segments()
    {
        var net = new TestNet(Rules("""
              - drop: large
                size: 1001-65535
                each-packet: true
              - allow: all
                from: inside
            """));
        (TestHost client, TestHost server) = net.Between("10.0.0.5:4000", "203.0.113.2:443");
        client.Reaches(server, "syn seq=99");
        server.Reaches(client, "syn,ack seq=9 ack=100");
        client.Reaches(server, "ack seq=100 ack=10 len=4800 gso=960");
        client.Sends("ack seq=4900 ack=10 len=4900 gso=980");
        server.HearsNothing();
        net.Expects(DropReason.Denied, 1);
    }

    [Fact]
    public void Flows_that_a_helper_lets_in_are_asked_about_from_their_first_packet_on()
    {
        var net = new TestNet(Nets.Ports + """
            rules:
              - drop: no-psh
                tcp-flags: psh
                each-packet: true
              - drop: no-ecn
                tcp-flags: syn ece
                each-packet: true
              - allow: ftp
                from: inside
                service: tcp/21
                helper: ftp
            """);
        (TestHost client, TestHost server) = net.Between("10.0.0.5:4000", "203.0.113.2:21");
        client.Reaches(server, "syn seq=9");
        server.Reaches(client, "syn,ack seq=9 ack=10");
        server.Sends("ack seq=10 ack=10 data=\"220 Welcome\\r\\n\"");
        client.Sends("ack seq=10 ack=23 data=\"PORT 10,0,0,5,195,80\\r\\n\"");
        Assert.Equal(1, net.Path.Counters.Announced);
        (TestHost data, TestHost back) = net.Between("10.0.0.5:50000", "203.0.113.2:20");
        back.Sends("syn,ece seq=1");
        net.Expects(DropReason.Denied, 1);
        back.Sends("syn seq=1");
        Assert.Equal(1, net.Path.Counters.Met);
        data.Sends("syn,ack seq=1 ack=2");
        back.Sends("ack,psh seq=2 ack=2 len=5");
        net.Expects(DropReason.Denied, 2);
    }

    [Fact]
    public void Its_limit_is_charged_for_each_packet()
    {
        var net = new TestNet(Rules("""
              - allow: pings
                service: icmp
                limit: 1/s burst 3
                each-packet: true
              - allow: ping
                from: inside
                service: ping
            """.Replace("    service: icmp\n    limit", "    from: inside\n    size: 100-200\n    limit", StringComparison.Ordinal)));
        (TestHost client, TestHost server) = net.Between("10.0.0.5", "203.0.113.2", "icmp");
        client.Reaches(server, "echo-request id=7 seq=1");
        for (int i = 2; i <= 4; i++)
        {
            client.Reaches(server, $"echo-request id=7 seq={i} len=100");
        }

        client.Sends("echo-request id=7 seq=5 len=100");
        server.HearsNothing();
        client.Reaches(server, "echo-request id=7 seq=6");
        net.Expects(DropReason.RateLimited, 1);
    }

    [Fact]
    public void A_reload_asks_under_the_new_rules()
    {
        var net = new TestNet(Rules("  - allow: all\n    from: inside\n"));
        (TestHost client, TestHost server) = net.Between("10.0.0.5:4000", "203.0.113.2:53", "udp");
        client.Reaches(server, "len=10 dscp=46");
        net.Reloads(Rules("  - drop: calls\n    dscp: ef\n    each-packet: true\n    from: outside\n  - allow: all\n    from: inside\n"));
        client.Reaches(server, "len=10 dscp=46");
        server.Sends("len=10 dscp=46");
        client.HearsNothing();
        net.Reloads(Rules("  - allow: all\n    from: inside\n"));
        server.Reaches(client, "len=10 dscp=46");
        net.Expects(DropReason.Denied, 1);
    }

    [Fact]
    public void Asking_each_packet_and_counting_allocate_nothing()
    {
        var net = new TestNet(Rules("""
              - count: all-packets
                each-packet: true
              - count: openings
              - drop: large
                size: 1001-65535
                each-packet: true
                when: [ mon-sun, mon 10:00-11:00 ]
              - allow: all
                from: inside
            """), workers: 1);
        var (burst, send) = (new Burst(), new Action<Burst>(burst =>
        {
            foreach (string line in s_lines)
            {
                PacketLine read = PacketLine.Parse(line);
                Assert.True(Filter.Engine.Wire.FrameBuilder.TryAppend(read, burst, read.Port == "outside" ? (byte)0 : (byte)1, out _));
            }
        }));
        long allocated = -1;
        for (int round = 0; round < 200; round++)
        {
            burst.Reset();
            burst.Now = 1_000_000_000_000 + round;
            send(burst);
            long before = GC.GetAllocatedBytesForCurrentThread();
            net.Path.Single.Walk(burst);
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Assert.Equal(0, allocated);
        Assert.Equal(200 * s_lines.Length, net.Path.Counters.Rule(1));
        Assert.Equal(1, net.Path.Counters.Rule(2));
    }

    private static readonly string[] s_lines =
    [
        "inside: udp 10.0.0.5:4000 > 203.0.113.2:53 len=10",
        "outside: udp 203.0.113.2:53 > 10.0.0.5:4000 len=10",
        "inside: udp 10.0.0.5:4000 > 203.0.113.2:53 len=1000",
    ];

    private static string Rules(string rules) => Nets.Ports + "rules:\n" + rules + "\n";
}

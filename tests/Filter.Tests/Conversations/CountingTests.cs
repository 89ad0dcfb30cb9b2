using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Tests.Conversations;

/// <summary>Rules that count decide nothing; they count what the deciding rule below them sees.</summary>
public sealed class CountingTests
{
    [Fact]
    public void Openings_are_counted_and_the_next_rule_decides()
    {
        var net = new TestNet(Nets.Ports + """
            rules:
              - count: web
                service: tcp/443
              - count: from-inside
                from: inside
              - drop: blocked
                destination: 203.0.113.9
              - count: never-blocked
                destination: [ 203.0.113.9, 203.0.113.2 ]
              - allow: all
                from: inside
            """);
        (TestHost client, TestHost server) = net.Between("10.0.0.5:4000", "203.0.113.2:443");
        client.Reaches(server, "syn seq=99");
        server.Reaches(client, "syn,ack seq=9 ack=100");
        client.Reaches(server, "ack seq=100 ack=10");
        net.Sends("inside: tcp 10.0.0.5:4001 > 203.0.113.9:443 syn");
        net.Sends("outside: tcp 203.0.113.7:4001 > 10.0.0.5:22 syn");
        Assert.Equal([2, 2, 1, 1, 3], Enumerable.Range(1, 5).Select(net.Path.Counters.Rule));
        Assert.Equal((1, 1), (net.Path.Counters[DropReason.Denied], net.Path.Counters[DropReason.DefaultDeny]));
    }

    [Fact]
    public void With_each_packet_all_that_pass_by_are_counted_and_each_once()
    {
        var net = new TestNet(Nets.Ports + """
            rules:
              - count: answers
                from: outside
                each-packet: true
              - count: all
                each-packet: true
              - allow: all-out
                from: inside
            """);
        (TestHost client, TestHost server) = net.Between("10.0.0.5:4000", "203.0.113.2:443");
        client.Reaches(server, "syn seq=99");
        server.Reaches(client, "syn,ack seq=9 ack=100");
        client.Reaches(server, "ack seq=100 ack=10");
        client.Reaches(server, "fin,ack seq=100 ack=10");
        server.Reaches(client, "fin,ack seq=10 ack=101");
        client.Reaches(server, "ack seq=101 ack=11");

        // A new connection in the ended one's place: its SYN belonged to the old one first.
        client.Reaches(server, "syn seq=900000");
        Assert.Equal([2, 7, 7], Enumerable.Range(1, 3).Select(net.Path.Counters.Rule));
    }

    [Fact]
    public void A_packet_that_goes_to_several_ports_is_counted_once()
    {
        var net = new TestNet("""
            filter: 1
            ports:
              outside: { nic: eth0, side: unprotected }
              inside: { nic: eth1, side: protected }
              lab: { nic: eth2, side: protected }
            rules:
              - drop: nothing-to-outside
                to: outside
              - count: floods
                from: inside
              - allow: all
                from: inside
            """);
        net.Sends("inside: udp 10.0.0.1:4000 > 10.0.0.2:53 len=1");
        net.Hears("lab", "udp 10.0.0.1:4000 > 10.0.0.2:53 len=1");
        net.HearsNothing("outside");
        Assert.Equal(1, net.Path.Counters.Rule(2));
    }

    [Fact]
    public void A_count_that_logs_is_told_by_its_name_before_the_packet_is_decided()
    {
        var net = new TestNet(Nets.Ports + """
            rules:
              - count: seen
                service: udp/53
                log: true
              - drop: all
            """);
        net.Sends("inside: udp 10.0.0.5:4000 > 203.0.113.2:53 len=10");
        Assert.True(net.Path.Events.TryRead(out PathEvent counted));
        Assert.True(counted.Counted);
        Assert.Equal("seen", counted.Rules.Name(counted.Packet.Rule).Name);
        Assert.Equal("inside: udp 10.0.0.5:4000 > 203.0.113.2:53 len=10", counted.Facts.Line("inside").ToString());
        Assert.True(net.Path.Events.TryRead(out PathEvent ended));
        Assert.False(ended.Counted);
        Assert.Equal("all", ended.Rules.Name(ended.Packet.Rule).Name);
    }

    [Fact]
    public void What_opens_no_flow_is_counted_packet_by_packet()
    {
        var net = new TestNet(Nets.Ports + """
            rules:
              - count: discovery
                service: nd
              - allow: nd
                service: nd
            """);
        for (int i = 0; i < 3; i++)
        {
            net.Sends("inside: icmp fe80::5 > ff02::1:ff00:1 neighbour-solicitation ttl=255");
        }

        Assert.Equal([3, 3], Enumerable.Range(1, 2).Select(net.Path.Counters.Rule));
    }
}

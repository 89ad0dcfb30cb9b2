using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Expected flows: who may come, how often, how long, and what a new ruleset makes of them.</summary>
public sealed class ExpectationTests
{
    private const string Ports = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
          dmz: { nic: eth2, side: protected }

        """;

    private const string Helped = Ports + """
        rules:
          - allow: ftp
            from: inside
            to: outside
            service: tcp/21
            helper: ftp

        """;

    private const string Unhelped = Ports + """
        rules:
          - allow: control
            from: inside
            service: tcp/21

        """;

    private const string Renamed = Ports + """
        rules:
          - drop: telnet
            service: tcp/23
          - allow: transfers
            from: inside
            service: tcp/21
            helper: ftp

        """;

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Another_host_steals_no_expectation(int family)
    {
        var net = new TestNet(Helped);
        FtpTests.Greeted(net, family).Client(FtpTests.Eprt(family, 50000));
        (TestHost client, TestHost thief) = net.Between(Nets.At(family, 1, 50000), Nets.At(family, 3, 20));
        thief.Sends("syn seq=9");
        client.HearsNothing();
        net.Expects(DropReason.DefaultDeny, 1);
        Comes(net, family, 50000);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void The_server_does_not_come_from_another_side_or_to_another_port(int family)
    {
        var net = new TestNet(Helped);
        FtpTests.Greeted(net, family).Client(FtpTests.Eprt(family, 50000));
        string flow = $"tcp {Nets.At(family, 2, 20)} > {Nets.At(family, 1, 50000)} syn seq=9";
        net.Sends("dmz: " + flow);
        net.Sends($"outside: tcp {Nets.At(family, 2, 20)} > {Nets.At(family, 1, 50001)} syn seq=9");
        net.Sends($"outside: udp {Nets.At(family, 2, 20)} > {Nets.At(family, 1, 50000)} len=9");
        net.Sends($"outside: {flow} vlan=7");
        net.Expects(DropReason.DefaultDeny, 4);
        net.Sends("outside: " + flow);
        net.Hears("inside", flow);
        net.HearsNothing("dmz");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_flood_of_openings_to_a_helped_service_leaves_helpers_for_who_is_there(int family)
    {
        var net = new TestNet(Ports + """
            rules:
              - allow: ftp
                from: outside
                service: tcp/21
                helper: ftp

            """);
        for (int spoofed = 0; spoofed < 200; spoofed++)
        {
            net.Sends($"outside: tcp {Nets.At(family, 3, 1024 + spoofed)} > {Nets.At(family, 1, 21)} syn seq=9");
            Assert.NotNull(net.Take("inside", null));
        }

        (TestHost server, TestHost client) = net.Between(Nets.At(family, 1, 21), Nets.At(family, 2, 40000));
        client.Reaches(server, "syn seq=99");
        server.Reaches(client, "syn,ack seq=499 ack=100");
        client.Reaches(server, "ack seq=100 ack=500");
        server.Reaches(client, "ack,psh seq=500 ack=100 data=\"220 Welcome\\r\\n\"");
        client.Reaches(server, "ack,psh seq=100 ack=513 data=\"EPSV\\r\\n\"");
        server.Reaches(client, "ack,psh seq=513 ack=106 data=\"229 Passive (|||50000|)\\r\\n\"");
        Assert.Equal(1, net.Path.Counters.Announced);
        net.Sends($"outside: tcp {Nets.At(family, 2, 40001)} > {Nets.At(family, 1, 50000)} syn seq=9");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_flood_of_announcements_leaves_room_for_who_is_there(int family)
    {
        var net = new TestNet(Helped + """
              - allow: calls
                from: outside
                service: udp/5060
                helper: sip

            """);
        for (int spoofed = 0; spoofed < 60 * net.Path.Workers; spoofed++)
        {
            string media = string.Concat(Enumerable.Range(0, 4).Select(i => $"m=video {7000 + (2 * i)} RTP/AVP 0\\r\\n"));
            string caller = Nets.At(family, 10 + spoofed);
            net.Sends($"outside: udp {Nets.At(family, 10 + spoofed, 5060)} > {Nets.At(family, 1, 5060)} "
                + $"data=\"INVITE sip:x SIP/2.0\\r\\nc: application/sdp\\r\\n\\r\\nc=IN IP{family} {caller}\\r\\n{media}\"");
            Assert.NotNull(net.Take("inside", null));
        }

        Assert.Equal(net.Path.Flows.Expectations.Capacity * net.Path.Workers, net.Path.Flows.Expectations.Count);
        FtpTests.Greeted(net, family).Client(FtpTests.Eprt(family, 50000));
        Comes(net, family, 50000);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_expectation_is_met_once(int family)
    {
        var net = new TestNet(Helped);
        FtpTests.Greeted(net, family).Client(FtpTests.Eprt(family, 50000));
        Comes(net, family, 50000);
        StaysOut(net, family, 50000, from: 1021, dropped: 1);
        Assert.Equal((1, 1, 0), (net.Path.Counters.Announced, net.Path.Counters.Met, net.Path.Flows.Expectations.Count));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_met_expectation_is_not_free_for_what_comes_later(int family)
    {
        var net = new TestNet(Helped);
        TextTalk control = FtpTests.Greeted(net, family);
        control.Client(FtpTests.Eprt(family, 50000));
        Comes(net, family, 50000);
        control.Client(FtpTests.Eprt(family, 50001));
        Comes(net, family, 50001);
        net.Reloads(Renamed);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 50000), Nets.At(family, 2, 20));
        client.Reaches(server, "syn,ack seq=7 ack=10");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_expectation_ends_with_its_time(int family)
    {
        var net = new TestNet(Helped);
        FtpTests.Greeted(net, family).Client(FtpTests.Eprt(family, 50000));
        net.After("119s");
        Assert.Equal(0, net.Path.Counters.ExpectationsExpired);
        net.After("2s");
        Assert.Equal((1, 0), (net.Path.Counters.ExpectationsExpired, net.Path.Flows.Expectations.Count));
        StaysOut(net, family, 50000, from: 20, dropped: 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_expectation_ends_with_its_parent(int family)
    {
        var net = new TestNet(Helped);
        FtpTests.Greeted(net, family).Client(FtpTests.Eprt(family, 50000));
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 40000), Nets.At(family, 2, 21));
        server.Reaches(client, "rst seq=5014");
        net.After("30s");
        net.ExpectsFlows(0);
        Assert.Equal(0, net.Path.Flows.Expectations.Count);
        StaysOut(net, family, 50000, from: 20, dropped: 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_child_outlives_its_parent(int family)
    {
        var net = new TestNet(Helped);
        FtpTests.Greeted(net, family).Client(FtpTests.Eprt(family, 50000));
        Comes(net, family, 50000);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 40000), Nets.At(family, 2, 21));
        server.Reaches(client, "rst seq=5014");
        net.After("30s");
        net.ExpectsFlows(1);
        (client, server) = net.Between(Nets.At(family, 1, 50000), Nets.At(family, 2, 20));
        client.Reaches(server, "syn,ack seq=7 ack=10");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Under_a_ruleset_that_still_lets_its_parent_in_a_child_lives_on_with_the_new_rule(int family)
    {
        var net = new TestNet(Helped);
        TextTalk control = FtpTests.Greeted(net, family);
        control.Client(FtpTests.Eprt(family, 50000));
        control.Client(FtpTests.Eprt(family, 50001));
        Comes(net, family, 50000);
        net.Reloads(Renamed);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 50000), Nets.At(family, 2, 20));
        client.Reaches(server, "syn,ack seq=7 ack=10");
        Comes(net, family, 50001);
        net.ExpectsNoDrops();
        Assert.Equal(2, net.Path.Counters.Rule(2));
        control.Client(FtpTests.Eprt(family, 50002));
        Comes(net, family, 50002);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Under_a_ruleset_without_the_helper_children_end_and_expectations_with_them(int family)
    {
        var net = new TestNet(Helped);
        TextTalk control = FtpTests.Greeted(net, family);
        control.Client(FtpTests.Eprt(family, 50000));
        control.Client(FtpTests.Eprt(family, 50001));
        Comes(net, family, 50000);
        net.Reloads(Unhelped);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 50000), Nets.At(family, 2, 20));
        server.Sends("ack seq=10 ack=8");
        client.HearsNothing();
        net.Expects(DropReason.NoFlow, 1);
        net.Sends($"outside: tcp {Nets.At(family, 2, 20)} > {Nets.At(family, 1, 50001)} syn seq=9");
        net.HearsNothing("inside");
        Assert.Equal(1, net.Path.Counters[DropReason.DefaultDeny]);
        control.Client("NOOP\r\n");
        net.ExpectsFlows(1);
        Assert.Equal(0, net.Path.Flows.Expectations.Count);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_flow_that_gets_its_helper_on_the_way_is_read_from_its_next_line_on(int family)
    {
        var net = new TestNet(Unhelped);
        TextTalk control = FtpTests.Greeted(net, family);
        net.Reloads(Renamed);
        control.Client("ry\r\n" + FtpTests.Eprt(family, 50000));
        Comes(net, family, 50000);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void One_connection_has_sixteen_open_and_gives_up_its_oldest(int family)
    {
        var net = new TestNet(Helped);
        TextTalk control = FtpTests.Greeted(net, family);
        for (int port = 50000; port <= 50000 + Helping.MostOpen; port++)
        {
            control.Client(FtpTests.Eprt(family, port));
        }

        Assert.Equal((Helping.MostOpen, 1), (net.Path.Flows.Expectations.Count, net.Path.Counters.ExpectationsGivenUp));
        Comes(net, family, 50001);
        StaysOut(net, family, 50000, from: 20, dropped: 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_full_table_refuses_and_counts_and_takes_again_when_there_is_room(int family)
    {
        var net = new TestNet(Helped, flows: 64);
        int room = net.Path.Flows.Expectations.Capacity;
        var controls = Enumerable.Range(0, (room / Helping.MostOpen) + 1).Select(i => FtpTests.Greeted(net, family, clientPort: 40000 + i)).ToArray();
        for (int i = 0; i <= room; i++)
        {
            controls[i / Helping.MostOpen].Client(FtpTests.Eprt(family, 50000 + i));
        }

        Assert.Equal((room, 1), (net.Path.Flows.Expectations.Count, net.Path.Counters.ExpectationsRefused));
        StaysOut(net, family, 50000 + room, from: 20, dropped: 1);
        net.After("130s");
        controls[^1].Client(FtpTests.Eprt(family, 51000));
        Comes(net, family, 51000);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void What_two_connections_announce_alike_belongs_to_the_later_one(int family)
    {
        var net = new TestNet(Helped);
        TextTalk first = FtpTests.Greeted(net, family);
        TextTalk second = FtpTests.Greeted(net, family, clientPort: 40001);
        first.Client(FtpTests.Eprt(family, 50000));
        second.Client(FtpTests.Eprt(family, 50000));
        Assert.Equal(1, net.Path.Flows.Expectations.Count);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 40000), Nets.At(family, 2, 21));
        server.Reaches(client, "rst seq=5014");
        net.After("30s");
        Comes(net, family, 50000);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_expected_flow_is_no_licence_for_a_stray_segment(int family)
    {
        var net = new TestNet(Helped);
        FtpTests.Greeted(net, family).Client(FtpTests.Eprt(family, 50000));
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 50000), Nets.At(family, 2, 20));
        server.Sends("ack seq=9 ack=9 len=10");
        client.HearsNothing();
        net.Expects(DropReason.NoFlow, 1);
        Comes(net, family, 50000);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_expected_opening_twice_in_one_burst_is_one_connection(int family)
    {
        var net = new TestNet(Helped);
        TextTalk control = FtpTests.Greeted(net, family);
        control.Client(FtpTests.Eprt(family, 50000));
        string data = $"tcp {Nets.At(family, 2, 20)} > {Nets.At(family, 1, 50000)}";
        net.InOneBurst(() =>
        {
            net.Sends($"outside: {data} syn seq=9");
            net.Sends($"outside: {data} syn seq=9");
        });
        net.Hears("inside", $"{data} syn seq=9");
        net.Hears("inside", $"{data} syn seq=9");
        net.ExpectsNoDrops();
    }

    private static void Comes(TestNet net, int family, int port)
    {
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, port), Nets.At(family, 2, 20));
        server.Reaches(client, "syn seq=9");
    }

    private static void StaysOut(TestNet net, int family, int port, int from, long dropped)
    {
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, port), Nets.At(family, 2, from));
        server.Sends("syn seq=9");
        client.HearsNothing();
        net.Expects(DropReason.DefaultDeny, dropped);
    }
}

using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Pinholes that are open for others too: whom they let in, to where, and how long (RFC 4787 §5, RFC 6092 REC-11, REC-33).</summary>
public sealed class PinholeFilteringTests
{
    private const int Inside = 1, Server = 2, Stranger = 3;

    [Theory]
    [InlineData(4, "udp")]
    [InlineData(6, "udp")]
    [InlineData(4, "tcp")]
    [InlineData(6, "tcp")]
    [InlineData(4, "udplite")]
    [InlineData(6, "sctp")]
    public void An_endpoint_independent_pinhole_lets_every_host_reach_the_endpoint_that_opened_it(int family, string protocol)
    {
        var net = new TestNet(Ruleset("endpoint-independent"));
        Opens(net, family, protocol);
        Reaches(net, family, protocol, Server, 9999);
        Reaches(net, family, protocol, Stranger, 7);
        net.ExpectsNoDrops();
        net.ExpectsFlows(3);
        Assert.Equal((2, 1), (net.Path.Counters.Met, net.Path.Flows.Expectations.Count));
    }

    [Theory]
    [InlineData(4, "udp")]
    [InlineData(6, "udp")]
    [InlineData(4, "tcp")]
    [InlineData(6, "tcp")]
    [InlineData(6, "udplite")]
    [InlineData(4, "sctp")]
    public void An_address_dependent_pinhole_lets_only_the_host_spoken_to_in_from_any_port(int family, string protocol)
    {
        var net = new TestNet(Ruleset("address-dependent"));
        Opens(net, family, protocol);
        Reaches(net, family, protocol, Server, 9999);
        StaysOut(net, family, protocol, Stranger, 7);
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData(4, "udp")]
    [InlineData(6, "tcp")]
    public void An_ordinary_pinhole_lets_only_the_endpoint_spoken_to_in(int family, string protocol)
    {
        var net = new TestNet(Ruleset("flow"));
        Opens(net, family, protocol);
        StaysOut(net, family, protocol, Server, 9999);
        StaysOut(net, family, protocol, Stranger, 27015);
        net.Expects(DropReason.DefaultDeny, 2);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Another_port_another_host_and_another_protocol_inside_stay_closed(int family)
    {
        var net = new TestNet(Ruleset("endpoint-independent"));
        Opens(net, family, "udp");
        net.Sends($"outside: udp {Nets.At(family, Stranger, 7)} > {Nets.At(family, Inside, 40001)} len=9");
        net.Sends($"outside: udp {Nets.At(family, Stranger, 7)} > {Nets.At(family, 9, 40000)} len=9");
        net.Sends($"outside: tcp {Nets.At(family, Stranger, 7)} > {Nets.At(family, Inside, 40000)} syn");
        net.Sends($"outside: udp {Nets.At(family, Stranger, 7)} > {Nets.At(family, Inside, 40000)} len=9 vlan=7");
        net.HearsNothing("inside");
        net.Expects(DropReason.DefaultDeny, 4);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_tcp_endpoint_takes_a_connection_but_no_stray_segment(int family)
    {
        var net = new TestNet(Ruleset("endpoint-independent"));
        Opens(net, family, "tcp");
        (TestHost client, TestHost stranger) = net.Between(Nets.At(family, Inside, 40000), Nets.At(family, Stranger, 7));
        stranger.Sends("ack seq=9 ack=9 len=10");
        stranger.Sends("syn,ack seq=9 ack=1");
        net.Expects(DropReason.NoFlow, 2);
        stranger.Reaches(client, "syn seq=9");
        client.Reaches(stranger, "syn,ack seq=7 ack=10");
        stranger.Reaches(client, "ack seq=10 ack=8 len=10");
    }

    [Theory]
    [InlineData(4, "endpoint-independent")]
    [InlineData(6, "address-dependent")]
    public void A_pinhole_closes_with_its_last_flow(int family, string kind)
    {
        var net = new TestNet(Ruleset(kind));
        Opens(net, family, "udp");
        net.After("121s");
        net.ExpectsFlows(0);
        Assert.Equal(0, net.Path.Flows.Expectations.Count);
        StaysOut(net, family, "udp", Server, 9999);
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Two_flows_of_one_endpoint_keep_one_pinhole(int family)
    {
        var net = new TestNet(Ruleset("endpoint-independent"));
        Opens(net, family, "udp");
        net.After("100s");
        (TestHost client, TestHost other) = net.Between(Nets.At(family, Inside, 40000), Nets.At(family, 4, 27015), "udp");
        client.Reaches(other, "len=1");
        Assert.Equal(1, net.Path.Flows.Expectations.Count);
        net.After("100s");
        net.ExpectsFlows(1);
        Reaches(net, family, "udp", Stranger, 7);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void What_comes_in_does_not_keep_a_pinhole_open(int family)
    {
        var net = new TestNet(Ruleset("endpoint-independent"));
        Opens(net, family, "udp");
        (TestHost client, TestHost server) = net.Between(Nets.At(family, Inside, 40000), Nets.At(family, Server, 27015), "udp");
        (TestHost asked, TestHost stranger) = net.Between(Nets.At(family, Inside, 40000), Nets.At(family, Stranger, 7777), "udp");
        for (int minute = 0; minute < 2; minute++)
        {
            server.Reaches(client, "len=1");
            stranger.Reaches(asked, "len=1");
            net.After("61s");
        }

        // Both flows live on what comes in, yet nobody new is let in: the endpoint itself has been silent for too long.
        net.ExpectsFlows(2);
        StaysOut(net, family, "udp", 4, 9);
        net.Expects(DropReason.DefaultDeny, 1);
        asked.Reaches(stranger, "len=1");
        Reaches(net, family, "udp", 4, 9);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void What_comes_from_another_protected_port_is_not_let_in(int family)
    {
        var net = new TestNet(Ruleset("endpoint-independent").Replace(
            "rules:", "  dmz: { nic: eth2, side: protected }\nrules:", StringComparison.Ordinal));
        Opens(net, family, "udp");
        net.Sends($"dmz: udp {Nets.At(family, Stranger, 7)} > {Nets.At(family, Inside, 40000)} len=9");
        net.HearsNothing("inside");
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_flow_from_outside_opens_no_pinhole(int family)
    {
        var net = new TestNet(Ruleset("endpoint-independent").Replace("    from: inside\n", "", StringComparison.Ordinal));
        net.Sends($"outside: udp {Nets.At(family, Stranger, 7)} > {Nets.At(family, Inside, 27015)} len=9");
        net.ExpectsFlows(1);
        Assert.Equal(0, net.Path.Flows.Expectations.Count);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Under_a_ruleset_with_ordinary_pinholes_children_end_and_nobody_new_comes(int family)
    {
        var net = new TestNet(Ruleset("endpoint-independent"));
        Opens(net, family, "udp");
        Reaches(net, family, "udp", Stranger, 7);
        net.Reloads(Ruleset("flow"));
        StaysOut(net, family, "udp", Stranger, 7);
        StaysOut(net, family, "udp", 4, 7);
        net.Expects(DropReason.DefaultDeny, 2);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, Inside, 40000), Nets.At(family, Server, 27015), "udp");
        server.Reaches(client, "len=1");
        net.ExpectsFlows(1);
        Assert.Equal(0, net.Path.Flows.Expectations.Count);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Under_a_ruleset_with_pinholes_for_others_an_old_flow_opens_its_endpoint_when_it_next_speaks(int family)
    {
        var net = new TestNet(Ruleset("flow"));
        Opens(net, family, "udp");
        net.Reloads(Ruleset("endpoint-independent"));
        StaysOut(net, family, "udp", Stranger, 7);
        net.Expects(DropReason.DefaultDeny, 1);
        Opens(net, family, "udp");
        Reaches(net, family, "udp", Stranger, 7);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_pinhole_that_finds_no_room_is_an_ordinary_one(int family)
    {
        var net = new TestNet(Ruleset("endpoint-independent"), flows: 256);
        int room = net.Path.Flows.Expectations.Capacity;
        for (int port = 0; port <= room; port++)
        {
            (TestHost client, TestHost server) = net.Between(Nets.At(family, Inside, 40000 - room + port), Nets.At(family, Server, 27015), "udp");
            client.Reaches(server, "len=1");
            server.Reaches(client, "len=1");
        }

        Assert.Equal((room, 1), (net.Path.Flows.Expectations.Count, net.Path.Counters.ExpectationsRefused));
        StaysOut(net, family, "udp", Stranger, 7);
        net.Expects(DropReason.DefaultDeny, 1);
    }

    private static string Ruleset(string pinhole) => $$"""
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - allow: games
            from: inside
            service: [ udp/27015, tcp/27015, udplite/27015, sctp/27015 ]
            pinhole: {{pinhole}}

        """;

    private static string Opening(string protocol) => protocol switch { "tcp" => "syn seq=99", "sctp" => "chunk=init itag=0xa", _ => "len=20" };

    private static void Opens(TestNet net, int family, string protocol)
    {
        (TestHost client, TestHost server) = net.Between(Nets.At(family, Inside, 40000), Nets.At(family, Server, 27015), protocol);
        client.Reaches(server, Opening(protocol));
    }

    private static void Reaches(TestNet net, int family, string protocol, int host, int port)
    {
        (TestHost client, TestHost other) = net.Between(Nets.At(family, Inside, 40000), Nets.At(family, host, port), protocol);
        other.Reaches(client, Opening(protocol));
    }

    private static void StaysOut(TestNet net, int family, string protocol, int host, int port)
    {
        (TestHost client, TestHost other) = net.Between(Nets.At(family, Inside, 40000), Nets.At(family, host, port), protocol);
        other.Sends(Opening(protocol));
        client.HearsNothing();
    }
}

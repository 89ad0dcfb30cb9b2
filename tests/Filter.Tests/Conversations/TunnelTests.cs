using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>GRE by key, DCCP by ports, and tunnels that are known by their addresses: RFC 6092 REC-12, 43, 44.</summary>
public sealed class TunnelTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_GRE_key_is_a_flow_of_its_own_in_both_directions(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1), Nets.At(family, 2), "gre");
        client.Reaches(server, "key=0x10002 len=100");
        server.Reaches(client, "key=0x10002 len=60");
        server.Sends("key=0x20001 len=60");
        server.Sends("key=0x10003 len=60");
        server.Sends("len=60");
        client.HearsNothing();
        client.Reaches(server, "key=0x20001 len=100");
        server.Reaches(client, "key=0x20001 len=60");
        net.ExpectsFlows(2);
        net.Expects(DropReason.DefaultDeny, 3);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_error_about_a_keyed_tunnel_finds_it(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1), Nets.At(family, 2), "gre");
        client.Reaches(server, "key=0x10002 len=100");
        string line = $"icmp {Nets.At(family, 3)} > {Nets.At(family, 1)} destination-unreachable quote=\"gre {Nets.At(family, 1)} > {Nets.At(family, 2)} key=0x10002 len=100\"";
        net.Sends("outside: " + line);
        client.HearsLine(line);
        net.Sends("outside: " + line.Replace("0x10002", "0x20001", StringComparison.Ordinal));
        client.HearsNothing();
        net.Expects(DropReason.StrayIcmpError, 1);
    }

    [Theory]
    [InlineData(4, "gre")]
    [InlineData(6, "gre")]
    [InlineData(4, "ipip")]
    [InlineData(6, "ipip")]
    [InlineData(4, "6in4")]
    [InlineData(6, "6in4")]
    [InlineData(4, "etherip")]
    [InlineData(6, "ospf")]
    [InlineData(4, "proto-253")]
    [InlineData(6, "proto-253")]
    public void What_shows_no_more_is_known_by_its_addresses(int family, string protocol)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1), Nets.At(family, 2), protocol);
        server.Sends("len=40");
        client.HearsNothing();
        client.Reaches(server, "len=40");
        server.Reaches(client, "len=44");
        net.Sends($"outside: {protocol} {Nets.At(family, 7)} > {Nets.At(family, 1)} len=40");
        net.HearsNothing("inside");
        string line = $"icmp {Nets.At(family, 3)} > {Nets.At(family, 1)} time-exceeded quote=\"{protocol} {Nets.At(family, 1)} > {Nets.At(family, 2)} len=40\"";
        net.Sends("outside: " + line);
        client.HearsLine(line);
        net.After("299s");
        server.Reaches(client, "len=44");
        net.After("301s");
        net.ExpectsFlows(0);
        net.Expects(DropReason.DefaultDeny, 2);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void DCCP_has_ports_and_long_timers(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 5001), "dccp");
        client.Reaches(server, "len=8");
        net.After("479s");
        server.Reaches(client, "len=12");
        net.Sends($"outside: dccp {Nets.At(family, 2, 5002)} > {Nets.At(family, 1, 4000)} len=8");
        server.Sends("len=12 csum=bad");
        net.HearsNothing("inside");
        Assert.Equal((1, 1), (net.Path.Counters[DropReason.DefaultDeny], net.Path.Counters[DropReason.BadChecksum]));
        net.After("7439s");
        server.Reaches(client, "len=12");
        net.After("7441s");
        net.ExpectsFlows(0);
    }

    [Fact]
    public void A_GRE_header_that_is_cut_is_dropped()
    {
        var net = new TestNet(Nets.Open);
        net.Sends("inside: gre 10.0.0.5 > 203.0.113.2 len=3");
        net.HearsNothing("outside");
        net.Expects(DropReason.Truncated, 1);
    }
}

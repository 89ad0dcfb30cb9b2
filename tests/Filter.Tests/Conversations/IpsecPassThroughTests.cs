using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>IPsec of other hosts, through the gateway: RFC 6092 REC-21 to 25.</summary>
public sealed class IpsecPassThroughTests
{
    private const string WithIpsec = """

        rules:
          - allow: ipsec
            service: ipsec
        """;

    /// <summary>REC-25: known by both addresses and the protocol; never by SPI, nor by an IKE exchange that was seen.</summary>
    [Theory]
    [InlineData(4, "esp")]
    [InlineData(6, "esp")]
    [InlineData(4, "ah")]
    [InlineData(6, "ah")]
    public void What_goes_out_opens_for_any_SPI_of_its_peer_and_for_no_one_else(int family, string protocol)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1), Nets.At(family, 2), protocol);
        server.Sends("spi=0x2001 seq=1 len=40");
        client.HearsNothing();
        client.Reaches(server, "spi=0x1001 seq=1 len=40");
        server.Reaches(client, "spi=0x2001 seq=1 len=40");
        server.Reaches(client, "spi=0x2002 seq=1 len=40");
        client.Reaches(server, "spi=0x1002 seq=1 len=40");
        net.Sends($"outside: {protocol} {Nets.At(family, 7)} > {Nets.At(family, 1)} spi=0x2001 seq=2 len=40");
        net.HearsNothing("inside");
        net.ExpectsFlows(1);
        net.Expects(DropReason.DefaultDeny, 2);
        net.After("3599s");
        server.Reaches(client, "spi=0x2001 seq=2 len=40");
    }

    /// <summary>REC-23: errors about ESP pass in the reverse direction; REC-25 again.</summary>
    [Theory]
    [InlineData(4, "esp", "destination-unreachable code=4 mtu=1400")]
    [InlineData(6, "esp", "packet-too-big mtu=1400")]
    [InlineData(4, "ah", "destination-unreachable")]
    [InlineData(6, "ah", "destination-unreachable")]
    public void Errors_about_IPsec_pass_to_who_sent_it(int family, string protocol, string error)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1), Nets.At(family, 2), protocol);
        client.Reaches(server, "spi=0x1001 seq=1 len=1400");
        string line = $"icmp {Nets.At(family, 3)} > {Nets.At(family, 1)} {error} quote=\"{protocol} {Nets.At(family, 1)} > {Nets.At(family, 2)} spi=0x1001 seq=1 len=1400\"";
        net.Sends("outside: " + line);
        Assert.NotNull(net.Take("inside", null));
        net.ExpectsNoDrops();
    }

    /// <summary>REC-21, 22, 24: where the ruleset says so in one rule, a peer outside may begin too.</summary>
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void One_rule_lets_IPsec_begin_from_outside(int family)
    {
        var net = new TestNet(Nets.OutOnlyWith(WithIpsec));
        net.Sends($"outside: udp {Nets.At(family, 2, 500)} > {Nets.At(family, 1, 500)} len=300");
        net.Sends($"inside: udp {Nets.At(family, 1, 500)} > {Nets.At(family, 2, 500)} len=300");
        net.Sends($"outside: udp {Nets.At(family, 2, 4500)} > {Nets.At(family, 1, 4500)} len=300");
        net.Sends($"outside: esp {Nets.At(family, 2)} > {Nets.At(family, 1)} spi=0x1001 seq=1 len=40");
        net.Sends($"inside: esp {Nets.At(family, 1)} > {Nets.At(family, 2)} spi=0x2001 seq=1 len=40");
        net.Sends($"outside: ah {Nets.At(family, 2)} > {Nets.At(family, 1)} spi=0x1001 seq=1 len=40");
        net.ExpectsNoDrops();
        net.ExpectsFlows(4);
        net.Sends($"outside: udp {Nets.At(family, 2, 500)} > {Nets.At(family, 1, 501)} len=300");
        net.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData(4, 500)]
    [InlineData(6, 500)]
    [InlineData(4, 4500)]
    [InlineData(6, 4500)]
    public void IKE_is_remembered_as_long_as_its_SAs(int family, int port)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, port), Nets.At(family, 2, port), "udp");
        client.Reaches(server, "len=300");
        net.After("119s");
        server.Reaches(client, "len=300");
        net.After("3599s");
        server.Reaches(client, "len=80");
        net.After("3601s");
        net.ExpectsFlows(0);
        client.Reaches(server, "len=300");
        net.After("121s");
        net.ExpectsFlows(0);
        net.ExpectsNoDrops();
    }
}

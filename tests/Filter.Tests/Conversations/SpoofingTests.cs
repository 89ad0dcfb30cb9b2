using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Ingress filtering by port: BCP 38 and 84.</summary>
public sealed class SpoofingTests
{
    private const string Ruleset = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected, antispoof: true, prefixes: [ 0.0.0.0/0, "::/0", 10.0.0.254, "2001:db8::fe" ] }
          inside: { nic: eth1, side: protected, antispoof: true, prefixes: [ 10.0.0.0/24, "2001:db8::/64" ] }
          self: { tap: filter0, side: protected, addresses: [ 10.0.0.1/24, "2001:db8::1/64" ] }
        defaults: { out: allow, in: allow, across: allow }
        """;

    [Theory]
    [InlineData("inside: udp 10.0.0.5:4000 > 203.0.113.9:53 len=10")]
    [InlineData("inside: udp [2001:db8::5]:4000 > [2001:db8:f::9]:53 len=10")]
    [InlineData("outside: udp 203.0.113.9:53 > 10.0.0.5:4000 len=10")]
    [InlineData("outside: udp [2001:db8:f::9]:53 > [2001:db8::5]:4000 len=10")]
    [InlineData("outside: udp 10.0.0.254:53 > 10.0.0.5:4000 len=10")]
    [InlineData("outside: udp [2001:db8::fe]:53 > [2001:db8::5]:4000 len=10")]
    [InlineData("inside: udp [fe80::5]:546 > [ff02::1:2]:547 len=10")]
    [InlineData("outside: udp [fe80::fe]:547 > [fe80::5]:546 len=10")]
    [InlineData("inside: udp 0.0.0.0:68 > 255.255.255.255:67 len=300")]
    [InlineData("inside: icmp :: > ff02::1:ff00:5 neighbour-solicitation target=2001:db8::5 ttl=255")]
    [InlineData("inside: icmp :: > ff02::16 multicast-listener-report-v2 len=20 ttl=1")]
    [InlineData("inside: igmp 0.0.0.0 > 224.0.0.1 type=17 ttl=1")]
    [InlineData("outside: icmp 203.0.113.9 > 10.0.0.5 echo-request id=1 seq=1")]
    public void Who_lives_behind_the_port_or_nowhere_yet_may_speak(string line)
    {
        var net = new TestNet(Ruleset);
        net.Sends(line);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData("inside: udp 203.0.113.9:53 > 198.51.100.7:4000 len=10")]       // a forged source goes out
    [InlineData("inside: udp [2001:db8:f::9]:53 > [2001:db8:e::7]:4000 len=10")]
    [InlineData("outside: udp 10.0.0.7:53 > 10.0.0.5:4000 len=10")]             // a forged neighbour comes in
    [InlineData("outside: udp [2001:db8::7]:53 > [2001:db8::5]:4000 len=10")]
    [InlineData("inside: udp 10.0.0.254:53 > 203.0.113.9:4000 len=10")]         // the router's address, from inside
    [InlineData("inside: udp 10.0.0.1:53 > 203.0.113.9:4000 len=10")]           // the gateway's own
    [InlineData("outside: udp [2001:db8::1]:53 > [2001:db8::5]:4000 len=10")]
    [InlineData("inside: tcp 203.0.113.9:40000 > 198.51.100.7:80 syn")]
    [InlineData("inside: icmp 203.0.113.9 > 198.51.100.7 echo-request id=1 seq=1")]
    [InlineData("outside: icmp 2001:db8::7 > 2001:db8::5 type=150 len=10")]
    public void A_source_that_lives_behind_another_port_is_dropped(string line)
    {
        var net = new TestNet(Ruleset);
        net.Sends(line);
        net.Expects(DropReason.SpoofedSource, 1);
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_forged_packet_of_a_known_flow_comes_from_the_wrong_side(int family)
    {
        var net = new TestNet(Ruleset);
        string inside = family == 4 ? "10.0.0.5:4000" : "[2001:db8::5]:4000", outside = Nets.At(family, 9, 53);
        net.Sends($"inside: udp {inside} > {outside} len=10");
        net.Sends($"outside: udp {inside} > {outside} len=10");
        net.Expects(DropReason.WrongSide, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_error_with_a_forged_source_is_dropped(int family)
    {
        var net = new TestNet(Ruleset);
        string inside = family == 4 ? "10.0.0.5" : "2001:db8::5", neighbour = family == 4 ? "10.0.0.7" : "2001:db8::7";
        string asks = $"udp {(family == 4 ? inside : $"[{inside}]")}:4000 > {Nets.At(family, 9, 53)}";
        net.Sends($"inside: {asks} len=10");
        net.Sends($"outside: icmp {neighbour} > {inside} time-exceeded quote=\"{asks}\"");
        net.Expects(DropReason.SpoofedSource, 1);
        net.Sends($"outside: icmp {Nets.At(family, 3)} > {inside} time-exceeded quote=\"{asks}\"");
        net.Expects(DropReason.SpoofedSource, 1);
    }

    [Fact]
    public void Without_the_word_prefixes_are_for_packet_lines_alone()
    {
        var net = new TestNet(Ruleset.Replace("antispoof: true, ", "", StringComparison.Ordinal));
        net.Sends("inside: udp 203.0.113.9:53 > 198.51.100.7:4000 len=10");
        net.ExpectsNoDrops();
    }
}

using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Addresses that no packet on a wire may have: RFC 6890 and the registries it made.</summary>
public sealed class MartianTests
{
    [Theory]
    [InlineData("udp 0.0.0.0:4000 > 10.0.0.5:53 len=10", DropReason.Martian)]
    [InlineData("udp 0.1.2.3:4000 > 10.0.0.5:53 len=10", DropReason.Martian)]
    [InlineData("udp 127.0.0.1:4000 > 10.0.0.5:53 len=10", DropReason.Martian)]
    [InlineData("udp 240.0.0.1:4000 > 10.0.0.5:53 len=10", DropReason.Martian)]
    [InlineData("udp 255.255.255.254:4000 > 10.0.0.5:53 len=10", DropReason.Martian)]
    [InlineData("udp 255.255.255.255:4000 > 10.0.0.5:53 len=10", DropReason.BadSource)]
    [InlineData("udp 224.0.0.1:4000 > 10.0.0.5:53 len=10", DropReason.BadSource)]
    [InlineData("udp 203.0.113.9:4000 > 0.0.0.0:53 len=10", DropReason.Martian)]
    [InlineData("udp 203.0.113.9:4000 > 0.1.2.3:53 len=10", DropReason.Martian)]
    [InlineData("udp 203.0.113.9:4000 > 127.0.0.1:53 len=10", DropReason.Martian)]
    [InlineData("udp 203.0.113.9:4000 > 240.0.0.1:53 len=10", DropReason.Martian)]
    [InlineData("udp [::]:4000 > [2001:db8::5]:53 len=10", DropReason.Martian)]
    [InlineData("udp [::1]:4000 > [2001:db8::5]:53 len=10", DropReason.Martian)]
    [InlineData("udp [::10.0.0.1]:4000 > [2001:db8::5]:53 len=10", DropReason.Martian)]
    [InlineData("udp [ff02::1]:4000 > [2001:db8::5]:53 len=10", DropReason.BadSource)]
    [InlineData("udp [2001:db8:f::9]:4000 > [::]:53 len=10", DropReason.Martian)]
    [InlineData("udp [2001:db8:f::9]:4000 > [::1]:53 len=10", DropReason.Martian)]
    [InlineData("udp [2001:db8:f::9]:4000 > [::10.0.0.1]:53 len=10", DropReason.Martian)]
    [InlineData("udp [2001:db8:f::9]:4000 > [ff00::1]:53 len=10", DropReason.Martian)]
    [InlineData("udp [2001:db8:f::9]:4000 > [ff11::1]:53 len=10", DropReason.Martian)]
    [InlineData("icmp :: > 2001:db8::5 echo-request id=1 seq=1", DropReason.Martian)]
    [InlineData("icmp :: > 2001:db8::5 type=150 len=10", DropReason.Martian)]
    [InlineData("gre 0.0.0.0 > 10.0.0.5 len=10", DropReason.Martian)]
    [InlineData("tcp 240.0.0.1:4000 > 10.0.0.5:80 syn", DropReason.Martian)]
    [InlineData("udp 10.0.0.5:53 > 10.0.0.5:53 len=10", DropReason.Land)]
    [InlineData("tcp [2001:db8::5]:80 > [2001:db8::5]:80 syn", DropReason.Land)]
    [InlineData("icmp 10.0.0.5 > 10.0.0.5 echo-request id=1 seq=1", DropReason.Land)]
    public void An_address_that_cannot_be_opens_nothing(string line, DropReason why)
    {
        var net = new TestNet(Nets.Open);
        net.Sends("outside: " + line);
        net.HearsNothing("inside");
        net.Expects(why, 1);
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData("udp 0.0.0.0:68 > 255.255.255.255:67 len=300")]
    [InlineData("udp 0.0.0.0:68 > 10.0.0.1:67 len=300")]
    [InlineData("igmp 0.0.0.0 > 224.0.0.1 type=17 ttl=1")]
    [InlineData("udp 169.254.7.7:4000 > 224.0.0.251:5353 len=10")]
    [InlineData("udp 100.64.0.1:4000 > 10.0.0.5:53 len=10")]
    [InlineData("udp 203.0.113.9:4000 > 255.255.255.255:9 len=10")]
    [InlineData("udp 192.0.2.9:4000 > 10.0.0.5:53 len=10")]
    [InlineData("udp [fec0::1]:4000 > [fec0::2]:53 len=10")]
    [InlineData("udp [fd00::1]:4000 > [fd00::2]:53 len=10")]
    [InlineData("udp [2001:db8::1]:4000 > [ff02::fb]:5353 len=10")]
    [InlineData("udp [2001:db8::1]:4000 > [ff0e::fb]:5353 len=10")]
    public void An_address_that_only_some_networks_have_is_for_the_rules(string line)
    {
        var net = new TestNet(Nets.Open);
        net.Sends("outside: " + line);
        net.Hears("inside", line);
        net.ExpectsNoDrops();
    }
}

using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Profile `rfc6092`: which addresses cross between the networks, REC-1 to REC-7, and their like in IPv4.</summary>
public sealed class Rfc6092AddressTests
{
    private const string Ruleset = """
        filter: 1
        profile: rfc6092
        ports:
          outside: { nic: eth0, side: unprotected, prefixes: [ 0.0.0.0/0, "::/0" ] }
          inside: { nic: eth1, side: protected, prefixes: [ 10.0.0.0/24, "64:ff9b::/64" ] }
        defaults: { out: allow, in: allow }
        """;

    [Theory]
    [InlineData(DropReason.BadSource, "outside: udp [ff0e::1]:4000 > [64:ff9b::5]:53 len=10")]             // REC-1
    [InlineData(DropReason.BadSource, "outside: udp 224.0.0.1:4000 > 10.0.0.5:53 len=10")]
    [InlineData(DropReason.OutOfScope, "inside: udp [64:ff9b::5]:4000 > [ff05::fb]:53 len=10")]            // REC-2: site
    [InlineData(DropReason.OutOfScope, "inside: udp [64:ff9b::5]:4000 > [ff08::fb]:53 len=10")]            // organization
    [InlineData(DropReason.OutOfScope, "outside: udp [64:ff9b:0:f::5]:4000 > [ff14::fb]:53 len=10")] // transient, administrative
    [InlineData(DropReason.OutOfScope, "inside: udp 10.0.0.5:4000 > 239.1.2.3:53 len=10")]
    [InlineData(DropReason.Martian, "inside: udp [64:ff9b::5]:4000 > [2001:db8::9]:53 len=10")]            // REC-3: documentation
    [InlineData(DropReason.Martian, "outside: udp [2001:db8::9]:4000 > [64:ff9b::5]:53 len=10")]
    [InlineData(DropReason.Martian, "outside: udp [3fff::9]:4000 > [64:ff9b::5]:53 len=10")]
    [InlineData(DropReason.Martian, "outside: udp 192.0.2.9:4000 > 10.0.0.5:53 len=10")]
    [InlineData(DropReason.Martian, "outside: udp 198.51.100.9:4000 > 10.0.0.5:53 len=10")]
    [InlineData(DropReason.Martian, "inside: udp 10.0.0.5:4000 > 203.0.113.9:53 len=10")]
    [InlineData(DropReason.Martian, "outside: udp 198.18.0.9:4000 > 10.0.0.5:53 len=10")]
    [InlineData(DropReason.Martian, "outside: udp [fec0::9]:4000 > [64:ff9b::5]:53 len=10")]               // site-local
    [InlineData(DropReason.Martian, "outside: udp [2001:2::9]:4000 > [64:ff9b::5]:53 len=10")]
    [InlineData(DropReason.Martian, "outside: udp [2001:10::9]:4000 > [64:ff9b::5]:53 len=10")]
    [InlineData(DropReason.Martian, "outside: udp [100::9]:4000 > [64:ff9b::5]:53 len=10")]
    [InlineData(DropReason.Martian, "outside: udp [3ffe::9]:4000 > [64:ff9b::5]:53 len=10")]
    [InlineData(DropReason.Martian, "outside: udp [5f00::9]:4000 > [64:ff9b::5]:53 len=10")]
    [InlineData(DropReason.Martian, "outside: udp [::10.0.0.1]:4000 > [64:ff9b::5]:53 len=10")]
    [InlineData(DropReason.MappedAddress, "outside: udp [::ffff:10.0.0.1]:4000 > [64:ff9b::5]:53 len=10")]
    [InlineData(DropReason.SpoofedSource, "inside: udp [64:ff9b:0:f::9]:4000 > [64:ff9b:0:e::9]:53 len=10")]    // REC-5
    [InlineData(DropReason.SpoofedSource, "inside: udp 172.16.9.9:4000 > 172.16.9.8:53 len=10")]
    [InlineData(DropReason.SpoofedSource, "outside: udp [64:ff9b::9]:4000 > [64:ff9b::5]:53 len=10")]      // REC-6
    [InlineData(DropReason.SpoofedSource, "outside: udp 10.0.0.9:4000 > 10.0.0.5:53 len=10")]
    [InlineData(DropReason.OutOfScope, "inside: udp [fd00::5]:4000 > [64:ff9b:0:f::9]:53 len=10")]         // REC-7
    [InlineData(DropReason.OutOfScope, "outside: udp [64:ff9b:0:f::9]:4000 > [fd00::5]:53 len=10")]
    public void What_must_not_cross_does_not(DropReason why, string line)
    {
        var net = new TestNet(Ruleset);
        net.Sends(line);
        net.HearsNothing("outside");
        net.HearsNothing("inside");
        net.Expects(why, 1);
    }

    /// <summary>REC-4.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_deprecated_routing_header_crosses_in_no_profile(byte type)
    {
        foreach (string ruleset in (string[])[Ruleset, Nets.Open])
        {
            var net = new TestNet(ruleset);
            net.Sends("outside", Frames.Behind("udp [64:ff9b:0:f::9]:4000 > [64:ff9b::5]:53 len=10", 43, [17, 0, type, 0, 0, 0, 0, 0]));
            net.HearsNothing("inside");
            net.Expects(DropReason.RoutingHeader0, 1);
        }
    }

    [Theory]
    [InlineData("inside: udp [64:ff9b::5]:4000 > [64:ff9b:0:f::9]:53 len=10")]
    [InlineData("outside: udp [64:ff9b:0:f::9]:4000 > [64:ff9b::5]:53 len=10")]
    [InlineData("inside: udp 10.0.0.5:4000 > 172.16.9.9:53 len=10")]
    [InlineData("inside: udp [64:ff9b::5]:4000 > [ff0e::fb]:53 len=10")]
    [InlineData("inside: udp [64:ff9b::5]:4000 > [ff02::fb]:5353 len=10")]
    [InlineData("inside: udp [fe80::5]:546 > [ff02::1:2]:547 len=10")]
    [InlineData("inside: icmp fe80::5 > ff02::1:ff00:9 neighbour-solicitation len=24 ttl=255")]
    [InlineData("inside: icmp fe80::5 > ff05::fb multicast-listener-report len=16 ttl=1")]
    [InlineData("inside: udp 0.0.0.0:68 > 255.255.255.255:67 len=300")]
    public void What_may_cross_does(string line)
    {
        var net = new TestNet(Ruleset);
        net.Sends(line);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData("inside: udp [2001:db8::5]:4000 > [2001:db8:f::9]:53 len=10")]
    [InlineData("inside: udp [fd00::5]:4000 > [ff05::fb]:53 len=10")]
    [InlineData("inside: udp [fec0::5]:4000 > [fd00::9]:53 len=10")]
    public void In_the_default_profile_that_is_for_the_rules(string line)
    {
        var net = new TestNet(Ruleset.Replace("rfc6092", "default", StringComparison.Ordinal));
        net.Sends(line);
        net.ExpectsNoDrops();
    }

    [Fact]
    public void Where_nobody_says_who_lives_inside_every_source_may_go_out()
    {
        var net = new TestNet(Ruleset.Replace(", prefixes: [ 10.0.0.0/24, \"64:ff9b::/64\" ]", "", StringComparison.Ordinal));
        net.Sends("inside: udp 172.16.9.9:4000 > 172.16.9.8:53 len=10");
        net.ExpectsNoDrops();
    }
}

using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Frames that are not IP, across a bridge.</summary>
public sealed class LinkTests
{
    private const string Stp = "ether 02:00:00:00:00:01 > 01:80:c2:00:00:00 type=0x0026 len=38";
    private const string Lldp = "ether 02:00:00:00:00:01 > 01:80:c2:00:00:0e type=0x88cc len=46";
    private const string Pause = "ether 02:00:00:00:00:01 > 01:80:c2:00:00:01 type=0x8808 len=46";
    private const string Lacp = "ether 02:00:00:00:00:01 > 01:80:c2:00:00:02 type=0x8809 len=110";

    [Theory]
    [InlineData("{ arp: drop, unknown: drop }")]
    [InlineData("{ arp: allow, unknown: allow }")]
    public void Spanning_tree_passes_and_pause_and_lacp_never_do(string link)
    {
        var net = new TestNet(With(link));
        net.Sends("inside: " + Stp);
        net.Hears("outside", Stp);
        net.Sends("inside: " + Pause);
        net.Sends("outside: " + Lacp);
        net.HearsNothing("outside");
        net.HearsNothing("inside");
        net.Expects(DropReason.LinkLocalFrame, 2);
    }

    [Fact]
    public void Other_ethertypes_pass_by_policy()
    {
        var net = new TestNet(With("{ unknown: drop }"));
        net.Sends("inside: " + Lldp);
        net.HearsNothing("outside");
        net.Expects(DropReason.UnknownEtherType, 1);
        net.Reloads(With("{ ethertypes: [ 0x88cc ] }"));
        net.Sends("inside: " + Lldp);
        net.Hears("outside", Lldp);
        net.Reloads(With("{ unknown: allow }"));
        net.Sends("inside: " + Lldp);
        net.Hears("outside", Lldp);
        net.Expects(DropReason.UnknownEtherType, 1);
    }

    [Fact]
    public void Arp_passes_both_ways_unless_policy_drops_it()
    {
        string ask = "arp 10.0.0.1 > 10.0.0.5 request", answer = "arp 10.0.0.5 > 10.0.0.1 reply";
        var net = new TestNet(Nets.OutOnly);
        net.Sends("outside: " + ask);
        net.Hears("inside", ask);
        net.Sends("inside: " + answer);
        net.Hears("outside", answer);
        net.Sends("inside: " + answer + " vlan=7");
        net.Hears("outside", answer + " vlan=7");
        net.ExpectsNoDrops();
        net.Reloads(With("{ arp: drop }"));
        net.Sends("outside: " + ask);
        net.HearsNothing("inside");
        net.Expects(DropReason.BadArp, 1);
    }

    [Fact]
    public void Tagged_frames_pass_unless_policy_drops_them()
    {
        var net = new TestNet(Nets.Open + "\nlink: { tagged: drop }\n");
        net.Sends("inside: udp 10.0.0.5:4000 > 203.0.113.9:53 len=10 vlan=7");
        net.Sends("inside: udp [2001:db8::5]:4000 > [2001:db8:f::9]:53 len=10 vlan=7.8");
        net.Sends("inside: arp 10.0.0.5 > 10.0.0.1 request vlan=7");
        net.HearsNothing("outside");
        net.Expects(DropReason.TaggedFrame, 3);
        net.Sends("inside: udp 10.0.0.5:4000 > 203.0.113.9:53 len=10");
        net.Sends("inside", Frames.Ethernet(Frames.Of("udp 10.0.0.5:4001 > 203.0.113.9:53 len=10")[14..], vlans: 0));     // a priority tag is none
        net.Expects(DropReason.TaggedFrame, 3);
        net.Reloads(Nets.Open);
        net.Sends("inside: udp 10.0.0.5:4000 > 203.0.113.9:53 len=10 vlan=7");
        net.Expects(DropReason.TaggedFrame, 3);
    }

    [Theory]
    [InlineData("[ 10.20 ]", "10.20", true)]
    [InlineData("[ 10.20 ]", "10.21", false)]
    [InlineData("[ 10.20 ]", "10", false)]
    [InlineData("[ 10.20 ]", "20.10", false)]
    [InlineData("10", "10.20", true)]
    [InlineData("[ 7, 10.20, 30.40 ]", "30.40", true)]
    [InlineData("none", "10.20", false)]
    public void A_rule_matches_an_outer_tag_or_a_pair(string vlan, string tags, bool passes)
    {
        var net = new TestNet(Nets.OutOnly.Replace("out: allow", "out: drop", StringComparison.Ordinal) + $"\nrules: [ {{ allow: it, vlan: {vlan} }} ]\n");
        net.Sends($"inside: udp 10.0.0.5:4000 > 203.0.113.9:53 len=10 vlan={tags}");
        net.Expects(DropReason.DefaultDeny, passes ? 0 : 1);
    }

    private static string With(string link) => Nets.OutOnly + $"\nlink: {link}\n";
}

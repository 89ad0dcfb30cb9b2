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

    private static string With(string link) => Nets.OutOnly + $"\nlink: {link}\n";
}

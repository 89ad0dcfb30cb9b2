using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Three ports: frames that are flooded while nobody knows where their receiver is, and flows that stay.</summary>
public sealed class ThreePortTests
{
    private const string Ports = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
          lab: { nic: eth2, side: protected }

        """;

    private const string One = "src-mac=02:00:00:00:00:01 dst-mac=02:00:00:00:00:02";
    private const string Two = "src-mac=02:00:00:00:00:02 dst-mac=02:00:00:00:00:01";

    [Fact]
    public void A_flow_that_began_flooded_goes_on_where_its_receiver_is_found()
    {
        var net = new TestNet(Ports + "defaults: { out: allow, in: drop, across: allow }\n");
        net.Sends($"inside: udp 10.0.0.1:4000 > 10.0.0.2:53 len=1 {One}");
        net.Hears("lab", "udp 10.0.0.1:4000 > 10.0.0.2:53 len=1");
        net.Hears("outside", "udp 10.0.0.1:4000 > 10.0.0.2:53 len=1");
        net.Sends($"lab: udp 10.0.0.2:53 > 10.0.0.1:4000 len=2 {Two}");
        net.Hears("inside", "udp 10.0.0.2:53 > 10.0.0.1:4000 len=2");
        net.Sends($"inside: udp 10.0.0.1:4000 > 10.0.0.2:53 len=3 {One}");
        net.Hears("lab", "udp 10.0.0.1:4000 > 10.0.0.2:53 len=3");
        net.HearsNothing("outside");
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData("out: drop, across: allow", "lab", "outside")]
    [InlineData("out: allow, across: drop", "outside", "lab")]
    public void A_flooded_packet_is_judged_for_each_port_by_the_way_it_goes_there(string defaults, string hears, string silent)
    {
        var net = new TestNet(Ports + $"defaults: {{ in: drop, {defaults} }}\n");
        net.Sends($"inside: udp 10.0.0.1:4000 > 10.0.0.2:53 len=1 {One}");
        net.Hears(hears, "udp 10.0.0.1:4000 > 10.0.0.2:53 len=1");
        net.HearsNothing(silent);

        // Where it did not go, no answer can come from.
        net.Sends($"{silent}: udp 10.0.0.2:53 > 10.0.0.1:4000 len=2 {Two}");
        net.HearsNothing("inside");
        net.Expects(DropReason.WrongSide, 1);
        net.Sends($"{hears}: udp 10.0.0.2:53 > 10.0.0.1:4000 len=2 {Two}");
        net.Hears("inside", "udp 10.0.0.2:53 > 10.0.0.1:4000 len=2");
    }

    [Fact]
    public void An_answer_from_a_port_that_was_not_asked_is_dropped()
    {
        var net = new TestNet(Ports + "defaults: { out: allow, in: drop, across: allow }\n");
        net.Sends($"lab: udp 10.0.0.2:1 > 10.0.0.1:1 {Two}");
        net.Sends($"inside: udp 10.0.0.1:4000 > 10.0.0.2:53 len=1 {One}");
        net.Hears("outside", "udp 10.0.0.2:1 > 10.0.0.1:1");
        net.HearsNothing("outside");
        net.Sends("outside: udp 10.0.0.2:53 > 10.0.0.1:4000 len=2 src-mac=02:00:00:00:00:09 dst-mac=02:00:00:00:00:01");
        net.Expects(DropReason.WrongSide, 1);
    }

    [Fact]
    public void Addresses_made_up_outside_do_not_have_the_insides_traffic_flooded()
    {
        var net = new TestNet(Ports + "defaults: { out: allow, in: drop, across: allow }\n");
        net.Sends($"lab: arp 10.0.0.2 > 10.0.0.1 request {Two}");
        for (int i = 0; i < 20_000; i++)
        {
            net.Sends($"outside: ether 06:00:00:00:{i >> 8:x2}:{i & 255:x2} > 02:00:00:00:00:01 type=0x88cc len=46");
        }

        while (net.Take("outside", null) is not null)
        {
        }

        net.Sends($"inside: udp 10.0.0.1:4000 > 10.0.0.2:53 len=1 {One}");
        net.HearsNothing("outside");
    }

    [Fact]
    public void A_reload_judges_a_flooded_flow_for_each_port_it_went_to()
    {
        var net = new TestNet(Ports + "defaults: { out: allow, in: drop, across: allow }\n");
        net.Sends($"inside: udp 10.0.0.1:4000 > 10.0.0.2:53 len=1 {One}");
        net.Reloads(Ports + "defaults: { out: drop, in: drop, across: allow }\n");
        net.Sends($"lab: udp 10.0.0.2:53 > 10.0.0.1:4000 len=2 {Two}");
        net.Hears("inside", "udp 10.0.0.2:53 > 10.0.0.1:4000 len=2");
        net.Sends("outside: udp 10.0.0.2:53 > 10.0.0.1:4000 len=2 src-mac=02:00:00:00:00:09 dst-mac=02:00:00:00:00:01");
        net.Expects(DropReason.WrongSide, 1);
    }
}

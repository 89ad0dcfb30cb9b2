using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Ipsec;

/// <summary>Rules that ask how a packet arrived: sealed and by which policy, or in the clear.</summary>
public sealed class ArrivalTests
{
    private const string KeysOut = "encryption-key: 0x000102030405060708090a0b0c0d0e0f, integrity-key: 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    private const string KeysIn = "encryption-key: 0x100102030405060708090a0b0c0d0e0f, integrity-key: 0x200102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    private const string OtherOut = "encryption-key: 0x300102030405060708090a0b0c0d0e0f, integrity-key: 0x300102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    private const string OtherIn = "encryption-key: 0x400102030405060708090a0b0c0d0e0f, integrity-key: 0x400102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    private const string Branch = "    - { protect: branch, remote: 10.1.0.0/16, sa: one }\n";
    private const string Shop = "    - { protect: shop, remote: 10.3.0.0/16, sa: two }\n";
    private const string Rest = "    - bypass: rest\n";

    private static readonly Address s_branch = Address.Parse("10.1.0.5"), s_shop = Address.Parse("10.3.0.5"), s_far = Address.Parse("198.51.100.7"), s_server = Address.Parse("10.2.0.9");

    [Fact]
    public void What_came_by_a_policy_passes_and_the_same_in_the_clear_does_not()
    {
        using Site branch = Far("one", "0x1001", KeysOut, "0x1002", KeysIn), shop = Far("two", "0x2001", OtherOut, "0x2002", OtherIn);
        using Site here = new(Here("  - { count: clear, from: outside, ipsec: clear }\n  - { count: sealed, from: outside, ipsec: protected }\n  - { allow: from-branch, from: outside, ipsec: branch }\n", Branch + Shop + Rest));
        byte[] question = PlainFrames.Udp(s_branch, s_server, 30);
        Assert.Equal([question], Cross(branch, here, question));
        Assert.Empty(Cross(shop, here, PlainFrames.Udp(s_shop, s_server, 30)));
        Assert.Empty(here.Carry("outside", PlainFrames.Udp(s_far, s_server, 30)));
        Assert.Equal([1, 2, 1], Enumerable.Range(1, 3).Select(here.Path.Counters.Rule));
        Assert.Equal(2, here.Path.Counters[DropReason.DefaultDeny]);
    }

    [Fact]
    public void Each_packet_that_comes_out_of_a_tunnel_is_looked_at_as_what_it_was_inside()
    {
        using Site branch = Far("one", "0x1001", KeysOut, "0x1002", KeysIn);
        using Site here = new(Here("  - { drop: large, size: 500-65535, ipsec: branch, each-packet: true }\n  - { drop: with-frame, source-mac: 00:00:00:00:00:00/1, from: outside, each-packet: true }\n  - { allow: in, from: outside }\n", Branch + Rest));
        byte[] small = PlainFrames.Udp(s_branch, s_server, 30), large = PlainFrames.Udp(s_branch, s_server, 600);
        Assert.Equal([small], Cross(branch, here, small));
        Assert.Empty(Cross(branch, here, large));
        Assert.Equal([small], Cross(branch, here, small));
        Assert.Equal((1, 1, 0), (here.Path.Counters[DropReason.Denied], here.Path.Counters.Rule(1), here.Path.Counters.Rule(2)));
    }

    [Fact]
    public void What_came_by_any_SA_of_a_policy_came_by_the_policy()
    {
        const string Both = "    - { protect: both, remote: [ 10.1.0.0/16, 10.3.0.0/16 ], sa: [ one, two ] }\n";
        using Site branch = Far("one", "0x1001", KeysOut, "0x1002", KeysIn), shop = Far("two", "0x2001", OtherOut, "0x2002", OtherIn);
        using Site here = new(Here("  - { allow: in, from: outside, ipsec: both }\n", Both + Rest));
        byte[][] questions = [PlainFrames.Udp(s_branch, s_server, 30), PlainFrames.Udp(s_shop, s_server, 30)];

        Assert.Equal([questions[0]], Cross(branch, here, questions[0]));
        Assert.Equal([questions[1]], Cross(shop, here, questions[1]));
        Assert.Equal(2, here.Path.Counters.Rule(1));
        Assert.Empty(here.Carry("outside", questions[0]));
        Assert.Equal(1, here.Path.Counters[DropReason.ClearForProtected]);
    }

    [Fact]
    public void What_came_by_an_SA_that_policies_share_came_by_the_one_that_selects_it()
    {
        const string Shared = "    - { protect: udp, remote: 10.1.0.0/16, service: udp, sa: one }\n    - { protect: tcp, remote: 10.1.0.0/16, service: tcp, sa: one }\n";
        using Site branch = Far("one", "0x1001", KeysOut, "0x1002", KeysIn);
        using Site here = new(Here("  - { allow: in, from: outside, ipsec: udp }\n  - { drop: clear, from: outside, ipsec: clear }\n", Shared + Rest));
        byte[] datagram = PlainFrames.Udp(s_branch, s_server, 30);

        Assert.Equal([datagram], Cross(branch, here, datagram));
        Assert.Empty(Cross(branch, here, PlainFrames.Tcp(s_branch, s_server, 0, TcpFlags.Syn)));
        Assert.Empty(here.Carry("outside", PlainFrames.Udp(s_far, s_server, 30)));
        Assert.Equal((1, 1, 1), (here.Path.Counters.Rule(1), here.Path.Counters[DropReason.DefaultDeny], here.Path.Counters.Rule(2)));
    }

    [Fact]
    public void Mobility_headers_are_told_apart_by_their_type_within_one_flow()
    {
        const string Updates = "    - { protect: updates, service: [ mobility/5, mobility/6 ], sa: one }\n";
        using Site here = new(Here("  - { allow: all }\n", Updates + Rest));
        byte[] test = Frames.Of("mobility 2001:db8:2::9 > 2001:db8:1::5 type=1 len=8"), update = Frames.Of("mobility 2001:db8:2::9 > 2001:db8:1::5 type=5 len=24");

        Assert.Equal([test], here.Carry("inside", test)["outside"]);
        Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(Assert.Single(here.Carry("inside", update)["outside"])).Key.Protocol);
        Assert.Equal([test], here.Carry("inside", test)["outside"]);
        Assert.Equal(1, here.Path.Flows.Count);

        byte[] acknowledgement = Frames.Of("mobility 2001:db8:1::5 > 2001:db8:2::9 type=6 len=8"), answer = Frames.Of("mobility 2001:db8:1::5 > 2001:db8:2::9 type=3 len=16");
        Assert.Equal([answer], here.Carry("outside", answer)["inside"]);
        Assert.Empty(here.Carry("outside", acknowledgement));
        Assert.Equal(1, here.Path.Counters[DropReason.ClearForProtected]);
    }

    [Fact]
    public void A_flow_remembers_by_which_policy_it_came_when_a_reload_numbers_them_anew()
    {
        const string Rules = "  - { allow: from-branch, from: outside, ipsec: branch }\n  - { allow: from-shop, from: outside, service: tcp, ipsec: shop }\n";
        using Site branch = Far("one", "0x1001", KeysOut, "0x1002", KeysIn);
        using Site here = new(Here(Rules, Branch + Shop + Rest));
        byte[] question = PlainFrames.Udp(s_branch, s_server, 30);
        Assert.Equal([question], Cross(branch, here, question));

        // Now the first number is the shop's, by whose rule no UDP may come.
        here.Reload(Here(Rules, Shop + Branch + Rest));
        Assert.Equal(2, here.Path.Excerpt(here.Path.Flows[1].Opening.Key, 0, 0).Flow.Opening.ArrivedBy);
        Assert.Equal([question], Cross(branch, here, question));
        here.Reload(Here(Rules, "    - { bypass: first, service: igmp }\n" + Shop + Branch + Rest));
        Assert.Equal([question], Cross(branch, here, question));
        Assert.Equal((1, 1), (here.Path.Flows.Count, here.Path.Counters.Opened));
        Assert.Equal(3, here.Path.Counters.Rule(1));

        // Without its policy it came by none that a rule could name.
        here.Reload(Here("  - { allow: from-shop, from: outside, ipsec: shop }\n", Shop + Rest));
        here.Tick();
        Assert.Equal(0, here.Path.Flows.Count);
    }

    private static List<byte[]> Cross(Site from, Site to, byte[] frame)
    {
        List<byte[]> wire = from.Carry("inside", frame)["outside"];
        Assert.All(wire, f => Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(f).Key.Protocol));
        return to.Carry("outside", [.. wire]).GetValueOrDefault("inside") ?? [];
    }

    private static Site Far(string sa, string spiOut, string keysOut, string spiIn, string keysIn) => new($$"""
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules: [ { allow: out, to: outside } ]
        ipsec:
          policies: [ { protect: all, sa: {{sa}} } ]
          sas:
            {{sa}}: { mode: transport, suite: aes-cbc-128+hmac-sha2-256-128, out: { spi: {{spiOut}}, {{keysOut}} }, in: { spi: {{spiIn}}, {{keysIn}} } }

        """);

    private static string Here(string rules, string policies) => $$"""
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
        {{rules}}ipsec:
          policies:
        {{policies}}  sas:
            one: { mode: transport, suite: aes-cbc-128+hmac-sha2-256-128, out: { spi: 0x1002, {{KeysIn}} }, in: { spi: 0x1001, {{KeysOut}} } }
            two: { mode: transport, suite: aes-cbc-128+hmac-sha2-256-128, out: { spi: 0x2002, {{OtherIn}} }, in: { spi: 0x2001, {{OtherOut}} } }

        """;
}

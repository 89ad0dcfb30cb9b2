using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Rules see that a datagram came in fragments, when it is put together.</summary>
public sealed class FragmentRuleTests
{
    [Theory]
    [InlineData("fragment: true", 4, true)]
    [InlineData("fragment: true", 6, true)]
    [InlineData("fragment: false", 4, false)]
    [InlineData("fragment: false", 6, false)]
    [InlineData("extension-headers: fragment", 6, true)]
    [InlineData("extension-headers: none", 6, false)]
    [InlineData("extension-headers: none", 4, true)]
    [InlineData("extension-headers: destination-options fragment", 6, false)]
    [InlineData("size: 1048", 6, true)]
    [InlineData("size: 1028", 4, true)]
    public void A_datagram_that_was_put_together_is_known_for_it(string condition, int family, bool matches)
    {
        var net = new TestNet(Nets.Ports + $"rules: [ {{ drop: it, {condition} }}, {{ allow: rest, from: inside }} ]\n");
        net.Sends($"inside: udp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 53)} len=800 total=1000 frag=0+ id=3");
        net.Sends($"inside: udp {Nets.At(family, 1)} > {Nets.At(family, 2)} len=200 frag=808 id=3");
        Assert.Equal(matches ? 1 : 0, net.Path.Counters.Rule(1));
        Assert.Equal(matches ? 0 : 1, net.Path.Counters.Rule(2));
    }

    [Fact]
    public void An_atomic_fragment_is_one_and_a_chain_is_known_by_its_headers()
    {
        var net = new TestNet(Nets.Ports + "rules: [ { count: atoms, fragment: true }, { count: chains, extension-headers: [ hop-by-hop, routing ] }, { allow: rest, from: inside } ]\n");
        net.Sends($"inside: udp {Nets.At(6, 1, 4000)} > {Nets.At(6, 2, 53)} len=8 frag=0 id=3 ext=destination-options");
        net.Sends($"inside: udp {Nets.At(6, 1, 4001)} > {Nets.At(6, 2, 53)} len=8 ext=routing");
        net.Sends($"inside: udp {Nets.At(6, 1, 4002)} > {Nets.At(6, 2, 53)} len=8");
        Assert.Equal([1, 1, 3], Enumerable.Range(1, 3).Select(net.Path.Counters.Rule));
        net.Hears("outside", $"udp {Nets.At(6, 1, 4000)} > {Nets.At(6, 2, 53)} len=8 frag=0 id=3 ext=destination-options");
        net.ExpectsNoDrops();
    }
}

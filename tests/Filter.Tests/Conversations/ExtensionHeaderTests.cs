using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Conversations;

/// <summary>The chain of IPv6 extension headers: walked to its end, in order, bounded (RFC 8200 §4, RFC 7112, RFC 8504 §5.3).</summary>
public sealed class ExtensionHeaderTests
{
    private const string Question = "udp [2001:db8::5]:4000 > [2001:db8:f::9]:53 len=10";

    /// <summary>Chains by protocol numbers; a routing header is of type 4 with no segments left.</summary>
    [Theory]
    [InlineData("0", DropReason.None)]
    [InlineData("60", DropReason.None)]
    [InlineData("43", DropReason.None)]
    [InlineData("0 60 43 60", DropReason.None)]             // the order of RFC 8200 §4.1
    [InlineData("0 60 43 44 60", DropReason.None)]
    [InlineData("43 60 44", DropReason.None)]               // a home address option (RFC 6275 §6.3)
    [InlineData("60 60", DropReason.None)]
    [InlineData("60 0", DropReason.BadExtensionChain)]      // hop-by-hop stands first
    [InlineData("0 0", DropReason.BadExtensionChain)]
    [InlineData("44 43", DropReason.BadExtensionChain)]     // routers must find the routing header
    [InlineData("43 43", DropReason.BadExtensionChain)]
    [InlineData("44 44", DropReason.BadExtensionChain)]
    [InlineData("60 60 60", DropReason.BadExtensionChain)]
    [InlineData("60 43 60 60", DropReason.BadExtensionChain)]
    public void Headers_stand_in_order_and_are_few(string chain, DropReason why)
    {
        var net = new TestNet(Nets.OutOnly);
        byte[] protocols = [.. chain.Split(' ').Select(byte.Parse)];
        List<byte> headers = [];
        for (int i = 0; i < protocols.Length; i++)
        {
            byte next = i + 1 < protocols.Length ? protocols[i + 1] : IpProtocol.Udp;
            headers.AddRange(protocols[i] switch
            {
                IpProtocol.Routing => [next, 0, 4, 0, 0, 0, 0, 0],
                IpProtocol.Fragment => [next, 0, 0, 0, 0, 0, 0, 7],
                _ => new byte[] { next, 0, 1, 4, 0, 0, 0, 0 },
            });
        }

        net.Sends("inside", Frames.Behind(Question, protocols[0], [.. headers]));
        net.Expects(why, why == DropReason.None ? 0 : 1);
        net.ExpectsFlows(why == DropReason.None ? 1 : 0);
    }

    [Fact]
    public void The_flow_is_the_same_with_and_without_extension_headers()
    {
        var net = new TestNet(Nets.OutOnly);
        net.Sends("inside: " + Question);
        net.Sends("inside", Frames.Behind(Question, 60, [17, 0, 1, 4, 0, 0, 0, 0]));
        net.Sends("outside: udp [2001:db8:f::9]:53 > [2001:db8::5]:4000 len=10");
        net.ExpectsFlows(1);
        net.ExpectsNoDrops();
    }

    [Fact]
    public void A_jumbo_payload_beside_a_length_is_dropped()
    {
        var net = new TestNet(Nets.Open);
        net.Sends("inside", Frames.Behind(Question, 0, [17, 0, 0xc2, 4, 0, 1, 0, 0]));
        net.Expects(DropReason.BadExtensionChain, 1);
    }

    [Fact]
    public void A_jumbogram_is_dropped()
    {
        var net = new TestNet(Nets.Open);
        byte[] frame = Frames.Behind(Question, 0, [17, 0, 0xc2, 4, 0, 1, 0, 0]);
        frame[18] = frame[19] = 0;
        net.Sends("inside", frame);
        net.Expects(DropReason.BadLength, 1);
    }

    /// <summary>What follows an unknown header nobody can know: rules judge it by its number, and hosts that do not know it drop it.</summary>
    [Theory]
    [InlineData(139)]           // host identity
    [InlineData(140)]           // shim6
    [InlineData(253)]           // experiments
    [InlineData(254)]
    [InlineData(59)]            // no next header
    public void A_header_that_is_not_walked_is_a_protocol_to_the_rules(byte protocol)
    {
        var net = new TestNet(Nets.Open.Replace("out: allow", "out: drop", StringComparison.Ordinal)
            + "\nrules: [ { allow: known, service: [ udp/53, tcp/80 ] } ]\n");
        net.Sends("inside", Frames.Behind(Question, protocol, [17, 0, 1, 4, 0, 0, 0, 0]));
        net.Expects(DropReason.DefaultDeny, 1);
        net.Reloads(Nets.Open + $"\nrules: [ {{ allow: it, service: proto/{protocol} }} ]\n");
        net.Sends("inside", Frames.Behind(Question, protocol, [17, 0, 1, 4, 0, 0, 0, 0]));
        net.Expects(DropReason.DefaultDeny, 1);
        Assert.NotNull(net.Take("outside", null));
    }

    [Fact]
    public void Behind_AH_a_port_of_hosts_announces_no_router()
    {
        string guarded = Nets.Open.Replace("side: protected }", "side: protected, role: hosts }", StringComparison.Ordinal);
        byte[] ah = [58, 4, 0, 0, 0, 0, 16, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        foreach ((string line, byte inner, DropReason why) in ((string, byte, DropReason)[])
        [
            ("icmp fe80::1 > ff02::1 router-advertisement len=24 ttl=255", 58, DropReason.RogueRouter),
            ("udp [fe80::1]:547 > [fe80::5]:546 len=10", 17, DropReason.RogueRouter),
            ("icmp fe80::1 > ff02::1 router-solicitation len=8 ttl=255", 58, DropReason.None),
        ])
        {
            var net = new TestNet(guarded);
            ah[0] = inner;
            net.Sends("inside", Frames.Behind(line, 51, ah));
            net.Expects(why, why == DropReason.None ? 0 : 1);
        }
    }
}

using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Conversations;

/// <summary>Every type of ICMPv6, and of ICMP, by RFC 4890 §4.3 and §4.4.</summary>
public sealed class Icmpv6PolicyTests
{
    /// <summary>All 256 types of ICMPv6 in the order of RFC 4890, and what became of those given out since.</summary>
    [Theory]
    [InlineData(0, 0, IcmpClass.Rules)]
    [InlineData(1, 4, IcmpClass.Error)]             // §4.3.1: must not be dropped
    [InlineData(5, 99, IcmpClass.Rules)]            // §4.3.4: unallocated errors
    [InlineData(100, 101, IcmpClass.Named)]         // §4.3.5: experiments
    [InlineData(102, 126, IcmpClass.Rules)]
    [InlineData(127, 127, IcmpClass.Named)]
    [InlineData(128, 129, IcmpClass.Query)]         // §4.3.1: connectivity
    [InlineData(130, 132, IcmpClass.Link)]          // §4.4.1: listeners
    [InlineData(133, 137, IcmpClass.Link)]          // §4.4.1: discovery; §4.4.4: redirect
    [InlineData(138, 140, IcmpClass.Named)]         // §4.3.5: renumbering, node information
    [InlineData(141, 143, IcmpClass.Link)]
    [InlineData(144, 147, IcmpClass.Rules)]         // §4.3.2: mobility
    [InlineData(148, 149, IcmpClass.Link)]          // §4.4.1: SEND
    [InlineData(150, 150, IcmpClass.Rules)]         // §4.3.4: Seamoby
    [InlineData(151, 153, IcmpClass.Link)]          // §4.4.1: multicast routers
    [InlineData(154, 199, IcmpClass.Rules)]
    [InlineData(200, 201, IcmpClass.Named)]
    [InlineData(202, 254, IcmpClass.Rules)]
    [InlineData(255, 255, IcmpClass.Named)]
    public void Each_type_of_icmpv6_has_its_class(int first, int last, IcmpClass expected)
    {
        for (int type = first; type <= last; type++)
        {
            Assert.Equal((type, expected), (type, IcmpClasses.Of(IpProtocol.IcmpV6, (byte)type)));
        }
    }

    [Theory]
    [InlineData(0, 0, IcmpClass.Query)]
    [InlineData(1, 2, IcmpClass.Rules)]
    [InlineData(3, 3, IcmpClass.Error)]
    [InlineData(4, 4, IcmpClass.Named)]             // RFC 6633
    [InlineData(5, 5, IcmpClass.Link)]
    [InlineData(6, 6, IcmpClass.Named)]             // RFC 6918
    [InlineData(7, 7, IcmpClass.Rules)]
    [InlineData(8, 8, IcmpClass.Query)]
    [InlineData(9, 10, IcmpClass.Link)]
    [InlineData(11, 12, IcmpClass.Error)]
    [InlineData(13, 18, IcmpClass.Query)]
    [InlineData(19, 29, IcmpClass.Rules)]
    [InlineData(30, 39, IcmpClass.Named)]
    [InlineData(40, 252, IcmpClass.Rules)]
    [InlineData(253, 255, IcmpClass.Named)]
    public void Each_type_of_icmp_has_its_class(int first, int last, IcmpClass expected)
    {
        for (int type = first; type <= last; type++)
        {
            Assert.Equal((type, expected), (type, IcmpClasses.Of(IpProtocol.Icmp, (byte)type)));
        }
    }

    public static TheoryData<int, int> NamedTypes => [.. ((int, int)[])
    [
        (6, 100), (6, 101), (6, 127), (6, 138), (6, 139), (6, 140), (6, 200), (6, 201), (6, 255),
        (4, 6), (4, 30), (4, 31), (4, 39), (4, 253), (4, 255),
    ]];

    [Theory]
    [MemberData(nameof(NamedTypes))]
    public void What_is_obsolete_or_experimental_passes_by_a_rule_that_names_it_and_by_no_other(int family, int type)
    {
        string line = Line(family, type);
        foreach (string rules in (string[])["", "rules: [ { allow: all } ]", "rules: [ { allow: icmp, service: icmp } ]", $"rules: [ {{ allow: icmp, service: [ icmp, icmpv{family}/{type} ] }} ]"])
        {
            var net = new TestNet($"{Nets.Open}\n{rules}\n");
            net.Sends("outside: " + line);
            net.HearsNothing("inside");
            net.Expects(DropReason.IcmpForbidden, 1);
        }

        var named = new TestNet($"{Nets.Open}\nrules: [ {{ allow: it, service: [ icmpv{family}/{type}, udp/53 ] }} ]\n");
        named.Sends("outside: " + line);
        named.Hears("inside", line);
        named.ExpectsNoDrops();
    }

    [Fact]
    public void A_source_quench_passes_by_no_rule()
    {
        var net = new TestNet(Nets.Open + "\nrules: [ { allow: it, service: icmpv4/4 } ]\n");
        net.Sends("outside: " + Line(4, 4));
        net.HearsNothing("inside");
        net.Expects(DropReason.IcmpForbidden, 1);
    }

    [Theory]
    [InlineData(6, 5)]
    [InlineData(6, 126)]
    [InlineData(6, 144)]
    [InlineData(6, 145)]
    [InlineData(6, 146)]
    [InlineData(6, 147)]
    [InlineData(6, 150)]
    [InlineData(6, 155)]
    [InlineData(6, 199)]
    [InlineData(6, 254)]
    [InlineData(4, 40)]
    [InlineData(4, 42)]
    public void The_others_are_for_the_rules(int family, int type)
    {
        var net = new TestNet(Nets.Open);
        net.Sends("outside: " + Line(family, type));
        net.Hears("inside", Line(family, type));
        net.Reloads(Nets.OutOnly);
        net.Sends("outside: " + Line(family, type));
        net.HearsNothing("inside");
        net.Expects(DropReason.DefaultDeny, 1);
    }

    /// <summary>RFC 4890 §4.3.1 and §4.3.2: the errors, whatever the rules say, with their flow and never without.</summary>
    [Theory]
    [InlineData(1, 0)]
    [InlineData(1, 6)]
    [InlineData(2, 0)]
    [InlineData(3, 0)]
    [InlineData(3, 1)]
    [InlineData(4, 0)]
    [InlineData(4, 1)]
    [InlineData(4, 2)]
    public void Errors_pass_with_their_flow_whatever_the_rules_say(int type, int code)
    {
        var net = new TestNet(Nets.OutOnly + "\nrules: [ { drop: icmp, service: icmp } ]\n");
        string asks = $"udp {Nets.At(6, 1, 4000)} > {Nets.At(6, 2, 53)}";
        string error = $"icmp {Nets.At(6, 3)} > {Nets.At(6, 1)} type={type} code={code}{(type == 2 ? " mtu=1280" : "")} quote=\"{asks} len=10\"";
        net.Sends("outside: " + error);
        net.Expects(DropReason.StrayIcmpError, 1);
        net.Sends($"inside: {asks} len=10");
        net.Sends("outside: " + error);
        net.Hears("inside", error);
        net.Expects(DropReason.StrayIcmpError, 1);
    }

    /// <summary>RFC 4890 §4.4.1: what a bridge must let pass, with the rules of every sample that is one.</summary>
    [Theory]
    [InlineData("inside: icmp fe80::5 > ff02::2 router-solicitation len=8 ttl=255")]
    [InlineData("outside: icmp fe80::fe > ff02::1 router-advertisement len=24 ttl=255")]
    [InlineData("inside: icmp fe80::5 > ff02::1:ff00:fe neighbour-solicitation len=24 ttl=255")]
    [InlineData("outside: icmp fe80::fe > ff02::1:ff00:5 neighbour-solicitation len=24 ttl=255")]
    [InlineData("inside: icmp fe80::5 > fe80::fe neighbour-advertisement len=24 ttl=255")]
    [InlineData("outside: icmp fe80::fe > fe80::5 neighbour-advertisement len=24 ttl=255")]
    [InlineData("outside: icmp fe80::fe > ff02::1 multicast-listener-query len=20 ttl=1")]
    [InlineData("inside: icmp fe80::5 > ff02::fb multicast-listener-report len=16 ttl=1")]
    [InlineData("inside: icmp fe80::5 > ff02::2 multicast-listener-done len=16 ttl=1")]
    [InlineData("inside: icmp fe80::5 > ff02::16 multicast-listener-report-v2 len=20 ttl=1")]
    public void The_samples_let_the_link_work(string line)
    {
        foreach (string sample in (string[])["rules/bridge.yaml", "rules/office.yaml", "rules/permissive.yaml"])
        {
            var net = new TestNet(sample);
            net.Sends(line);
            Assert.NotNull(net.Take(line.StartsWith("inside", StringComparison.Ordinal) ? "outside" : "inside", null));
            net.ExpectsNoDrops();
        }
    }

    private static string Line(int family, int type) => $"icmp {Nets.At(family, 2)} > {Nets.At(family, 1)} type={type} len=24";
}

using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules.Compile;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Tests.Rules.Analysis;

/// <summary>
/// A world so small that each of its packets can be asked for: rules are drawn from a few addresses, services and ports, and all that
/// they tell apart is enumerated. What the analysis says is held against that.
/// </summary>
internal static class TinyWorld
{
    public static readonly ImmutableArray<PortConfig> Ports =
    [
        Port("outside", 0, Side.Unprotected), Port("inside", 1, Side.Protected), Port("guests", 2, Side.Protected),
    ];

    private static readonly Address[] s_four = [.. new[] { "192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1" }.Select(Address.Parse)];
    private static readonly Address[] s_six = [.. new[] { "2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:f::1" }.Select(Address.Parse)];

    private static readonly Service[] s_services =
    [
        new(IpProtocol.Tcp, new(22, 22)), new(IpProtocol.Tcp, new(80, 81)), new(IpProtocol.Tcp, PortRange.All), new(IpProtocol.Udp, new(53, 53)), new(IpProtocol.Udp, PortRange.All),
        new(IpProtocol.Icmp, new(8, 8)), new(IpProtocol.IcmpV6, new(128, 128)), new(IpProtocol.IcmpV6, PortRange.All), new(IpProtocol.IcmpV6, new(139, 139)), new(IpProtocol.Gre, PortRange.All),
    ];

    /// <summary>Protocol, destination port or type and code.</summary>
    private static readonly (byte Protocol, ushort Port, byte Type)[] s_carried =
    [
        (IpProtocol.Tcp, 22, 0), (IpProtocol.Tcp, 80, 0), (IpProtocol.Tcp, 443, 0), (IpProtocol.Udp, 53, 0), (IpProtocol.Udp, 9, 0), (IpProtocol.Icmp, 0, 8), (IpProtocol.Icmp, 0, 13),
        (IpProtocol.IcmpV6, 0, 128), (IpProtocol.IcmpV6, 0, 139), (IpProtocol.IcmpV6, 0, 140), (IpProtocol.IcmpV6, 0, 133), (IpProtocol.Gre, 0, 0), (IpProtocol.Esp, 0, 0),
    ];

    /// <summary>Every packet that the rules of this world tell from another.</summary>
    public static IReadOnlyList<OpeningFacts> Packets { get; } = [.. Enumerate()];

    public static Ruleset Random(Random random, int rules) => Of([.. Enumerable.Range(0, rules).Select(i => RandomRule(random, i))], random);

    public static Ruleset Of(ImmutableArray<Rule> rules, Random? random = null) => new()
    {
        File = "tiny.yaml",
        Ports = Ports,
        Mode = RunMode.Bridge,
        Rules = rules,
        Defaults = new Defaults { Out = new(random?.Next(3) == 0 ? RuleAction.Allow : RuleAction.Drop, null) },
    };

    public static Rule RandomRule(Random random, int number)
    {
        RuleAction action = random.Next(11) switch { 0 or 1 => RuleAction.Drop, 2 or 3 => RuleAction.Reject, 4 => RuleAction.Count, _ => RuleAction.Allow };
        bool hasPorts = random.Next(6) == 0;
        Conditions? conditions = random.Next(4) switch
        {
            0 => new Conditions { Dscp = 1UL << 46 },
            1 when random.Next(2) == 0 => new Conditions { Longest = 100 },
            _ => null,
        };
        return new Rule
        {
            Name = $"r{number}",
            At = new SourceMark("tiny.yaml", number + 1, 1),
            Action = action,
            From = Zones(random),
            To = Zones(random),
            Source = Addresses(random),
            Destination = Addresses(random),
            Service = hasPorts ? ServiceSet.Of([s_services[random.Next(5)]])
                : random.Next(2) == 0 ? null : ServiceSet.Of(Enumerable.Range(0, random.Next(1, 4)).Select(_ => s_services[random.Next(s_services.Length)])),
            SourcePorts = hasPorts ? [new PortRange(0, 1023)] : [],
            Families = random.Next(8) == 0 ? Families.IPv4 : random.Next(8) == 0 ? Families.IPv6 : Families.Both,
            Vlan = random.Next(8) switch { 0 => VlanMatch.Untagged, 1 => new VlanMatch([20]), 2 => new VlanMatch([VlanStack.Identifiers(VlanStack.Push(VlanStack.Push(0, 20), 7))]), _ => null },
            Conditions = conditions,
            Log = action != RuleAction.Allow && random.Next(6) == 0,
            Pinhole = action == RuleAction.Allow && random.Next(6) == 0 ? PinholeKind.OneAnswer : PinholeKind.Flow,
        };
    }

    /// <summary>Which rule decides on each packet, and what it then does; where wanted, also which rules count it.</summary>
    public static (string Rule, string Does)[] Decisions(Ruleset ruleset, bool counted = false)
    {
        CompiledRuleset compiled = RulesetCompiler.Compile(ruleset);
        return [.. Packets.Select(facts =>
        {
            Judgement judgement = compiled.Judge(facts);
            string name = compiled.Name(judgement.Rule).Name;
            bool forbidden = facts.Key.Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6 && !judgement.NamesIcmp
                && IcmpClasses.Of(facts.Key.Protocol, facts.IcmpType) == IcmpClass.Named;
            string does = $"{(judgement.Verdict == Verdict.Pass && forbidden ? "Forbidden" : judgement.Verdict)} {judgement.Pinhole} {judgement.Log}";
            for (int rule = 0; counted && (rule = compiled.Next(RuleKinds.Counting, facts, rule)) != 0 && rule < judgement.Rule;)
            {
                does += $", counted by {compiled.Name(rule).Name}";
            }

            return (name, does);
        })];
    }

    private static ushort Zones(Random random) => random.Next(3) == 0 ? (ushort)random.Next(1, 8) : Rule.AnyPort;

    private static AddressSet? Addresses(Random random) => random.Next(3) == 0 ? null : AddressSet.Of(Enumerable.Range(0, random.Next(1, 4)).Select(_ => random.Next(4) switch
    {
        0 => new AddressRange(s_four[0], s_four[random.Next(3)]),
        1 => new AddressRange(s_six[0], s_six[random.Next(3)]),
        2 when random.Next(2) == 0 => AddressRange.AllIPv4,
        2 => new AddressRange(new Address(0, 0), Address.FirstIPv4.Previous()),
        _ => new AddressRange(s_six[1], s_six[3]),
    }));

    private static IEnumerable<OpeningFacts> Enumerate()
    {
        Address[] four = [.. s_four, Address.Parse("203.0.113.200")], six = [.. s_six, Address.Parse("2a00::1"), new Address(0, 5)];
        uint twenty = VlanStack.Push(0u, 20);
        foreach (Address[] family in new[] { four, six })
        {
            foreach (Address source in family)
            {
                foreach (Address destination in family)
                {
                    foreach ((byte protocol, ushort port, byte type) in s_carried)
                    {
                        if ((protocol == IpProtocol.Icmp && family == six) || (protocol == IpProtocol.IcmpV6 && family == four))
                        {
                            continue;
                        }

                        foreach (int zones in new[] { 1, 2, 0x10, 0x12, 0x20, 0x21 })
                        {
                            for (int rest = 0; rest < 2 * 4 * 2 * 2; rest++)
                            {
                                bool ports = IpProtocol.HasPorts(protocol);
                                if ((rest & 1) != 0 && !ports)
                                {
                                    continue;
                                }

                                uint segment = ((rest >> 1) & 3) switch { 0 => 0u, 1 => twenty, 2 => VlanStack.Push(0u, 30), _ => VlanStack.Push(twenty, 7) };
                                PortConfig ingress = Ports[zones >> 4], egress = Ports[zones & 15];
                                Direction way = ingress.Side == egress.Side ? Direction.Across : ingress.Side == Side.Protected ? Direction.Out : Direction.In;
                                FlowKey key = new(source, destination, ports ? (ushort)((rest & 1) == 0 ? 40000 : 1000) : (ushort)0, port, protocol, segment);
                                yield return new OpeningFacts(key, (byte)(zones >> 4), (byte)(zones & 15), way, protocol == IpProtocol.Tcp ? TcpFlags.Syn : 0, type, 0, (byte)(((rest >> 3) & 1) * (46 << 2)), 0)
                                {
                                    PacketLength = (ushort)((rest >> 4) == 0 ? 80 : 120),
                                    SourceMac = 2,
                                    DestinationMac = 4,
                                };
                            }
                        }
                    }
                }
            }
        }
    }

    private static PortConfig Port(string name, byte number, Side side) =>
        new() { Name = name, At = new("tiny.yaml", 1, 1), Number = number, Kind = PortKind.Nic, Device = $"eth{number}", Side = side };
}

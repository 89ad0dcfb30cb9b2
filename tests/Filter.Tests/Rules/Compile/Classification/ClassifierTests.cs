using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Compile.Classification;
using Filter.Rules.Policy;
using Filter.Tests.Worlds;

namespace Filter.Tests.Rules.Compile.Classification;

public sealed class ClassifierTests
{
    private static readonly string s_sets = Path.Combine(Repository.Root, "..", "shared", "classbench");

    public static TheoryData<string> Sets => new(Directory.Exists(s_sets)
        ? Directory.GetFiles(s_sets, "*.rules.gz").Select(static path => Path.GetFileName(path).Replace(".rules.gz", "", StringComparison.Ordinal)).Order()
        : ["none"]);

    [Theory]
    [MemberData(nameof(Sets))]
    public void Every_packet_of_ClassBench_meets_the_rule_that_is_expected(string name)
    {
        Assert.SkipUnless(Directory.Exists(s_sets), "../shared/classbench is absent");
        ClassBenchSet set = ClassBenchSet.Read(s_sets, name);
        Classifier classifier = Built(set.Rules);
        Assert.NotEmpty(set.Packets);
        Assert.Equal(set.Expected, set.Packets.Select(packet => First(classifier, packet)));
    }

    [Fact]
    public void Whatever_rules_say_their_candidates_are_those_of_a_scan_in_order_and_complete()
    {
        Random random = Fuzzing.Seeded(out int seed);
        for (int round = 0; round < Fuzzing.Rounds(120); round++)
        {
            IndexedRule[] rules = [.. Enumerable.Range(0, random.Next(random.Next(3) == 0 ? 3000 : 60)).Select(_ => AnyRule(random))];
            Classifier classifier = Built(rules);
            LinearScan scan = new(rules);
            for (int i = 0; i < 60; i++)
            {
                OpeningFacts packet = AnyPacket(random);
                string where = $"seed {seed}, round {round}, {rules.Length} rules, {packet}";
                Agrees<Lanes512>(classifier, scan, packet, where);
                Agrees<Lanes256>(classifier, scan, packet, where);
                Agrees<Lanes64>(classifier, scan, packet, where);
            }
        }
    }

    [Theory]
    [InlineData("acl", false)]
    [InlineData("fw", false)]
    [InlineData("ipc", false)]
    [InlineData("acl", true)]
    [InlineData("fw", true)]
    public void A_hundred_thousand_rules_agree_with_a_scan_and_take_less_memory_than_they_may(string kind, bool v6)
    {
        Fuzzing.Seeded(out int seed);
        IndexedRule[] rules = MadeRules.Make(kind, 100_000, seed, v6);
        Classifier classifier = Built(rules);
        LinearScan scan = new(rules);
        foreach (OpeningFacts packet in MadeRules.Packets(rules, 300, seed, v6))
        {
            Assert.True(scan.Next(packet) == First(classifier, packet), $"seed {seed}: {packet}");
        }

        Assert.InRange(classifier.Size, 1, 100_000_000);
    }

    [Fact]
    public void Rules_over_groups_of_prefixes_are_not_expanded()
    {
        Random random = Fuzzing.Seeded(out int seed);
        AddressSet[] groups = [.. Enumerable.Range(0, 1000).Select(_ => AddressSet.Of(Enumerable.Range(0, 100).Select(_ => Network(random, random.Next(2) == 0))))];
        IndexedRule[] rules = [.. Enumerable.Range(0, 10_000).Select(i => Any with { Source = groups[random.Next(1000)], Destination = groups[random.Next(1000)], Service = Tcp(random.Next(1, 100)) })];
        Classifier classifier = Built(rules);
        LinearScan scan = new(rules);
        Assert.InRange(classifier.Size, 1, 20_000_000);
        for (int i = 0; i < 1000; i++)
        {
            bool v6 = random.Next(2) == 0;
            IndexedRule rule = rules[random.Next(rules.Length)];
            IndexedRule ofFamily = rule with { Source = rule.Source!.Only(v6 ? Families.IPv6 : Families.IPv4), Destination = rule.Destination!.Only(v6 ? Families.IPv6 : Families.IPv4) };
            OpeningFacts packet = MadeRules.Packet(random, ofFamily, ofFamily, v6);
            Assert.True(scan.Next(packet) == First(classifier, packet), $"seed {seed}: {packet}");
        }
    }

    [Fact]
    public void More_rules_than_a_line_of_words_has_bits_are_no_matter()
    {
        // 262,144 rules fill 512 blocks.
        Random random = Fuzzing.Seeded(out int seed);
        IndexedRule[] rules = [.. Enumerable.Range(0, 300_000).Select(i => Any with { Destination = Host((uint)i), Service = Tcp(i % 7) })];
        Classifier classifier = Built(rules);
        for (int i = 0; i < 1000; i++)
        {
            int rule = random.Next(rules.Length);
            OpeningFacts packet = Packet("192.0.2.1", Address.FromIPv4((uint)rule).ToString(), IpProtocol.Tcp, rule % 7);
            Assert.True(First(classifier, packet) == rule, $"seed {seed}: {rule}");
        }

        Assert.Equal(-1, First(classifier, Packet("192.0.2.1", Address.FromIPv4(300_000).ToString(), IpProtocol.Tcp, 1)));
    }

    [Fact]
    public void The_first_and_the_last_address_of_both_families_are_found()
    {
        string[] ends = ["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::fffe:ffff:ffff", "::1:0:0:0"];
        IndexedRule[] rules = [.. ends.Select(static end => Any with { Source = Only(end), Destination = Only(end) })];
        Classifier classifier = Built(rules);
        for (int i = 0; i < ends.Length; i++)
        {
            Assert.Equal(i, First(classifier, Packet(ends[i], ends[i], IpProtocol.Udp, 1)));
        }

        Assert.Equal(-1, First(classifier, Packet("0.0.0.1", "0.0.0.0", IpProtocol.Udp, 1)));
        Assert.Equal(-1, First(classifier, Packet("::", "::1", IpProtocol.Udp, 1)));
    }

    [Fact]
    public void What_all_of_a_family_is_to_a_rule_is_nothing_of_the_other()
    {
        AddressSet all4 = AddressSet.Any.Only(Families.IPv4), all6 = AddressSet.Any.Only(Families.IPv6);
        Classifier classifier = Built([Any with { Source = all4 }, Any with { Destination = all6 }]);

        Assert.Equal(0, First(classifier, Packet("255.255.255.255", "0.0.0.0", IpProtocol.Udp, 1)));
        Assert.Equal(1, First(classifier, Packet("::", "ffff::1", IpProtocol.Udp, 1)));
    }

    [Fact]
    public void No_rules_and_rules_that_nothing_matches_have_no_candidates()
    {
        OpeningFacts four = Packet("192.0.2.1", "192.0.2.2", IpProtocol.Tcp, 22), six = Packet("2001:db8::1", "2001:db8::2", IpProtocol.Tcp, 22);
        IndexedRule[] never =
        [
            Any with { Source = AddressSet.Empty }, Any with { Destination = AddressSet.Empty }, Any with { Service = ServiceSet.Of([]) },
            Any with { From = 0 }, Any with { To = 0 }, Any with { Families = Families.None },
        ];
        foreach (IndexedRule[] rules in (IndexedRule[][])[[], never])
        {
            Assert.Equal((-1, -1), (First(Built(rules), four), First(Built(rules), six)));
        }

        Assert.Equal((6, 6), (First(Built([.. never, Any]), four), First(Built([.. never, Any]), six)));
    }

    [Fact]
    public void One_rule_that_says_nothing_is_the_only_candidate_and_told_once()
    {
        Built([Any]).Find(Packet("192.0.2.1", "192.0.2.2", IpProtocol.Gre, 0), out Candidates found);
        Assert.Equal((0, -1, -1), (Classifier.Next(ref found), Classifier.Next(ref found), Classifier.Next(ref found)));
    }

    [Fact]
    public void Every_rule_of_many_that_match_is_told_in_order()
    {
        IndexedRule[] rules = [.. Enumerable.Range(0, 5000).Select(static i => i % 3 == 0 ? Any : Any with { Service = Tcp(i % 5) })];
        Built(rules).Find(Packet("192.0.2.1", "192.0.2.2", IpProtocol.Tcp, 4), out Candidates found);
        for (int i = 0; i < rules.Length; i++)
        {
            if (i % 3 == 0 || i % 5 == 4)
            {
                Assert.Equal(i, Classifier.Next(ref found));
            }
        }

        Assert.Equal(-1, Classifier.Next(ref found));
    }

    [Fact]
    public void Wide_rules_at_random_stay_within_bounds_and_agree()
    {
        Random random = Fuzzing.Seeded(out int seed);
        IndexedRule[] rules = [.. Enumerable.Range(0, 10_000).Select(_ => WideRule(random))];
        Classifier classifier = Built(rules);
        LinearScan scan = new(rules);
        foreach (OpeningFacts packet in Enumerable.Range(0, 2000).Select(_ => MadeRules.Packet(random, rules[random.Next(10_000)], rules[random.Next(10_000)], v6: false)))
        {
            Assert.True(scan.Next(packet) == First(classifier, packet), $"seed {seed}: {packet}");
        }

        Assert.InRange(classifier.Size, 1, Classifier.MostBytes);
    }

    [Fact]
    public void Rules_that_need_more_memory_than_they_may_are_refused_with_the_field_and_the_widest()
    {
        Random random = Fuzzing.Seeded(out _);
        IndexedRule[] rules = [.. Enumerable.Range(0, 3000).Select(_ => WideRule(random))];
        rules[1234] = rules[1234] with { Source = AddressSet.Of([new(Address.Parse("1.0.0.0"), Address.Parse("254.0.0.0"))]) };
        Assert.Null(Classifier.Build(rules, out Oversize? oversize, most: 700_000));
        Assert.NotNull(oversize);
        Assert.Equal("sources", oversize.What);
        Assert.Equal(1234, oversize.Widest[0]);
        Assert.InRange(oversize.Classes, 1000, 7000);
    }

    [Fact]
    public void A_lookup_allocates_nothing()
    {
        IndexedRule[] rules = MadeRules.Make("fw", 3000, 1);
        OpeningFacts[] packets = MadeRules.Packets(rules, 1000, 2);
        Classifier classifier = Built(rules);
        int found = 0;
        long allocated = Allocations.Least(() =>
        {
            foreach (ref readonly OpeningFacts packet in packets.AsSpan())
            {
                classifier.Find(packet, out Candidates candidates);
                while (Classifier.Next(ref candidates) >= 0)
                {
                    found++;
                }
            }
        });

        Assert.Equal(0, allocated);
        Assert.NotEqual(0, found);
    }

    private static IndexedRule Any => new(null, null, null, [], Rule.AnyPort, Rule.AnyPort, Families.Both);

    private static Classifier Built(IndexedRule[] rules)
    {
        Classifier? classifier = Classifier.Build(rules, out Oversize? oversize);
        Assert.Null(oversize);
        return classifier!;
    }

    private static int First(Classifier classifier, in OpeningFacts packet)
    {
        classifier.Find(packet, out Candidates found);
        return Classifier.Next(ref found);
    }

    private static void Agrees<TLanes>(Classifier classifier, LinearScan scan, in OpeningFacts packet, string where)
        where TLanes : struct, ILanes
    {
        classifier.Find<TLanes>(packet, out Candidates found);
        int expected = -1;
        do
        {
            expected = scan.Next(packet, expected);
            int told = Classifier.Next<TLanes>(ref found);
            Assert.True(told == expected, $"{typeof(TLanes).Name}: {told}, not {expected}: {where}");
        }
        while (expected >= 0);
    }

    private static ServiceSet Tcp(int port) => ServiceSet.Of([new Service(IpProtocol.Tcp, new((ushort)port, (ushort)port))]);

    private static AddressSet Host(uint address) => AddressSet.Of([new(Address.FromIPv4(address), Address.FromIPv4(address))]);

    private static AddressSet Only(string address) => AddressSet.Of([new(Address.Parse(address), Address.Parse(address))]);

    private static OpeningFacts Packet(string source, string destination, byte protocol, int port) =>
        new(new FlowKey(Address.Parse(source), Address.Parse(destination), 40000, (ushort)port, protocol, 0), 1, 0, Direction.Out, 0, 0, 0, 0, 0);

    private static AddressRange Network(Random random, bool v6) =>
        Prefix.Around(MadeRules.Address(random, v6), v6 ? random.Next(32, 129) : random.Next(16, 33)).Range;

    /// <summary>Nothing real: as wide as a quarter of everything, in every field.</summary>
    private static IndexedRule WideRule(Random random)
    {
        return Any with { Source = Wide(), Destination = Wide(), Service = ServiceSet.Of([new Service(IpProtocol.Tcp, Ports(random))]), SourcePorts = [Ports(random)] };

        AddressSet Wide()
        {
            uint first = (uint)random.NextInt64(1L << 32);
            return AddressSet.Of([new(Address.FromIPv4(first), Address.FromIPv4((uint)Math.Min(uint.MaxValue, first + random.NextInt64(1L << 30))))]);
        }
    }

    private static PortRange Ports(Random random)
    {
        int first = random.Next(65536);
        return new((ushort)first, (ushort)random.Next(first, 65536));
    }

    /// <summary>Of few values, so that rules overlap and packets meet them.</summary>
    private static IndexedRule AnyRule(Random random)
    {
        return new(Addresses(), Addresses(), random.Next(4) == 0 ? null : ServiceSet.Of(Enumerable.Range(0, random.Next(3) + (random.Next(9) > 0 ? 1 : 0)).Select(_ => AnyService(random))),
            random.Next(3) > 0 ? [] : [.. Enumerable.Range(0, random.Next(1, 3)).Select(_ => Ports(random))],
            Mask(), Mask(), random.Next(4) == 0 ? (Families)random.Next(4) : Families.Both);

        ushort Mask() => random.Next(3) == 0 ? (ushort)random.Next(65536) : Rule.AnyPort;

        AddressSet? Addresses()
        {
            AddressSet set = AddressSet.Of(Enumerable.Range(0, random.Next(4)).Select(_ => Few(random)));
            return random.Next(8) switch { 0 or 1 => null, 2 => AddressSet.Any.Except(set), 3 => set, _ => set.IsEmpty ? null : set };
        }
    }

    private static AddressRange Few(Random random)
    {
        Address at = FewAddress(random);
        return at.IsIPv4 ? Prefix.Around(at, random.Next(4) == 0 ? 32 : random.Next(33)).Range
            : random.Next(9) == 0 ? new(at, AddressRange.Everything.Last)
            : Prefix.Around(at, random.Next(3) == 0 ? 128 : random.Next(129)).Range;
    }

    private static Address FewAddress(Random random) => random.Next(5) switch
    {
        0 => Address.FromIPv4((uint)random.Next(4) << 30 | (uint)random.Next(3)),
        1 => Address.FromIPv4(uint.MaxValue - (uint)random.Next(2)),
        2 => new(0x2001_0db8_0000_0000UL + (ulong)random.Next(3), (ulong)random.Next(20)),
        3 => new((ulong)random.Next(2), (ulong)random.Next(3) << 47),
        _ => new(ulong.MaxValue, ulong.MaxValue - (ulong)random.Next(2)),
    };

    private static Service AnyService(Random random) => random.Next(4) switch
    {
        0 => new(IpProtocol.Icmp, random.Next(2) == 0 ? PortRange.All : new((ushort)random.Next(4), (ushort)random.Next(4, 9)), (byte)random.Next(2), (byte)random.Next(2, 256)),
        1 => new((byte)random.Next(256), PortRange.All),
        _ => new(random.Next(2) == 0 ? IpProtocol.Tcp : IpProtocol.Sctp, Ports(random)),
    };

    private static OpeningFacts AnyPacket(Random random)
    {
        Address source = FewAddress(random), destination = FewAddress(random);
        while (source.IsIPv4 != destination.IsIPv4)
        {
            destination = FewAddress(random);
        }

        ImmutableArray<byte> protocols = [IpProtocol.Tcp, IpProtocol.Sctp, IpProtocol.Udp, IpProtocol.Icmp, (byte)random.Next(256)];
        byte protocol = protocols[random.Next(protocols.Length)];
        bool hasPorts = IpProtocol.HasPorts(protocol), isIcmp = protocol is IpProtocol.Icmp or IpProtocol.IcmpV6;
        FlowKey key = new(source, destination, (ushort)(hasPorts ? random.Next(65536) : 0), (ushort)(hasPorts ? random.Next(65536) : 0), protocol, 0);
        return new(key, (byte)random.Next(16), (byte)random.Next(16), Direction.Out, 0, (byte)(isIcmp ? random.Next(10) : 0), (byte)(isIcmp ? random.Next(4) : 0), 0, 0);
    }
}

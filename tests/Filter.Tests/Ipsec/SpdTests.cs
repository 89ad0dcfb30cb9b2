using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Rules.Analysis;
using Filter.Rules.Compile;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

public sealed class SpdTests
{
    private static readonly byte[] s_protocols = [6, 17, 1, 58, 47, 132, 135];

    [Fact]
    public void The_index_finds_what_a_scan_finds_in_both_directions()
    {
        int seed = Environment.TickCount;
        Random random = new(seed);
        for (int round = 0; round < 60; round++)
        {
            Spd spd = World(random, random.Next(1, 60), wide: true);
            for (int i = 0; i < 500; i++)
            {
                OpeningFacts facts = Packet(random, wide: true);
                Assert.True(spd.Scan(facts) == spd.Find(facts), $"seed {seed}, round {round}: {facts}");

                bool inbound = facts.Direction == Direction.In;
                FlowKey way = inbound ? facts.Key.Reverse : facts.Key;
                SpdEntry? opaque = spd.Entries.FirstOrDefault(entry => entry.Policy.Opaque && entry.Speaks(facts.Direction)
                    && entry.IsBetween(way.Source, way.Destination) && entry.Policy.Service?.Services.Any(one => one.Protocol == way.Protocol) != false);
                Assert.True(opaque == spd.FindOpaque(way, inbound), $"opaque, seed {seed}, round {round}: {facts}");
            }
        }
    }

    [Fact]
    public void Decorrelated_entries_are_disjoint_and_decide_as_the_ordered_list()
    {
        int seed = Environment.TickCount;
        Random random = new(seed);
        for (int round = 0; round < 40; round++)
        {
            Spd spd = World(random, random.Next(1, 9), wide: false);
            foreach (Direction direction in (Direction[])[Direction.Out, Direction.In])
            {
                ImmutableArray<ImmutableArray<PolicyBox>> boxes = spd.Decorrelated(direction)!.Value;
                foreach (OpeningFacts facts in EveryPacket(direction))
                {
                    FlowKey way = direction == Direction.In ? facts.Key.Reverse : facts.Key;
                    byte type = SpdEntry.Query(way.Protocol, facts.IcmpType);
                    int[] holders = [.. boxes.SelectMany((own, i) => own.Where(box => box.Contains(way, type, facts.IcmpCode)).Select(_ => i + 1))];
                    SpdEntry? decides = spd.Scan(facts);
                    Assert.True(decides is null ? holders.Length == 0 : holders.Length == 1 && holders[0] == decides.Number, $"seed {seed}, round {round}: {facts}");
                }
            }
        }
    }

    [Fact]
    public void Ten_thousand_policies_are_found_without_allocating()
    {
        ImmutableArray<IpsecPolicy> policies = [.. Enumerable.Range(1, 10_000).Select(static i => Gateway.Policy(i, IpsecAction.Bypass, remote: $"10.{i >> 8}.{i & 255}.0-10.{i >> 8}.{i & 255}.255"))];
        Spd spd = IpsecDatabases.Build(Gateway.Config(policies), []).Spd!;
        OpeningFacts facts = new(new FlowKey(Address.Parse("192.0.2.1"), Address.Parse("10.39.16.5"), 1, 2, 6, 0), 0, 1, Direction.Out, TcpFlags.None, 0, 0, 0, 0);

        Assert.Equal((ushort)10_000, spd.Find(facts)!.Number);
        Assert.Equal(0, Allocations.Least(() => spd.Find(facts)));
        Assert.True(PolicyIndex.Of(policies)!.Size < 20_000_000);
    }

    [Fact]
    public void What_no_entry_selects_is_dropped_unless_the_last_one_takes_it()
    {
        OpeningFacts facts = new(new FlowKey(Address.Parse("10.1.0.1"), Address.Parse("10.9.0.1"), 1, 2, 6, 0), 0, 1, Direction.Out, TcpFlags.None, 0, 0, 0, 0);
        using Gateway closed = new(Gateway.Config([Gateway.Policy(1, IpsecAction.Bypass, remote: "10.2.0.1")]));
        using Gateway open = new(Gateway.Config([Gateway.Policy(1, IpsecAction.Drop, remote: "10.2.0.1"), Gateway.Policy(2, IpsecAction.Bypass)]));

        foreach (Direction direction in (Direction[])[Direction.Out, Direction.In])
        {
            Assert.Equal((IpsecAction.Drop, (ushort)0), Said(closed, facts with { Direction = direction }));
            Assert.Equal((IpsecAction.Bypass, (ushort)2), Said(open, facts with { Direction = direction }));
        }
    }

    private static (IpsecAction Action, ushort Policy) Said(Gateway gateway, in OpeningFacts facts)
    {
        Engine.Path.IpsecDecision decision = gateway.Stage.Decide(facts);
        return (decision.Action, decision.Policy);
    }

    private static Spd World(Random random, int policies, bool wide) =>
        IpsecDatabases.Build(Gateway.Config([.. Enumerable.Range(1, policies).Select(i => Policy(random, i, wide))]), []).Spd!;

    private static IpsecPolicy Policy(Random random, int number, bool wide)
    {
        int ways = random.Next(4);
        ServiceSet? service = random.Next(4) == 0 ? null : ServiceSet.Of(Enumerable.Range(0, random.Next(1, 4)).Select(_ => Service(random, wide)));
        bool opaque = wide && random.Next(5) == 0;
        if (opaque)
        {
            service = service is null ? null : ServiceSet.Of(service.Services.Select(static one => new Service(one.Protocol, PortRange.All)));
        }

        bool ports = !opaque && service is not null && service.Services.All(static s => s.Protocol is 6 or 17 or 132);
        return new IpsecPolicy
        {
            Name = $"p{number}",
            At = default,
            Number = (ushort)number,
            Action = (IpsecAction)random.Next(1, 3),
            Local = Addresses(random, wide),
            Remote = Addresses(random, wide),
            Service = service,
            LocalPorts = ports && random.Next(2) == 0 ? PortRange.Merge(Enumerable.Range(0, random.Next(1, 3)).Select(_ => Ports(random, wide))) : [],
            Opaque = opaque,
            Outbound = ways != 1,
            Inbound = ways != 2,
        };
    }

    private static Service Service(Random random, bool wide)
    {
        byte protocol = s_protocols[random.Next(s_protocols.Length)];
        if (protocol == 135 && random.Next(2) == 0)
        {
            byte mobility = (byte)random.Next(4);
            return new Service(protocol, new PortRange(mobility, mobility));
        }

        if (protocol is not (1 or 58))
        {
            return new Service(protocol, protocol is 47 or 135 || random.Next(3) == 0 ? PortRange.All : Ports(random, wide));
        }

        byte query = protocol == 1 ? (byte)8 : (byte)128;
        byte type = random.Next(2) == 0 ? query : (byte)random.Next(4), code = (byte)random.Next(2);
        return random.Next(3) switch
        {
            0 => new Service(protocol, PortRange.All),
            1 => new Service(protocol, new PortRange(type, type)),
            _ => new Service(protocol, new PortRange(type, type), code, code),
        };
    }

    private static PortRange Ports(Random random, bool wide)
    {
        ushort first = Port(random, wide), last = Port(random, wide);
        return new PortRange(Math.Min(first, last), Math.Max(first, last));
    }

    private static ushort Port(Random random, bool wide) => wide && random.Next(2) == 0 ? (ushort)random.Next(65536) : (ushort)random.Next(1, 5);

    private static AddressSet? Addresses(Random random, bool wide) => random.Next(3) == 0 ? null
        : AddressSet.Of(Enumerable.Range(0, wide && random.Next(10) == 0 ? 0 : random.Next(1, 3)).Select(_ =>
        {
            bool ipv4 = random.Next(2) == 0;
            Address one = Host(random, ipv4, wide), other = Host(random, ipv4, wide);
            return random.Next(12) == 0 ? AddressRange.Everything : new AddressRange(one < other ? one : other, one < other ? other : one);
        }));

    private static Address Host(Random random, bool ipv4, bool wide) => Host(ipv4, random.Next(4), wide ? random.Next(3) : 0);

    private static Address Host(bool ipv4, int host, int net) =>
        Address.Parse(ipv4 ? $"10.{net}.0.{host + 1}" : $"2001:db8:{net}::{host + 1}");

    private static OpeningFacts Packet(Random random, bool wide)
    {
        bool ipv4 = random.Next(2) == 0;
        byte protocol = s_protocols[random.Next(s_protocols.Length)];
        byte type = random.Next(3) == 0 ? (byte)random.Next(4) : (byte)(protocol == 1 ? random.Next(2) * 8 : 128 + random.Next(2));
        return new OpeningFacts(
            new FlowKey(Host(random, ipv4, wide), Host(random, ipv4, wide), Port(random, wide), Port(random, wide), protocol, 0), 0, 1,
            random.Next(2) == 0 ? Direction.Out : Direction.In, TcpFlags.None, type, protocol == 135 ? (byte)0 : (byte)random.Next(2), 0, 0);
    }

    /// <summary>Every packet of a tiny world: of each family two of its hosts and one outside, all ports and types that policies name, and some beside.</summary>
    private static IEnumerable<OpeningFacts> EveryPacket(Direction direction) =>
        from ipv4 in (bool[])[true, false]
        from source in Enumerable.Range(0, 5)
        from destination in Enumerable.Range(0, 5)
        from protocol in s_protocols
        from here in protocol is 6 or 17 or 132 ? Enumerable.Range(0, 6) : [0]
        from there in protocol is 6 or 17 or 132 ? Enumerable.Range(0, 6) : protocol is 1 ? [0, 1, 3, 8, 9] : protocol is 58 ? [1, 3, 128, 129] : protocol is 135 ? [0, 1, 2, 3, 4] : [0]
        from code in protocol is 1 or 58 ? Enumerable.Range(0, 3) : [0]
        select new OpeningFacts(
            new FlowKey(Host(ipv4, source, 0), Host(ipv4, destination, 0), (ushort)here, (ushort)there, protocol, 0), 0, 1, direction, TcpFlags.None,
            protocol is 1 or 58 or 135 ? (byte)there : (byte)0, (byte)code, 0, 0);
}

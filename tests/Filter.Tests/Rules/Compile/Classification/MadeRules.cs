using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Compile.Classification;
using Filter.Rules.Policy;

namespace Filter.Tests.Rules.Compile.Classification;

/// <summary>
/// Rules made up from a seed, in the manner of three kinds of sets: access lists (hosts behind narrow sources), firewalls
/// (wide rules, source ports), chains of a router (something of both). Networks nest as real ones do.
/// </summary>
internal sealed class MadeRules
{
    private readonly Random _random;
    private readonly bool _v6;
    private readonly Dictionary<Prefix, AddressSet> _sets = [];
    private readonly Dictionary<Service, ServiceSet> _services = [];
    private readonly List<Prefix> _sources, _destinations;
    private readonly PortRange[] _ports;

    private MadeRules(int seed, bool v6, int sources, int destinations, int ports, int narrowest)
    {
        _random = new Random(seed);
        _v6 = v6;
        Prefix[] roots = [.. Enumerable.Range(0, 12).Select(_ => Network(Anywhere(), 8))];
        _sources = Pool(roots, sources, narrowest);
        _destinations = Pool(roots, destinations, 16);
        _ports = [.. Enumerable.Range(0, ports).Select(_ => _random.Next(8) switch
        {
            0 => Between(_random.Next(1024), _random.Next(65536)),
            1 => new PortRange(1024, ushort.MaxValue),
            _ => One(_random.Next(4) == 0 ? _random.Next(1024, 65536) : _random.Next(1, 1024)),
        })];
    }

    /// <summary>Makes rules.</summary>
    /// <param name="kind"><c>acl</c>, <c>fw</c> or <c>ipc</c>.</param>
    /// <param name="count">How many.</param>
    /// <param name="seed">What they come from.</param>
    /// <param name="v6">IPv6 rather than IPv4.</param>
    public static IndexedRule[] Make(string kind, int count, int seed, bool v6 = false)
    {
        (double sources, double destinations, int ports, int narrowest, double wide, double sourcePorts) = kind switch
        {
            "acl" => (0.4, 0.08, 110, 22, 0.02, 0.0),
            "fw" => (0.35, 0.5, 45, 12, 0.15, 0.1),
            _ => (0.15, 0.3, 55, 14, 0.08, 0.15),
        };
        MadeRules made = new(seed, v6, (int)(count * sources) + 10, (int)(count * destinations) + 10, ports, narrowest);
        HashSet<(AddressSet?, AddressSet?, ServiceSet?, PortRange)> seen = [];
        List<IndexedRule> rules = [];
        for (int tries = 0; rules.Count < count && tries < 20 * count; tries++)
        {
            AddressSet? source = made._random.NextDouble() < wide ? null : made.Of(made._sources);
            AddressSet? destination = made._random.NextDouble() < wide ? null : made.Of(made._destinations);
            PortRange from = made._random.NextDouble() < sourcePorts ? made._ports[made._random.Next(Math.Min(12, ports))] : PortRange.All;
            ServiceSet? service = made.Service(kind == "acl" ? 0.88 : 0.55);
            if (seen.Add((source, destination, service, from)))
            {
                rules.Add(new(source, destination, service, from == PortRange.All ? [] : [from], Rule.AnyPort, Rule.AnyPort, Families.Both));
            }
        }

        // As people write them: what is narrow first.
        return [.. rules.OrderBy(static rule => (rule.Source is null ? 2 : 0) + (rule.Destination is null ? 2 : 0) + (rule.Service is null ? 1 : 0))];
    }

    /// <summary>Packets: three of four lie in a rule, some in a mixture of two, the others anywhere.</summary>
    public static OpeningFacts[] Packets(IndexedRule[] rules, int count, int seed, bool v6 = false)
    {
        Random random = new(seed);
        OpeningFacts[] packets = new OpeningFacts[count];
        for (int i = 0; i < count; i++)
        {
            IndexedRule a = rules[random.Next(rules.Length)], b = random.Next(100) < 15 ? rules[random.Next(rules.Length)] : a;
            packets[i] = random.Next(10) == 0
                ? Packet(random, default(IndexedRule) with { SourcePorts = [] }, default, v6)
                : Packet(random, a, b, v6);
        }

        return packets;
    }

    /// <summary>Packets from random sources and source ports to one service that a rule speaks of.</summary>
    public static OpeningFacts[] Flood(IndexedRule[] rules, int count, int seed, bool v6 = false)
    {
        Random random = new(seed);
        IndexedRule target = rules.Skip(rules.Length / 3).First(static rule => rule.Destination is not null && rule.Service is { IsAny: false } && rule.SourcePorts.IsEmpty);
        OpeningFacts to = Packet(random, target, target, v6);
        OpeningFacts[] packets = new OpeningFacts[count];
        for (int i = 0; i < count; i++)
        {
            packets[i] = to with { Key = to.Key with { Source = Address(random, v6), SourcePort = (ushort)random.Next(65536) } };
        }

        return packets;
    }

    /// <summary>A packet that one rule's source and another's destination and service match.</summary>
    public static OpeningFacts Packet(Random random, in IndexedRule a, in IndexedRule b, bool v6)
    {
        Service service = b.Service is { IsAny: false } set ? set.Services[random.Next(set.Services.Length)] : new((byte)(random.Next(3) == 0 ? random.Next(256) : IpProtocol.Tcp), PortRange.All);
        PortRange from = a.SourcePorts.IsDefaultOrEmpty ? PortRange.All : a.SourcePorts[random.Next(a.SourcePorts.Length)];
        FlowKey key = new(In(random, a.Source, v6), In(random, b.Destination, v6), (ushort)Point(random, from.First, from.Last),
            (ushort)Point(random, service.Ports.First, service.Ports.Last), service.Protocol, 0);
        return new(key, 1, 0, Direction.Out, 0, service.IsIcmp ? (byte)Point(random, service.Ports.First, Math.Min(service.Ports.Last, (ushort)255)) : (byte)0,
            service.IsIcmp ? (byte)Point(random, service.FirstCode, service.LastCode) : (byte)0, 0, 0);
    }

    /// <summary>An address anywhere.</summary>
    public static Address Address(Random random, bool v6) =>
        v6 ? new((ulong)random.NextInt64() << 1 | 1, (ulong)random.NextInt64() << 1) : Engine.Packets.Address.FromIPv4((uint)random.NextInt64(1L << 32));

    private static Address In(Random random, AddressSet? set, bool v6)
    {
        if (set is null || set.IsEmpty)
        {
            return Address(random, v6);
        }

        AddressRange range = set.Ranges[random.Next(set.Ranges.Length)];
        UInt128 first = new(range.First.High, range.First.Low), last = new(range.Last.High, range.Last.Low), span = last - first;
        UInt128 at = first + random.Next(4) switch
        {
            0 => 0,
            1 => span,
            _ => span == UInt128.MaxValue ? new UInt128((ulong)random.NextInt64(), (ulong)random.NextInt64()) : new UInt128((ulong)random.NextInt64() << 1, (ulong)random.NextInt64() << 1) % (span + 1),
        };
        return new((ulong)(at >> 64), (ulong)at);
    }

    private static int Point(Random random, int first, int last) => random.Next(4) switch
    {
        0 => first,
        1 => last,
        _ => random.Next(first, last + 1),
    };

    private static PortRange One(int port) => new((ushort)port, (ushort)port);

    private static PortRange Between(int a, int b) => new((ushort)Math.Min(a, b), (ushort)Math.Max(a, b));

    private AddressSet Of(List<Prefix> pool)
    {
        Prefix prefix = pool[_random.Next(pool.Count)];
        if (!_sets.TryGetValue(prefix, out AddressSet? set))
        {
            _sets.Add(prefix, set = AddressSet.Of(AddressSet.RangesOf(prefix)));
        }

        return set;
    }

    private ServiceSet? Service(double tcp)
    {
        double kind = _random.NextDouble();
        if (kind > 0.97)
        {
            return null;
        }

        Service service = kind < 0.03 ? new(_v6 ? IpProtocol.IcmpV6 : IpProtocol.Icmp, PortRange.All)
            : kind < 0.05 ? new(IpProtocol.Gre, PortRange.All)
            : new(kind < tcp ? IpProtocol.Tcp : IpProtocol.Udp, _random.Next(12) == 0 ? PortRange.All : _ports[_random.Next(_ports.Length)]);
        if (!_services.TryGetValue(service, out ServiceSet? set))
        {
            _services.Add(service, set = ServiceSet.Of([service]));
        }

        return set;
    }

    /// <summary>Networks within each other: each is drawn within an earlier one or a root.</summary>
    private List<Prefix> Pool(Prefix[] roots, int count, int narrowest)
    {
        HashSet<Prefix> pool = [];
        List<Prefix> drawn = [];
        for (int tries = 0; drawn.Count < count && tries < 20 * count; tries++)
        {
            Prefix within = drawn.Count > 20 && _random.Next(3) > 0 ? drawn[_random.Next(drawn.Count)] : roots[_random.Next(roots.Length)];
            int own = within.Base.IsIPv4 ? within.Length : within.Length >= 64 ? 32 : within.Length / 2;
            if (own >= 30)
            {
                continue;
            }

            int length = _random.Next(3) == 0 ? 32 : _random.Next(Math.Max(own + 1, Math.Min(narrowest, 31)), 33);
            Prefix prefix = Network(Within(within), length);
            if (pool.Add(prefix))
            {
                drawn.Add(prefix);
            }
        }

        return drawn;
    }

    private Prefix Network(Address address, int length) => Prefix.Around(address, !_v6 ? length : length == 32 ? 128 : 2 * length);

    private Address Anywhere() => _v6 ? new(0x2000_0000_0000_0000 | (ulong)_random.NextInt64() >> 3, (ulong)_random.NextInt64()) : Address(_random, false);

    /// <summary>An address in the network; low bits are rarer, so that networks crowd.</summary>
    private Address Within(Prefix network)
    {
        ulong bits = (ulong)_random.NextInt64() & (ulong)_random.NextInt64(), low = (ulong)_random.NextInt64();
        if (!_v6)
        {
            uint host = network.Length == 0 ? uint.MaxValue : (uint)((1UL << (32 - network.Length)) - 1);
            return Engine.Packets.Address.FromIPv4(network.Base.IPv4 | (uint)bits & host);
        }

        return network.Length >= 64
            ? new(network.Base.High, network.Base.Low | low & (network.Length >= 128 ? 0 : ulong.MaxValue >> (network.Length - 64)))
            : new(network.Base.High | bits & (ulong.MaxValue >> network.Length), low);
    }
}

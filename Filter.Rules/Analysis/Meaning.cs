using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Rules.Analysis;

/// <summary>The axes that every ruleset has; behind them one for each class of addresses and end.</summary>
internal enum AxisName
{
    /// <summary>Source address, in the common space.</summary>
    Source,

    /// <summary>Destination address.</summary>
    Destination,

    /// <summary>Protocol in bits 16 to 23; below it the destination port, or type and code of ICMP, or 0.</summary>
    Service,

    /// <summary>Source port; one more than the largest for what has none.</summary>
    SourcePort,

    /// <summary>Number of the port it comes in by in the upper four bits, of that it leaves by in the lower.</summary>
    Zones,

    /// <summary>Outer identifier in bits 12 to 23, inner below; 0 for no tag.</summary>
    Vlan,

    /// <summary>TCP flags; 256 for what has none.</summary>
    Flags,

    /// <summary>DSCP.</summary>
    Dscp,

    /// <summary>IPv6 extension headers, as <see cref="ExtensionHeaders"/> has them.</summary>
    Headers,

    /// <summary>1 for what came in fragments.</summary>
    Fragmented,

    /// <summary>Length of the IP packet.</summary>
    Size,

    /// <summary>Link address of the sender; 0 for none.</summary>
    SourceMac,

    /// <summary>Link address it was sent to; 0 for none.</summary>
    DestinationMac,

    /// <summary>Number of the IPsec policy it came by; 0 for the clear.</summary>
    ArrivedBy,

    /// <summary>Minute of the week.</summary>
    Minute,

    /// <summary>How many there are.</summary>
    Count,
}

/// <summary>A rule's matches as runs of values on axes. What is not there matches everything.</summary>
internal sealed class Shape
{
    private readonly Dictionary<int, IReadOnlyList<ValueRange>> _runs = [];

    /// <summary>The axes that it restricts, with the runs it lets through.</summary>
    public IReadOnlyDictionary<int, IReadOnlyList<ValueRange>> Runs => _runs;

    /// <summary>Restricts an axis; further, where it is restricted already.</summary>
    public void Set(AxisName axis, IReadOnlyList<ValueRange> runs) => Set((int)axis, runs);

    /// <summary>Restricts an axis of a class of addresses: 1 where it has the address.</summary>
    public void Set(int axis, bool has) => Set(axis, [has ? new(1, 1) : new(0, 0)]);

    private void Set(int axis, IReadOnlyList<ValueRange> runs) =>
        _runs[axis] = _runs.TryGetValue(axis, out IReadOnlyList<ValueRange>? before) ? Both(before, runs) : runs;

    private static List<ValueRange> Both(IReadOnlyList<ValueRange> a, IReadOnlyList<ValueRange> b)
    {
        List<ValueRange> both = [];
        foreach (ValueRange one in a)
        {
            foreach (ValueRange other in b)
            {
                UInt128 first = UInt128.Max(one.First, other.First), last = UInt128.Min(one.Last, other.Last);
                if (first <= last)
                {
                    both.Add(new(first, last));
                }
            }
        }

        return both;
    }

    /// <summary>One more with the same restrictions.</summary>
    public Shape Copy()
    {
        Shape copy = new();
        foreach ((int axis, IReadOnlyList<ValueRange> runs) in _runs)
        {
            copy._runs[axis] = runs;
        }

        return copy;
    }
}

/// <summary>What rules mean on the axes.</summary>
/// <param name="ports">The ports of which zones are made.</param>
internal sealed class Meaning(int ports)
{
    /// <summary>The flags of what is no TCP.</summary>
    public const int NoFlags = 256;

    /// <summary>The source port of what has none.</summary>
    public const int NoPort = 65536;

    private readonly List<(string Name, bool Source)> _classes = [];
    private readonly Dictionary<(string, bool), int> _classAxes = [];
    private readonly Dictionary<AddressSet, IReadOnlyList<ValueRange>> _addresses = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<ServiceSet, IReadOnlyList<ValueRange>> _services = new(ReferenceEqualityComparer.Instance);

    /// <summary>How many axes there are, now that rules were read.</summary>
    public int AxisCount => (int)AxisName.Count + _classes.Count;

    /// <summary>The class of addresses of an axis, and whether it is asked for the source.</summary>
    public (string Name, bool Source) ClassOf(int axis) => _classes[axis - (int)AxisName.Count];

    /// <summary>The largest value on an axis.</summary>
    public static UInt128 LastOf(int axis) => (AxisName)axis switch
    {
        AxisName.Source or AxisName.Destination => UInt128.MaxValue,
        AxisName.Service => 0xff_ffff,
        AxisName.SourcePort => NoPort,
        AxisName.Zones => 0xff,
        AxisName.Vlan => 0xff_ffff,
        AxisName.Flags => NoFlags,
        AxisName.Dscp => 63,
        AxisName.Headers => 15,
        AxisName.Fragmented => 1,
        AxisName.Size or AxisName.ArrivedBy => ushort.MaxValue,
        AxisName.SourceMac or AxisName.DestinationMac => LinkAddress.Broadcast,
        AxisName.Minute => Schedule.Week - 1,
        _ => 1,
    };

    /// <summary>An address on its axis.</summary>
    public static UInt128 ValueOf(Address address) => new(address.High, address.Low);

    /// <summary>The address of a value.</summary>
    public static Address AddressOf(UInt128 value) => new((ulong)(value >> 64), (ulong)value);

    /// <summary>The runs of a set of addresses.</summary>
    public static IReadOnlyList<ValueRange> RunsOf(AddressSet set)
    {
        List<ValueRange> runs = new(set.Ranges.Length);
        foreach (AddressRange range in set.Ranges)
        {
            runs.Add(new(ValueOf(range.First), ValueOf(range.Last)));
        }

        return runs;
    }

    /// <summary>The shapes whose union a rule matches.</summary>
    public IEnumerable<Shape> Of(Rule rule)
    {
        Shape shape = new();
        if (rule.Source is { } source)
        {
            shape.Set(AxisName.Source, Shared(source));
        }

        if (rule.Destination is { } destination)
        {
            shape.Set(AxisName.Destination, Shared(destination));
        }

        if (rule.Families != Families.Both)
        {
            // Source and destination of a packet are of one family.
            shape.Set(AxisName.Source, RunsOf(AddressSet.Any.Only(rule.Families)));
        }

        if (rule.Service is { IsAny: false } service)
        {
            shape.Set(AxisName.Service, Shared(service));
        }

        if (!rule.SourcePorts.IsEmpty)
        {
            shape.Set(AxisName.SourcePort, [.. rule.SourcePorts.Select(static r => new ValueRange(r.First, r.Last))]);
        }

        if (rule.From != Rule.AnyPort || rule.To != Rule.AnyPort)
        {
            shape.Set(AxisName.Zones, Zones(rule.From, rule.To));
        }

        if (rule.Vlan is { } vlan)
        {
            shape.Set(AxisName.Vlan, Vlans(vlan));
        }

        return rule.Conditions is { } conditions ? With(shape, conditions) : [shape];
    }

    /// <summary>The zones from some ports to others.</summary>
    public IReadOnlyList<ValueRange> Zones(ushort from, ushort to)
    {
        List<ValueRange> zones = [];
        for (int ingress = 0; ingress < ports; ingress++)
        {
            for (int egress = 0; egress < ports; egress++)
            {
                if (ingress != egress && ((from >> ingress) & (to >> egress) & 1) != 0)
                {
                    zones.Add(new((UInt128)((ingress << 4) | egress), (UInt128)((ingress << 4) | egress)));
                }
            }
        }

        return zones;
    }

    /// <summary>The runs of a service on its axis.</summary>
    public static IEnumerable<ValueRange> RunsOf(Service service)
    {
        UInt128 at = (UInt128)service.Protocol << 16;
        if (!service.HasTypes)
        {
            yield return IpProtocol.HasPorts(service.Protocol) ? new(at | service.Ports.First, at | service.Ports.Last) : new(at, at);
            yield break;
        }

        int last = Math.Min((int)service.Ports.Last, byte.MaxValue);
        if (service.FirstCode == 0 && service.LastCode == byte.MaxValue)
        {
            yield return new(at | (UInt128)(service.Ports.First << 8), at | (UInt128)((last << 8) | byte.MaxValue));
            yield break;
        }

        for (int type = service.Ports.First; type <= last; type++)
        {
            yield return new(at | (UInt128)((type << 8) | service.FirstCode), at | (UInt128)((type << 8) | service.LastCode));
        }
    }

    private IReadOnlyList<ValueRange> Shared(AddressSet set)
    {
        if (!_addresses.TryGetValue(set, out IReadOnlyList<ValueRange>? runs))
        {
            _addresses.Add(set, runs = RunsOf(set));
        }

        return runs;
    }

    private IReadOnlyList<ValueRange> Shared(ServiceSet set)
    {
        if (!_services.TryGetValue(set, out IReadOnlyList<ValueRange>? runs))
        {
            _services.Add(set, runs = [.. set.Services.SelectMany(RunsOf)]);
        }

        return runs;
    }

    private static List<ValueRange> Vlans(VlanMatch vlan) => vlan.Identifiers.IsEmpty
        ? [new(0, 0)]
        : [.. vlan.Identifiers.Select(static one =>
        {
            uint outer = (one & 0xfff) << 12, inner = one >> 12;
            return inner == 0 ? new ValueRange(outer, outer | 0xfff) : new ValueRange(outer | inner, outer | inner);
        })];

    private IEnumerable<Shape> With(Shape shape, Conditions conditions)
    {
        if (!conditions.TcpFlags.IsEmpty)
        {
            shape.Set(AxisName.Flags, Each(256, value => conditions.TcpFlags.Any(m => ((TcpFlags)value & m.Of) == m.Set)));
        }

        if (conditions.Dscp != ulong.MaxValue)
        {
            shape.Set(AxisName.Dscp, Each(64, value => (conditions.Dscp >> value & 1) != 0));
        }

        if (!conditions.ExtensionHeaders.IsEmpty)
        {
            shape.Set(AxisName.Headers, Each(16, value => conditions.ExtensionHeaders.Any(m => ((ExtensionHeaders)value & m.Of) == m.There)));
        }

        if (conditions.Fragmented is { } fragmented)
        {
            shape.Set(AxisName.Fragmented, Each(2, value => value == 1 == fragmented));
        }

        if (conditions.Shortest > 0 || conditions.Longest < ushort.MaxValue)
        {
            shape.Set(AxisName.Size, conditions.Shortest <= conditions.Longest ? [new(conditions.Shortest, conditions.Longest)] : []);
        }

        if (!conditions.SourceMacs.IsEmpty)
        {
            shape.Set(AxisName.SourceMac, Macs(conditions.SourceMacs));
        }

        if (!conditions.DestinationMacs.IsEmpty)
        {
            shape.Set(AxisName.DestinationMac, Macs(conditions.DestinationMacs));
        }

        if (!conditions.ArrivedBy.IsEmpty)
        {
            shape.Set(AxisName.ArrivedBy, [.. conditions.ArrivedBy.Select(static p => new ValueRange(p, p))]);
        }

        if (conditions.Schedule is { } schedule)
        {
            shape.Set(AxisName.Minute, Each(Schedule.Week, schedule.Holds));
        }

        IEnumerable<Shape> shapes = Ends(shape, conditions.Source, source: true).SelectMany(one => Ends(one, conditions.Destination, source: false));
        return conditions.Also is { } also ? shapes.SelectMany(one => With(one, also)) : shapes;
    }

    /// <summary>What matches by an end: what stands in the ruleset, or what one class or another has.</summary>
    private IEnumerable<Shape> Ends(Shape shape, AddressConditions? end, bool source)
    {
        if (end is null)
        {
            yield return shape;
            yield break;
        }

        foreach (AddressClass excluded in end.NoneOf)
        {
            shape.Set(AxisOf(excluded, source), has: false);
        }

        if (end.AnyOf.IsEmpty)
        {
            yield return shape;
            yield break;
        }

        if (!end.Fixed.IsEmpty)
        {
            Shape written = shape.Copy();
            written.Set(source ? AxisName.Source : AxisName.Destination, RunsOf(end.Fixed));
            yield return written;
        }

        foreach (AddressClass one in end.AnyOf)
        {
            Shape held = shape.Copy();
            held.Set(AxisOf(one, source), has: true);
            yield return held;
        }
    }

    private int AxisOf(AddressClass one, bool source)
    {
        if (!_classAxes.TryGetValue((one.Name, source), out int axis))
        {
            axis = AxisCount;
            _classAxes.Add((one.Name, source), axis);
            _classes.Add((one.Name, source));
        }

        return axis;
    }

    private static List<ValueRange> Macs(ImmutableArray<MacRange> macs) => [.. macs.Select(static m => new ValueRange(m.First, m.Last))];

    private static List<ValueRange> Each(int count, Func<int, bool> holds)
    {
        List<ValueRange> runs = [];
        for (int value = 0; value < count; value++)
        {
            if (!holds(value))
            {
                continue;
            }

            if (runs.Count > 0 && runs[^1].Last + 1 == (UInt128)value)
            {
                runs[^1] = runs[^1] with { Last = (UInt128)value };
            }
            else
            {
                runs.Add(new((UInt128)value, (UInt128)value));
            }
        }

        return runs;
    }
}

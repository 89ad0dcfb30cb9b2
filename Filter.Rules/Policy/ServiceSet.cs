using System.Collections.Immutable;
using System.Globalization;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Rules.Policy;

/// <summary>An inclusive run of ports.</summary>
/// <param name="First">The lowest.</param>
/// <param name="Last">The highest; not below <paramref name="First"/>.</param>
public readonly record struct PortRange(ushort First, ushort Last)
{
    /// <summary>0..65535.</summary>
    public static PortRange All => new(0, ushort.MaxValue);

    /// <summary>Whether the port lies in it.</summary>
    public bool Contains(ushort port) => First <= port && port <= Last;

    /// <summary>The union of runs in any order: disjoint, in order, never touching each other.</summary>
    public static ImmutableArray<PortRange> Merge(IEnumerable<PortRange> runs)
    {
        List<PortRange> merged = [];
        foreach (PortRange next in runs.OrderBy(static run => run.First))
        {
            if (merged.Count > 0 && next.First <= merged[^1].Last + 1)
            {
                merged[^1] = merged[^1] with { Last = Math.Max(merged[^1].Last, next.Last) };
            }
            else
            {
                merged.Add(next);
            }
        }

        return [.. merged];
    }

    /// <summary>The ports that are in a run of either.</summary>
    public static ImmutableArray<PortRange> Intersect(ReadOnlySpan<PortRange> a, ReadOnlySpan<PortRange> b)
    {
        ImmutableArray<PortRange> left = Merge(a.ToArray()), right = Merge(b.ToArray());
        List<PortRange> both = [];
        for (int i = 0, j = 0; i < left.Length && j < right.Length;)
        {
            ushort first = Math.Max(left[i].First, right[j].First), last = Math.Min(left[i].Last, right[j].Last);
            if (first <= last)
            {
                both.Add(new(first, last));
            }

            _ = left[i].Last < right[j].Last ? i++ : j++;
        }

        return [.. both];
    }
}

/// <summary>
/// One protocol with its ports, or with its ICMP types and codes. <c>icmp</c> without a family is two of these: protocol 1
/// and protocol 58.
/// </summary>
/// <param name="Protocol">IANA protocol number.</param>
/// <param name="Ports">Destination ports, for protocols that have ports; types 0..255 for ICMP and the mobility header; else all.</param>
/// <param name="FirstCode">The lowest ICMP code; 0 for others.</param>
/// <param name="LastCode">The highest ICMP code; 255 for others.</param>
public readonly record struct Service(byte Protocol, PortRange Ports, byte FirstCode = 0, byte LastCode = 255)
{
    /// <summary>Whether it is ICMP or ICMPv6.</summary>
    public bool IsIcmp => Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6;

    /// <summary>Whether it has types in place of ports: ICMP, and the mobility header (RFC 6275 §6.1).</summary>
    public bool HasTypes => IsIcmp || Protocol == IpProtocol.Mobility;

    /// <summary>Whether the packet's protocol, destination port, and ICMP type and code are of this service.</summary>
    public bool Matches(byte protocol, ushort port, byte icmpType, byte icmpCode) =>
        protocol == Protocol
        && (HasTypes ? Ports.Contains(icmpType) && icmpCode >= FirstCode && icmpCode <= LastCode : !IpProtocol.HasPorts(Protocol) || Ports.Contains(port));

    /// <summary>As a ruleset would write it.</summary>
    public override string ToString()
    {
        string name = ServiceSet.NameOf(Protocol);
        if (Ports == PortRange.All)
        {
            return name;
        }

        string ports = Ports.First == Ports.Last ? $"{Ports.First}" : $"{Ports.First}-{Ports.Last}";
        string code = IsIcmp && FirstCode == LastCode ? $"/{FirstCode}" : "";
        return string.Create(CultureInfo.InvariantCulture, $"{name}/{ports}{code}");
    }
}

/// <summary>A set of services; any, or a list of protocols with ports. Immutable.</summary>
public sealed class ServiceSet
{
    private ServiceSet(ImmutableArray<Service> services, bool any, bool byExclusion = false)
    {
        Services = services;
        IsAny = any;
        IsByExclusion = byExclusion;
    }

    /// <summary>Every protocol.</summary>
    public static ServiceSet Any { get; } = new([], any: true);

    /// <summary>Its entries, by protocol and port; empty for any.</summary>
    public ImmutableArray<Service> Services { get; }

    /// <summary>Whether every protocol is in it, those without a name too.</summary>
    public bool IsAny { get; }

    /// <summary>Whether it was written by what is not in it, so that its entries are nobody's wish: none of them names a type of ICMP.</summary>
    public bool IsByExclusion { get; }

    /// <summary>Whether it names types of ICMP, and not all of a family's at once (RFC 4890 §4.3.5).</summary>
    public bool NamesIcmp => !IsAny && !IsByExclusion && Services.Any(static s => s.IsIcmp) && !Services.Any(static s => s.IsIcmp && s.Ports == PortRange.All);

    /// <summary>The set of these entries.</summary>
    public static ServiceSet Of(IEnumerable<Service> services) =>
        new([.. services.Distinct().OrderBy(static s => s.Protocol).ThenBy(static s => s.Ports.First).ThenBy(static s => s.Ports.Last).ThenBy(static s => s.FirstCode)], any: false);

    /// <summary>The word for a protocol; <c>proto/N</c> if it has none.</summary>
    public static string NameOf(byte protocol) =>
        ProtocolNames.Word(protocol) ?? string.Create(CultureInfo.InvariantCulture, $"proto/{protocol}");

    /// <summary>
    /// Whether a packet of this protocol, destination port (for IPsec policies: the remote port), ICMP type and code is
    /// of one of the services. Fields that the protocol does not have are ignored.
    /// </summary>
    public bool Matches(byte protocol, ushort port, byte icmpType, byte icmpCode)
    {
        if (IsAny)
        {
            return true;
        }

        foreach (ref readonly Service service in Services.AsSpan())
        {
            if (service.Matches(protocol, port, icmpType, icmpCode))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>What is in this set and not in the other.</summary>
    public ServiceSet Except(ServiceSet other)
    {
        List<Service> left = [];
        IEnumerable<Service> mine = IsAny ? Enumerable.Range(0, 256).Select(static p => new Service((byte)p, PortRange.All)) : Services;
        foreach (Service service in mine)
        {
            left.AddRange(other.IsAny ? [] : Without(service, other.Services.Where(s => s.Protocol == service.Protocol)));
        }

        ServiceSet rest = Of(left);
        return new(rest.Services, any: false, byExclusion: IsAny || IsByExclusion);
    }

    /// <summary>One service without some of its protocol: each as runs of ports, or of types with their codes.</summary>
    private static IEnumerable<Service> Without(Service service, IEnumerable<Service> others)
    {
        List<(int First, int Last)> left = [.. Runs(service)];
        foreach ((int first, int last) in others.SelectMany(Runs))
        {
            left = [.. left.SelectMany(run => Outside(run, first, last))];
        }

        if (!service.HasTypes)
        {
            return left.Select(run => service with { Ports = new((ushort)run.First, (ushort)run.Last) });
        }

        return left.SelectMany(run => Types(service.Protocol, run.First, run.Last));
    }

    private static IEnumerable<(int First, int Last)> Outside((int First, int Last) run, int first, int last)
    {
        if (run.First < first)
        {
            yield return (run.First, Math.Min(run.Last, first - 1));
        }

        if (run.Last > last)
        {
            yield return (Math.Max(run.First, last + 1), run.Last);
        }
    }

    private static IEnumerable<(int First, int Last)> Runs(Service service)
    {
        if (!service.HasTypes)
        {
            return [IpProtocol.HasPorts(service.Protocol) ? (service.Ports.First, service.Ports.Last) : (0, ushort.MaxValue)];
        }

        int lastType = Math.Min((int)service.Ports.Last, byte.MaxValue);
        return service is { FirstCode: 0, LastCode: byte.MaxValue }
            ? [(service.Ports.First << 8, (lastType << 8) | byte.MaxValue)]
            : Enumerable.Range(service.Ports.First, lastType - service.Ports.First + 1).Select(type => ((type << 8) | service.FirstCode, (type << 8) | service.LastCode));
    }

    /// <summary>A run of types with their codes, as services: what begins or ends within a type, and whole types between.</summary>
    private static IEnumerable<Service> Types(byte protocol, int first, int last)
    {
        while (first <= last)
        {
            int type = first >> 8, whole = (last + 1) >> 8;
            if ((first & byte.MaxValue) == 0 && whole > type)
            {
                // All types at once are the family's whole.
                ushort end = type == 0 && whole == 256 ? ushort.MaxValue : (ushort)(whole - 1);
                yield return new Service(protocol, new((ushort)type, end));
                first = whole << 8;
                continue;
            }

            int code = Math.Min(last, (type << 8) | byte.MaxValue);
            yield return new Service(protocol, new((ushort)type, (ushort)type), (byte)first, (byte)code);
            first = code + 1;
        }
    }

    /// <summary>What is in both.</summary>
    public ServiceSet Intersect(ServiceSet other)
    {
        if (IsAny || other.IsAny)
        {
            return IsAny ? other : this;
        }

        List<Service> both = [];
        ILookup<byte, Service> others = other.Services.ToLookup(static s => s.Protocol);
        foreach (IGrouping<byte, Service> mine in Services.GroupBy(static s => s.Protocol))
        {
            if (mine.Key is IpProtocol.Icmp or IpProtocol.IcmpV6 or IpProtocol.Mobility)
            {
                both.AddRange(IntersectIcmp(mine.Key, [.. mine], [.. others[mine.Key]]));
            }
            else if (others.Contains(mine.Key) && !IpProtocol.HasPorts(mine.Key))
            {
                both.Add(new(mine.Key, PortRange.All));
            }
            else
            {
                both.AddRange(PortRange.Intersect([.. mine.Select(static s => s.Ports)], [.. others[mine.Key].Select(static s => s.Ports)])
                    .Select(ports => new Service(mine.Key, ports)));
            }
        }

        return new(Of(both).Services, any: false, byExclusion: IsByExclusion && other.IsByExclusion);
    }

    /// <summary>Type by type, as runs of codes; all types at once where both name them so.</summary>
    private static IEnumerable<Service> IntersectIcmp(byte protocol, Service[] mine, Service[] others)
    {
        static bool All(Service s) => s.Ports == PortRange.All && s is { FirstCode: 0, LastCode: 255 };
        if (mine.Any(All) || others.Any(All))
        {
            return mine.Any(All) ? others : mine;
        }

        static PortRange[] Codes(Service[] services, int type) =>
            [.. services.Where(s => s.Ports.Contains((ushort)type)).Select(static s => new PortRange(s.FirstCode, s.LastCode))];
        return Enumerable.Range(0, 256).SelectMany(type => PortRange.Intersect(Codes(mine, type), Codes(others, type))
            .Select(codes => new Service(protocol, new((ushort)type, (ushort)type), (byte)codes.First, (byte)codes.Last)));
    }

    /// <summary>Whether at least one entry is of this protocol.</summary>
    public bool Names(byte protocol) => IsAny || Services.Any(s => s.Protocol == protocol);

    /// <summary>As a ruleset would write it.</summary>
    public override string ToString() => IsAny ? "any" : string.Join(", ", Services);
}

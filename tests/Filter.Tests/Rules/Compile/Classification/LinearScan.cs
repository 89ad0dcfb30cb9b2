using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Compile.Classification;
using Filter.Rules.Policy;

namespace Filter.Tests.Rules.Compile.Classification;

/// <summary>
/// Rules tried one by one, the cheapest match first: what the classifier must agree with, and what benchmarks set beside it.
/// </summary>
internal sealed class LinearScan
{
    private readonly record struct Run(int Start, int Count);

    private readonly record struct Flat(ushort From, ushort To, Families Families, Run? Source, Run? Destination, Run? Services, Run? SourcePorts);

    private readonly Flat[] _rules;
    private readonly AddressRange[] _ranges;
    private readonly Service[] _services;
    private readonly PortRange[] _ports;

    public LinearScan(ReadOnlySpan<IndexedRule> rules)
    {
        List<AddressRange> ranges = [];
        List<Service> services = [];
        List<PortRange> ports = [];
        Dictionary<AddressSet, Run> sets = new(ReferenceEqualityComparer.Instance);
        _rules = new Flat[rules.Length];
        for (int i = 0; i < rules.Length; i++)
        {
            IndexedRule rule = rules[i];
            _rules[i] = new(rule.From, rule.To, rule.Families, Addresses(rule.Source), Addresses(rule.Destination),
                rule.Service is { IsAny: false } set ? Append(services, set.Services.AsSpan()) : null,
                rule.SourcePorts.IsDefaultOrEmpty ? null : Append(ports, rule.SourcePorts.AsSpan()));
        }

        _ranges = [.. ranges];
        _services = [.. services];
        _ports = [.. ports];

        Run? Addresses(AddressSet? set)
        {
            if (set is null)
            {
                return null;
            }

            if (!sets.TryGetValue(set, out Run run))
            {
                sets.Add(set, run = Append(ranges, set.Ranges));
            }

            return run;
        }

        static Run Append<T>(List<T> to, ReadOnlySpan<T> entries)
        {
            Run run = new(to.Count, entries.Length);
            to.AddRange(entries);
            return run;
        }
    }

    /// <summary>The first rule behind the given one that matches; -1 if there is none.</summary>
    public int Next(in OpeningFacts facts, int after = -1)
    {
        Families family = facts.Key.Source.IsIPv4 ? Families.IPv4 : Families.IPv6;
        for (int i = after + 1; i < _rules.Length; i++)
        {
            ref readonly Flat rule = ref _rules[i];
            if (((rule.From >> facts.Ingress) & (rule.To >> facts.Egress) & 1) != 0
                && (rule.Families & family) != 0
                && (rule.Services is not { } services || AnyService(services, in facts))
                && (rule.SourcePorts is not { } ports || (IpProtocol.HasPorts(facts.Key.Protocol) && AnyPort(ports, facts.Key.SourcePort)))
                && (rule.Destination is not { } destination || InRanges(destination, facts.Key.Destination))
                && (rule.Source is not { } source || InRanges(source, facts.Key.Source)))
            {
                return i;
            }
        }

        return -1;
    }

    private bool AnyService(Run run, in OpeningFacts facts)
    {
        foreach (ref readonly Service service in _services.AsSpan(run.Start, run.Count))
        {
            if (service.Matches(facts.Key.Protocol, facts.Key.DestinationPort, facts.IcmpType, facts.IcmpCode))
            {
                return true;
            }
        }

        return false;
    }

    private bool AnyPort(Run run, ushort port)
    {
        foreach (PortRange range in _ports.AsSpan(run.Start, run.Count))
        {
            if (range.Contains(port))
            {
                return true;
            }
        }

        return false;
    }

    private bool InRanges(Run run, Address address)
    {
        int low = run.Start, high = run.Start + run.Count - 1;
        while (low <= high)
        {
            int middle = (low + high) >> 1;
            ref readonly AddressRange range = ref _ranges[middle];
            if (address < range.First)
            {
                high = middle - 1;
            }
            else if (address > range.Last)
            {
                low = middle + 1;
            }
            else
            {
                return true;
            }
        }

        return false;
    }
}

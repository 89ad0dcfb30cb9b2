using System.Collections.Immutable;
using System.Numerics;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Rules.Compile.Classification;

/// <summary>The three fields beside addresses, each laid out on a line.</summary>
internal static class TransportFields
{
    /// <summary>Ports of a protocol; types and codes of ICMP.</summary>
    public const int Points = 1 << 16;

    /// <summary>Protocols, each with a point for every destination port, or type and code.</summary>
    public static Line<uint> Services(ReadOnlySpan<IndexedRule> rules)
    {
        Distinct<ImmutableArray<Service>> distinct = new(new SameEntries<Service>());
        int[] valueOf = new int[rules.Length];
        for (int i = 0; i < rules.Length; i++)
        {
            valueOf[i] = rules[i].Service switch
            {
                null or { IsAny: true } => Field.Any,
                { Services.IsEmpty: true } => Field.Nothing,
                { } set => distinct.NumberOf(set.Services, set),
            };
        }

        Sweep<uint> sweep = new(distinct.Items.Count);
        List<(uint First, uint Last)> runs = [];
        foreach ((int value, ImmutableArray<Service> services) in distinct.Items.Index())
        {
            foreach (Service service in services)
            {
                AddRuns(service, runs);
            }

            AddDisjoint(sweep, value, runs);
        }

        return sweep.Walk(valueOf);
    }

    /// <summary>Pairs of ingress and egress port.</summary>
    public static Line<uint> Crossings(ReadOnlySpan<IndexedRule> rules)
    {
        Distinct<(ushort From, ushort To)> distinct = new();
        int[] valueOf = new int[rules.Length];
        for (int i = 0; i < rules.Length; i++)
        {
            valueOf[i] = (rules[i].From, rules[i].To) switch
            {
                (Rule.AnyPort, Rule.AnyPort) => Field.Any,
                (0, _) or (_, 0) => Field.Nothing,
                var masks => distinct.NumberOf(masks),
            };
        }

        Sweep<uint> sweep = new(distinct.Items.Count);
        foreach ((int value, (ushort from, ushort to)) in distinct.Items.Index())
        {
            for (int left = from; left != 0; left &= left - 1)
            {
                uint ingress = (uint)(BitOperations.TrailingZeroCount(left) * Ruleset.MostPorts);
                for (int egress = to; egress != 0; egress &= egress - 1)
                {
                    uint point = ingress + (uint)BitOperations.TrailingZeroCount(egress);
                    sweep.Add(value, point, point);
                }
            }
        }

        return sweep.Walk(valueOf);
    }

    /// <summary>Source ports, and behind them a point for what has none.</summary>
    public static Line<uint> SourcePorts(ReadOnlySpan<IndexedRule> rules)
    {
        Distinct<ImmutableArray<PortRange>> distinct = new(new SameEntries<PortRange>());
        int[] valueOf = new int[rules.Length];
        for (int i = 0; i < rules.Length; i++)
        {
            valueOf[i] = rules[i].SourcePorts.IsDefaultOrEmpty ? Field.Any : distinct.NumberOf(rules[i].SourcePorts);
        }

        Sweep<uint> sweep = new(distinct.Items.Count);
        List<(uint First, uint Last)> runs = [];
        foreach ((int value, ImmutableArray<PortRange> ports) in distinct.Items.Index())
        {
            foreach (PortRange range in ports)
            {
                runs.Add((range.First, range.Last));
            }

            AddDisjoint(sweep, value, runs);
        }

        return sweep.Walk(valueOf);
    }

    private static void AddRuns(Service service, List<(uint First, uint Last)> to)
    {
        uint start = (uint)service.Protocol * Points, first = service.Ports.First, last = service.Ports.Last;
        if (service.HasTypes)
        {
            last = Math.Min(last, byte.MaxValue);
            if (service is { FirstCode: 0, LastCode: byte.MaxValue } && first <= last)
            {
                to.Add((start + (first << 8), start + (last << 8 | byte.MaxValue)));
                return;
            }

            for (uint type = first; type <= last; type++)
            {
                to.Add((start + (type << 8 | service.FirstCode), start + (type << 8 | service.LastCode)));
            }
        }
        else if (IpProtocol.HasPorts(service.Protocol))
        {
            to.Add((start + first, start + last));
        }
        else
        {
            to.Add((start, start + Points - 1));
        }
    }

    /// <summary>Gives the sweep what it wants of a value: runs that do not overlap. Empties the list.</summary>
    private static void AddDisjoint(Sweep<uint> sweep, int value, List<(uint First, uint Last)> runs)
    {
        runs.Sort();
        for (int i = 0; i < runs.Count;)
        {
            (uint first, uint last) = runs[i];
            for (i++; i < runs.Count && runs[i].First <= last; i++)
            {
                last = Math.Max(last, runs[i].Last);
            }

            sweep.Add(value, first, last);
        }

        runs.Clear();
    }
}

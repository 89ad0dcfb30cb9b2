using System.Runtime.Intrinsics;
using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Rules.Compile.Classification;

/// <summary>
/// Finds the rules that a packet may match by their indexed fields, in order, in a time that hardly depends on how many
/// rules there are. Immutable; see the folder's README for how.
/// </summary>
internal sealed class Classifier
{
    /// <summary>Bytes that the tables may take.</summary>
    public const long MostBytes = 150_000_000;

    private readonly TransportIndex _transport;
    private readonly Part<IPv4Index>? _v4;
    private readonly Part<IPv6Index>? _v6;

    private Classifier(TransportIndex transport, Part<IPv4Index>? v4, Part<IPv6Index>? v6)
    {
        _transport = transport;
        _v4 = v4;
        _v6 = v6;
    }

    /// <summary>Bytes the tables take.</summary>
    public long Size => _transport.Size + (_v4?.Size ?? 0) + (_v6?.Size ?? 0);

    /// <summary>Makes the tables of rules in order.</summary>
    /// <param name="rules">What they say.</param>
    /// <param name="oversize">Where null is returned, what takes more than <paramref name="most"/>.</param>
    /// <param name="most">Bytes that the tables may take.</param>
    public static Classifier? Build(ReadOnlySpan<IndexedRule> rules, out Oversize? oversize, long most = MostBytes)
    {
        TransportIndex transport = TransportIndex.Of(rules, out Field?[] fields, out Field services);
        Distinct<AddressSet> sets = new();
        int[] sources = new int[rules.Length], destinations = new int[rules.Length];
        for (int i = 0; i < rules.Length; i++)
        {
            sources[i] = rules[i].Source is { } source ? sets.NumberOf(source, source) : Field.Any;
            destinations[i] = rules[i].Destination is { } destination ? sets.NumberOf(destination, destination) : Field.Any;
        }

        most -= transport.Size;
        Part<IPv4Index>? v4 = Part(rules, Families.IPv4, IPv4Index.Of(sets.Items, sources), IPv4Index.Of(sets.Items, destinations), fields, services, most, out oversize);
        if (oversize is not null)
        {
            return null;
        }

        most -= v4?.Size ?? 0;
        Part<IPv6Index>? v6 = Part(rules, Families.IPv6, IPv6Index.Of(sets.Items, sources), IPv6Index.Of(sets.Items, destinations), fields, services, most, out oversize);
        return oversize is null ? new Classifier(transport, v4, v6) : null;
    }

    /// <summary>The packet's candidates, none told yet.</summary>
    public void Find(in OpeningFacts facts, out Candidates found)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Find<Lanes512>(facts, out found);
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            Find<Lanes256>(facts, out found);
        }
        else
        {
            Find<Lanes64>(facts, out found);
        }
    }

    /// <summary>The next candidate: the smallest index of a rule whose indexed fields match and that was not told; -1 if there is none.</summary>
    public static int Next(ref Candidates of) =>
        Vector512.IsHardwareAccelerated ? Next<Lanes512>(ref of)
        : Vector256.IsHardwareAccelerated ? Next<Lanes256>(ref of)
        : Next<Lanes64>(ref of);

    /// <inheritdoc cref="Find(in OpeningFacts, out Candidates)"/>
    internal void Find<TLanes>(in OpeningFacts facts, out Candidates found)
        where TLanes : struct, ILanes
    {
        found = default;
        if (facts.Ingress >= Ruleset.MostPorts || facts.Egress >= Ruleset.MostPorts)
        {
            return;
        }

        found.After = -1;
        if (facts.Key.Source.IsIPv4 && facts.Key.Destination.IsIPv4)
        {
            if (_v4 is { } part)
            {
                found.Table = part.Table;
                found.A = part.SourceRows[part.Sources.Find<TLanes>(facts.Key.Source)];
                found.B = part.DestinationRows[part.Destinations.Find<TLanes>(facts.Key.Destination)];
                part.FindRest(_transport, facts, ref found);
            }
        }
        else if (_v6 is { } part)
        {
            found.Table = part.Table;
            found.A = part.SourceRows[part.Sources.Find<TLanes>(facts.Key.Source)];
            found.B = part.DestinationRows[part.Destinations.Find<TLanes>(facts.Key.Destination)];
            part.FindRest(_transport, facts, ref found);
        }
    }

    /// <inheritdoc cref="Next(ref Candidates)"/>
    internal static int Next<TLanes>(ref Candidates of)
        where TLanes : struct, ILanes
    {
        if (of.Table is not { } table)
        {
            return -1;
        }

        if (of.After >= 0)
        {
            return table.Next(ref of);
        }

        int found = of.HasFive ? table.First<TLanes, FiveFields>(of) : table.First<TLanes, ThreeFields>(of);
        of.After = found < 0 ? Candidates.None : found;
        return found;
    }

    private static Part<TIndex>? Part<TIndex>(
        ReadOnlySpan<IndexedRule> rules, Families family, AddressLine<TIndex> sources, AddressLine<TIndex> destinations, Field?[] transport, Field services,
        long most, out Oversize? oversize)
        where TIndex : AddressIndex
    {
        oversize = null;
        List<int> own = [];
        for (int i = 0; i < rules.Length; i++)
        {
            if ((rules[i].Families & family) != 0 && sources.Field.ValueOf[i] != Field.Nothing && destinations.Field.ValueOf[i] != Field.Nothing
                && services.ValueOf[i] != Field.Nothing && rules[i].From != 0 && rules[i].To != 0)
            {
                own.Add(i);
            }
        }

        if (own.Count == 0)
        {
            return null;
        }

        BlockTableBuilder table = new(Clustering.Of([.. own], sources.Field, destinations.Field, services));
        ReadOnlySpan<Field?> fields = [sources.Field, destinations.Field, .. transport];
        most -= sources.Index.Size + destinations.Index.Size;
        int[]?[] rows = new int[fields.Length][];
        for (int i = 0; i < fields.Length; i++)
        {
            if (fields[i] is { } field && (rows[i] = table.Add(i, field, most)) is null)
            {
                oversize = Oversize.Of(own, i, field, family);
                return null;
            }
        }

        return new Part<TIndex>(table.Build(), sources, destinations, rows);
    }
}

using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Rules.Compile.Classification;

/// <summary>
/// From all that rules look at beside addresses to its class: services, the two ports a packet crosses, source ports. Three
/// fields, made one where that is small, as it nearly always is. The same for both families.
/// </summary>
internal sealed class TransportIndex
{
    private const int Points = TransportFields.Points;

    private readonly int[] _services = new int[256];        // of each protocol its class, or ~ the number of its table
    private readonly PointTable[] _tables;
    private readonly PointTable _sourcePorts;
    private readonly int[] _crossings;
    private readonly int[]? _pairs, _triples;               // of service and crossing; of that and source port
    private readonly int _crossingClasses, _sourcePortClasses;

    private TransportIndex(Line<uint> services, Line<uint> crossings, Line<uint> sourcePorts, Product? pair, Product? triple)
    {
        List<PointTable> tables = [];
        for (uint protocol = 0; protocol < _services.Length; protocol++)
        {
            int[] classes = services.Classes(protocol * Points, Points);
            _services[protocol] = classes.Length == 1 ? classes[0] : ~tables.Count;
            if (classes.Length > 1)
            {
                tables.Add(new PointTable(classes));
            }
        }

        _tables = [.. tables];
        _crossings = crossings.Classes(0, Ruleset.MostPorts * Ruleset.MostPorts);
        _sourcePorts = new PointTable(sourcePorts.Classes(0, Points + 1));
        _crossingClasses = crossings.Field.Classes;
        _sourcePortClasses = sourcePorts.Field.Classes;
        _pairs = pair?.Table;
        _triples = triple?.Table;
        Size = _tables.Sum(static table => table.Size) + _sourcePorts.Size + 4L * (_crossings.Length + (_pairs?.Length ?? 0) + (_triples?.Length ?? 0));
    }

    /// <summary>Bytes it takes.</summary>
    public long Size { get; }

    /// <summary>Makes the index of rules.</summary>
    /// <param name="rules">The rules.</param>
    /// <param name="fields">
    /// What packets look at: services with all that was made one with them; crossings and source ports, both or neither, if
    /// one of them stands alone.
    /// </param>
    /// <param name="services">The services by themselves: by them rules can be told apart.</param>
    public static TransportIndex Of(ReadOnlySpan<IndexedRule> rules, out Field?[] fields, out Field services)
    {
        Line<uint> points = TransportFields.Services(rules);
        Line<uint> crossings = TransportFields.Crossings(rules);
        Line<uint> sourcePorts = TransportFields.SourcePorts(rules);
        bool pairs = crossings.Field.Values > 0, triples = sourcePorts.Field.Values > 0;
        Product? pair = pairs ? Product.Of(points.Field, crossings.Field) : null;
        Product? triple = triples ? Product.Of(pair?.Field ?? points.Field, sourcePorts.Field) : null;
        services = points.Field;
        fields = [triple?.Field ?? pair?.Field ?? services, null, null];
        if ((pairs && pair is null) || (triples && triple is null))
        {
            fields[1] = pair is null ? crossings.Field : Field.Silent(rules.Length, crossings.Field.Classes);
            fields[2] = triple is null ? sourcePorts.Field : Field.Silent(rules.Length, sourcePorts.Field.Classes);
        }

        return new TransportIndex(points, crossings, sourcePorts, pair, triple);
    }

    /// <summary>The packet's class in each field.</summary>
    /// <param name="facts">The packet. Its ports are below <see cref="Ruleset.MostPorts"/>.</param>
    /// <param name="crossing">The class of the ports it crosses.</param>
    /// <param name="sourcePort">The class of its source port.</param>
    public int Find(in OpeningFacts facts, out int crossing, out int sourcePort)
    {
        byte protocol = facts.Key.Protocol;
        bool hasPorts = IpProtocol.HasPorts(protocol);
        int first = _services[protocol];
        if (first < 0)
        {
            first = _tables[~first][hasPorts ? facts.Key.DestinationPort : facts.IcmpType << 8 | facts.IcmpCode];
        }

        crossing = _crossings.Length == 1 ? _crossings[0] : _crossings[facts.Ingress * Ruleset.MostPorts + facts.Egress];
        sourcePort = _sourcePorts[hasPorts ? facts.Key.SourcePort : Points];
        first = _pairs is { } pairs ? pairs[first * _crossingClasses + crossing] : first;
        return _triples is { } triples ? triples[first * _sourcePortClasses + sourcePort] : first;
    }
}

/// <summary>The class of each of many points: a byte each where classes are few, so that packets of all ports leave the caches in peace.</summary>
internal readonly struct PointTable
{
    private readonly byte[]? _few;
    private readonly int[]? _many;
    private readonly int _only;

    /// <summary>A table.</summary>
    /// <param name="classes">The class of each point; a single one if all have it.</param>
    public PointTable(int[] classes)
    {
        if (classes.Length == 1)
        {
            _only = classes[0];
        }
        else if (classes.AsSpan().ContainsAnyExceptInRange(0, byte.MaxValue))
        {
            _many = classes;
        }
        else
        {
            _few = [.. classes.Select(static one => (byte)one)];
        }
    }

    /// <summary>Bytes it takes.</summary>
    public long Size => (_few?.Length ?? 0) + 4L * (_many?.Length ?? 0);

    /// <summary>The point's class.</summary>
    public int this[int point] => _few is { } few ? few[point] : _many is { } many ? many[point] : _only;
}

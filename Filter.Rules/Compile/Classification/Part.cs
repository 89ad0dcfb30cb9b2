using Filter.Engine.Packets;

namespace Filter.Rules.Compile.Classification;

/// <summary>The tables of one family.</summary>
internal sealed class Part<TIndex>
    where TIndex : AddressIndex
{
    private readonly int[]?[] _rows;        // of each field beside addresses, where the row of each class begins

    /// <summary>Puts the tables together.</summary>
    /// <param name="table">The rows.</param>
    /// <param name="sources">Where sources are looked up.</param>
    /// <param name="destinations">Where destinations are looked up.</param>
    /// <param name="rows">Of each field, where the row of each class begins.</param>
    public Part(BlockTable table, AddressLine<TIndex> sources, AddressLine<TIndex> destinations, int[]?[] rows)
    {
        Table = table;
        Sources = sources.Index;
        Destinations = destinations.Index;
        SourceRows = [.. sources.ClassOf.Select(one => rows[0]![one])];
        DestinationRows = [.. destinations.ClassOf.Select(one => rows[1]![one])];
        _rows = rows[2..];
    }

    /// <summary>The rows.</summary>
    public BlockTable Table { get; }

    /// <summary>Where sources are looked up.</summary>
    public TIndex Sources { get; }

    /// <summary>Where destinations are looked up.</summary>
    public TIndex Destinations { get; }

    /// <summary>Of each run of sources, where its row begins.</summary>
    public int[] SourceRows { get; }

    /// <summary>Of each run of destinations, where its row begins.</summary>
    public int[] DestinationRows { get; }

    /// <summary>Bytes it takes.</summary>
    public long Size =>
        Table.Size + Sources.Size + Destinations.Size + 4L * (SourceRows.Length + DestinationRows.Length + _rows.Sum(static rows => rows?.Length ?? 0));

    /// <summary>Finds the rows of all that is beside addresses.</summary>
    public void FindRest(TransportIndex transport, in OpeningFacts facts, ref Candidates found)
    {
        int first = transport.Find(facts, out int crossing, out int sourcePort);
        found.C = _rows[0]![first];
        found.D = _rows[1] is { } crossings ? crossings[crossing] : -1;
        found.E = _rows[2] is { } sourcePorts ? sourcePorts[sourcePort] : -1;
    }
}

using System.Globalization;
using System.IO.Compression;
using Filter.Engine.Packets;
using Filter.Rules.Compile.Classification;
using Filter.Rules.Policy;

namespace Filter.Tests.Rules.Compile.Classification;

/// <summary>Rules in the format of ClassBench, packets that meet them, and the first match of each.</summary>
/// <param name="Name">The set's name.</param>
/// <param name="Rules">The rules in order.</param>
/// <param name="Packets">The packets.</param>
/// <param name="Expected">The index of each packet's first match; -1 for none.</param>
internal sealed record ClassBenchSet(string Name, IndexedRule[] Rules, OpeningFacts[] Packets, int[] Expected)
{
    /// <summary>Reads a set.</summary>
    /// <param name="folder">Where sets lie.</param>
    /// <param name="name">As in <c>v4_acl1_10k</c>.</param>
    public static ClassBenchSet Read(string folder, string name)
    {
        Dictionary<string, AddressSet> sets = [];
        Dictionary<string, ServiceSet> services = [];
        IndexedRule[] rules = [.. Lines(folder, name, "rules").Select(Rule)];
        return new(name, rules, [.. Lines(folder, name, "trace").Select(Packet)],
            [.. Lines(folder, name, "expected").Select(static line => int.Parse(line, CultureInfo.InvariantCulture))]);

        IndexedRule Rule(string line)
        {
            string[] columns = line.TrimStart('@').Split('\t');
            PortRange source = Ports(columns[2]);
            return new(Addresses(columns[0]), Addresses(columns[1]), Services($"{columns[4]} {columns[3]}"), source == PortRange.All ? [] : [source],
                Filter.Rules.Policy.Rule.AnyPort, Filter.Rules.Policy.Rule.AnyPort, Families.Both);
        }

        AddressSet Addresses(string prefix)
        {
            if (!sets.TryGetValue(prefix, out AddressSet? set))
            {
                sets.Add(prefix, set = AddressSet.Of(Prefix.TryParse(prefix, out Prefix read, out _) ? AddressSet.RangesOf(read) : throw new FormatException(prefix)));
            }

            return set;
        }

        ServiceSet? Services(string text)
        {
            if (!services.TryGetValue(text, out ServiceSet? set))
            {
                string[] parts = text.Split(' ', 2);
                byte protocol = Convert.ToByte(parts[0][..4], 16);
                set = parts[0].EndsWith("/0x00", StringComparison.Ordinal) ? ServiceSet.Any : ServiceSet.Of([new Service(protocol, Ports(parts[1]))]);
                services.Add(text, set);
            }

            return set;
        }
    }

    private static PortRange Ports(string text)
    {
        string[] ends = text.Split(" : ");
        return new(ushort.Parse(ends[0], CultureInfo.InvariantCulture), ushort.Parse(ends[1], CultureInfo.InvariantCulture));
    }

    private static OpeningFacts Packet(string line)
    {
        string[] columns = line.Split('\t');
        FlowKey key = new(Address.Parse(columns[0]), Address.Parse(columns[1]), ushort.Parse(columns[2], CultureInfo.InvariantCulture),
            ushort.Parse(columns[3], CultureInfo.InvariantCulture), byte.Parse(columns[4], CultureInfo.InvariantCulture), 0);
        return new(key, 1, 0, Direction.Out, 0, 0, 0, 0, 0);
    }

    private static IEnumerable<string> Lines(string folder, string name, string kind)
    {
        using StreamReader reader = new(new GZipStream(File.OpenRead(Path.Combine(folder, $"{name}.{kind}.gz")), CompressionMode.Decompress));
        while (reader.ReadLine() is { } line)
        {
            yield return line;
        }
    }
}

using System.Globalization;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;
using Filter.Rules.Policy.Binding;
using Filter.Rules.Syntax;

namespace Filter.Rules.Analysis;

/// <summary>
/// A packet line with holes: <c>[PORT:] PROTO SRC[:PORT] > DST[:PORT]</c>, where <c>*</c> stands for anything, and addresses may be prefixes,
/// ranges or named sets.
/// </summary>
public sealed class ReachQuery
{
    private readonly string _text;
    private string? _ingress;
    private string _service = "*";
    private string _source = "*";
    private string _destination = "*";
    private string _sourcePort = "*";
    private string _destinationPort = "*";

    private ReachQuery(string text) => _text = text;

    /// <summary>Reads one; null, with what is wrong, where it is none.</summary>
    public static ReachQuery? Parse(string text, out string? error)
    {
        ReachQuery query = new(text);
        string rest = text.Trim();
        int colon = rest.IndexOf(": ", StringComparison.Ordinal);
        if (colon > 0 && !rest[..colon].Contains(' ', StringComparison.Ordinal))
        {
            query._ingress = rest[..colon];
            rest = rest[(colon + 2)..].Trim();
        }

        string[] words = rest.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length != 4 || words[2] != ">")
        {
            error = $"'{text}' is no question: write [PORT:] PROTO SOURCE > DESTINATION, as 'tcp * > 10.0.0.5:22'";
            return null;
        }

        query._service = words[0];
        (query._source, query._sourcePort) = End(words[1]);
        (query._destination, query._destinationPort) = End(words[3]);
        error = null;
        return query;
    }

    /// <inheritdoc/>
    public override string ToString() => _text;

    /// <summary>What it asks for, or what of it the ruleset does not know.</summary>
    /// <exception cref="FormatException">For people: a port, a set, an address or a service that is none.</exception>
    internal Shape Shape(Ruleset ruleset)
    {
        Shape shape = new();
        if (_ingress is not null)
        {
            PortConfig port = ruleset.FindPort(_ingress) ?? throw new FormatException($"there is no port '{_ingress}'; there are {string.Join(", ", ruleset.Ports.Select(static p => p.Name))}");
            shape.Set(AxisName.Zones, new Meaning(ruleset.Ports.Length).Zones((ushort)(1 << port.Number), Rule.AnyPort));
        }

        if (Addresses(ruleset, _source) is { } sources)
        {
            shape.Set(AxisName.Source, Meaning.RunsOf(sources));
        }

        if (Addresses(ruleset, _destination) is { } destinations)
        {
            shape.Set(AxisName.Destination, Meaning.RunsOf(destinations));
        }

        if (Services(ruleset) is { } services)
        {
            shape.Set(AxisName.Service, [.. services.SelectMany(Meaning.RunsOf)]);
        }

        if (_sourcePort != "*")
        {
            PortRange ports = Ports(_sourcePort);
            shape.Set(AxisName.SourcePort, [new(ports.First, ports.Last)]);
        }

        return shape;
    }

    /// <summary>An address, and the port behind it; IPv6 with a port stands in brackets.</summary>
    private static (string Address, string Port) End(string word)
    {
        if (word.StartsWith('['))
        {
            int close = word.IndexOf(']', StringComparison.Ordinal);
            return close < 0 ? (word, "*") : (word[1..close], word.Length > close + 2 && word[close + 1] == ':' ? word[(close + 2)..] : close + 1 == word.Length ? "*" : "?");
        }

        int colon = word.IndexOf(':', StringComparison.Ordinal);
        return colon >= 0 && word.IndexOf(':', colon + 1) < 0 ? (word[..colon], word[(colon + 1)..]) : (word, "*");
    }

    private static AddressSet? Addresses(Ruleset ruleset, string word)
    {
        if (word is "*" or "any")
        {
            return null;
        }

        if (ruleset.AddressSets.TryGetValue(word, out AddressSet? set))
        {
            return set;
        }

        Diagnostics found = new();
        IReadOnlyList<AddressRange> ranges = AddressWords.LooksLikeOne(word) ? AddressWords.Read(new Located<string>(word, default), found) : [];
        return ranges.Count > 0 && !found.HasErrors
            ? AddressSet.Of(ranges)
            : throw new FormatException($"'{word}' is no address, prefix, range or set of {ruleset.File}{(found.HasErrors ? $": {found.All[0].Message}" : "")}");
    }

    private List<Service>? Services(Ruleset ruleset)
    {
        PortRange ports = Ports(_destinationPort);
        if (_service is "*" or "any" or "ip")
        {
            return ports == PortRange.All ? null : [.. Enumerable.Range(0, 256).Where(static p => IpProtocol.HasPorts((byte)p)).Select(p => new Service((byte)p, ports))];
        }

        if (!ruleset.ServiceSets.TryGetValue(_service, out ServiceSet? named) && !BuiltInServices.ByName.TryGetValue(_service, out named))
        {
            Diagnostics found = new();
            IReadOnlyList<Service> read = ServiceWords.LooksLikeOne(_service) ? ServiceWords.Read(new Located<string>(_service, default), found) : [];
            named = read.Count > 0 && !found.HasErrors ? ServiceSet.Of(read) : throw new FormatException($"'{_service}' is no protocol or service");
        }

        if (ports == PortRange.All)
        {
            return [.. named.Services];
        }

        List<Service> narrowed = [.. named.Services.Where(s => IpProtocol.HasPorts(s.Protocol) && s.Ports.First <= ports.Last && s.Ports.Last >= ports.First)
            .Select(s => s with { Ports = new(Math.Max(s.Ports.First, ports.First), Math.Min(s.Ports.Last, ports.Last)) })];
        return narrowed.Count > 0 ? narrowed : throw new FormatException($"'{_service}' has no port {_destinationPort}");
    }

    private static PortRange Ports(string word)
    {
        if (word == "*")
        {
            return PortRange.All;
        }

        string[] ends = word.Split('-');
        bool good = ushort.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out ushort first)
            & ushort.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out ushort last);
        return good && ends.Length <= 2 && first <= last ? new(first, last) : throw new FormatException($"'{word}' is no port: write 22, 1024-65535 or *");
    }
}

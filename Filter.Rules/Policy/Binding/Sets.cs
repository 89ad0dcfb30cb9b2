using System.Collections.Frozen;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>
/// The named sets of a file, and every place that may name one. A set is resolved when it is first named; what it holds
/// decides its kind. All that is written out is counted: sets that hold sets must not grow without bound.
/// </summary>
internal sealed class Sets
{
    /// <summary>The most entries that all sets and lists of a file may have once they are written out.</summary>
    public const int MostEntries = 4_000_000;

    /// <summary>The deepest that sets may hold sets.</summary>
    private const int DeepestNesting = 32;

    private readonly Dictionary<string, Named> _named = new(StringComparer.Ordinal);
    private readonly List<Named> _open = [];
    private readonly Diagnostics _found;
    private long _entries;
    private bool _spent;

    public Sets(Node? node, Diagnostics found)
    {
        _found = found;
        if (node is null)
        {
            return;
        }

        if (node is not MapNode map)
        {
            found.Error(node.At, $"'sets' is a mapping of names to entries, not {node.Kind}", "write lan: [ 192.0.2.0/24 ]");
            return;
        }

        foreach ((ScalarNode key, Node value) in map.Entries)
        {
            if (Values.Name(key, "the name of a set", 63, found) is not { } name)
            {
                continue;
            }

            if (ServiceWords.IsReserved(name.Value))
            {
                found.Error(key.At, $"{Wording.Quote(name.Value)} is a name of the language itself", "choose another name for the set");
            }
            else if (name.Value.All(static c => char.IsAsciiDigit(c) || c is '.' or '-'))
            {
                found.Error(key.At, $"{Wording.Quote(name.Value)} reads like an address or a number", "start the name of a set with a letter");
            }
            else
            {
                _named.Add(name.Value, new Named(name, value));
            }
        }

        foreach (Named set in _named.Values)
        {
            Resolve(set);
        }
    }

    private enum Kind
    {
        /// <summary>Not known yet, or empty.</summary>
        Open,
        Addresses,
        Services,

        /// <summary>Wrong: said once, where it is written; who names it hears nothing more.</summary>
        Broken,
    }

    /// <summary>The sets of addresses.</summary>
    public IReadOnlyDictionary<string, AddressSet> AddressSets =>
        _named.Values.Where(static s => s.Kind == Kind.Addresses).ToFrozenDictionary(static s => s.Name.Value, static s => s.Addresses);

    /// <summary>The sets of services.</summary>
    public IReadOnlyDictionary<string, ServiceSet> ServiceSets =>
        _named.Values.Where(static s => s.Kind == Kind.Services).ToFrozenDictionary(static s => s.Name.Value, static s => s.Services);

    /// <summary>What a source, a destination or a selector says; null for any. One that is a single name shares that set.</summary>
    public AddressSet? Addresses(Node? node, string what)
    {
        if (node is null)
        {
            return null;
        }

        IReadOnlyList<Node> entries = Entries(node, what);
        List<AddressRange> ranges = [];
        foreach (Node entry in entries)
        {
            if (Values.Text(entry, $"an entry of {what}", _found) is not { } text)
            {
                continue;
            }

            if (text.Value == "any")
            {
                return null;
            }

            if (Find(text, Kind.Addresses) is not { } set)
            {
                if (!_named.ContainsKey(text.Value))
                {
                    ranges.AddRange(Address(text));
                }
            }
            else if (entries.Count == 1)
            {
                return set.Addresses;
            }
            else if (Spend(set.Addresses.Ranges.Length, text.At))
            {
                ranges.AddRange(set.Addresses.Ranges);
            }
        }

        return AddressSet.Of(ranges);
    }

    /// <summary>What a service says; null for any. One that is a single name shares that set.</summary>
    public ServiceSet? Service(Node? node, string what)
    {
        if (node is null)
        {
            return null;
        }

        IReadOnlyList<Node> entries = Entries(node, what);
        List<Service> services = [];
        foreach (Node entry in entries)
        {
            if (Values.Text(entry, $"an entry of {what}", _found) is not { } text)
            {
                continue;
            }

            if (text.Value == "any")
            {
                return null;
            }

            if (Find(text, Kind.Services) is not { } set)
            {
                if (!_named.ContainsKey(text.Value))
                {
                    services.AddRange(ServiceOf(text));
                }
            }
            else if (entries.Count == 1)
            {
                return set.Services;
            }
            else if (Spend(set.Services.Services.Length, text.At))
            {
                services.AddRange(set.Services.Services);
            }
        }

        return ServiceSet.Of(services);
    }

    private IReadOnlyList<Node> Entries(Node node, string what)
    {
        IReadOnlyList<Node> entries = Values.Each(node);
        if (entries.Count == 0)
        {
            _found.Error(node.At, $"{what} is an empty list, which matches nothing", "leave the key out to match everything");
        }

        return entries;
    }

    /// <summary>The set that the text names, if it is of the wanted kind; null, with an error, if it names one of the other kind.</summary>
    private Named? Find(Located<string> text, Kind wanted)
    {
        if (!_named.TryGetValue(text.Value, out Named? set) || set.Kind == Kind.Broken)
        {
            return null;
        }

        if (set.Kind is Kind.Open || set.Kind == wanted)
        {
            return set;
        }

        _found.Error(text.At, wanted == Kind.Addresses
            ? $"{Wording.Quote(text.Value)} is a set of services; here stand addresses"
            : $"{Wording.Quote(text.Value)} is a set of addresses; here stand services");
        return null;
    }

    private IReadOnlyList<AddressRange> Address(Located<string> text)
    {
        if (AddressWords.LooksLikeOne(text.Value))
        {
            return Spend(1, text.At) ? AddressWords.Read(text, _found) : [];
        }

        if (ServiceWords.LooksLikeOne(text.Value))
        {
            _found.Error(text.At, $"{Wording.Quote(text.Value)} is a service; here stand addresses", "services go to 'service'");
        }
        else
        {
            Unknown(text, Kind.Addresses);
        }

        return [];
    }

    private IReadOnlyList<Service> ServiceOf(Located<string> text)
    {
        if (AddressWords.LooksLikeOne(text.Value))
        {
            _found.Error(text.At, $"{Wording.Quote(text.Value)} is an address; here stand services", "addresses go to 'source' and 'destination'");
            return [];
        }

        if (ServiceWords.LooksLikeOne(text.Value))
        {
            return Spend(1, text.At) ? ServiceWords.Read(text, _found) : [];
        }

        Unknown(text, Kind.Services);
        return [];
    }

    private void Unknown(Located<string> text, Kind wanted)
    {
        IEnumerable<string> known = _named.Values.Where(s => wanted == Kind.Open || s.Kind == wanted).Select(static s => s.Name.Value);
        if (wanted != Kind.Addresses)
        {
            known = known.Concat(BuiltInServices.ByName.Keys).Concat(BuiltInServices.ProtocolWords);
        }

        string sort = wanted switch { Kind.Addresses => "address or set of addresses", Kind.Services => "service or set of services", _ => "address, service or set" };
        string? near = Wording.Nearest(text.Value, known);
        _found.Error(text.At, $"{Wording.Quote(text.Value)} is no {sort}", near is null ? "sets are named under 'sets'" : $"did you mean {Wording.Quote(near)}?");
    }

    private void Resolve(Named set)
    {
        if (set.Done)
        {
            return;
        }

        _open.Add(set);
        List<AddressRange> ranges = [];
        List<Service> services = [];
        IReadOnlyList<Node> entries = Values.Each(set.Node);
        if (entries.Count == 0 || set.Node is ScalarNode { IsAbsent: true })
        {
            _found.Error(set.Name.At, $"the set {Wording.Quote(set.Name.Value)} is empty", "give it entries: [ 192.0.2.0/24 ] or [ tcp/443 ]");
            set.Kind = Kind.Broken;
            entries = [];
        }

        foreach (Node entry in entries)
        {
            if (Values.Text(entry, "an entry of a set", _found) is not { } text)
            {
                set.Kind = Kind.Broken;
            }
            else if (_named.TryGetValue(text.Value, out Named? inner))
            {
                TakeSet(set, inner, text, ranges, services);
            }
            else if (AddressWords.LooksLikeOne(text.Value))
            {
                if (Takes(set, Kind.Addresses, text) && Spend(1, text.At))
                {
                    ranges.AddRange(AddressWords.Read(text, _found));
                }
            }
            else if (text.Value == "any")
            {
                _found.Error(text.At, "a set cannot hold 'any'", "where a set of everything would stand, write any");
                set.Kind = Kind.Broken;
            }
            else if (ServiceWords.LooksLikeOne(text.Value))
            {
                if (Takes(set, Kind.Services, text) && Spend(1, text.At))
                {
                    services.AddRange(ServiceWords.Read(text, _found));
                }
            }
            else
            {
                Unknown(text, set.Kind);
                set.Kind = set.Kind == Kind.Open ? Kind.Broken : set.Kind;
            }
        }

        set.Addresses = AddressSet.Of(ranges);
        set.Services = ServiceSet.Of(services);
        set.Kind = set.Kind == Kind.Open ? Kind.Broken : set.Kind;
        set.Done = true;
        _open.RemoveAt(_open.Count - 1);
    }

    private void TakeSet(Named set, Named inner, Located<string> text, List<AddressRange> ranges, List<Service> services)
    {
        if (_open.Contains(inner))
        {
            IEnumerable<string> ring = _open.SkipWhile(s => s != inner).Append(inner).Select(static s => s.Name.Value);
            _found.Error(text.At, $"sets hold each other in a ring: {string.Join(" > ", ring)}", "a set cannot hold itself");
            set.Kind = Kind.Broken;
            return;
        }

        if (_open.Count >= DeepestNesting)
        {
            _found.Error(text.At, $"sets hold sets deeper than {DeepestNesting} levels");
            set.Kind = Kind.Broken;
            return;
        }

        Resolve(inner);
        if (inner.Kind == Kind.Broken)
        {
            set.Kind = set.Kind == Kind.Open ? Kind.Broken : set.Kind;
            return;
        }

        int size = inner.Kind == Kind.Addresses ? inner.Addresses.Ranges.Length : inner.Services.Services.Length;
        if (Takes(set, inner.Kind, text) && Spend(size, text.At))
        {
            ranges.AddRange(inner.Addresses.Ranges);
            services.AddRange(inner.Services.Services);
        }
    }

    /// <summary>Whether the set may take an entry of this kind; the first entry decides its kind.</summary>
    private bool Takes(Named set, Kind kind, Located<string> text)
    {
        if (set.Kind == Kind.Open)
        {
            set.Kind = kind;
        }

        if (set.Kind is not Kind.Broken && set.Kind != kind)
        {
            _found.Error(text.At, $"the set {Wording.Quote(set.Name.Value)} mixes addresses and services", "make two sets of it");
            set.Kind = Kind.Broken;
        }

        return set.Kind == kind;
    }

    private bool Spend(int entries, SourceMark at)
    {
        _entries += entries;
        if (_entries > MostEntries && !_spent)
        {
            _spent = true;
            _found.Error(at, $"with all sets written out the file has more than {MostEntries:N0} entries");
        }

        return !_spent;
    }

    private sealed class Named(Located<string> name, Node node)
    {
        public Located<string> Name { get; } = name;

        public Node Node { get; } = node;

        public Kind Kind { get; set; }

        public bool Done { get; set; }

        public AddressSet Addresses { get; set; } = AddressSet.Empty;

        public ServiceSet Services { get; set; } = ServiceSet.Of([]);
    }
}

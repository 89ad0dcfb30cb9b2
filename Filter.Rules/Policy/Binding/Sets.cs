using System.Collections.Frozen;
using Filter.Engine.Packets;
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
    private readonly LiveSetReader _live;
    private readonly Diagnostics _found;
    private long _entries;
    private bool _spent;

    public Sets(Node? node, LiveSetReader live, Diagnostics found)
    {
        _live = live;
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
            else if (name.Value == "not")
            {
                found.Error(key.At, "'not' takes away what stands behind it", "choose another name for the set");
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

    /// <summary>The sets of addresses; of those that change what is in them whatever happens.</summary>
    public IReadOnlyDictionary<string, AddressSet> AddressSets =>
        _named.Values.Where(static s => s.Kind == Kind.Addresses).ToFrozenDictionary(static s => s.Name.Value, static s => s.Addresses.Fixed);

    /// <summary>The sets of services.</summary>
    public IReadOnlyDictionary<string, ServiceSet> ServiceSets =>
        _named.Values.Where(static s => s.Kind == Kind.Services).ToFrozenDictionary(static s => s.Name.Value, static s => s.Services);

    /// <summary>The sets that change.</summary>
    public IReadOnlyList<LiveSet> LiveSets => _live.All;

    /// <summary>What a source or a destination says; null for any. One that is a single name shares that set.</summary>
    public AddressValue? Addresses(Node? node, string what)
    {
        if (node is null)
        {
            return null;
        }

        IReadOnlyList<Node> entries = Entries(node, what);
        Collecting collecting = new();
        foreach (Node entry in entries)
        {
            if (Entry(entry, what, out bool not) is not { } text)
            {
                collecting.SaysWhat();
                continue;
            }

            if (text.Value == "any")
            {
                if (!not)
                {
                    return null;
                }

                NotAny(text);
                continue;
            }

            if (!not)
            {
                collecting.SaysWhat();
            }

            if (Find(text, Kind.Addresses) is not { } set)
            {
                if (!_named.ContainsKey(text.Value))
                {
                    collecting.Add(Address(text), not);
                }
            }
            else if (entries.Count == 1 && !not)
            {
                return set.Addresses;
            }
            else if (Spend(set.Addresses.Fixed.Ranges.Length, text.At))
            {
                collecting.Add(text.Value, set.Addresses, not);
            }
        }

        AddressValue value = collecting.Addresses();
        if (value is { IsFixed: true, Fixed.IsEmpty: true } && entries.Count > 0 && !_found.HasErrors)
        {
            _found.Error(node.At, $"{what} takes away all that it names, and matches nothing", "leave out what stands behind 'not', or name more");
        }

        return value;
    }

    /// <summary>As <see cref="Addresses"/>, where nothing may change.</summary>
    public AddressSet? FixedAddresses(Node? node, string what, string why)
    {
        if (Addresses(node, what) is not { } value)
        {
            return null;
        }

        if (!value.IsFixed)
        {
            _found.Error(node!.At, $"{what} names a set that changes: {value.AnyOf.Concat(value.NoneOf).First().Name}", why);
        }

        return value.Fixed;
    }

    /// <summary>What a service says; null for any. One that is a single name shares that set.</summary>
    public ServiceSet? Service(Node? node, string what)
    {
        if (node is null)
        {
            return null;
        }

        IReadOnlyList<Node> entries = Entries(node, what);
        Collecting collecting = new();
        foreach (Node entry in entries)
        {
            if (Entry(entry, what, out bool not) is not { } text)
            {
                continue;
            }

            if (text.Value == "any")
            {
                if (!not)
                {
                    return null;
                }

                NotAny(text);
                continue;
            }

            if (Find(text, Kind.Services) is not { } set)
            {
                if (!_named.ContainsKey(text.Value))
                {
                    collecting.Add(ServiceOf(text), not);
                }
            }
            else if (entries.Count == 1 && !not)
            {
                return set.Services;
            }
            else if (Spend(set.Services.Services.Length, text.At))
            {
                collecting.Add(set.Services.Services, not);
            }
        }

        return collecting.Services();
    }

    /// <summary>An entry's text without `not`.</summary>
    private Located<string>? Entry(Node entry, string what, out bool not)
    {
        const string Not = "not ";
        not = false;
        if (Values.Text(entry, $"an entry of {what}", _found) is not { } text)
        {
            return null;
        }

        not = text.Value.StartsWith(Not, StringComparison.Ordinal);
        return not ? new Located<string>(text.Value[Not.Length..].Trim(), text.At) : text;
    }

    private void NotAny(Located<string> text) => _found.Error(text.At, "'not any' leaves nothing", "name what is not meant");

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
        Collecting collecting = new();
        Node? list = set.Node;
        if (set.Node is MapNode map)
        {
            set.Kind = _live.Read(set.Name, map, collecting, out list) switch { null => Kind.Broken, true => Kind.Addresses, _ => Kind.Open };
        }

        IReadOnlyList<Node> entries = Values.Each(list);
        if (set.Node is not MapNode && (entries.Count == 0 || set.Node is ScalarNode { IsAbsent: true }))
        {
            _found.Error(set.Name.At, $"the set {Wording.Quote(set.Name.Value)} is empty", "give it entries: [ 192.0.2.0/24 ] or [ tcp/443 ]");
            set.Kind = Kind.Broken;
            entries = [];
        }

        foreach (Node entry in entries)
        {
            if (Entry(entry, "a set", out bool not) is not { } text)
            {
                set.Kind = Kind.Broken;
                continue;
            }

            if (!not)
            {
                collecting.SaysWhat();
            }

            if (_named.TryGetValue(text.Value, out Named? inner))
            {
                TakeSet(set, inner, text, collecting, not);
            }
            else if (AddressWords.LooksLikeOne(text.Value))
            {
                if (Takes(set, Kind.Addresses, text) && Spend(1, text.At))
                {
                    collecting.Add(AddressWords.Read(text, _found), not);
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
                    collecting.Add(ServiceWords.Read(text, _found), not);
                }
            }
            else
            {
                Unknown(text, set.Kind);
                set.Kind = set.Kind == Kind.Open ? Kind.Broken : set.Kind;
            }
        }

        set.Addresses = set.Kind == Kind.Addresses ? collecting.Addresses() : AddressValue.Nothing;
        set.Services = collecting.Services();
        set.Kind = set.Kind == Kind.Open ? Kind.Broken : set.Kind;
        set.Done = true;
        _open.RemoveAt(_open.Count - 1);
    }

    private void TakeSet(Named set, Named inner, Located<string> text, Collecting collecting, bool not)
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

        int size = inner.Kind == Kind.Addresses ? inner.Addresses.Fixed.Ranges.Length : inner.Services.Services.Length;
        if (!Takes(set, inner.Kind, text) || !Spend(size, text.At))
        {
            return;
        }

        if (inner.Kind == Kind.Addresses)
        {
            collecting.Add(text.Value, inner.Addresses, not);
        }
        else
        {
            collecting.Add(inner.Services.Services, not);
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

        public AddressValue Addresses { get; set; } = AddressValue.Nothing;

        public ServiceSet Services { get; set; } = ServiceSet.Of([]);
    }
}

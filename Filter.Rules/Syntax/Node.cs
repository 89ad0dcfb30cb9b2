namespace Filter.Rules.Syntax;

/// <summary>
/// A piece of a file with its place. A node named by an anchor is one object however often it is used; the reader
/// bounds what a walk over all uses costs.
/// </summary>
public abstract class Node
{
    private protected Node(SourceMark at) => At = at;

    /// <summary>Where it starts.</summary>
    public SourceMark At { get; }

    /// <summary>How many nodes a walk over this one meets, itself and every use of an anchor counted.</summary>
    internal int Weight { get; private protected set; } = 1;

    /// <summary>What a message calls it.</summary>
    internal abstract string Kind { get; }
}

/// <summary>A single value: text, whatever it means.</summary>
public sealed class ScalarNode : Node
{
    internal ScalarNode(SourceMark at, string text, bool quoted)
        : base(at)
    {
        Text = text;
        Quoted = quoted;
    }

    /// <summary>The value, unquoted and unescaped.</summary>
    public string Text { get; }

    /// <summary>Whether it was written in quotes, so that an empty one was meant.</summary>
    public bool Quoted { get; }

    /// <summary>Whether nothing was written where a value could stand.</summary>
    public bool IsAbsent => Text.Length == 0 && !Quoted;

    /// <summary>The text with its place.</summary>
    public Located<string> Located => new(Text, At);

    internal override string Kind => IsAbsent ? "nothing" : $"the value {Wording.Quote(Text)}";
}

/// <summary>A list.</summary>
public sealed class ListNode : Node
{
    private readonly List<Node> _items = [];

    internal ListNode(SourceMark at)
        : base(at)
    {
    }

    /// <summary>The entries in the order written.</summary>
    public IReadOnlyList<Node> Items => _items;

    internal override string Kind => "a list";

    internal void Add(Node item)
    {
        _items.Add(item);
        Weight += item.Weight;
    }
}

/// <summary>A mapping of keys to values; keys are unique.</summary>
public sealed class MapNode : Node
{
    private const int Few = 8;

    private readonly List<KeyValuePair<ScalarNode, Node>> _entries = [];
    private Dictionary<string, int>? _byKey;        // only where there are many keys: most mappings are rules

    internal MapNode(SourceMark at)
        : base(at)
    {
    }

    /// <summary>Keys and values in the order written.</summary>
    public IReadOnlyList<KeyValuePair<ScalarNode, Node>> Entries => _entries;

    internal override string Kind => "a mapping";

    /// <summary>The value of a key, or null.</summary>
    public Node? Find(string key) => PlaceOf(key) is >= 0 and var i ? _entries[i].Value : null;

    /// <summary>The key as it stands in the file, or null.</summary>
    public ScalarNode? FindKey(string key) => PlaceOf(key) is >= 0 and var i ? _entries[i].Key : null;

    /// <summary>Adds a key, or gives it another value.</summary>
    internal void Replace(ScalarNode key, Node value)
    {
        int i = PlaceOf(key.Text);
        if (i >= 0)
        {
            Weight += value.Weight - _entries[i].Value.Weight;
            _entries[i] = new(_entries[i].Key, value);
        }
        else
        {
            TryAdd(key, value);
        }
    }

    internal bool TryAdd(ScalarNode key, Node value)
    {
        if (PlaceOf(key.Text) >= 0)
        {
            return false;
        }

        _entries.Add(new(key, value));
        Weight += 1 + value.Weight;
        if (_byKey is not null)
        {
            _byKey.Add(key.Text, _entries.Count - 1);
        }
        else if (_entries.Count > Few)
        {
            _byKey = _entries.Index().ToDictionary(static entry => entry.Item.Key.Text, static entry => entry.Index, StringComparer.Ordinal);
        }

        return true;
    }

    private int PlaceOf(string key)
    {
        if (_byKey is not null)
        {
            return _byKey.GetValueOrDefault(key, -1);
        }

        for (int i = 0; i < _entries.Count; i++)
        {
            if (_entries[i].Key.Text == key)
            {
                return i;
            }
        }

        return -1;
    }
}

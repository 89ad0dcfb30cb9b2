using System.Globalization;

namespace Filter.Rules.Syntax;

/// <summary>
/// Takes a mapping apart by the keys that its place in the language knows. Whatever does not fit is a finding, and the
/// caller goes on with null, so that one pass finds everything.
/// </summary>
internal sealed class Fields
{
    private readonly MapNode _map;
    private readonly string _what;
    private readonly Diagnostics _found;

    private Fields(MapNode map, string what, Diagnostics found)
    {
        _map = map;
        _what = what;
        _found = found;
    }

    /// <summary>Where the mapping starts.</summary>
    public SourceMark At => _map.At;

    /// <summary>The value of a key; null if it is not given, or given without a value, which is an error found earlier.</summary>
    public Node? this[string key] => _map.Find(key) is { } node and not ScalarNode { IsAbsent: true } ? node : null;

    /// <summary>The mapping's fields, or null if the node is none. Keys that are not known are found here.</summary>
    /// <param name="node">What stands in the file.</param>
    /// <param name="what">What it should be, with its article: "a port".</param>
    /// <param name="found">Where findings go.</param>
    /// <param name="known">Every key of the place.</param>
    public static Fields? Of(Node node, string what, Diagnostics found, string[] known)
    {
        if (node is not MapNode map)
        {
            found.Error(node.At, $"{what} is a mapping of keys and values, not {node.Kind}", $"keys are {Wording.OneOf(known)}");
            return null;
        }

        foreach ((ScalarNode key, Node value) in map.Entries)
        {
            if (!known.Contains(key.Text, StringComparer.Ordinal))
            {
                string? hint = key.Text == "<<" ? "merge keys are not part of the language; repeat the keys, or put rules that have them in common into a group" : Wording.DidYouMean(key.Text, known) ?? $"known here: {Wording.OneOf(known)}";
                found.Error(key.At, $"{what} has no key {Wording.Quote(key.Text)}", hint);
            }
            else if (value is ScalarNode { IsAbsent: true })
            {
                found.Error(key.At, $"{Wording.Quote(key.Text)} has no value", "give it one, or leave the key out");
            }
        }

        return new Fields(map, what, found);
    }

    /// <summary>The fields of a mapping whose keys were looked at before.</summary>
    public static Fields Over(MapNode map, string what, Diagnostics found) => new(map, what, found);

    /// <summary>Whether the key is written at all.</summary>
    public bool Has(string key) => _map.Find(key) is not null;

    /// <summary>Where the key stands; the mapping's own place if it is not given.</summary>
    public SourceMark KeyAt(string key) => _map.FindKey(key)?.At ?? _map.At;

    /// <summary>The value of a key that must be there.</summary>
    public Node? Required(string key, string? hint = null)
    {
        if (!Has(key))
        {
            _found.Error(At, $"{_what} needs the key {Wording.Quote(key)}", hint);
        }

        return this[key];
    }

    /// <summary>The one of several keys that is given; an error, and null, unless it is exactly one.</summary>
    public string? ExactlyOne(params string[] keys)
    {
        string[] given = [.. keys.Where(Has).OrderBy(KeyAt)];
        if (given.Length == 1)
        {
            return given[0];
        }

        if (given.Length == 0)
        {
            _found.Error(At, $"{_what} needs one of {Wording.OneOf(keys)}");
        }
        else
        {
            _found.Error(KeyAt(given[1]), $"{_what} has both {Wording.Quote(given[0])} and {Wording.Quote(given[1])}", $"it takes exactly one of {Wording.OneOf(keys)}");
        }

        return null;
    }

    /// <summary>Finds each of these keys that is given, as not belonging here.</summary>
    public void Refuse(string because, string? hint, params string[] keys)
    {
        foreach (string key in keys.Where(Has))
        {
            _found.Error(KeyAt(key), $"{Wording.Quote(key)} {because}", hint);
        }
    }
}

/// <summary>Single values out of nodes; null after an error.</summary>
internal static class Values
{
    /// <summary>Text, as it stands.</summary>
    public static Located<string>? Text(Node? node, string what, Diagnostics found)
    {
        switch (node)
        {
            case null:
                return null;
            case ScalarNode { Text.Length: > 0 } scalar:
                return scalar.Located;
            default:
                found.Error(node.At, $"{what} is a single value, not {(node is ScalarNode ? "nothing" : node.Kind)}");
                return null;
        }
    }

    /// <summary>The nodes of a list, or the node itself where one may stand without a list.</summary>
    public static IReadOnlyList<Node> Each(Node? node) => node switch
    {
        null => [],
        ListNode list => list.Items,
        _ => [node],
    };

    /// <summary>The nodes of what must be a list.</summary>
    public static IReadOnlyList<Node> List(Node? node, string what, Diagnostics found)
    {
        if (node is ListNode list)
        {
            return list.Items;
        }

        if (node is not null)
        {
            found.Error(node.At, $"{what} is a list, not {node.Kind}", "each entry starts with '- '");
        }

        return [];
    }

    /// <summary>A whole number, decimal or 0x, in bounds.</summary>
    public static long? Number(Node? node, string what, long least, long most, Diagnostics found)
    {
        if (Text(node, what, found) is not { } text)
        {
            return null;
        }

        if (TryNumber(text.Value, out long value) && value >= least && value <= most)
        {
            return value;
        }

        found.Error(text.At, string.Create(CultureInfo.InvariantCulture, $"{what} is a number from {least} to {most}, not {Wording.Quote(text.Value)}"));
        return null;
    }

    /// <summary>A number below 2^62, decimal or 0x, without sign or spaces.</summary>
    public static bool TryNumber(string text, out long value)
    {
        value = 0;
        return text.StartsWith("0x", StringComparison.Ordinal)
            ? text.Length is > 2 and <= 17 && long.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value)
            : text.Length <= 18 && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>A time: <c>200ms</c>, <c>31s</c>, <c>5m</c>, <c>2h</c>, <c>2h4m</c>; nanoseconds.</summary>
    public static long? Duration(Node? node, string what, Diagnostics found)
    {
        if (Text(node, what, found) is not { } text)
        {
            return null;
        }

        if (Duration(text.Value) is { } time)
        {
            return time;
        }

        found.Error(text.At, $"{Wording.Quote(text.Value)} is not a time", "write 200ms, 31s, 5m, 2h or 2h4m");
        return null;
    }

    /// <summary>A time in whole seconds, rounded up; null where the text is none.</summary>
    public static long? Seconds(string text) => Duration(text) is { } time ? (time + 999_999_999) / 1_000_000_000 : null;

    /// <summary>Numbers with their units, the larger unit first; at most a year.</summary>
    private static long? Duration(string text)
    {
        const long Most = 366 * 24 * 3_600_000_000_000;
        long sum = 0, last = long.MaxValue;
        ReadOnlySpan<char> rest = text;
        while (!rest.IsEmpty)
        {
            int digits = rest.IndexOfAnyExceptInRange('0', '9');
            if (digits is < 1 or > 9)
            {
                return null;
            }

            int behind = rest[digits..].IndexOfAnyInRange('0', '9');
            int end = behind < 0 ? rest.Length : digits + behind;
            long unit = rest[digits..end] switch
            {
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                _ => 0,
            };
            long count = long.Parse(rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture);
            if (unit == 0 || unit >= last || count > (Most - sum) / unit)
            {
                return null;
            }

            sum += count * unit;
            last = unit;
            rest = rest[end..];
        }

        return sum == 0 ? null : sum;
    }

    /// <summary>One of a few words.</summary>
    public static T? Word<T>(Node? node, string what, Diagnostics found, params (string Word, T Value)[] words)
        where T : struct
    {
        if (Text(node, what, found) is not { } text)
        {
            return null;
        }

        foreach ((string word, T value) in words)
        {
            if (word == text.Value)
            {
                return value;
            }
        }

        string[] known = [.. words.Select(static w => w.Word)];
        found.Error(text.At, $"{what} is {Wording.OneOf(known)}, not {Wording.Quote(text.Value)}", Wording.Nearest(text.Value, known) is { } near ? $"did you mean {Wording.Quote(near)}?" : null);
        return null;
    }

    /// <summary><c>true</c> or <c>false</c>.</summary>
    public static bool Flag(Node? node, string what, Diagnostics found) =>
        Word(node, what, found, ("true", true), ("false", false)) ?? false;

    /// <summary>A name: letters, digits, '-', '_' and '.', starting with a letter or digit.</summary>
    public static Located<string>? Name(Node? node, string what, int longest, Diagnostics found)
    {
        if (Text(node, what, found) is not { } text)
        {
            return null;
        }

        bool good = text.Value.Length <= longest && char.IsAsciiLetterOrDigit(text.Value[0])
            && text.Value.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
        if (good)
        {
            return text;
        }

        found.Error(text.At, $"{Wording.Quote(text.Value)} cannot be {what}", string.Create(CultureInfo.InvariantCulture, $"names are letters, digits, '-', '_' and '.', at most {longest} of them"));
        return null;
    }
}

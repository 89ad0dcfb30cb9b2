using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>
/// Makes one tree of a ruleset and the files it includes. A file is read once; how deep, how many and how large they are is
/// bounded, and what comes twice is an error that names both places.
/// </summary>
/// <param name="folders">Learns where each file stands.</param>
/// <param name="found">Where findings go.</param>
internal sealed class Includes(Folders folders, Diagnostics found)
{
    /// <summary>The most files that a ruleset may be made of.</summary>
    public const int MostFiles = 256;

    /// <summary>The most bytes that all of them may have.</summary>
    public const long MostBytes = 4 * SourceText.LongestFile;

    private const string Key = "include", RulesKey = "rules", GroupKey = "group", IkeKey = "ike";

    private static readonly string[] s_merged = ["sets", "schedules", RulesKey, "ipsec", "tests"];

    /// <summary>Files that are read, by their real paths: where they were included, and whether they brought rules.</summary>
    private readonly Dictionary<string, (SourceMark At, bool Rules)> _read = new(StringComparer.Ordinal);
    private readonly List<(string Path, string Shown)> _open = [];
    private readonly Dictionary<string, ScalarNode> _keys = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Node> _parts = new(StringComparer.Ordinal);
    private readonly MapNode _ipsec = new(default);
    private readonly List<Node> _rules = [];
    private long _bytes;
    private long _nodes;
    private bool _spent;

    /// <summary>The ruleset with what its files say put where it belongs; the same tree where it includes none.</summary>
    /// <param name="file">The ruleset's name in messages.</param>
    /// <param name="root">Its tree.</param>
    /// <param name="known">The keys of a ruleset.</param>
    public MapNode Gather(string file, MapNode root, string[] known)
    {
        if (root.Find(Key) is null && !Names(root.Find(RulesKey)))
        {
            return root;
        }

        _open.Add((Real(Path.Combine(folders.Of(root.At), Path.GetFileName(file))), file));
        _nodes = root.Weight;
        Take(root, _rules, known);
        MapNode whole = new(root.At);
        foreach ((ScalarNode key, Node value) in root.Entries)
        {
            if (key.Text != Key)
            {
                whole.TryAdd(key, Part(key.Text) ?? value);
            }
        }

        foreach (string key in s_merged)
        {
            if (_keys.TryGetValue(key, out ScalarNode? at) && Part(key) is { } part)
            {
                whole.TryAdd(at, part);
            }
        }

        return whole;
    }

    /// <summary>Whether rules include files, in groups too.</summary>
    private static bool Names(Node? rules) => rules is ListNode list && list.Items.Any(static entry =>
        entry is MapNode map && (map.Find(Key) is not null || (map.Find(GroupKey) is not null && Names(map.Find(RulesKey)))));

    private Node? Part(string key)
    {
        if (_parts.TryGetValue(key, out Node? part))
        {
            return part;
        }

        if (key == RulesKey && _rules.Count > 0)
        {
            return List(_rules[0].At, _rules);
        }

        return key == "ipsec" && _ipsec.Entries.Count > 0 ? _ipsec : null;
    }

    /// <summary>Takes over a file's parts, those of the files it includes first; its rules go to where it is included.</summary>
    private void Take(MapNode root, List<Node> rules, string[] known)
    {
        foreach (Node entry in Values.Each(root.Find(Key)))
        {
            Include(entry, rules, known);
        }

        foreach (string key in s_merged)
        {
            if (root.Find(key) is not { } node)
            {
                continue;
            }

            _keys.TryAdd(key, root.FindKey(key)!);
            switch (node)
            {
                case ListNode list when key == RulesKey:
                    Expand(list, rules, known);
                    break;

                case MapNode map when key == "ipsec":
                    foreach ((ScalarNode name, Node value) in map.Entries)
                    {
                        if (name.Text == IkeKey && value is MapNode more && _ipsec.Find(IkeKey) is MapNode before)
                        {
                            _ipsec.Replace(name, MergeIke(before, more));
                        }
                        else
                        {
                            Merge(_ipsec.Find(name.Text), value, name.Text == "sas" ? "an SA" : "a key", merged => _ipsec.Replace(name, merged));
                        }
                    }

                    break;

                default:
                    Merge(_parts.GetValueOrDefault(key), node, key == "sets" ? "a set" : "a schedule", merged => _parts[key] = merged);
                    break;
            }
        }
    }

    /// <summary>The peers of several files, and their pools, stand beside each other.</summary>
    private MapNode MergeIke(MapNode before, MapNode more)
    {
        MapNode both = new(before.At);
        foreach ((ScalarNode key, Node value) in before.Entries.Concat(more.Entries))
        {
            Merge(both.Find(key.Text), value, key.Text switch { "peers" => "a peer", "pools" => "a pool", _ => "a key" }, merged => both.Replace(key, merged));
        }

        return both;
    }

    /// <summary>Two lists become one, and two mappings; what is neither is left for who reads it to complain of.</summary>
    private void Merge(Node? before, Node node, string what, Action<Node> put)
    {
        switch (before, node)
        {
            case (ListNode first, ListNode second):
                put(List(first.At, first.Items.Concat(second.Items)));
                break;

            case (MapNode first, MapNode second):
                MapNode both = new(first.At);
                foreach ((ScalarNode key, Node value) in first.Entries.Concat(second.Entries))
                {
                    if (!both.TryAdd(key, value))
                    {
                        found.Error(key.At, $"there already is {what} {Wording.Quote(key.Text)} {Wording.Place(both.FindKey(key.Text)!.At, key.At)}", "keep one of the two, or give one another name");
                    }
                }

                put(both);
                break;

            default:
                put(before is null or ListNode or MapNode ? node : before);
                break;
        }
    }

    private static ListNode List(SourceMark at, IEnumerable<Node> items)
    {
        ListNode list = new(at);
        foreach (Node item in items)
        {
            list.Add(item);
        }

        return list;
    }

    /// <summary>Puts the rules of included files where they are included.</summary>
    private void Expand(ListNode list, List<Node> rules, string[] known)
    {
        foreach (Node entry in list.Items)
        {
            if (entry is not MapNode map || (map.Find(Key) is null && !(map.Find(GroupKey) is not null && Names(map.Find(RulesKey)))))
            {
                rules.Add(entry);
            }
            else if (map.Find(Key) is { } named)
            {
                if (Fields.Of(map, "an 'include' among rules", found, [Key]) is not null)
                {
                    foreach (Node one in Values.Each(named))
                    {
                        Include(one, rules, known);
                    }
                }
            }
            else
            {
                MapNode group = new(map.At);
                foreach ((ScalarNode key, Node value) in map.Entries)
                {
                    List<Node> inner = [];
                    if (key.Text == RulesKey)
                    {
                        Expand((ListNode)value, inner, known);
                    }

                    group.TryAdd(key, key.Text == RulesKey ? List(value.At, inner) : value);
                }

                rules.Add(group);
            }
        }
    }

    private void Include(Node entry, List<Node> rules, string[] known)
    {
        if (_spent || Values.Text(entry, "the name of an included file", found) is not { } name)
        {
            return;
        }

        if (name.Value.Contains('\0', StringComparison.Ordinal))
        {
            found.Error(name.At, $"{Wording.Quote(name.Value)} is not the name of a file");
            return;
        }

        string path = Real(Path.Combine(folders.Of(name.At), name.Value));
        if (_open.FindIndex(open => open.Path == path) is >= 0 and var ring)
        {
            string chain = string.Join(" > ", _open.Skip(ring).Select(static open => open.Shown).Append(_open[ring].Shown));
            found.Error(name.At, $"files include each other in a ring: {chain}", "a file cannot include itself");
        }
        else if (_read.TryGetValue(path, out (SourceMark At, bool Rules) before))
        {
            // Sets that several files need may be asked for by each of them; rules stand in one place.
            if (before.Rules)
            {
                found.Error(name.At, $"{Wording.Quote(name.Value)} is already included {Wording.Place(before.At, name.At)}", "its rules stand there: include it once");
            }
        }
        else if (_open.Count >= Folders.Deepest || _read.Count >= MostFiles)
        {
            _spent = _read.Count >= MostFiles;
            found.Error(name.At, _open.Count >= Folders.Deepest ? $"files include files deeper than {Folders.Deepest} levels" : $"more than {MostFiles} files are included");
        }
        else
        {
            Read(name, path, rules, known);
        }
    }

    private void Read(Located<string> name, string path, List<Node> rules, string[] known)
    {
        _read[path] = (name.At, false);
        byte[]? bytes = OrdinaryFile.Read(path, Math.Min(SourceText.LongestFile, MostBytes - _bytes), out string? why);
        if (bytes is null)
        {
            found.Error(name.At, $"{Wording.Quote(name.Value)} cannot be included: {why}", "a relative name counts from the folder of the file that names it");
            return;
        }

        _bytes += bytes.Length;
        string shown = Path.Combine(Path.GetDirectoryName(name.At.File) ?? "", name.Value);
        folders.Add(shown, Path.GetDirectoryName(path) ?? "");
        Diagnostics own = new();
        Node? root = TreeReader.Read(shown, bytes, own);
        found.Add(own);
        if (root is null || Fields.Of(root, "an included file", found, known) is not { } fields || !RulesetReader.SpeaksOurLanguage(root, fields, found))
        {
            return;
        }

        fields.Refuse("belongs to the ruleset that includes the file", $"move it to {_open[0].Shown}", [.. known.Except([.. s_merged, Key, "filter"])]);
        _nodes += root.Weight;
        if (_nodes > TreeReader.MostNodes)
        {
            _spent = true;
            found.Error(name.At, $"with all included files the ruleset has more than {TreeReader.MostNodes:N0} values");
            return;
        }

        _open.Add((path, shown));
        int before = rules.Count;
        Take((MapNode)root, rules, known);
        _read[path] = (name.At, rules.Count > before);
        _open.RemoveAt(_open.Count - 1);
    }

    /// <summary>A file's own path, as far as links can be followed: what it is known by.</summary>
    private static string Real(string path)
    {
        string full = Path.GetFullPath(path);
        try
        {
            FileInfo file = new(full);
            return (file.ResolveLinkTarget(returnFinalTarget: true) ?? file).FullName;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException or System.Security.SecurityException)
        {
            return full;
        }
    }
}

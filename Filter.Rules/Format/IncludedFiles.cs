using Filter.Rules.Syntax;

namespace Filter.Rules.Format;

/// <summary>Which files a ruleset is made of, as far as their text tells.</summary>
public static class IncludedFiles
{
    private const int MostFiles = 256;

    /// <summary>The file and those it includes, each once; what cannot be read names nothing further.</summary>
    /// <param name="path">A ruleset, or a part of one.</param>
    public static IReadOnlyList<string> Of(string path)
    {
        List<string> files = [path];
        HashSet<string> known = [Path.GetFullPath(path)];
        for (int i = 0; i < files.Count; i++)
        {
            Diagnostics unseen = new();
            if (RulesetFile.Bytes(files[i], unseen) is { } bytes && TreeReader.Read(files[i], bytes, unseen) is MapNode root)
            {
                string folder = Path.GetDirectoryName(files[i]) ?? "";
                files.AddRange(Names(root)
                    .Where(static name => name.Length > 0 && !name.Contains('\0', StringComparison.Ordinal))
                    .Select(name => Path.Combine(folder, name))
                    .Where(file => known.Count < MostFiles && known.Add(Path.GetFullPath(file))));
            }
        }

        return files;
    }

    private static IEnumerable<string> Names(MapNode map)
    {
        IEnumerable<Node> entries = map.Find("rules") is ListNode rules ? rules.Items : [];
        IEnumerable<string> own = map.Find("include") switch
        {
            ScalarNode name => [name.Text],
            ListNode names => names.Items.OfType<ScalarNode>().Select(static name => name.Text),
            _ => [],
        };
        return own.Concat(entries.OfType<MapNode>().SelectMany(Names));
    }
}

using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads sets that are more than a list: from files, changed while they are in force, by name, by prefix, by host part.</summary>
internal sealed class LiveSetReader(ImmutableArray<PortConfig> ports, IReadOnlyList<string> portNames, Folders folders, Diagnostics found)
{
    private const int MostNames = 64;

    private static readonly string[] s_keys = ["entries", "file", "live", "names", "prefix-of", "host", "timeout", "size"];

    private static readonly string[] s_kinds = ["names", "prefix-of", "live"];

    private readonly List<LiveSet> _sets = [];

    /// <summary>The sets that change.</summary>
    public IReadOnlyList<LiveSet> All => _sets;

    /// <summary>Reads one.</summary>
    /// <param name="name">The set's name.</param>
    /// <param name="map">What it says.</param>
    /// <param name="collecting">Takes all that is in it but its entries.</param>
    /// <param name="entries">Its entries, for who reads lists; null for none.</param>
    /// <returns>Whether it is a set of addresses whatever its entries are; null where it is wrong.</returns>
    public bool? Read(Located<string> name, MapNode map, Collecting collecting, out Node? entries)
    {
        entries = null;
        if (Fields.Of(map, "a set", found, s_keys) is not { } fields)
        {
            return null;
        }

        int before = found.ErrorCount;
        bool live = Values.Flag(fields["live"], "'live'", found);
        string[] kinds = [.. s_kinds.Where(kind => kind == "live" ? live : fields.Has(kind))];
        if (kinds.Length > 1)
        {
            found.Error(fields.KeyAt(kinds[1]), $"{Wording.Quote(kinds[0])} and {Wording.Quote(kinds[1])} do not go together", "make two sets, and one that holds both");
        }

        if (!live)
        {
            fields.Refuse("is for sets that are changed by hand", "say live: true, or leave it out", "timeout", "size");
        }

        if (fields.Has("host"))
        {
            fields.Refuse("does not go with 'host'", "make two sets, and one that holds both", "entries", "file", "live", "names");
            if (found.ErrorCount == before)
            {
                Host(name, fields, collecting);
            }

            return found.ErrorCount == before ? true : null;
        }

        foreach (Node file in Values.Each(fields["file"]))
        {
            if (Values.Text(file, "'file'", found) is { } text)
            {
                collecting.SaysWhat();
                collecting.Add(SetFile.Read(text, folders.Of(text.At), found), not: false);
            }
        }

        long? timeout = Values.Duration(fields["timeout"], "'timeout'", found);
        long? size = Values.Number(fields["size"], "'size'", 1, LiveSet.MostSize, found);
        List<(AddressRange, long?)> first = [];
        entries = live ? WithoutTimeouts(fields["entries"], first) : fields["entries"];
        if (kinds.Length == 0 && entries is null && !fields.Has("file"))
        {
            found.Error(name.At, $"the set {Wording.Quote(name.Value)} is empty", "give it entries, a file or names, or say live: true");
        }

        if (found.ErrorCount != before || kinds.Length == 0)
        {
            return found.ErrorCount == before ? fields.Has("file") : null;
        }

        collecting.SaysWhat();
        collecting.Add(Live(name, fields, kinds[0], first, timeout, size), not: false);
        return found.ErrorCount == before ? true : null;
    }

    private LiveSet Live(Located<string> name, Fields fields, string kind, List<(AddressRange, long?)> first, long? timeout = null, long? size = null)
    {
        LiveSet set = new()
        {
            SetName = name.Value,
            At = name.At,
            Source = kind switch { "names" => LiveSource.Names, "prefix-of" => LiveSource.PrefixOf, _ => LiveSource.Control },
            Names = kind == "names" ? Names(fields["names"]) : [],
            Port = kind == "prefix-of" ? Port(fields["prefix-of"], first) : null,
            Timeout = timeout,
            Size = (int)(size ?? LiveSet.UsualSize),
            First = [.. first],
        };
        _sets.Add(set);
        return set;
    }

    /// <summary>Entries of the form <c>{ 192.0.2.1: 10m }</c> leave again; the others are for those who read lists.</summary>
    private ListNode? WithoutTimeouts(Node? node, List<(AddressRange, long?)> first)
    {
        if (node is null)
        {
            return null;
        }

        ListNode rest = new(node.At);
        foreach (Node entry in Values.Each(node))
        {
            if (entry is not MapNode map)
            {
                rest.Add(entry);
                continue;
            }

            foreach ((ScalarNode key, Node value) in map.Entries)
            {
                IReadOnlyList<AddressRange> ranges = AddressWords.LooksLikeOne(key.Text) ? AddressWords.Read(key.Located, found) : [];
                if (!AddressWords.LooksLikeOne(key.Text))
                {
                    found.Error(key.At, $"{Wording.Quote(key.Text)} is no address", "an entry with a timeout is written { 192.0.2.1: 10m }");
                }

                if (Values.Duration(value, "a timeout", found) is { } timeout)
                {
                    first.AddRange(ranges.Select(range => (range, (long?)timeout)));
                }
            }
        }

        return rest.Items.Count == 0 ? null : rest;
    }

    private ImmutableArray<string> Names(Node? node)
    {
        List<string> names = [];
        foreach (Node entry in Values.Each(node))
        {
            if (Values.Text(entry, "an entry of 'names'", found) is not { } text)
            {
                continue;
            }

            string name = text.Value.TrimEnd('.').ToLowerInvariant();
            bool good = name.Length is > 0 and <= 253 && !AddressWords.LooksLikeOne(name)
                && name.Split('.').All(static label => label.Length is > 0 and <= 63 && label[0] != '-' && label[^1] != '-'
                    && label.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'));
            if (!good)
            {
                found.Error(text.At, $"{Wording.Quote(text.Value)} is no name of a host", "write deb.example.org; addresses go to 'entries'");
            }

            names.Add(name);
        }

        if (node is not null && (names.Count is 0 or > MostNames))
        {
            found.Error(node.At, names.Count == 0 ? "'names' names no host" : $"'names' has more than {MostNames} names", names.Count == 0 ? "write names: [ deb.example.org ]" : "make several sets of it");
        }

        return [.. names.Distinct()];
    }

    private string? Port(Node? node, List<(AddressRange, long?)> first)
    {
        if (Values.Text(node, "'prefix-of'", found) is not { } text)
        {
            return null;
        }

        if (!portNames.Contains(text.Value))
        {
            found.Error(text.At, $"there is no port {Wording.Quote(text.Value)}", Wording.DidYouMean(text.Value, [.. portNames]));
            return null;
        }

        foreach (PortConfig port in ports.Where(port => port.Name == text.Value))
        {
            // All of a family is where the world lives, and no network.
            IEnumerable<Prefix> networks = port.Prefixes.Where(static p => p.Length > 0).Concat(port.Addresses.Select(static a => a.Network));
            first.AddRange(networks.SelectMany(static network => AddressSet.RangesOf(network)).Distinct().Select(static range => (range, (long?)null)));
        }

        return text.Value;
    }

    private void Host(Located<string> name, Fields fields, Collecting collecting)
    {
        if (Values.Text(fields["host"], "'host'", found) is not { } text)
        {
            return;
        }

        string[] parts = text.Value.Split('/');
        bool good = parts.Length <= 2 && Address.TryParse(parts[0], out Address host);
        _ = Address.TryParse(parts[0], out host);
        int length = 64;
        good &= parts.Length == 2
            ? int.TryParse(parts[1], System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out length) && length < (host.IsIPv4 ? 32 : 128) && length > 0
            : !host.IsIPv4;
        if (!good)
        {
            found.Error(text.At, $"{Wording.Quote(text.Value)} is no host part", "write what stands behind the prefix, and how long that is if not 64: ::10, ::10/56, 0.0.0.10/24");
            return;
        }

        if (Prefix.Around(host, length).Base is var before && (before.High | (host.IsIPv4 ? before.IPv4 : before.Low)) != 0)
        {
            found.Error(text.At, $"{Wording.Quote(text.Value)} has bits set in its first {length}, where the prefix stands", "write only what stands behind the prefix: ::10");
            return;
        }

        LiveSet? within = fields.Has("prefix-of") ? Live(name, fields, "prefix-of", []) : null;
        collecting.SaysWhat();
        collecting.Add(new HostPart(name.Value, host, length, within), not: false);
    }
}

using Filter.Engine.Packets;
using Filter.Rules.Policy;
using Filter.Rules.Policy.Binding;
using Filter.Rules.Syntax;

namespace Filter.Rules;

/// <summary>A pair of SAs that is added by hand, and the policies that it is for.</summary>
public sealed record AddedSa(SaConfig Sa, IReadOnlyList<string> Policies);

/// <summary>What reading SAs gave: they hold, or the findings say why not.</summary>
/// <param name="Sas">The pairs; empty if there is an error.</param>
/// <param name="Diagnostics">Errors and warnings in the order of their places.</param>
public sealed record SaReading(IReadOnlyList<AddedSa> Sas, IReadOnlyList<Diagnostic> Diagnostics)
{
    /// <summary>Whether there is no error.</summary>
    public bool Holds => !Diagnostics.Any(static d => d.Severity == Severity.Error);

    /// <summary>Overwrites all keys with zeros.</summary>
    public void WipeKeys()
    {
        foreach (AddedSa added in Sas)
        {
            added.Sa.Out.Wipe();
            added.Sa.In.Wipe();
        }
    }
}

/// <summary>SAs for a ruleset that runs: a mapping of names to what stands under <c>sas</c>, and <c>policy</c> beside it.</summary>
public static class SaFile
{
    private const string PolicyKey = "policy";

    /// <summary>Reads them. Never throws, whatever the text holds.</summary>
    /// <param name="file">The name that messages give it.</param>
    /// <param name="bytes">All of it.</param>
    /// <param name="directory">Where relative key files are looked for.</param>
    /// <param name="running">The ruleset whose policies are meant.</param>
    public static SaReading Parse(string file, ReadOnlySpan<byte> bytes, string directory, Ruleset running)
    {
        Diagnostics found = new();
        Node? root = TreeReader.Read(file, bytes, found);
        if (root is not null and not MapNode)
        {
            found.Error(root.At, $"SAs are a mapping of names to what they are, not {root.Kind}", "write branch: { policy: ..., mode: tunnel, ... }");
        }

        if (root is not MapNode map)
        {
            return new SaReading([], found.All);
        }

        MapNode sas = new(map.At);
        Dictionary<string, IReadOnlyList<string>> policies = new(StringComparer.Ordinal);
        foreach ((ScalarNode name, Node value) in map.Entries)
        {
            policies[name.Text] = PoliciesOf(name, value, running, found);
            sas.TryAdd(name, value is MapNode fields ? Without(fields) : value);
        }

        Sets none = new(null, new LiveSetReader([], [], new Folders(directory), found), found);
        List<SaConfig> read = new IpsecReader(none, running.Ports, new Folders(directory), found).ReadSas(sas);
        SaReading reading = new([.. read.Select(sa => new AddedSa(sa, policies[sa.Name]))], found.All);
        if (reading.Holds)
        {
            return reading;
        }

        reading.WipeKeys();
        return reading with { Sas = [] };
    }

    private static List<string> PoliciesOf(ScalarNode name, Node value, Ruleset running, Diagnostics found)
    {
        IpsecPolicy[] protecting = [.. (running.Ipsec?.Policies ?? []).Where(static policy => policy.Action == IpsecAction.Protect)];
        string[] known = [.. protecting.Select(static policy => policy.Name)];
        List<string> named = [];
        if (value is MapNode fields && fields.Find(PolicyKey) is { } node)
        {
            foreach (Node one in Values.Each(node))
            {
                if (Values.Text(one, "'policy'", found) is not { } text)
                {
                    continue;
                }

                if (!known.Contains(text.Value))
                {
                    found.Error(text.At, $"no policy {Wording.Quote(text.Value)} protects anything", Wording.DidYouMean(text.Value, known) ?? $"the ruleset in force has {Wording.OneOf(known)}");
                }
                else if (protecting.Any(policy => policy.Name == text.Value && policy.Populate != PopulatedSelectors.None))
                {
                    found.Error(text.At, $"the policy {Wording.Quote(text.Value)} has an SA for each packet's values, and what is added by hand has none: it would seal nothing", "a key manager brings such SAs; or take 'populate' out of the policy");
                }

                named.Add(text.Value);
            }
        }
        else
        {
            found.Error(name.At, $"the SA {Wording.Quote(name.Text)} says not which policy it is for", known.Length == 0 ? "the ruleset in force has no policy that protects" : $"write policy: {known[0]}");
        }

        return named;
    }

    private static MapNode Without(MapNode fields)
    {
        MapNode rest = new(fields.At);
        foreach ((ScalarNode key, Node value) in fields.Entries.Where(static entry => entry.Key.Text != PolicyKey))
        {
            rest.TryAdd(key, value);
        }

        return rest;
    }
}

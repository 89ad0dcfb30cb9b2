using Filter.Rules;
using Filter.Rules.Compile;
using Filter.Rules.Format;
using Filter.Rules.Syntax;

namespace Filter.Fuzz;

/// <summary>What can be fuzzed. A target throws for what must not be, and for nothing else.</summary>
internal static class Targets
{
    /// <summary>Key files and included files are looked for where there are none.</summary>
    private const string Nowhere = "/nonexistent";

    /// <summary>The targets by name. Another one is a line here, and its seeds in `./dev fuzz`.</summary>
    public static IReadOnlyDictionary<string, Action<byte[]>> All { get; } = new Dictionary<string, Action<byte[]>>(StringComparer.Ordinal)
    {
        ["reader"] = Reader,
        ["fmt"] = Format,
        ["esp"] = ProtectedWalk.Run,
        ["pfkey"] = PfKeyTalk.Run,
        ["ike"] = IkeMessages.Run,
    };

    /// <summary>Of targets that no file of the repository is an input of: what to begin with.</summary>
    public static IReadOnlyDictionary<string, Func<IEnumerable<byte[]>>> Seeds { get; } = new Dictionary<string, Func<IEnumerable<byte[]>>>(StringComparer.Ordinal)
    {
        ["esp"] = ProtectedWalk.Seeds,
        ["pfkey"] = PfKeyTalk.Seeds,
        ["ike"] = IkeMessages.Seeds,
    };

    /// <summary>Bytes become a ruleset that compiles, or findings with a place.</summary>
    private static void Reader(byte[] bytes)
    {
        RulesetReading reading = RulesetFile.Parse("fuzz.yaml", bytes, Nowhere);
        Must(reading.Ruleset is not null == (reading.ErrorCount == 0), "a ruleset, or errors");
        foreach (Diagnostic found in reading.Diagnostics)
        {
            Must(found.At is { Line: > 0, Column: > 0 } && found.Message.Length > 0 && found.ToString().Length > 0, "a finding has a place and a text");
        }

        if (reading.Ruleset is { } ruleset)
        {
            RulesetCompiler.Compile(ruleset);
            ruleset.WipeKeys();
        }
    }

    /// <summary>What is laid out stays as it is when it is laid out again.</summary>
    private static void Format(byte[] bytes)
    {
        if (RulesetFormat.Format("fuzz.yaml", bytes, new Diagnostics()) is { } once)
        {
            string? again = RulesetFormat.Format("fuzz.yaml", System.Text.Encoding.UTF8.GetBytes(once), new Diagnostics());
            Must(again == once, "laid out twice, it is the same");
        }
    }

    private static void Must(bool so, string what)
    {
        if (!so)
        {
            throw new InvalidOperationException($"not so: {what}");
        }
    }
}

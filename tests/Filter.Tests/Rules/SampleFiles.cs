using Filter.Rules;

namespace Filter.Tests.Rules;

/// <summary>Finds the rulesets and texts that the repository ships.</summary>
internal static class SampleFiles
{
    /// <summary>The repository's top directory.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The sample rulesets, by path from the top.</summary>
    public static IEnumerable<string> Rulesets =>
        Directory.GetFiles(Path.Combine(Root, "rules"), "*.yaml").Select(static f => "rules/" + Path.GetFileName(f)).Order();

    /// <summary>The broken rulesets, by path from the top.</summary>
    public static IEnumerable<string> Broken =>
        Directory.GetFiles(Path.Combine(Root, "rules/broken"), "*.yaml").Select(static f => "rules/broken/" + Path.GetFileName(f)).Order();

    /// <summary>Reads a sample ruleset with the files that it includes.</summary>
    public static RulesetReading Read(string path) => RulesetFile.Parse(path, Bytes(path), Path.GetDirectoryName(Path.Combine(Root, path)));

    /// <summary>The bytes of a file of the repository.</summary>
    public static byte[] Bytes(string path) => File.ReadAllBytes(Path.Combine(Root, path));

    private static string FindRoot()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Filter.slnx")))
            {
                return at.FullName;
            }
        }

        throw new InvalidOperationException("the tests run outside of the repository");
    }
}

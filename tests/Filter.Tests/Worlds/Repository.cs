namespace Filter.Tests.Worlds;

/// <summary>Where the sources are: scripts, sample rulesets.</summary>
public static class Repository
{
    /// <summary>The folder of <c>Filter.slnx</c>, found upwards from the tests' own folder.</summary>
    public static string Root { get; } = Find();

    private static string Find()
    {
        for (string? folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "Filter.slnx")))
            {
                return folder;
            }
        }
        throw new InvalidOperationException($"no Filter.slnx above {AppContext.BaseDirectory}");
    }
}

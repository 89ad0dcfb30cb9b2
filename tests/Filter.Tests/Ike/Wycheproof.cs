using System.Text.Json;
using Filter.Tests.Worlds;

namespace Filter.Tests.Ike;

/// <summary>Wycheproof's cases, where they are.</summary>
internal static class Wycheproof
{
    private static readonly string s_vectors = Path.GetFullPath(Path.Combine(Repository.Root, "../shared/vectors"));

    /// <summary>Each case of a file, and the group it is in.</summary>
    internal static List<(JsonElement Case, JsonElement Group)> Cases(string file)
    {
        string path = Present(file);
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
        return [.. document.RootElement.GetProperty("testGroups").EnumerateArray()
            .SelectMany(static g => g.GetProperty("tests").EnumerateArray(), static (g, t) => (t.Clone(), g.Clone()))];
    }

    /// <summary>Where a file is; the test is skipped where it is not.</summary>
    internal static string Present(string file)
    {
        string path = Path.Combine(s_vectors, file);
        Assert.SkipUnless(File.Exists(path), $"../shared/vectors/{file} is absent");
        return path;
    }

    internal static string NameOf(string file, JsonElement one) => $"{file} {one.GetProperty("tcId")}";

    internal static bool IsValid(JsonElement one) => one.GetProperty("result").GetString() != "invalid";

    internal static byte[] Hex(JsonElement one, string name) => Convert.FromHexString(one.GetProperty(name).GetString()!);
}

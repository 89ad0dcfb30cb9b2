using System.Text.RegularExpressions;
using Filter.Tests.Worlds;

namespace Filter.Tests.Filterctl;

/// <summary>What the language reference shows is what happens.</summary>
public sealed partial class ReferenceTests
{
    [Fact]
    public void Every_test_in_the_language_reference_passes()
    {
        using Scratch folder = new();
        int count = 0;
        foreach (Match fence in YamlFence().Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs/ruleset.md"))))
        {
            string block = fence.Groups[1].Value;
            if (block.StartsWith("filter: 1", StringComparison.Ordinal) && block.Contains("\ntests:", StringComparison.Ordinal))
            {
                Typed ran = Typed.Run("test", folder.Write("block.yaml", block));
                Assert.True(ran.Status == 0, ran.Out + ran.Error);
                count++;
            }
        }

        Assert.True(count >= 4, "the reference shows hardly any test");
    }

    [Theory]
    [InlineData("mon 17:59", "pass")]
    [InlineData("mon 18:00", "drop")]
    public void Explain_looks_at_the_time_it_is_told(string at, string verdict)
    {
        using Scratch folder = new();
        string file = folder.Write("work.yaml", """
            filter: 1
            ports: { outside: { nic: eth0, side: unprotected }, inside: { nic: eth1, side: protected } }
            rules: [ { allow: work, from: inside, when: mon-fri 08:00-18:00 } ]

            """);
        Typed ran = Typed.Run("explain", file, "inside: udp 192.0.2.5:4000 > 9.9.9.9:53", "--at", at, "--json");
        Assert.Equal(verdict, ran.Json.GetProperty("verdict").GetString());
        Assert.Equal(2, Typed.Run("explain", file, "inside: udp 192.0.2.5:4000 > 9.9.9.9:53", "--at", "noon").Status);
    }

    [GeneratedRegex("^```yaml\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex YamlFence();
}

using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Rules;
using Filter.Rules.Compile;
using Filter.Rules.Policy;

namespace Filter.Tests.Rules;

/// <summary>What the repository ships as right is right, and what it ships as wrong gets exactly the errors beside it.</summary>
public sealed partial class SampleRulesetTests
{
    public static TheoryData<string> Rulesets => [.. SampleFiles.Rulesets];

    public static TheoryData<string> Broken => [.. SampleFiles.Broken];

    [Theory]
    [MemberData(nameof(Rulesets))]
    public void Accepts_every_sample_without_a_word(string path)
    {
        RulesetReading reading = SampleFiles.Read(path);

        Assert.Empty(reading.Diagnostics);
        Assert.NotEmpty(reading.Ruleset!.Tests);
        Assert.Equal(reading.Ruleset.Rules.Length + 4, RulesetCompiler.Compile(reading.Ruleset).RuleCount);
    }

    [Fact]
    public void Every_sample_that_was_promised_is_there()
    {
        string[] promised = ["bridge", "host", "office", "school", "site-to-site", "hub", "permissive"];
        Assert.Empty(promised.Select(static n => $"rules/{n}.yaml").Except(SampleFiles.Rulesets));
    }

    [Theory]
    [MemberData(nameof(Broken))]
    public void Rejects_each_broken_ruleset_with_exactly_its_errors(string path)
    {
        string expected = Path.Combine(SampleFiles.Root, Path.ChangeExtension(path, ".expected"));
        Assert.True(File.Exists(expected), $"{expected} is missing");
        string directory = Directory.CreateTempSubdirectory("filter-broken-").FullName;
        try
        {
            CopyKeyFiles(directory);
            CopyIncluded(directory);
            CopyCredentials(directory);
            RulesetReading reading = RulesetFile.Parse(path, SampleFiles.Bytes(path), directory);

            Assert.Null(reading.Ruleset);
            Assert.NotEqual(0, reading.ErrorCount);
            Assert.Equal(File.ReadAllText(expected), string.Concat(reading.Diagnostics.Select(static d => d + "\n")));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public void No_expected_error_stands_without_its_ruleset()
    {
        string[] expected = Directory.GetFiles(Path.Combine(SampleFiles.Root, "rules/broken"), "*.expected");
        Assert.All(expected, static e => Assert.True(File.Exists(Path.ChangeExtension(e, ".yaml")), e));
        Assert.True(expected.Length >= 25);
    }

    [Fact]
    public void The_two_sites_mirror_each_other()
    {
        Ruleset a = Read("rules/site-to-site.yaml"), b = Read("rules/site-to-site-peer.yaml");
        SaConfig here = a.Ipsec!.Sas.Single(), there = b.Ipsec!.Sas.Single();

        Assert.Equal(here.Settings.Local, there.Settings.Remote);
        Assert.Equal(here.Settings.Remote, there.Settings.Local);
        Assert.Equal(here.Out, there.In);
        Assert.Equal(here.In, there.Out);
        Assert.Equal(a.AddressSets["here"], b.AddressSets["there"]);
        Assert.Equal(a.AddressSets["there"], b.AddressSets["here"]);
    }

    [Fact]
    public void Every_ruleset_in_the_language_reference_is_right()
    {
        string text = Encoding.UTF8.GetString(SampleFiles.Bytes("docs/ruleset.md"));
        string[] blocks = [.. YamlFence().Matches(text).Select(static m => m.Groups[1].Value).Where(static b => b.StartsWith("filter: 1", StringComparison.Ordinal))];

        Assert.True(blocks.Length >= 5, "the reference has hardly any whole example");
        Assert.All(blocks, static b => Assert.Empty(RulesetFile.Parse("docs/ruleset.md", b).Diagnostics));
    }

    [Fact]
    public void The_language_reference_lists_every_drop_reason_and_every_timer()
    {
        string[] lines = Encoding.UTF8.GetString(SampleFiles.Bytes("docs/ruleset.md")).Split('\n');
        IEnumerable<string> words = Enum.GetValues<DropReason>().Where(static reason => reason != DropReason.None).Select(static reason => reason.Name())
            .Concat(FlowTimers.Words.Select(static timer => timer.Word));

        Assert.All(words, word => Assert.Contains(lines, line => line.StartsWith("| ", StringComparison.Ordinal)
            && line.Split(" | ")[0].Contains($"`{word}`", StringComparison.Ordinal)));
    }

    private static Ruleset Read(string path) => SampleFiles.Read(path).Ruleset!;

    /// <summary>A checkout may have any mode: the file that everybody may read is made so.</summary>
    private static void CopyKeyFiles(string directory)
    {
        foreach (string key in Directory.GetFiles(Path.Combine(SampleFiles.Root, "rules/broken"), "*.keys"))
        {
            string copy = Path.Combine(directory, Path.GetFileName(key));
            File.Copy(key, copy);
            if (!RuntimeInformation.IsOSPlatform(OSPlatform.Windows))
            {
                File.SetUnixFileMode(copy, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
            }
        }
    }

    private static void CopyIncluded(string directory)
    {
        string to = Directory.CreateDirectory(Path.Combine(directory, "included")).FullName;
        foreach (string file in Directory.GetFiles(Path.Combine(SampleFiles.Root, "rules/broken/included")))
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }
    }

    /// <summary>Of what peers prove themselves with, private keys and PSKs are their owner's alone, but for the one that is not.</summary>
    private static void CopyCredentials(string directory)
    {
        string to = Directory.CreateDirectory(Path.Combine(directory, "ike")).FullName;
        foreach (string file in Directory.GetFiles(Path.Combine(SampleFiles.Root, "rules/broken/ike")))
        {
            string copy = Path.Combine(to, Path.GetFileName(file));
            File.Copy(file, copy);
            if (!RuntimeInformation.IsOSPlatform(OSPlatform.Windows))
            {
                UnixFileMode others = Path.GetFileName(file) is "readable.key" ? UnixFileMode.GroupRead | UnixFileMode.OtherRead : UnixFileMode.None;
                File.SetUnixFileMode(copy, UnixFileMode.UserRead | UnixFileMode.UserWrite | others);
            }
        }
    }

    [GeneratedRegex("^```yaml\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex YamlFence();
}

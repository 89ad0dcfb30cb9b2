using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using Filter.Engine.Packets;
using Filter.Rules.Analysis;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Tests.Rules.Analysis;

/// <summary>Other people's rulesets, of ten thousand rules: nothing remains undecided.</summary>
public sealed class ClassbenchAnalysisTests
{
    private static readonly string s_sets = Path.Combine(SampleFiles.Root, "..", "shared", "classbench");

    public static TheoryData<string> Sets => [.. SetNames()];

    [Theory]
    [MemberData(nameof(Sets))]
    public void Of_ten_thousand_rules_none_is_undecided(string set)
    {
        Assert.SkipUnless(Directory.Exists(s_sets), "../shared/classbench is absent");
        Ruleset ruleset = Read(set);
        long before = Stopwatch.GetTimestamp();
        ImmutableArray<Finding> found = RulesetAnalysis.Of(ruleset);
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{set}: {Stopwatch.GetElapsedTime(before).TotalMilliseconds:0} ms, {string.Join(", ", found.GroupBy(static f => f.Kind).Select(static g => $"{g.Key} {g.Count()}"))}");
        Assert.DoesNotContain(found, static f => f.Kind == FindingKind.Undecided);
        Assert.Contains(found, static f => f.Kind is FindingKind.Unreachable or FindingKind.Redundant);
    }

    private static IEnumerable<string> SetNames() => Directory.Exists(s_sets)
        ? Directory.GetFiles(s_sets, "*_10k.rules.gz").Select(static f => Path.GetFileName(f).Replace(".rules.gz", "", StringComparison.Ordinal)).Order()
        : ["absent"];

    /// <summary>The rules as a bridge would have them: every third one drops.</summary>
    internal static Ruleset Read(string set)
    {
        using StreamReader reader = new(new GZipStream(File.OpenRead(Path.Combine(s_sets, $"{set}.rules.gz")), CompressionMode.Decompress));
        List<Rule> rules = [];
        while (reader.ReadLine() is { } line)
        {
            string[] fields = line.TrimStart('@').Split('\t', StringSplitOptions.TrimEntries);
            byte protocol = byte.Parse(fields[4].AsSpan(2, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            bool any = fields[4].EndsWith("0x00", StringComparison.Ordinal);
            PortRange sources = Ports(fields[2]), destinations = Ports(fields[3]);
            rules.Add(new Rule
            {
                Name = $"r{rules.Count}",
                At = new SourceMark(set, rules.Count + 1, 1),
                Action = rules.Count % 3 == 2 ? RuleAction.Drop : RuleAction.Allow,
                Source = Addresses(fields[0]),
                Destination = Addresses(fields[1]),
                Service = any ? destinations == PortRange.All ? null : ServiceSet.Of([new Service(6, destinations), new Service(17, destinations)]) : ServiceSet.Of([new Service(protocol, destinations)]),
                SourcePorts = sources == PortRange.All ? [] : [sources],
            });
        }

        return TinyWorld.Of([.. rules]) with { Ports = [.. TinyWorld.Ports.Take(2)] };
    }

    private static AddressSet Addresses(string text)
    {
        Assert.True(Prefix.TryParse(text, out Prefix prefix, out _), text);
        return AddressSet.Of(AddressSet.RangesOf(prefix));
    }

    private static PortRange Ports(string text)
    {
        string[] ends = text.Split(':', StringSplitOptions.TrimEntries);
        return new PortRange(ushort.Parse(ends[0], CultureInfo.InvariantCulture), ushort.Parse(ends[1], CultureInfo.InvariantCulture));
    }
}

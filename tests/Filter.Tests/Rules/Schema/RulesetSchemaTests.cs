using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Filter.Rules;
using Filter.Rules.Schema;
using Filter.Rules.Syntax;
using Json.Schema;

namespace Filter.Tests.Rules.Schema;

/// <summary>The schema knows the keys that the reader knows, takes what is right, and refuses what has a wrong shape.</summary>
public sealed partial class RulesetSchemaTests
{
    /// <summary>What can be seen without knowing names, other files, or what goes together.</summary>
    private static readonly string[] s_wrongInShape =
    [
        "bad-defaults", "bad-timers", "no-version", "unknown-key", "wrong-shape", "wrong-version", "no-action",
    ];

    private static readonly Lazy<JsonSchema> s_schema = new(static () => JsonSchema.FromText(RulesetSchema.Text));

    public static TheoryData<string> Rulesets => [.. SampleFiles.Rulesets];

    public static TheoryData<string> WrongInShape => [.. s_wrongInShape];

    [Theory]
    [MemberData(nameof(Rulesets))]
    public void Takes_every_sample(string path) => Assert.Empty(Complaints(SampleFiles.Bytes(path)));

    [Fact]
    public void Takes_every_ruleset_in_the_language_reference()
    {
        string text = Encoding.UTF8.GetString(SampleFiles.Bytes("docs/ruleset.md"));
        string[] blocks = [.. YamlFence().Matches(text).Select(static m => m.Groups[1].Value).Where(static b => b.StartsWith("filter: 1", StringComparison.Ordinal))];

        Assert.True(blocks.Length >= 5, "the reference has hardly any whole example");
        Assert.All(blocks, static block => Assert.True(Complaints(Encoding.UTF8.GetBytes(block)) is [], string.Join('\n', Complaints(Encoding.UTF8.GetBytes(block))) + "\n" + block));
    }

    [Theory]
    [MemberData(nameof(WrongInShape))]
    public void Refuses_what_has_a_wrong_shape(string name) =>
        Assert.NotEmpty(Complaints(SampleFiles.Bytes($"rules/broken/{name}.yaml")));

    [Theory]
    [InlineData("rules: [ { allow: x, drop: y } ]")]
    [InlineData("rules: [ { group: x, log: true, rules: [] } ]")]
    [InlineData("rules: [ { allow: x, log: maybe } ]")]
    [InlineData("ports: { a: { nic: eth0, tap: filter0, side: protected } }")]
    [InlineData("ports: { a: { nic: eth0, side: left } }")]
    [InlineData("limits: { flows: many }")]
    [InlineData("limits: { answers: 10 }")]
    [InlineData("timers: { icmp: 10 }")]
    [InlineData("tests: [ { pass: nonsense } ]")]
    [InlineData("tests: [ { conversation: x } ]")]
    [InlineData("schedules: [ work ]")]
    [InlineData("ipsec: { policies: [ { protect: a, bypass: b } ] }")]
    public void Refuses(string part)
    {
        Assert.NotEmpty(Complaints(Encoding.UTF8.GetBytes("filter: 1\n" + part)));
        Assert.NotEqual(0, RulesetFile.Parse("x", "filter: 1\n" + part).ErrorCount);
    }

    [Fact]
    public void Each_key_of_the_reader_is_described_and_no_other()
    {
        List<(string Name, string[] Keys)> read = [.. ReaderKeys()];
        List<(string Name, string[] Keys)> described = [.. Objects(JsonNode.Parse(RulesetSchema.Text)!, "")];

        // A test is a packet or a conversation to the schema, and one thing with all keys to the reader.
        string[] test = [.. described.Where(static d => d.Name is "/$defs/packetTest" or "/$defs/conversation").SelectMany(static d => d.Keys).Distinct()];
        string[][] wholes = [.. described.Select(static d => d.Keys), test];
        Assert.True(read.Count >= 15, "the reader's keys are not where they were");
        Assert.All(read, reads => Assert.True(
            wholes.Any(whole => Same(whole, reads.Keys)), $"the schema has no object with the keys of {reads.Name}: {string.Join(", ", reads.Keys)}"));
        Assert.All(described.Where(static d => d.Name is not ("/$defs/packetTest" or "/$defs/conversation" or "/$defs/includedRules")), describes => Assert.True(
            read.Any(reads => Same(reads.Keys, describes.Keys)), $"the reader knows no place with the keys of {describes.Name}: {string.Join(", ", describes.Keys)}"));
    }

    [Fact]
    public void Each_key_says_what_it_is_for()
    {
        Assert.All(Properties(JsonNode.Parse(RulesetSchema.Text)!), static property =>
            Assert.True(property.Value?["description"]?.GetValue<string>() is ['A' or 'E' or >= 'A' and <= 'Z' or >= 'a' and <= 'z' or >= '0' and <= '9', .., '.'], property.Key));
    }

    [Fact]
    public void Filterctl_prints_it()
    {
        Filterctl.Typed ran = Filterctl.Typed.Run("schema");

        Assert.Equal((0, RulesetSchema.Text, ""), (ran.Status, ran.Out, ran.Error));
    }

    /// <summary>Every table of keys that a mapping of the language is held against.</summary>
    private static IEnumerable<(string Name, string[] Keys)> ReaderKeys() =>
        from type in typeof(RulesetFile).Assembly.GetTypes()
        where type.Namespace == "Filter.Rules.Policy.Binding"
        from field in type.GetFields(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
        where field.FieldType == typeof(string[]) && field.Name.EndsWith("eys", StringComparison.Ordinal) && field.Name != "s_packetKeys"
        select ($"{type.Name}.{field.Name}", (string[])field.GetValue(null)!);

    private static bool Same(string[] some, string[] others) => 
        some.Order(StringComparer.Ordinal).SequenceEqual(others.Order(StringComparer.Ordinal));

    /// <summary>The schema's objects whose keys are all known.</summary>
    private static IEnumerable<(string Name, string[] Keys)> Objects(JsonNode node, string path) => node switch
    {
        JsonObject thing => thing.SelectMany(pair => pair.Value is null ? [] : Objects(pair.Value, $"{path}/{pair.Key}"))
            .Concat(thing["additionalProperties"] is JsonValue && thing["properties"] is JsonObject keys ? [(path, keys.Select(static key => key.Key).ToArray())] : []),
        JsonArray list => list.SelectMany((item, i) => item is null ? [] : Objects(item, $"{path}/{i}")),
        _ => [],
    };

    private static IEnumerable<KeyValuePair<string, JsonNode?>> Properties(JsonNode node) => node switch
    {
        JsonObject thing => thing.SelectMany(static pair => pair.Value is null ? [] : Properties(pair.Value))
            .Concat(thing["additionalProperties"] is JsonValue && thing["properties"] is JsonObject keys ? keys : Enumerable.Empty<KeyValuePair<string, JsonNode?>>()),
        JsonArray list => list.SelectMany(static item => item is null ? [] : Properties(item)),
        _ => [],
    };

    private static string[] Complaints(byte[] yaml)
    {
        Node root = TreeReader.Read("test.yaml", yaml, new()) ?? throw new InvalidOperationException("not YAML");
        EvaluationResults results = s_schema.Value.Evaluate(Json(root), new EvaluationOptions { OutputFormat = OutputFormat.List });
        return results.IsValid ? [] : [.. results.Details
            .Where(static d => d.HasErrors)
            .SelectMany(static d => d.Errors!.Select(e => $"{d.InstanceLocation}: {e.Key}: {e.Value}"))
            .Append("not valid")];
    }

    /// <summary>A tree as editors see it: plain words are numbers and truth values where YAML 1.2 says so.</summary>
    private static JsonNode? Json(Node node) => node switch
    {
        ListNode list => new JsonArray([.. list.Items.Select(Json)]),
        MapNode map => new JsonObject(map.Entries.Select(static e => KeyValuePair.Create(e.Key.Text, Json(e.Value)))),
        ScalarNode { IsAbsent: true } or ScalarNode { Quoted: false, Text: "null" or "~" } => null,
        ScalarNode { Quoted: false, Text: "true" or "false" } flag => flag.Text == "true",
        ScalarNode { Quoted: false } plain when long.TryParse(plain.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) => number,
        ScalarNode { Quoted: false } plain when plain.Text.StartsWith("0x", StringComparison.Ordinal) && UInt128.TryParse(plain.Text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out UInt128 hex) => (double)hex,
        ScalarNode { Quoted: false } plain when double.TryParse(plain.Text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double real) => real,
        _ => ((ScalarNode)node).Text,
    };

    [GeneratedRegex("^```yaml\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex YamlFence();
}

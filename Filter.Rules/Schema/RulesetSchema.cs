namespace Filter.Rules.Schema;

/// <summary>
/// The language as a JSON Schema, by which editors complete and check: every key with what it says, and what its values look
/// like. It knows one file and no names, so it lets through what only the reader can judge, and refuses nothing that is right.
/// </summary>
public static class RulesetSchema
{
    /// <summary>The schema, draft 2020-12.</summary>
    public static string Text
    {
        get
        {
            using Stream stream = typeof(RulesetSchema).Assembly.GetManifestResourceStream("ruleset.schema.json")!;
            using StreamReader reader = new(stream);
            return reader.ReadToEnd();
        }
    }
}

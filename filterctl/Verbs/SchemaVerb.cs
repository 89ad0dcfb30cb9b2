using System.CommandLine;
using Filter.Ctl.Output;
using Filter.Rules.Schema;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl schema: the language for editors.</summary>
internal static class SchemaVerb
{
    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Command verb = new("schema",
            """
            Print the ruleset language as a JSON Schema (draft 2020-12), by which editors complete and check rulesets. Whatever
            uses yaml-language-server takes it from a ruleset's first line: # yaml-language-server: $schema=filter.schema.json

            Example:
              filterctl schema > filter.schema.json
            """);
        verb.SetAction(_ =>
        {
            screen.Out.Write(RulesetSchema.Text);
            return Exit.Done;
        });
        return verb;
    }
}

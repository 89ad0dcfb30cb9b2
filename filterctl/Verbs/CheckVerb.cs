using System.CommandLine;
using System.Text.Json;
using Filter.Ctl.Output;
using Filter.Rules;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl check: whether a ruleset holds, and all that is wrong with it.</summary>
internal static class CheckVerb
{
    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Argument<string> file = Options.Ruleset();
        Option<bool> json = Options.Json();
        Command verb = new("check",
            """
            Read a ruleset and show every error in it, each with its place and a hint. Needs no rights.

            Example:
              filterctl check office.yaml
            """)
        { file, json };
        verb.SetAction(parsed => Run(screen, parsed.GetValue(file)!, parsed.GetValue(json)));
        return verb;
    }

    private static int Run(Screen screen, string file, bool json)
    {
        RulesetReading reading = RulesetFile.Read(file);
        if (json)
        {
            WriteJson(screen, file, reading);
        }
        else
        {
            screen.Complain(reading.Diagnostics.Select(static d => d.ToString()));
            if (reading.Ruleset is { } ruleset)
            {
                screen.Line($"{file}: {screen.Paint("good", Tint.Good)}: {Summary(ruleset)}");
            }
            else
            {
                screen.Complain($"{file}: {Count(reading.ErrorCount, "error")}");
            }
        }

        reading.Ruleset?.WipeKeys();
        return reading.Ruleset is null ? Exit.No : Exit.Done;
    }

    private static string Summary(Ruleset ruleset) => string.Join(", ",
        Count(ruleset.Ports.Length, "port"),
        Count(ruleset.Rules.Length, "rule"),
        Count(ruleset.Ipsec?.Policies.Length ?? 0, "IPsec policy", "IPsec policies"),
        Count(ruleset.Tests.Length, "test"));

    private static string Count(int count, string one, string? many = null) => $"{count} {(count == 1 ? one : many ?? one + "s")}";

    private static void WriteJson(Screen screen, string file, RulesetReading reading)
    {
        using MemoryStream text = new();
        using (Utf8JsonWriter writer = new(text, Json.Options))
        {
            writer.WriteStartObject();
            writer.WriteString("file"u8, file);
            writer.WriteBoolean("good"u8, reading.Ruleset is not null);
            writer.WriteStartArray("diagnostics"u8);
            foreach (Diagnostic found in reading.Diagnostics)
            {
                writer.WriteStartObject();
                writer.WriteString("severity"u8, found.Severity == Severity.Error ? "error" : "warning");
                writer.WriteString("file"u8, found.At.File);
                writer.WriteNumber("line"u8, found.At.Line);
                writer.WriteNumber("column"u8, found.At.Column);
                writer.WriteString("message"u8, found.Message);
                writer.WriteString("hint"u8, found.Hint);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        screen.Line(System.Text.Encoding.UTF8.GetString(text.ToArray()));
    }
}

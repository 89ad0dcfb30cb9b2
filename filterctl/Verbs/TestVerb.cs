using System.CommandLine;
using System.Text;
using System.Text.Json;
using Filter.Ctl.Output;
using Filter.Ctl.Rehearsals;
using Filter.Ctl.Service;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl test: a ruleset's own tests.</summary>
internal static class TestVerb
{
    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Argument<string> file = Options.Ruleset();
        Option<bool> json = Options.Json();
        Command verb = new("test",
            """
            Run the tests that a ruleset holds, through the data path itself. Needs no rights.

            Example:
              filterctl test office.yaml
            """)
        { file, json };
        verb.SetAction(parsed => Run(screen, parsed.GetValue(file)!, parsed.GetValue(json)));
        return verb;
    }

    private static int Run(Screen screen, string file, bool json)
    {
        if (Rulesets.Read(file, screen) is not { } ruleset)
        {
            return Exit.No;
        }

        TestResult[] results = [.. TestRunner.Run(ruleset)];
        ruleset.WipeKeys();
        int failed = results.Count(static result => result.Failure is not null);
        if (json)
        {
            WriteJson(screen, file, results, failed);
        }
        else
        {
            foreach (TestResult result in results.Where(static result => result.Failure is not null))
            {
                Show(screen, result, result.Failure!);
            }

            string tail = $"{results.Length - failed} passed, {failed} failed";
            screen.Line($"{file}: {screen.Paint(tail, failed == 0 ? Tint.Good : Tint.Bad)}");
        }

        return failed == 0 ? Exit.Done : Exit.No;
    }

    private static void Show(Screen screen, TestResult result, TestFailure failure)
    {
        screen.Line($"{failure.Place}: {screen.Paint("failed", Tint.Bad)}: {failure.Line}");
        if (result.Name != failure.Line)
        {
            screen.Line($"  in        {result.Name} ({result.Place})");
        }

        screen.Line($"  expected  {failure.Expected}");
        screen.Line($"  got       {failure.Got}");
        foreach (string line in failure.Walk?.Lines("    ") ?? [])
        {
            screen.Line(screen.Paint(line, Tint.Faint));
        }
    }

    private static void WriteJson(Screen screen, string file, TestResult[] results, int failed)
    {
        using MemoryStream text = new();
        using (Utf8JsonWriter writer = new(text, Json.Options))
        {
            writer.WriteStartObject();
            writer.WriteString("file"u8, file);
            writer.WriteNumber("passed"u8, results.Length - failed);
            writer.WriteNumber("failed"u8, failed);
            writer.WriteStartArray("tests"u8);
            foreach (TestResult result in results)
            {
                writer.WriteStartObject();
                writer.WriteString("name"u8, result.Name);
                writer.WriteString("place"u8, result.Place);
                writer.WriteBoolean("passed"u8, result.Failure is null);
                if (result.Failure is { } failure)
                {
                    writer.WriteString("at"u8, failure.Place);
                    writer.WriteString("line"u8, failure.Line);
                    writer.WriteString("expected"u8, failure.Expected);
                    writer.WriteString("got"u8, failure.Got);
                }

                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        screen.Line(Encoding.UTF8.GetString(text.ToArray()));
    }
}

using System.CommandLine;
using System.Text.Json;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Ctl.Service;
using Filter.Rules.Analysis;
using Filter.Rules.Policy;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl diff: which packets another ruleset treats differently.</summary>
internal static class DiffVerb
{
    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Argument<string?> before = new("A") { Description = "A ruleset (YAML)", Arity = ArgumentArity.ZeroOrOne };
        Argument<string?> after = new("B") { Description = "Another; left out with --running", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> running = new("--running") { Description = "Compare the running rules with A, as before a reload; without A with their own file (another file: root only)" };
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("diff",
            """
            Compare what two rulesets do, not how they are written: each pair of rules that decide
            differently on the same packet, with such a packet, or "no packet is treated differently".
            Exact. Status 1 where anything differs. Needs no rights.

            Example:
              filterctl diff office.yaml office-new.yaml
              filterctl diff --running office-new.yaml
            """)
        { before, after, running, socket, json };
        verb.Validators.Add(result =>
        {
            bool live = result.GetResult(running)?.GetValueOrDefault<bool>() ?? false;
            int files = (result.GetResult(before)?.Tokens.Count ?? 0) + (result.GetResult(after)?.Tokens.Count ?? 0);
            if (live ? files > 1 : files < 2)
            {
                result.AddError(live ? "--running takes one file at most" : "two rulesets are compared: diff A B");
            }
        });
        verb.SetAction(parsed => parsed.GetValue(running)
            ? Ask(screen, parsed.GetValue(before), parsed.GetValue(socket)!, parsed.GetValue(json))
            : Run(screen, parsed.GetValue(before)!, parsed.GetValue(after)!, parsed.GetValue(json)));
        return verb;
    }

    private static int Run(Screen screen, string before, string after, bool json)
    {
        if (Rulesets.Read(before, screen) is not { } first)
        {
            return Exit.No;
        }

        first.WipeKeys();
        if (Rulesets.Read(after, screen) is not { } second)
        {
            return Exit.No;
        }

        second.WipeKeys();
        return Answer(screen, DifferenceReport.Of(RulesetDifference.Between(first, second)), json);
    }

    private static int Ask(Screen screen, string? file, string socket, bool json)
    {
        using ControlClient client = ControlClient.Connect(socket);
        ControlResponse response = client.Ask(new ControlRequest("diff") { File = file is null ? null : Path.GetFullPath(file) }).First();
        screen.Complain(response.Diagnostics ?? []);
        if (!response.Ok)
        {
            screen.Complain(response.Error ?? "the daemon refused");
            return Exit.No;
        }

        return Answer(screen, response.Difference!, json);
    }

    private static int Answer(Screen screen, DifferenceReport difference, bool json)
    {
        if (json)
        {
            Tell.Object(screen, writer => Write(writer, difference));
        }
        else
        {
            Show(screen, difference);
        }

        return difference.Same ? Exit.Done : Exit.No;
    }

    private static void Show(Screen screen, DifferenceReport difference)
    {
        foreach (PairReport pair in difference.Pairs)
        {
            string packet = pair.Witness?.Text ?? "undecided: it would take too long to say whether there is such a packet";
            screen.Line(screen.Paint(packet, Tint.Strong));
            screen.Line($"  before: {Decision(screen, pair.Before, pair.BeforeAt, pair.BeforeDoes)}");
            screen.Line($"  after:  {Decision(screen, pair.After, pair.AfterAt, pair.AfterDoes)}{(pair.BeforeDoes != pair.AfterDoes ? "" : ", but does something else besides: limit, log, pinhole, helper, timers")}");
        }

        foreach (string other in difference.Beside)
        {
            screen.Line($"{screen.Paint("also", Tint.Odd)}: {other}");
        }

        if (difference.Count == 0 && difference.Comparable)
        {
            screen.Line("no packet is treated differently");
        }
        else if (difference.Comparable)
        {
            screen.Line($"{Tell.Count(difference.Count, "pair")} of rules decide differently"
                + (difference.Count > difference.Pairs.Count ? $"; {difference.Pairs.Count} are shown" : ""));
        }
    }

    private static void Write(Utf8JsonWriter writer, DifferenceReport difference)
    {
        writer.WriteBoolean("same"u8, difference.Same);
        writer.WriteBoolean("comparable"u8, difference.Comparable);
        writer.WriteStartArray("pairs"u8);
        foreach (PairReport pair in difference.Pairs)
        {
            writer.WriteStartObject();
            writer.WriteString("before"u8, pair.Before);
            writer.WriteString("before-at"u8, pair.BeforeAt);
            writer.WriteString("before-does"u8, pair.BeforeDoes);
            writer.WriteString("after"u8, pair.After);
            writer.WriteString("after-at"u8, pair.AfterAt);
            writer.WriteString("after-does"u8, pair.AfterDoes);
            writer.Write("witness", pair.Witness);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("beside"u8);
        foreach (string other in difference.Beside)
        {
            writer.WriteStringValue(other);
        }

        writer.WriteEndArray();
    }

    private static string Decision(Screen screen, string rule, string at, string does) =>
        $"{screen.Paint(does, does == "allows" ? Tint.Good : Tint.Bad)} by {rule}{(at.Length == 0 ? "" : $" ({at})")}";
}

using System.CommandLine;
using System.Text.Json;
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
        Argument<string> before = new("A") { Description = "A ruleset (YAML)" };
        Argument<string> after = new("B") { Description = "Another" };
        Option<bool> json = Options.Json();
        Command verb = new("diff",
            """
            Compare what two rulesets do, not how they are written: each pair of rules that decide
            differently on the same packet, with such a packet, or "no packet is treated differently".
            Exact. Status 1 where anything differs. Needs no rights.

            Example:
              filterctl diff office.yaml office-new.yaml
            """)
        { before, after, json };
        verb.SetAction(parsed => Run(screen, parsed.GetValue(before)!, parsed.GetValue(after)!, parsed.GetValue(json)));
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
        RulesetDifference difference = RulesetDifference.Between(first, second);
        if (json)
        {
            Tell.Object(screen, writer => Write(writer, difference));
        }
        else
        {
            Show(screen, difference);
        }

        return difference.IsNone ? Exit.Done : Exit.No;
    }

    /// <summary>Tells people.</summary>
    public static void Show(Screen screen, RulesetDifference difference)
    {
        foreach (DifferingPair pair in difference.Pairs)
        {
            string packet = pair.Witness?.ToString() ?? "undecided: it would take too long to say whether there is such a packet";
            screen.Line(screen.Paint(packet, Tint.Strong));
            screen.Line($"  before: {Decision(screen, pair.Before, pair.BeforeAt, pair.BeforeDoes)}");
            screen.Line($"  after:  {Decision(screen, pair.After, pair.AfterAt, pair.AfterDoes)}{(pair.IsVerdict ? "" : ", but does something else besides: limit, log, pinhole, helper, timers")}");
        }

        foreach (string other in difference.Beside)
        {
            screen.Line($"{screen.Paint("also", Tint.Odd)}: {other}");
        }

        if (difference.Pairs.IsEmpty && difference.Comparable)
        {
            screen.Line("no packet is treated differently");
        }
        else if (difference.Comparable)
        {
            screen.Line($"{Tell.Count(difference.Pairs.Length, "pair")} of rules decide differently");
        }
    }

    /// <summary>Tells machines.</summary>
    public static void Write(Utf8JsonWriter writer, RulesetDifference difference)
    {
        writer.WriteBoolean("same"u8, difference.IsNone);
        writer.WriteBoolean("comparable"u8, difference.Comparable);
        writer.WriteStartArray("pairs"u8);
        foreach (DifferingPair pair in difference.Pairs)
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

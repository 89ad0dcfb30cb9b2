using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Filter.Ctl.Output;
using Filter.Ctl.Rehearsals;
using Filter.Ctl.Service;
using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl explain: the walk of a packet line, step by step.</summary>
internal static class ExplainVerb
{
    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Argument<string> file = Options.Ruleset();
        Argument<string[]> lines = new("LINE")
        {
            Description = "Packet line, as logs print it: [PORT:] PROTO SRC[:PORT] > DST[:PORT] [flags] [key=value…]. Of several the last is explained, the others go before it",
            Arity = ArgumentArity.OneOrMore,
        };
        Option<string?> at = new("--at") { Description = "Day and time that schedules see, as \"mon 10:00\"; now without it", HelpName = "TIME" };
        Option<bool> json = Options.Json();
        Command verb = new("explain",
            """
            Show every step of a packet's walk, and the rule that decided. Without PORT the ports'
            prefixes choose where it arrives. Needs no rights.

            Example:
              filterctl explain office.yaml 'outside: tcp 203.0.113.9:4444 > 192.0.2.5:22 syn'
              filterctl explain office.yaml 'udp 192.0.2.5:4000 > 9.9.9.9:53' 'udp 9.9.9.9:53 > 192.0.2.5:4000'
            """)
        { file, lines, at, json };
        verb.SetAction(parsed => Run(screen, parsed.GetValue(file)!, parsed.GetValue(lines)!, parsed.GetValue(at), parsed.GetValue(json)));
        return verb;
    }

    private static int Run(Screen screen, string file, string[] lines, string? at, bool json)
    {
        if (Rulesets.Read(file, screen) is not { } ruleset)
        {
            return Exit.No;
        }

        int minute = at is null ? new LocalCalendar().MinuteOfWeek(0) : Schedule.MinuteOf(at)
            ?? throw new Refusal($"--at {at}: write a day and a time, as \"mon 10:00\"", Exit.Usage);
        Outcome last = Walk(ruleset, lines, minute);
        ruleset.WipeKeys();
        if (json)
        {
            WriteJson(screen, last);
        }
        else
        {
            screen.Line(screen.Paint(last.Line.ToString(), Tint.Strong));
            foreach (string line in last.Lines("  "))
            {
                screen.Line(line);
            }

            screen.Line($"verdict: {screen.Paint(last.Sentence(), last.Tint())}");
        }

        return Exit.Done;
    }

    private static Outcome Walk(Ruleset ruleset, string[] lines, int minute)
    {
        using Rehearsal rehearsal = new(ruleset, new Burst(), minute);
        foreach (string before in lines.AsSpan(0, lines.Length - 1))
        {
            rehearsal.Send(before);
        }

        return rehearsal.Send(lines[^1]);
    }

    private static void WriteJson(Screen screen, Outcome outcome)
    {
        using MemoryStream text = new();
        using (Utf8JsonWriter writer = new(text, Json.Options))
        {
            writer.WriteStartObject();
            writer.WriteString("line"u8, outcome.Line.ToString());
            writer.WriteString("verdict"u8, outcome.Verdict.Word());
            writer.WriteString("reason"u8, outcome.Packet.Reason.Word());
            writer.WriteString("rule"u8, outcome.Rule.Name);
            writer.WriteString("place"u8, outcome.Rule is { Line: > 0 } rule
                ? string.Create(CultureInfo.InvariantCulture, $"{rule.File}:{rule.Line}")
                : null);
            writer.WriteStartArray("countedBy"u8);
            foreach (string counting in outcome.CountedBy)
            {
                writer.WriteStringValue(counting);
            }

            writer.WriteEndArray();
            writer.WriteString("ipsec"u8, outcome.Ipsec);
            writer.WriteStartArray("egress"u8);
            foreach (string port in outcome.Egress)
            {
                writer.WriteStringValue(port);
            }

            writer.WriteEndArray();
            writer.WriteStartArray("steps"u8);
            foreach (WalkStep step in outcome.Steps)
            {
                writer.WriteStartObject();
                writer.WriteString("step"u8, step.Step);
                writer.WriteString("what"u8, step.What);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        screen.Line(Encoding.UTF8.GetString(text.ToArray()));
    }
}

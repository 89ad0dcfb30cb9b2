using System.CommandLine;
using System.Text;
using System.Text.Json;
using Filter.Ctl.Control;
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
        Argument<string> file = new("FILE") { Description = "The ruleset (YAML); left out with --running" };
        Argument<string[]> lines = new("LINE")
        {
            Description = "Packet line, as logs print it: [PORT:] PROTO SRC[:PORT] > DST[:PORT] [flags] [key=value…]. Of several the last is explained, the others go before it",
            Arity = ArgumentArity.ZeroOrMore,
        };
        Option<bool> running = new("--running") { Description = "Ask the running Filter: its rules, its sets as they are, its flows. It does not notice" };
        Option<string?> at = new("--at") { Description = "Day and time that schedules see, as \"mon 10:00\"; now without it", HelpName = "TIME" };
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("explain",
            """
            Show every step of a packet's walk, and the rule that decided. Without PORT the ports'
            prefixes choose where it arrives. On a file it needs no rights.

            Example:
              filterctl explain office.yaml 'outside: tcp 203.0.113.9:4444 > 192.0.2.5:22 syn'
              filterctl explain office.yaml 'udp 192.0.2.5:4000 > 9.9.9.9:53' 'udp 9.9.9.9:53 > 192.0.2.5:4000'
              filterctl explain --running 'outside: tcp 203.0.113.9:4444 > 192.0.2.5:22 syn'
            """)
        { file, lines, running, at, socket, json };
        verb.Validators.Add(result =>
        {
            int given = result.GetResult(lines)?.Tokens.Count ?? 0;
            bool live = result.GetResult(running)?.GetValueOrDefault<bool>() ?? false;
            if (live && (given > 0 || result.GetResult(at) is { Implicit: false }))
            {
                result.AddError("--running takes one LINE alone: no FILE, no --at");
            }
            else if (!live && given == 0)
            {
                result.AddError("a packet line is missing: explain FILE LINE");
            }
        });
        verb.SetAction(parsed => parsed.GetValue(running)
            ? Ask(screen, parsed.GetValue(file)!, parsed.GetValue(socket)!, parsed.GetValue(json))
            : Run(screen, parsed.GetValue(file)!, parsed.GetValue(lines)!, parsed.GetValue(at), parsed.GetValue(json)));
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
        Show(screen, last.Report(), json);
        return Exit.Done;
    }

    private static int Ask(Screen screen, string line, string socket, bool json)
    {
        using ControlClient client = ControlClient.Connect(socket);
        ControlResponse response = client.Ask(new ControlRequest("explain") { Line = line }).First();
        if (!response.Ok)
        {
            Asking.Refuse(screen, response);
            return Exit.No;
        }

        Show(screen, response.Explained!, json);
        return Exit.Done;
    }

    private static void Show(Screen screen, ExplainReport report, bool json)
    {
        if (json)
        {
            WriteJson(screen, report);
            return;
        }

        screen.Line(screen.Paint(report.Line, Tint.Strong));
        foreach (StepReport step in report.Steps)
        {
            screen.Line($"  {step.Step,-8} {step.What}");
        }

        Tint tint = report.Verdict == "pass" ? Tint.Good : report.Verdict is "drop" or "reject" ? Tint.Bad : Tint.Odd;
        screen.Line($"verdict: {screen.Paint(report.Sentence, tint)}");
        if (report.Flow is { } flow)
        {
            screen.Line($"flow {flow.Flow}: {flow.Line}, {flow.State}, {Wording.Duration(flow.Age)} old, ends in {Wording.Duration(flow.Expires)}, "
                + $"{flow.Packets} packets and {flow.ReplyPackets} back, let in by {flow.Rule}{(flow.Place is { } place ? $" ({place})" : "")}"
                + (flow.Kept is true ? ", kept" : ""));
        }
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

    private static void WriteJson(Screen screen, ExplainReport report)
    {
        using MemoryStream text = new();
        using (Utf8JsonWriter writer = new(text, Json.Options))
        {
            writer.WriteStartObject();
            writer.WriteString("line"u8, report.Line);
            writer.WriteString("verdict"u8, report.Verdict);
            writer.WriteString("reason"u8, report.Reason);
            writer.WriteString("rule"u8, report.Rule);
            writer.WriteString("place"u8, report.Place);
            writer.WriteStartArray("countedBy"u8);
            foreach (string counting in report.CountedBy)
            {
                writer.WriteStringValue(counting);
            }

            writer.WriteEndArray();
            writer.WriteString("ipsec"u8, report.Ipsec);
            writer.WriteStartArray("egress"u8);
            foreach (string port in report.Egress)
            {
                writer.WriteStringValue(port);
            }

            writer.WriteEndArray();
            writer.WriteStartArray("steps"u8);
            foreach (StepReport step in report.Steps)
            {
                writer.WriteStartObject();
                writer.WriteString("step"u8, step.Step);
                writer.WriteString("what"u8, step.What);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            if (report.Flow is { } flow)
            {
                writer.WritePropertyName("flow"u8);
                JsonSerializer.Serialize(writer, flow, ControlJson.Plain.FlowReport);
            }

            writer.WriteEndObject();
        }

        screen.Line(Encoding.UTF8.GetString(text.ToArray()));
    }
}

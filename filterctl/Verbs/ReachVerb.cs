using System.CommandLine;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Ctl.Service;
using Filter.Engine.Packets;
using Filter.Rules.Analysis;
using Filter.Rules.Policy;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl reach: which sources may open something, through which rules.</summary>
internal static class ReachVerb
{
    /// <summary>Ranges of addresses shown of one rule unless all are wanted.</summary>
    private const int Few = 8;

    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Argument<string> file = Options.Ruleset();
        Argument<string> query = new("QUESTION") { Description = "A packet line with holes: [PORT:] PROTO SRC[:PORT] > DST[:PORT]; * is anything, an address may be a prefix, a range or a set" };
        Option<bool> all = new("--all") { Description = "Show every range of addresses" };
        Option<bool> json = Options.Json();
        Command verb = new("reach",
            """
            Show which sources may open a flow to a destination, by which port and through which rules.
            Exact, over all that packets may show. Status 1 where nobody can. Needs no rights.

            Example:
              filterctl reach office.yaml 'tcp * > 10.0.0.5:22'
              filterctl reach office.yaml 'outside: udp * > [2001:db8:1::/64]:*'
            """)
        { file, query, all, json };
        verb.SetAction(parsed => Run(screen, parsed.GetValue(file)!, parsed.GetValue(query)!, parsed.GetValue(all), parsed.GetValue(json)));
        return verb;
    }

    private static int Run(Screen screen, string file, string text, bool all, bool json)
    {
        if (ReachQuery.Parse(text, out string? error) is not { } query)
        {
            throw new Refusal(error!, Exit.Usage);
        }

        if (Rulesets.Read(file, screen) is not { } ruleset)
        {
            return Exit.No;
        }

        ruleset.WipeKeys();
        Reachability answer;
        try
        {
            answer = Reachability.Of(ruleset, query);
        }
        catch (FormatException wrong)
        {
            throw new Refusal(wrong.Message, Exit.Usage);
        }

        if (json)
        {
            WriteJson(screen, text, answer);
        }
        else
        {
            Show(screen, answer, all);
        }

        return answer.Ways.IsEmpty ? Exit.No : Exit.Done;
    }

    private static void Show(Screen screen, Reachability answer, bool all)
    {
        foreach (Reaching way in answer.Ways)
        {
            string[] ranges = [.. Networks.Of(way.Sources)];
            IEnumerable<string> shown = all ? ranges : ranges.Take(Few);
            string more = !all && ranges.Length > Few ? $" and {ranges.Length - Few} more (--all)" : "";
            screen.Line($"{screen.Paint(way.Ingress, Tint.Strong)}: {string.Join(", ", shown)}{more}");
            screen.Line($"  by {way.Rule}{(way.At.Length == 0 ? "" : $" ({way.At})")}, as {way.Witness}");
        }

        foreach (string rule in answer.Undecided)
        {
            screen.Line($"undecided: {rule}: it would take too long to say");
        }

        if (answer.Ways.IsEmpty)
        {
            screen.Line("nobody can");
        }
    }

    private static void WriteJson(Screen screen, string text, Reachability answer) => Tell.Object(screen, writer =>
    {
        writer.WriteString("question"u8, text);
        writer.WriteStartArray("ways"u8);
        foreach (Reaching way in answer.Ways)
        {
            writer.WriteStartObject();
            writer.WriteString("port"u8, way.Ingress);
            writer.WriteString("rule"u8, way.Rule);
            writer.WriteString("place"u8, way.At);
            writer.WriteStartArray("sources"u8);
            foreach (string range in Networks.Of(way.Sources))
            {
                writer.WriteStringValue(range);
            }

            writer.WriteEndArray();
            writer.Write("witness", WitnessReport.Of(way.Witness));
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("undecided"u8);
        foreach (string rule in answer.Undecided)
        {
            writer.WriteStringValue(rule);
        }

        writer.WriteEndArray();
    });
}

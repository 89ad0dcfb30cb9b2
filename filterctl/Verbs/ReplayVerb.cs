using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Filter.Ctl.Output;
using Filter.Ctl.Replays;
using Filter.Ctl.Service;
using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl replay: captures through the data path.</summary>
internal static class ReplayVerb
{
    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Argument<string> file = Options.Ruleset();
        Option<ReplayPort[]> ports = new("--port")
        {
            Description = "Where a capture arrives: NAME=CAPTURE, or NEAR,FAR=CAPTURE to let each conversation's first sender stand at NEAR",
            HelpName = "NAME=CAPTURE",
            Required = true,
            Arity = ArgumentArity.OneOrMore,
            CustomParser = result =>
            {
                List<ReplayPort> read = [];
                foreach (System.CommandLine.Parsing.Token token in result.Tokens)
                {
                    if (ReplayPort.Parse(token.Value) is { } port)
                    {
                        read.Add(port);
                    }
                    else
                    {
                        result.AddError($"'{token.Value}' is not NAME=CAPTURE or NEAR,FAR=CAPTURE");
                    }
                }

                return [.. read];
            },
        };
        Option<string?> write = new("--write")
        {
            Description = "Write DIR/PORT.pcapng, what each port would have sent, and DIR/verdicts.jsonl, one object a packet",
            HelpName = "DIR",
        };
        Option<bool> json = Options.Json();
        Command verb = new("replay",
            """
            Walk captures (pcap or pcapng) through the ruleset, on their own clock. Several are merged
            by time; ports without a capture only send.

            Example:
              filterctl replay office.yaml --port inside,outside=trace.pcap --write results
              filterctl replay bridge.yaml --port outside=wan.pcapng --port inside=lan.pcapng --json
            """)
        { file, ports, write, json };
        verb.SetAction(parsed => Run(
            screen, parsed.GetValue(file)!, parsed.GetValue(ports)!, parsed.GetValue(write), parsed.GetValue(json)));
        return verb;
    }

    private static int Run(Screen screen, string file, ReplayPort[] captures, string? directory, bool json)
    {
        if (Rulesets.Read(file, screen) is not { } ruleset)
        {
            return Exit.No;
        }

        foreach (string name in captures.SelectMany(static c => new[] { c.Name, c.Far }).OfType<string>())
        {
            if (ruleset.FindPort(name) is null)
            {
                throw new Refusal(
                    $"{file} has no port '{name}'; it has {string.Join(", ", ruleset.Ports.Select(static p => p.Name))}", Exit.Usage);
            }
        }

        using Replay replay = new(ruleset, captures, directory);
        replay.Run();
        if (json)
        {
            WriteJson(screen, replay);
        }
        else
        {
            Show(screen, replay);
        }

        foreach (string failure in replay.Failures)
        {
            screen.Complain(failure);
        }

        return replay.Failures.Count == 0 ? Exit.Done : Exit.No;
    }

    private static void Show(Screen screen, Replay replay)
    {
        screen.Line($"{replay.Packets} packets");
        Grid verdicts = new("VERDICT", ">PACKETS", "REASON");
        foreach (Verdict verdict in Enum.GetValues<Verdict>().Where(v => replay[v] > 0))
        {
            verdicts.Add(new Cell(verdict.Word(), verdict.Tint()), replay[verdict], "");
        }

        foreach (DropReason reason in Enum.GetValues<DropReason>().Where(r => r != DropReason.None && replay[r] > 0))
        {
            verdicts.Add("", replay[reason], reason.Name());
        }

        screen.Table(verdicts);
        Grid sent = new("PORT", ">SENT");
        foreach ((string port, long packets) in replay.Sent)
        {
            sent.Add(port, packets.ToString(CultureInfo.InvariantCulture));
        }

        screen.Table(sent);
    }

    private static void WriteJson(Screen screen, Replay replay)
    {
        using MemoryStream text = new();
        using (Utf8JsonWriter writer = new(text, Json.Options))
        {
            writer.WriteStartObject();
            writer.WriteNumber("packets"u8, replay.Packets);
            writer.WriteStartObject("verdicts"u8);
            foreach (Verdict verdict in Enum.GetValues<Verdict>())
            {
                writer.WriteNumber(verdict.Word(), replay[verdict]);
            }

            writer.WriteEndObject();
            writer.WriteStartObject("reasons"u8);
            foreach (DropReason reason in Enum.GetValues<DropReason>().Where(r => r != DropReason.None && replay[r] > 0))
            {
                writer.WriteNumber(reason.Name(), replay[reason]);
            }

            writer.WriteEndObject();
            writer.WriteStartObject("sent"u8);
            foreach ((string port, long packets) in replay.Sent)
            {
                writer.WriteNumber(port, packets);
            }

            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        screen.Line(System.Text.Encoding.UTF8.GetString(text.ToArray()));
    }
}

using System.CommandLine;
using System.Globalization;
using Filter.Ctl.Control;
using Filter.Ctl.Output;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl flows: the flow table, and how to cut it.</summary>
internal static class FlowsVerb
{
    private const int DefaultLimit = 1000;

    /// <summary>The verb with its two: list, which may be left out, and delete.</summary>
    public static Command Build(Screen screen)
    {
        Command verb = new("flows",
            """
            List or delete flows of the running Filter. Alone it lists. RULE has in brackets the helper
            that reads along, the number of the flow that expected this one, or "kept" where the rules
            in force do not allow it and `reload --keep-flows` left it.

            Example:
              filterctl flows
              filterctl flows list tcp 192.0.2.5 :443
              filterctl flows delete 203.0.113.9
            """);
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Option<int> limit = Limit();
        verb.Add(socket);
        verb.Add(json);
        verb.Add(limit);
        verb.SetAction(parsed => List(screen, parsed.GetValue(socket)!, parsed.GetValue(json), [], parsed.GetValue(limit)));
        verb.Add(BuildList(screen));
        verb.Add(BuildDelete(screen));
        return verb;
    }

    private static Command BuildList(Screen screen)
    {
        Argument<string[]> match = Match();
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Option<int> limit = Limit();
        Command verb = new("list",
            """
            List flows. MATCH is a flow's number, an address, a port as :PORT, or a protocol; several
            must all hold.

            Example:
              filterctl flows list udp :53
            """)
        { match, socket, json, limit };
        verb.SetAction(parsed => List(
            screen, parsed.GetValue(socket)!, parsed.GetValue(json), parsed.GetValue(match)!, parsed.GetValue(limit)));
        return verb;
    }

    private static Command BuildDelete(Screen screen)
    {
        Argument<string[]> match = Match();
        match.Arity = ArgumentArity.OneOrMore;
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("delete",
            """
            Delete flows: what comes next of them is judged anew. MATCH is as for list; `all` deletes
            every one.

            Example:
              filterctl flows delete tcp 203.0.113.9
              filterctl flows delete all
            """)
        { match, socket, json };
        verb.SetAction(parsed => Asking.Once(
            screen,
            parsed.GetValue(socket)!,
            parsed.GetValue(json),
            new ControlRequest("delete") { Match = string.Join(' ', parsed.GetValue(match)!) },
            response => screen.Line($"{response.Count} deleted")));
        return verb;
    }

    private static Argument<string[]> Match() => new("MATCH")
    {
        Description = "Which flows: number, address, :port, protocol",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private static Option<int> Limit() => new("--limit")
    {
        Description = "Most flows to show",
        HelpName = "N",
        DefaultValueFactory = _ => DefaultLimit,
    };

    private static int List(Screen screen, string socket, bool json, string[] match, int limit)
    {
        using ControlClient client = ControlClient.Connect(socket);
        Grid grid = new(">FLOW", "OPENED BY", "STATE", ">AGE", ">ENDS IN", ">PACKETS", ">BYTES", ">BACK", ">BYTES", "RULE", "IPSEC");
        long count = 0;
        int shown = 0;
        ControlRequest request = new("flows") { Match = match.Length == 0 ? null : string.Join(' ', match), Limit = limit };
        foreach (ControlResponse response in client.Ask(request))
        {
            if (!response.Ok)
            {
                Asking.Refuse(screen, response);
                return Exit.No;
            }

            if (json)
            {
                Asking.Print(screen, response);
                continue;
            }

            foreach (FlowReport flow in response.Flows ?? [])
            {
                grid.Add(
                    flow.Flow.ToString(CultureInfo.InvariantCulture), flow.Line, flow.State, Wording.Duration(flow.Age), Wording.Duration(flow.Expires),
                    flow.Packets, flow.Bytes, flow.ReplyPackets, flow.ReplyBytes, RuleOf(flow), flow.Ipsec ?? "-");
                shown++;
            }

            count = response.Count ?? count;
        }

        if (!json)
        {
            screen.Table(grid);
            screen.Line(shown < count ? $"{shown} of {count} flows; --limit shows more" : $"{count} flows");
        }

        return Exit.Done;
    }

    /// <summary>The rule, and what else let the flow in: its helper, or the flow that expected it.</summary>
    private static string RuleOf(FlowReport flow) => (flow.Rule ?? "-")
        + (flow.Helper is { } helper ? $" ({helper})" : "")
        + (flow.Parent is { } parent ? string.Create(CultureInfo.InvariantCulture, $" (expected by {parent})") : "")
        + (flow.Kept is true ? " (kept)" : "");
}

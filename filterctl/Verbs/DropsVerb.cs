using System.CommandLine;
using System.Globalization;
using Filter.Ctl.Control;
using Filter.Ctl.Output;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl drops: what ends, as it ends.</summary>
internal static class DropsVerb
{
    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Option<int?> count = new("--count") { Description = "End after this many", HelpName = "N" };
        Command verb = new("drops",
            """
            Show packets as they are dropped or rejected, and flows as a new policy ends them, until
            Ctrl-C: the packet line (as explain takes it), why, and by which rule.

            Example:
              filterctl drops
              filterctl drops --count 10 --json
            """)
        { socket, json, count };
        verb.SetAction(parsed => Watch(screen, parsed.GetValue(socket)!, parsed.GetValue(json), parsed.GetValue(count)));
        return verb;
    }

    private static int Watch(Screen screen, string socket, bool json, int? count)
    {
        using ControlClient client = ControlClient.Connect(socket);
        client.Send(new ControlRequest("drops"));
        for (long seen = 0; count is null || seen < count;)
        {
            ControlResponse response = client.Receive(patient: true) ?? throw new Refusal("the daemon hung up");
            if (!response.Ok)
            {
                Asking.Refuse(screen, response);
                return Exit.No;
            }

            if (response.Event is null && response.Lost is null)
            {
                continue;       // a greeting
            }

            if (json)
            {
                Asking.Print(screen, response);
            }
            else
            {
                Show(screen, response);
            }

            screen.Out.Flush();
            seen += response.Event is null ? 0 : 1;
        }

        return Exit.Done;
    }

    private static void Show(Screen screen, ControlResponse response)
    {
        if (response.Lost is > 0 and { } lost)
        {
            screen.Line(screen.Paint($"({lost} more, too fast to show)", Tint.Odd));
        }

        if (response.Event is { } e)
        {
            DateTimeOffset time = DateTimeOffset.UnixEpoch.AddTicks((long)(e.Time * TimeSpan.TicksPerSecond)).ToLocalTime();
            screen.Line(
                $"{screen.Paint(time.ToString("HH:mm:ss.ffffff", CultureInfo.InvariantCulture), Tint.Faint)} "
                + $"{screen.Paint(e.Verdict, e.Verdict == "pass" ? Tint.Good : Tint.Bad)} '{e.Line}' {e.Reason ?? "-"}"
                + screen.Paint(e.Deciders(), Tint.Faint));
        }
    }
}

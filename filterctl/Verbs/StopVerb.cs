using System.CommandLine;
using Filter.Ctl.Control;
using Filter.Ctl.Output;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl stop: ends the daemon; the ports stay closed unless told otherwise.</summary>
internal static class StopVerb
{
    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Option<bool> restore = new("--restore")
        {
            Description = "Give the NICs back as they were before Filter; without it they stay closed",
        };
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("stop",
            """
            End the running Filter. Its ports stay closed: nothing passes, nothing reaches the box.

            Example:
              filterctl stop
              filterctl stop --restore
            """)
        { restore, socket, json };
        verb.SetAction(parsed => Asking.Once(
            screen, parsed.GetValue(socket)!, parsed.GetValue(json), new ControlRequest("stop") { Restore = parsed.GetValue(restore) },
            response => screen.Line(response.Message ?? "stopped")));
        return verb;
    }
}

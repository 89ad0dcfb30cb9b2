using System.CommandLine;
using Filter.Ctl.Control;
using Filter.Ctl.Output;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl confirm: what was started or reloaded with --confirm stays.</summary>
internal static class ConfirmVerb
{
    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("confirm",
            """
            Keep what `run --confirm` or `reload --confirm` began: it no longer goes back by itself.

            Example:
              filterctl reload office.yaml --confirm 60
              filterctl confirm
            """)
        { socket, json };
        verb.SetAction(parsed => Asking.Once(
            screen, parsed.GetValue(socket)!, parsed.GetValue(json), new ControlRequest("confirm"),
            response => screen.Line(response.Message ?? "confirmed")));
        return verb;
    }
}

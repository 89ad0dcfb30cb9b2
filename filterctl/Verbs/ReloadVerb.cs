using System.CommandLine;
using Filter.Ctl.Control;
using Filter.Ctl.Output;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl reload: another ruleset, without losing a flow that it still allows.</summary>
internal static class ReloadVerb
{
    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Argument<string?> file = new("FILE")
        {
            Description = "The ruleset; absent = the one that runs, read again (another file: root only)",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<int?> confirm = Options.Confirm("Go back to the ruleset before unless `filterctl confirm` comes in time");
        Option<bool> keep = new("--keep-flows") { Description = "Leave flows that the new rules do not allow, until the next reload without this" };
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("reload",
            """
            Read the ruleset again and switch to it. A wrong one changes nothing. Flows live on where
            the new rules allow them; those that they do not allow end, counted and logged.

            Example:
              filterctl reload
              filterctl reload office.yaml --confirm 60
              filterctl reload --keep-flows
            """)
        { file, confirm, keep, socket, json };
        verb.SetAction(parsed => Asking.Once(
            screen,
            parsed.GetValue(socket)!,
            parsed.GetValue(json),
            new ControlRequest("reload")
            {
                File = parsed.GetValue(file) is { } path ? Path.GetFullPath(path) : null,
                Confirm = parsed.GetValue(confirm),
                KeepFlows = parsed.GetValue(keep),
            },
            response => screen.Line(response.Message ?? "reloaded")));
        return verb;
    }
}

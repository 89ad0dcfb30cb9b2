using System.CommandLine;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Ctl.Service;
using Filter.Engine.Ports;

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
        Option<string?> state = new("--state")
        {
            Description = "Where `run --state` keeps how the NICs were; for --restore where no Filter runs",
            HelpName = "DIR",
        };
        Option<bool> json = Options.Json();
        Command verb = new("stop",
            """
            End the running Filter. Its ports stay closed: nothing passes, nothing reaches the box. Where
            none runs (it was killed), --restore gives the NICs back all the same.

            Example:
              filterctl stop
              filterctl stop --restore
            """)
        { restore, socket, state, json };
        verb.SetAction(parsed => Stop(
            screen, parsed.GetValue(socket)!, parsed.GetValue(state), parsed.GetValue(json), parsed.GetValue(restore)));
        return verb;
    }

    private static int Stop(Screen screen, string socket, string? state, bool json, bool restore)
    {
        if (restore && !ControlClient.IsAnswered(socket) && Devices.Recorded(state ?? NicGate.DefaultDirectory) is { Count: > 0 } shut)
        {
            return RestoreDead(screen, state, json, shut);
        }

        return Asking.Once(
            screen, socket, json, new ControlRequest("stop") { Restore = restore }, response => screen.Line(response.Message ?? "stopped"));
    }

    private static int RestoreDead(Screen screen, string? state, bool json, IReadOnlyList<string> nics)
    {
        NicGate gate = new(state ?? NicGate.DefaultDirectory);
        string[] problems = [.. nics.SelectMany(nic => Devices.TryRestore(gate, nic))];
        foreach (string problem in problems)
        {
            screen.Complain(problem);
        }

        string told = $"no Filter was running; given back: {string.Join(", ", nics)}";
        if (json)
        {
            Asking.Print(screen, new ControlResponse { Ok = problems.Length == 0, Message = told });
        }
        else
        {
            screen.Line(told);
        }

        return problems.Length == 0 ? Exit.Done : Exit.No;
    }
}

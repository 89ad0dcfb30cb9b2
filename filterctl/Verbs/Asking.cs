using System.Text.Json;
using Filter.Ctl.Control;
using Filter.Ctl.Output;

namespace Filter.Ctl.Verbs;

/// <summary>What the verbs that ask a running daemon have in common.</summary>
internal static class Asking
{
    /// <summary>Asks for a single line, and shows it: as JSON, or by <paramref name="show"/>.</summary>
    public static int Once(Screen screen, string socket, bool json, ControlRequest request, Action<ControlResponse> show)
    {
        using ControlClient client = ControlClient.Connect(socket);
        ControlResponse response = client.Ask(request).First();
        if (json)
        {
            Print(screen, response);
        }

        if (!response.Ok)
        {
            Refuse(screen, response);
            return Exit.No;
        }

        if (!json)
        {
            screen.Complain(response.Diagnostics ?? []);       // warnings
            show(response);
        }

        return Exit.Done;
    }

    /// <summary>Prints an answer as one line of JSON.</summary>
    public static void Print(Screen screen, ControlResponse response) =>
        screen.Line(JsonSerializer.Serialize(response, ControlJson.Plain.ControlResponse));

    /// <summary>Says on stderr why the daemon did not do it.</summary>
    public static void Refuse(Screen screen, ControlResponse response)
    {
        screen.Complain(response.Diagnostics ?? []);
        screen.Complain(response.Error ?? "the daemon refused");
    }
}

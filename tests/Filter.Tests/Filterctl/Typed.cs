using System.Text.Json;
using Filter.Ctl;
using Filter.Ctl.Output;

namespace Filter.Tests.Filterctl;

/// <summary>A command line, run in the tests' own process, and what it gave.</summary>
internal sealed record Typed(int Status, string Out, string Error)
{
    /// <summary>stdout as JSON.</summary>
    public JsonElement Json
    {
        get
        {
            using JsonDocument document = JsonDocument.Parse(Out);
            return document.RootElement.Clone();
        }
    }

    /// <summary>stderr's lines.</summary>
    public string[] Complaints => Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Runs it as in a pipe.</summary>
    public static Typed Run(params string[] args) => Run(interactive: false, args);

    /// <summary>Runs it.</summary>
    public static Typed Run(bool interactive, params string[] args)
    {
        using StringWriter output = new(), error = new();
        int status = CommandLine.Run(args, new Screen(output, error, interactive, colour: interactive, errorColour: false));
        return new Typed(status, output.ToString(), error.ToString());
    }
}

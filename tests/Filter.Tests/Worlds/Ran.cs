using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Filter.Tests.Worlds;

/// <summary>A command that ended: its status and what it said.</summary>
public sealed record Ran(string Command, int Status, string Output, string Errors)
{
    /// <summary>The status of a command that was ended because its time was up; as timeout(1) has it.</summary>
    public const int TimedOut = 124;

    public bool Ok => Status == 0;

    /// <summary>Runs a command to its end, or ends it and its children when <paramref name="limit"/> is over.</summary>
    public static Ran ToTheEnd(IReadOnlyList<string> command, TimeSpan limit)
    {
        using Process process = Start(command);
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        bool ended = process.WaitForExit(limit);
        if (!ended)
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
        }
        // What a command left running in the background may hold its pipes open: their text is not waited for.
        Task.WaitAll([output, errors], TimeSpan.FromSeconds(2));
        return new(string.Join(' ', command), ended ? process.ExitCode : TimedOut, Text(output), Text(errors));
    }

    internal static Process Start(IReadOnlyList<string> command)
    {
        ProcessStartInfo start = new(command[0], command.Skip(1))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Repository.Root,
        };
        // filterctl, built beside the tests, finds the runtime that the tests run on.
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        return Process.Start(start) ?? throw new InvalidOperationException($"{command[0]} did not start");
    }

    private static string Text(Task<string> text) => text.IsCompletedSuccessfully ? text.Result : "";

    public override string ToString() => $"{Command}\nstatus {Status}\n{Output}{Errors}";
}

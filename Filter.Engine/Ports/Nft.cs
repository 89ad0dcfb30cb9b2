using System.ComponentModel;
using System.Diagnostics;

namespace Filter.Engine.Ports;

/// <summary>The nft program (nftables), run in the calling thread's network namespace.</summary>
internal static class Nft
{
    // A user's PATH may lack the directory for system programs.
    private static readonly string s_program = File.Exists("/usr/sbin/nft") ? "/usr/sbin/nft" : "nft";

    /// <summary>Runs a script; null when the kernel took all of it, else the first line of what nft says.</summary>
    public static string? Apply(string script)
    {
        (int status, string _, string error) = Run(["-f", "-"], script);
        return status == 0 ? null : FirstLine(error);
    }

    /// <summary>A table as nft prints it; null where there is none.</summary>
    public static string? List(string family, string table)
    {
        (int status, string output, string _) = Run(["list", "table", family, table], "");
        return status == 0 ? output : null;
    }

    private static (int Status, string Output, string Error) Run(string[] arguments, string input)
    {
        var start = new ProcessStartInfo(s_program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using Process process = Process.Start(start) ?? throw new PortException("cannot run nft");
            process.StandardInput.Write(input);
            process.StandardInput.Close();
            Task<string> error = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output, error.GetAwaiter().GetResult());
        }
        catch (Win32Exception e)
        {
            throw new PortException("cannot run nft: is the package 'nftables' installed?", e);
        }
    }

    private static string FirstLine(string text)
    {
        int end = text.IndexOf('\n', StringComparison.Ordinal);
        string line = (end < 0 ? text : text[..end]).Trim();
        return line.Length == 0 ? "nft failed" : line;
    }
}

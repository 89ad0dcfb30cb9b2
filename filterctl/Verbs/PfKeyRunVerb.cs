using System.CommandLine;
using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text;
using Filter.Ctl.Output;
using Filter.Ctl.Service;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl pfkey-run: a key manager that was written for a kernel has Filter's SAs and policies instead.</summary>
internal static class PfKeyRunVerb
{
    /// <summary>The library beside the binary that makes one socket of another.</summary>
    public const string Library = "libfilter-pfkey.so";

    private const int BrokenPipe = 13;

    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Option<string> socket = new("--pfkey")
        {
            Description = "The PF_KEY socket of the daemon",
            HelpName = "SOCKET",
            DefaultValueFactory = static _ => PfKeySocket.DefaultPath,
        };
        Argument<string[]> program = new("PROGRAM") { Description = "The program and its arguments, behind --", Arity = ArgumentArity.OneOrMore };
        Command verb = new("pfkey-run",
            """
            Run a program whose PF_KEY socket is Filter's: a key manager that knows the kernel's
            interface (RFC 2367) then negotiates SAs that Filter carries. Becomes that program; needs a
            daemon that was started with --pfkey, and its rights.

            Example:
              filterctl run host.yaml --pfkey
              filterctl pfkey-run -- iked -d
            """)
        { socket, program };
        verb.SetAction(parsed => Become(parsed.GetValue(socket)!, parsed.GetValue(program)!, screen));
        return verb;
    }

    private static int Become(string socket, string[] words, Screen screen)
    {
        string library = Path.Combine(AppContext.BaseDirectory, Library);
        if (!File.Exists(library))
        {
            throw new Refusal($"{library} is not there: it is built where gcc is installed (./dev build)");
        }

        string before = Environment.GetEnvironmentVariable("LD_PRELOAD") is { Length: > 0 } other ? $" {other}" : "";
        SetVariable("LD_PRELOAD", library + before);
        SetVariable("FILTER_PFKEY", Path.GetFullPath(socket));

        // What the runtime ignores, the program would ignore too.
        _ = signal(BrokenPipe, 0);
        nint[] arguments = [.. words.Select(Marshal.StringToCoTaskMemUTF8), 0];
        _ = execvp(arguments[0], arguments);
        screen.Complain($"{words[0]}: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}");
        return Exit.No;
    }

    private static void SetVariable(string name, string value) => _ = setenv(Bytes(name), Bytes(value), 1);

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text + '\0');

#pragma warning disable SYSLIB1054 // LibraryImport would make this project unsafe; bytes need no marshalling
    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int execvp(nint file, nint[] arguments);

    [DllImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int setenv(byte[] name, byte[] value, int overwrite);

    [DllImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint signal(int number, nint handler);
#pragma warning restore SYSLIB1054
}

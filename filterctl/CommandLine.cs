using System.CommandLine;
using System.CommandLine.Help;
using System.Text;
using Filter.Ctl.Output;
using Filter.Ctl.Verbs;
using Filter.Engine.Ports;

namespace Filter.Ctl;

/// <summary>The program's command line: one verb a file, one way of failing.</summary>
internal static class CommandLine
{
    /// <summary>Set to anything, it shows the stack trace of what nobody expected.</summary>
    private const string DebugVariable = "FILTERCTL_DEBUG";

    /// <summary>EPIPE.</summary>
    private const int BrokenPipe = 32;

    /// <summary>Whether somebody wants to see where an internal error comes from.</summary>
    public static bool ShowsTraces => Environment.GetEnvironmentVariable(DebugVariable) is { Length: > 0 };

    /// <summary>Runs one command line and gives the exit status. Never throws.</summary>
    public static int Run(IReadOnlyList<string> args, Screen screen)
    {
        try
        {
            ParseResult parsed = Build(screen).Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
            if (parsed.Errors.Count > 0 && parsed.Action is not HelpAction)
            {
                Command verb = parsed.CommandResult.Command;
                screen.Complain(OneLine(Explain(parsed, verb)));
                screen.Complain(verb is RootCommand ? "see: filterctl --help" : $"see: filterctl {verb.Name} --help");
                return Exit.Usage;
            }

            return parsed.Invoke(new InvocationConfiguration
            {
                Output = screen.Out,
                Error = screen.Error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,       // `run` has its own signal handling
            });
        }
        catch (Refusal refusal)
        {
            screen.Complain(refusal.Message);
            return refusal.Status;
        }
        catch (IOException closed) when (closed.HResult == BrokenPipe)
        {
            return Exit.No;                     // whoever read has had enough
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or PortException)
        {
            screen.Complain(OneLine(failure.Message));
            return Exit.No;
        }
        catch (Exception failure)
        {
            screen.Complain($"internal error: {failure.GetType().Name}: {OneLine(failure.Message)}");
            if (ShowsTraces)
            {
                screen.Error.WriteLine(failure);
            }

            return Exit.No;
        }
    }

    private static RootCommand Build(Screen screen)
    {
        RootCommand root = new(
            """
            Filter: an inline, dual-stack, stateful firewall and IPsec gateway.

            Exit status: 0 done, 1 the answer is no, 2 wrong usage.

            Example:
              filterctl check office.yaml && filterctl test office.yaml
              filterctl run office.yaml
            """)
        {
            CheckVerb.Build(screen),
            DiffVerb.Build(screen),
            ReachVerb.Build(screen),
            FmtVerb.Build(screen),
            TestVerb.Build(screen),
            SchemaVerb.Build(screen),
            ExplainVerb.Build(screen),
            ReplayVerb.Build(screen),
            RunVerb.Build(screen),
            StatusVerb.Build(screen),
            FlowsVerb.Build(screen),
            SetVerb.Build(screen),
            SaVerb.Build(screen),
            PolicyVerb.Build(screen),
            IkeVerb.Build(screen),
            CaptureVerb.Build(screen),
            CountersVerb.Build(screen),
            DropsVerb.Build(screen),
            ReloadVerb.Build(screen),
            ConfirmVerb.Build(screen),
            StopVerb.Build(screen),
            PfKeyRunVerb.Build(screen),
        };
        return root;
    }

    private static string Explain(ParseResult parsed, Command verb) =>
        parsed.UnmatchedTokens.Count > 0 ? $"{verb.Name}: '{parsed.UnmatchedTokens[0]}' is not known here"
        : verb.Subcommands.Count > 0 && verb.Action is null ? "name a verb"
        : $"{verb.Name}: {parsed.Errors[0].Message}";

    private static string OneLine(string text)
    {
        StringBuilder line = new(text.Length);
        foreach (char c in text)
        {
            line.Append(char.IsControl(c) ? ' ' : c);
        }

        return line.ToString().Trim();
    }
}

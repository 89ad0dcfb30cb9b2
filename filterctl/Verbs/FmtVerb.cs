using System.CommandLine;
using Filter.Ctl.Output;
using Filter.Rules;
using Filter.Rules.Format;
using Filter.Rules.Syntax;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl fmt: lays out rulesets the one way, and changes nothing that they say.</summary>
internal static class FmtVerb
{
    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Argument<string[]> files = new("FILE") { Description = "Rulesets, or files that they include", Arity = ArgumentArity.ZeroOrMore };
        Option<bool> check = new("--check") { Description = "Change nothing: name the files that would change, with status 1 if there are any" };
        Option<bool> stdin = new("--stdin") { Description = "Read a ruleset from stdin and write it to stdout, for editors" };
        Option<bool> includes = new("--includes") { Description = "The files that they include as well" };
        Command verb = new("fmt",
            """
            Lay out rulesets: indentation, blanks, quotes nobody needs. Comments, groups of lines, the order of keys, and which
            value stands in which line stay as they are. What a file says never changes; that is checked before it is written.

            Example:
              filterctl fmt office.yaml --includes
              filterctl fmt --check *.yaml
              filterctl fmt --stdin < office.yaml
            """)
        { files, check, stdin, includes };
        verb.Validators.Add(result =>
        {
            bool named = result.GetValue(files) is { Length: > 0 };
            if (named == result.GetValue(stdin))
            {
                result.AddError(named ? "--stdin takes no FILE" : "name a FILE, or say --stdin");
            }
        });
        verb.SetAction(parsed => parsed.GetValue(stdin)
            ? Pipe(screen, parsed.GetValue(check))
            : Files(screen, parsed.GetValue(files)!, parsed.GetValue(includes), parsed.GetValue(check)));
        return verb;
    }

    private static int Pipe(Screen screen, bool check)
    {
        const string Name = "<stdin>";
        using Stream stdin = Console.OpenStandardInput();
        byte[] before = RulesetFile.Bytes(stdin);
        if (Format(screen, Name, before) is not { } after)
        {
            return Exit.No;
        }

        if (check)
        {
            return Same(before, after) ? Exit.Done : Exit.No;
        }

        screen.Out.Write(after);
        return Exit.Done;
    }

    private static int Files(Screen screen, IEnumerable<string> files, bool includes, bool check)
    {
        int status = Exit.Done;
        foreach (string file in (includes ? files.SelectMany(IncludedFiles.Of) : files).Distinct(StringComparer.Ordinal))
        {
            Diagnostics found = new();
            byte[]? before = RulesetFile.Bytes(file, found);
            if (before is null)
            {
                screen.Complain(found.All.Select(static d => d.ToString()));
                status = Exit.No;
                continue;
            }

            if (Format(screen, file, before) is not { } after)
            {
                status = Exit.No;
            }
            else if (!Same(before, after))
            {
                screen.Line(file);
                if (check)
                {
                    status = Exit.No;
                }
                else
                {
                    WholeFile.Replace(file, Utf8.GetBytes(after));
                }
            }
        }

        return status;
    }

    private static readonly System.Text.UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    private static string? Format(Screen screen, string name, byte[] before)
    {
        Diagnostics found = new();
        string? after = RulesetFormat.Format(name, before, found);
        screen.Complain(found.All.Select(static d => d.ToString()));
        return after;
    }

    private static bool Same(byte[] before, string after) => before.AsSpan().SequenceEqual(Utf8.GetBytes(after));
}

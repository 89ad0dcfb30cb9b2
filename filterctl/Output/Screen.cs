using System.Text;
using Microsoft.Win32.SafeHandles;
using Spectre.Console;

namespace Filter.Ctl.Output;

/// <summary>A word's meaning, for those who see colours.</summary>
internal enum Tint
{
    /// <summary>As the terminal writes.</summary>
    Plain,

    /// <summary>All is well.</summary>
    Good,

    /// <summary>Something ended or failed.</summary>
    Bad,

    /// <summary>Worth a look.</summary>
    Odd,

    /// <summary>A heading.</summary>
    Strong,

    /// <summary>Beside the point.</summary>
    Faint,
}

/// <summary>
/// Where a verb writes: colour and drawn tables on a terminal, plain text in a pipe. NO_COLOR and
/// TERM=dumb are honoured.
/// </summary>
internal sealed class Screen
{
    private readonly bool _interactive;
    private readonly bool _colour;
    private readonly bool _errorColour;

    /// <summary>A screen over two writers; <paramref name="interactive"/> draws, <paramref name="colour"/> paints.</summary>
    public Screen(TextWriter output, TextWriter error, bool interactive, bool colour, bool errorColour)
    {
        Out = output;
        Error = error;
        _interactive = interactive;
        _colour = colour;
        _errorColour = errorColour;
    }

    /// <summary>What was asked for.</summary>
    public TextWriter Out { get; }

    /// <summary>What went wrong, and the daemon's log.</summary>
    public TextWriter Error { get; }

    /// <summary>The process's own stdout and stderr.</summary>
    public static Screen OfProcess()
    {
        bool mayColour = string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"))
            && Environment.GetEnvironmentVariable("TERM") is { Length: > 0 } and not "dumb";
        bool interactive = !Console.IsOutputRedirected;
        return new Screen(
            interactive ? Console.Out : Pipe(), Console.Error, interactive, mayColour && interactive, mayColour && !Console.IsErrorRedirected);
    }

    /// <summary>
    /// Console.Out swallows what a closed pipe refuses, and `filterctl drops | head -1` would never end.
    /// For files it is right: they may share their offset with other programs.
    /// </summary>
    private static TextWriter Pipe()
    {
        const int StandardOutput = 1;
        FileStream stream;
        try
        {
            stream = new(new SafeFileHandle(StandardOutput, ownsHandle: false), FileAccess.Write, bufferSize: 0);
        }
        catch (Exception closed) when (closed is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return Console.Out;
        }

        return stream.CanSeek
            ? Console.Out
            : new StreamWriter(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false)) { AutoFlush = true };
    }

    /// <summary>Writes a line to stdout.</summary>
    public void Line(string text = "") => Out.WriteLine(text);

    /// <summary>Writes one line about a failure to stderr, behind the program's name.</summary>
    public void Complain(string line)
    {
        string name = _errorColour ? Ansi("filterctl:", Tint.Bad) : "filterctl:";
        Error.WriteLine($"{name} {line}");
    }

    /// <summary>Writes findings in a file to stderr, as compilers do.</summary>
    public void Complain(IEnumerable<string> findings)
    {
        foreach (string finding in findings)
        {
            Error.WriteLine(_errorColour
                ? finding.Replace(": error: ", $": {Ansi("error:", Tint.Bad)} ", StringComparison.Ordinal)
                    .Replace(": warning: ", $": {Ansi("warning:", Tint.Odd)} ", StringComparison.Ordinal)
                : finding);
        }
    }

    /// <summary>The text with its colour, where colours are seen.</summary>
    public string Paint(string text, Tint tint) => _colour && tint != Tint.Plain ? Ansi(text, tint) : text;

    /// <summary>Writes a table: drawn on a terminal, columns padded with spaces in a pipe.</summary>
    public void Table(Grid grid)
    {
        if (!_interactive)
        {
            grid.Write(Out);
            return;
        }

        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(Out),
            Interactive = InteractionSupport.No,
            Ansi = _colour ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = _colour ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
        });
        Table table = new() { Border = TableBorder.Rounded };
        foreach ((string name, bool right) in grid.Columns)
        {
            TableColumn column = new(new Spectre.Console.Text(name, Style(Tint.Strong)));
            column.Alignment = right ? Justify.Right : Justify.Left;
            table.AddColumn(column);
        }

        foreach (IReadOnlyList<Cell> row in grid.Rows)
        {
            table.AddRow(row.Select(cell => new Spectre.Console.Text(cell.Text, Style(cell.Tint))));
        }

        console.Write(table);
    }

    private static Style Style(Tint tint) => tint switch
    {
        Tint.Good => new Style(Color.Green),
        Tint.Bad => new Style(Color.Red),
        Tint.Odd => new Style(Color.Yellow),
        Tint.Strong => new Style(decoration: Decoration.Bold),
        Tint.Faint => new Style(Color.Grey),
        _ => Spectre.Console.Style.Plain,
    };

    private static string Ansi(string text, Tint tint)
    {
        string code = tint switch
        {
            Tint.Good => "32",
            Tint.Bad => "31",
            Tint.Odd => "33",
            Tint.Strong => "1",
            Tint.Faint => "90",
            _ => "0",
        };
        return $"\u001b[{code}m{text}\u001b[0m";
    }
}

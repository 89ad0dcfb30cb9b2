using System.Text;

namespace Filter.Rules.Syntax;

/// <summary>How bad a finding is.</summary>
public enum Severity
{
    /// <summary>The file holds, but probably does not say what its writer meant.</summary>
    Warning,

    /// <summary>The file is refused.</summary>
    Error,
}

/// <summary>One finding: where, what is wrong, and what to do about it.</summary>
/// <param name="Severity">Error or warning.</param>
/// <param name="At">The place to look at.</param>
/// <param name="Message">What is wrong, in one line.</param>
/// <param name="Hint">What would be right; null if there is nothing to add.</param>
public sealed record Diagnostic(Severity Severity, SourceMark At, string Message, string? Hint)
{
    /// <summary>So many hex digits in a row may be a key that stands in a wrong place: eight bytes.</summary>
    private const int KeyDigits = 16;

    /// <summary>What is wrong, in one line. It shows no key, wherever in the file one stands.</summary>
    public string Message { get; } = WithoutKeys(Message);

    /// <summary>What would be right; null if there is nothing to add. It shows no key either.</summary>
    public string? Hint { get; } = Hint is null ? null : WithoutKeys(Hint);

    /// <summary>The form compilers use: <c>file:line:column: error: message</c>, and a second line with the hint.</summary>
    public override string ToString()
    {
        string first = $"{At}: {(Severity == Severity.Error ? "error" : "warning")}: {Message}";
        return Printable(Hint is null ? first : $"{first}\n  hint: {Hint}");
    }

    /// <summary>
    /// A slip of the writer's (no blank behind a colon, a key in the SPI's place) must not put a key into messages, which
    /// go to terminals, logs and whoever asked for a reload.
    /// </summary>
    private static string WithoutKeys(string text)
    {
        StringBuilder? clean = null;
        int copied = 0;
        for (int i = 0; i < text.Length;)
        {
            int end = i;
            while (end < text.Length && char.IsAsciiHexDigit(text[end]))
            {
                end++;
            }

            if (end - i >= KeyDigits)
            {
                clean ??= new StringBuilder(text.Length);
                clean.Append(text, copied, i - copied).Append("(hex, not shown)");
                copied = end;
            }

            i = Math.Max(end, i + 1);
        }

        return clean is null ? text : clean.Append(text, copied, text.Length - copied).ToString();
    }

    /// <summary>
    /// What a file holds is hostile: an escape sequence quoted in a message must not reach the reader's terminal.
    /// </summary>
    private static string Printable(string text)
    {
        StringBuilder? clean = null;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            bool bad = (char.IsControl(c) && c != '\n') || c is '\u2028' or '\u2029' or (>= '\u202a' and <= '\u202e') or (>= '\u2066' and <= '\u2069');
            if (bad)
            {
                clean ??= new StringBuilder(text, 0, i, text.Length + 8);
                clean.Append(System.Globalization.CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
            }
            else
            {
                clean?.Append(c);
            }
        }

        return clean?.ToString() ?? text;
    }
}

/// <summary>Collects every finding of a file, so that a user sees all of them at once.</summary>
public sealed class Diagnostics
{
    /// <summary>No more findings than this are kept: a hostile file must not fill memory with complaints.</summary>
    public const int Limit = 1000;

    private readonly List<Diagnostic> _found = [];
    private readonly HashSet<Diagnostic> _seen = [];
    private int _untold;

    /// <summary>Whether at least one error was found; warnings do not count.</summary>
    public bool HasErrors { get; private set; }

    /// <summary>How many errors are kept.</summary>
    public int ErrorCount => _found.Count(static d => d.Severity == Severity.Error);

    /// <summary>The findings in the order of their places; beyond <see cref="Limit"/> the last one says how many are left out.</summary>
    public IReadOnlyList<Diagnostic> All
    {
        get
        {
            List<Diagnostic> sorted = [.. _found.OrderBy(static d => d.At)];       // stable: same place, order of finding
            if (_untold > 0)
            {
                sorted.Add(new Diagnostic(HasErrors ? Severity.Error : Severity.Warning, sorted[^1].At, $"{_untold} more findings are not shown", null));
            }

            return sorted;
        }
    }

    /// <summary>Adds an error.</summary>
    public void Error(SourceMark at, string message, string? hint = null)
    {
        HasErrors = true;
        Add(new Diagnostic(Severity.Error, at, message, hint));
    }

    /// <summary>Adds a warning.</summary>
    public void Warn(SourceMark at, string message, string? hint = null) =>
        Add(new Diagnostic(Severity.Warning, at, message, hint));

    /// <summary>Adds all that was found in another file.</summary>
    public void Add(Diagnostics others)
    {
        foreach (Diagnostic one in others._found)
        {
            HasErrors |= one.Severity == Severity.Error;
            Add(one);
        }

        _untold += others._untold;
    }

    /// <summary>Every finding, one or two lines each, ending with a line break; empty if there is none.</summary>
    public override string ToString() => string.Concat(All.Select(static d => d + "\n"));

    private void Add(Diagnostic found)
    {
        if (_seen.Contains(found))
        {
            return;         // an anchor used twice is read twice, and is wrong once
        }

        if (_found.Count >= Limit)
        {
            _untold++;
            return;
        }

        _seen.Add(found);
        _found.Add(found);
    }
}

using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace Filter.Rules.Syntax;

/// <summary>
/// The gate before the YAML parser: bytes become text only if they are UTF-8 of a sane size, without NUL and control
/// characters, without tabs in indentation, and without deep nesting. The parser behind it is slow or silent on these.
/// </summary>
internal sealed class SourceText
{
    /// <summary>The longest file read, in bytes.</summary>
    public const int LongestFile = 16 * 1024 * 1024;

    /// <summary>The deepest nesting of lists and mappings; the language itself needs six.</summary>
    public const int DeepestNesting = 64;

    private SourceText(string file, string text, List<SourceMark> open)
    {
        File = file;
        Text = text;
        OpenBrackets = open;
    }

    /// <summary>The file's name as messages give it.</summary>
    public string File { get; }

    /// <summary>What it holds, byte order mark taken away.</summary>
    public string Text { get; }

    /// <summary>Where brackets and braces stand that nothing closes; the innermost is last.</summary>
    public IReadOnlyList<SourceMark> OpenBrackets { get; }

    /// <summary>One line of the text, for messages; empty beyond the end. It is looked for from the start each time.</summary>
    public string Line(int number)
    {
        using StringReader lines = new(Text);
        string? line = null;
        for (int i = 0; i < number; i++)
        {
            line = lines.ReadLine();
        }

        return line ?? "";
    }

    /// <summary>Checks and decodes; null, with the reasons found, if the bytes cannot be a ruleset.</summary>
    public static SourceText? TryDecode(string file, ReadOnlySpan<byte> bytes, Diagnostics found)
    {
        SourceMark start = new(file, 1, 1);
        if (bytes.Length > LongestFile)
        {
            found.Error(start, $"the file has {bytes.Length:N0} bytes; more than {LongestFile / (1024 * 1024)} MB is not read");
            return null;
        }

        if (bytes.StartsWith<byte>([0xff, 0xfe]) || bytes.StartsWith<byte>([0xfe, 0xff]))
        {
            found.Error(start, "the file is UTF-16", "save it as UTF-8");
            return null;
        }

        if (bytes.StartsWith<byte>([0xef, 0xbb, 0xbf]))
        {
            bytes = bytes[3..];
        }

        char[] chars = ArrayPool<char>.Shared.Rent(bytes.Length);
        try
        {
            OperationStatus status = Utf8.ToUtf16(bytes, chars, out int read, out int written, replaceInvalidSequences: false);
            Gate gate = new(file, found);
            gate.Scan(chars.AsSpan(0, written));
            if (status != OperationStatus.Done)
            {
                found.Error(gate.Here, $"byte 0x{bytes[read]:x2} is not UTF-8", "save the file as UTF-8");
                return null;
            }

            return gate.Clean ? new SourceText(file, new string(chars, 0, written), gate.Open) : null;
        }
        finally
        {
            ArrayPool<char>.Shared.Return(chars, clearArray: true);         // keys may have stood in it
        }
    }

    /// <summary>One pass over the characters; knows just enough of YAML to skip quotes and comments.</summary>
    private sealed class Gate(string file, Diagnostics found)
    {
        private int _line = 1;
        private int _column = 1;
        private bool _tooDeep;

        public bool Clean { get; private set; } = true;

        public List<SourceMark> Open { get; } = [];

        public SourceMark Here => new(file, _line, _column);

        public void Scan(ReadOnlySpan<char> text)
        {
            bool indenting = true, comment = false, tokenStart = true;
            char quote = '\0';
            for (int i = 0; i < text.Length; i++)
            {
                char c = text[i];
                if (c is '\n' or '\r')
                {
                    if (c == '\n' || i + 1 == text.Length || text[i + 1] != '\n')
                    {
                        _line++;
                        _column = 1;
                        indenting = true;
                        comment = false;
                        tokenStart = true;
                    }

                    continue;
                }

                if (c == '\t' && indenting && !BlankFrom(text[i..]))
                {
                    Refuse("a tab in the indentation", "YAML indents with spaces only");
                    indenting = false;
                }
                else if (Forbidden(c))
                {
                    Refuse(c == '\0' ? "a NUL character" : $"the control character U+{(int)c:X4}", "a ruleset is plain text");
                }

                indenting &= c is ' ' or '\t';
                if (!comment)
                {
                    char before = i == 0 ? '\n' : text[i - 1];
                    if (quote != '\0')
                    {
                        if (c == '\\' && quote == '"' && i + 1 < text.Length && text[i + 1] == '"')
                        {
                            i++;
                            _column++;
                        }
                        else if (c == quote)
                        {
                            quote = '\0';
                        }
                    }
                    else if (c == '#' && before is ' ' or '\t' or '\n' or '\r')
                    {
                        comment = true;
                    }
                    else if (c is '"' or '\'' && tokenStart)
                    {
                        quote = c;
                    }
                    else if (c is '[' or '{' && (tokenStart || Open.Count > 0))
                    {
                        Push();
                    }
                    else if (c is ']' or '}' && Open.Count > 0)
                    {
                        Open.RemoveAt(Open.Count - 1);
                    }

                    tokenStart = c is '[' or '{' or ',' or ':' or '-' or '?' || (tokenStart && c is ' ' or '\t');
                }

                _column++;
            }
        }

        private static bool BlankFrom(ReadOnlySpan<char> rest)
        {
            int end = rest.IndexOfAny('\n', '\r');
            return (end < 0 ? rest : rest[..end]).IsWhiteSpace();
        }

        /// <summary>Control characters, and the two separators that some count as line breaks and others do not.</summary>
        private static bool Forbidden(char c) =>
            (c < ' ' && c != '\t') || c is (>= '\u007f' and <= '\u009f') or '\u2028' or '\u2029' or '\ufeff';

        private void Push()
        {
            if (Open.Count < DeepestNesting)
            {
                Open.Add(Here);
            }
            else if (!_tooDeep)
            {
                _tooDeep = true;
                Refuse($"lists and mappings are nested deeper than {DeepestNesting} levels", null);
            }
        }

        private void Refuse(string what, string? hint)
        {
            Clean = false;
            found.Error(Here, what, hint);
        }
    }
}

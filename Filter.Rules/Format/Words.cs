using System.Buffers;
using System.Text;

namespace Filter.Rules.Format;

/// <summary>How a piece's own text is written: quotes around a plain word go, and single quotes without a reason become double.</summary>
internal static class Words
{
    private const int Step = 2;

    private static readonly SearchValues<char> s_plain = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-");

    /// <summary>What other readers of YAML, of any age, take for something else than text.</summary>
    private static readonly HashSet<string> s_meant = new(StringComparer.OrdinalIgnoreCase) { "null", "true", "false", "yes", "no", "on", "off", "y", "n" };

    /// <summary>How long it is when written, in its last line.</summary>
    public static int Length(string text, Piece piece) => Of(text, piece).Length;

    /// <summary>Writes a piece; one of several lines keeps them, moved to where its line begins.</summary>
    public static void Write(string text, Piece piece, Line line, StringBuilder written)
    {
        string word = Of(text, piece);
        if (!word.Contains('\n', StringComparison.Ordinal))
        {
            written.Append(word);
            return;
        }

        string[] rows = word.Split('\n');
        written.Append(rows[0].TrimEnd());
        int least = rows.Skip(1).Where(static row => row.AsSpan().Trim().Length > 0).Select(static row => row.Length - row.TrimStart(' ').Length).Min();
        foreach (string row in rows.Skip(1))
        {
            written.Append('\n');
            if (row.AsSpan().Trim(" \t").Length > 0)
            {
                // A text below '|' keeps the shape it has; in quotes, or plain, blanks at a line's ends say nothing.
                written.Append(' ', line.Base + Step).Append(piece.Kind == PieceKind.Block ? row[least..] : row.Trim(' ', '\t'));
            }
        }
    }

    private static string Of(string text, Piece piece)
    {
        string word = text[piece.Start..piece.End];
        if (piece.Kind != PieceKind.Scalar || word is not ['"' or '\'', .., _])
        {
            return word;
        }

        ReadOnlySpan<char> inner = word.AsSpan(1, word.Length - 2);
        return inner.Length > 0 && char.IsAsciiLetter(inner[0]) && inner[^1] != '-' && !inner.ContainsAnyExcept(s_plain) && !s_meant.Contains(inner.ToString()) ? inner.ToString()
            : word[0] == '\'' && inner.IndexOfAny("'\"\\\n") < 0 ? $"\"{inner}\""
            : word;
    }
}

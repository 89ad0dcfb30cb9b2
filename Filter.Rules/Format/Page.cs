using System.Text;

namespace Filter.Rules.Format;

/// <summary>
/// A file's pieces on new lines. Which piece stands in which line is the writer's; two blanks for each level, one blank
/// between pieces and what is aligned below each other are ours.
/// </summary>
internal sealed class Page(string text, List<Piece> pieces)
{
    private const int Step = 2;

    /// <summary>The least distance of a comment from what it stands behind.</summary>
    private const int CommentGap = 2;

    private readonly List<Line> _lines = [];
    private readonly List<int> _columns = [];

    /// <summary>The text.</summary>
    public string Write()
    {
        Break();
        new Indentation(text, pieces, _columns, _lines).Find();
        AlignValues();
        WriteLines();
        AlignComments();

        StringBuilder page = new(text.Length);
        foreach (Line line in _lines)
        {
            if (line.IsApart && page.Length > 0)
            {
                page.Append('\n');
            }

            int start = page.Length;
            page.Append(line.Text);
            if (line.Comment is { } comment)
            {
                page.Append(' ', line.CommentColumn - (page.Length - start)).Append(comment);
            }

            page.Append('\n');
        }

        return page.ToString();
    }

    /// <summary>Sorts the pieces into lines, and notes each one's column.</summary>
    private void Break()
    {
        int lineStart = 0, end = 0, first = 0, breaks = 1;
        for (int i = 0; i <= pieces.Count; i++)
        {
            int between = i < pieces.Count ? text.AsSpan(end, pieces[i].Start - end).Count('\n') : 1;
            if (i > 0 && between > 0)
            {
                _lines.Add(new Line { First = first, Next = i, IsApart = breaks > 1, Was = _columns[first] });
                first = i;
                breaks = between;
            }

            if (i < pieces.Count)
            {
                // From the piece before on: a line may be as long as the file.
                int from = i == 0 ? 0 : pieces[i - 1].Start;
                int at = text.AsSpan(from, pieces[i].Start - from).LastIndexOf('\n');
                lineStart = at >= 0 ? from + at + 1 : lineStart;
                _columns.Add(pieces[i].Start - lineStart);
                end = pieces[i].End;
            }
        }
    }

    /// <summary>Values that stood below each other, in lines that follow each other, still do.</summary>
    private void AlignValues()
    {
        for (int i = 0; i < _lines.Count;)
        {
            int end = i + 1;
            while (_lines[i].Colon >= 0 && end < _lines.Count && _lines[end] is { IsApart: false, Colon: >= 0 } next && next.Base == _lines[i].Base && next.ValueWas == _lines[i].ValueWas)
            {
                end++;
            }

            List<Line> run = _lines[i..end];
            if (run.Count > 1 && run.Any(static line => line.GapWas > 1))
            {
                int column = run.Max(static line => line.ColonEnd) + 1;
                run.ForEach(line => line.Gap = column - line.ColonEnd);
            }

            i = end;
        }
    }

    /// <summary>The comments of lines that follow each other stand below each other, as near as the writer had one of them.</summary>
    private void AlignComments()
    {
        for (int i = 0; i < _lines.Count;)
        {
            int end = i + 1;
            while (_lines[i].Comment is not null && end < _lines.Count && _lines[end] is { IsApart: false, Comment: not null })
            {
                end++;
            }

            List<Line> run = _lines[i..end];
            int least = run.Max(static line => line.Text.Length - (line.Text.LastIndexOf('\n') + 1)) + CommentGap;
            int column = Math.Max(least, run.Min(static line => line.CommentColumn));
            run.ForEach(line => line.CommentColumn = column + line.Text.LastIndexOf('\n') + 1);
            i = end;
        }
    }

    private void WriteLines()
    {
        Stack<Bracket> open = [];
        foreach (Line line in _lines)
        {
            WriteLine(line, open);
        }
    }

    private void WriteLine(Line line, Stack<Bracket> open)
    {
        if (line.InBrackets && open.TryPeek(out Bracket? around))
        {
            line.Indent = pieces[line.First].Kind == PieceKind.Close ? around.Column : around.Inside ?? around.Column + Step;
            line.Base = line.Indent;
            around.Inside ??= line.Indent;
        }

        StringBuilder written = new(new string(' ', line.Indent));
        for (int i = line.First; i < line.Next; i++)
        {
            Piece piece = pieces[i];
            if (piece.Kind == PieceKind.Comment && i > line.First)
            {
                line.Comment = text[piece.Start..piece.End];
                line.CommentColumn = _columns[i];
                break;
            }

            if (i > line.First)
            {
                written.Append(' ', i - 1 == line.Colon ? line.Gap : Gap(i));
            }

            if (piece.Kind == PieceKind.Close)
            {
                open.TryPop(out _);
            }
            else if (i > line.First && open.TryPeek(out Bracket? bracket))
            {
                bracket.Inside ??= written.Length;
            }

            if (piece.Kind == PieceKind.Open)
            {
                open.Push(new Bracket { Column = line.Base });
            }

            Words.Write(text, piece, line, written);
        }

        line.Text = written.ToString();
    }

    /// <summary>The blanks between a piece and the one before it in a line.</summary>
    private int Gap(int i) => (pieces[i - 1].Kind, pieces[i].Kind) switch
    {
        (PieceKind.Open, PieceKind.Close) => 0,
        (PieceKind.Scalar or PieceKind.Close, PieceKind.Colon or PieceKind.Comma) => 0,
        (PieceKind.Alias, PieceKind.Comma) => 0,
        _ => 1,
    };

    /// <summary>A bracket that is open.</summary>
    private sealed class Bracket
    {
        /// <summary>The column of its line, where its end goes if that has a line of its own.</summary>
        public required int Column { get; init; }

        /// <summary>The column of what it holds; null until something stands there.</summary>
        public int? Inside { get; set; }
    }
}

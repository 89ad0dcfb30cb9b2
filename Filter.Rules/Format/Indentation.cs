namespace Filter.Rules.Format;

/// <summary>Finds each line's indentation: YAML's own rule, by which a level begins at a column and ends at a lesser one.</summary>
internal sealed class Indentation(string text, List<Piece> pieces, List<int> columns, List<Line> lines)
{
    private const int Step = 2;

    private readonly List<Level> _levels = [];
    private readonly List<Line> _comments = [];
    private int _brackets;

    /// <summary>Finds it for all lines.</summary>
    public void Find()
    {
        foreach (Line line in lines)
        {
            if (_brackets > 0)
            {
                line.InBrackets = true;
                Count(line, line.First);
            }
            else if (pieces[line.First].Kind == PieceKind.Comment)
            {
                _comments.Add(line);
            }
            else
            {
                List<Level> above = _comments.Count > 0 ? [.. _levels] : _levels;
                Place(line);
                PlaceComments(above, line);
            }
        }

        PlaceComments(_levels, null);
    }

    private void Place(Line line)
    {
        int i = line.First;
        bool list = pieces[i].Kind == PieceKind.Dash;
        if (pieces[i].Kind == PieceKind.Document)
        {
            _levels.Clear();
            return;
        }

        while (_levels is [.., var top] && (top.Was > columns[i] || (top.Was == columns[i] && top.IsList && !list)))
        {
            _levels.RemoveAt(_levels.Count - 1);
        }

        line.Indent = -1;
        while (true)
        {
            list = pieces[i].Kind == PieceKind.Dash;
            int here = Inner;
            if (list || pieces[i].BeginsKey)
            {
                if (_levels is not [.., var top] || top.Was != columns[i] || top.IsList != list)
                {
                    _levels.Add(new Level(columns[i], here, list));
                }

                here = _levels[^1].Is;
            }

            line.Indent = line.Indent < 0 ? here : line.Indent;
            line.Base = here;
            if (!list || i + 1 == line.Next)
            {
                break;
            }

            i++;
        }

        Count(line, i);
    }

    /// <summary>Where what is within the innermost level stands.</summary>
    private int Inner => _levels is [.., var top] ? top.Is + Step : 0;

    /// <summary>Counts brackets, and finds the colon of the key that the line has.</summary>
    private void Count(Line line, int from)
    {
        bool key = _brackets == 0 && pieces[from].BeginsKey;
        for (int i = from; i < line.Next; i++)
        {
            _brackets += pieces[i].Kind switch { PieceKind.Open => 1, PieceKind.Close => -1, _ => 0 };
            if (key && _brackets == 0 && pieces[i].Kind == PieceKind.Colon)
            {
                key = false;
                if (i + 1 < line.Next && pieces[i + 1].Kind != PieceKind.Comment && i == from + 1)
                {
                    line.Colon = i;
                    line.ValueWas = columns[i + 1];
                    line.GapWas = pieces[i + 1].Start - pieces[i].End;
                    line.ColonEnd = line.Base + Words.Length(text, pieces[from]) + 1;
                }
            }
        }
    }

    /// <summary>A comment stands as what follows it, or as the level it was written at.</summary>
    private void PlaceComments(List<Level> above, Line? below)
    {
        foreach (Line comment in _comments)
        {
            int nearest = below is null ? int.MaxValue : Math.Abs(below.Was - comment.Was);
            comment.Indent = below?.Indent ?? 0;
            for (int i = above.Count - 1; i >= 0; i--)
            {
                if (Math.Abs(above[i].Was - comment.Was) is var distance && distance < nearest)
                {
                    nearest = distance;
                    comment.Indent = above[i].Is;
                }
            }

            comment.Base = comment.Indent;
        }

        _comments.Clear();
    }

    /// <summary>A list or mapping in lines of its own.</summary>
    /// <param name="Was">The column it had.</param>
    /// <param name="Is">The column it gets.</param>
    /// <param name="IsList">A list, whose entries have dashes.</param>
    private readonly record struct Level(int Was, int Is, bool IsList);
}

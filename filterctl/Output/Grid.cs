using System.Globalization;

namespace Filter.Ctl.Output;

/// <summary>A table's cell.</summary>
internal readonly record struct Cell(string Text, Tint Tint = Tint.Plain)
{
    public static implicit operator Cell(string text) => new(text);

    public static implicit operator Cell(long number) => new(number.ToString(CultureInfo.InvariantCulture));
}

/// <summary>A table before anyone has drawn it. A column named with a leading '>' is right-aligned.</summary>
internal sealed class Grid
{
    private readonly List<IReadOnlyList<Cell>> _rows = [];

    /// <summary>A table with these columns.</summary>
    public Grid(params string[] columns) =>
        Columns = [.. columns.Select(static c => c.StartsWith('>') ? (c[1..], true) : (c, false))];

    /// <summary>Names, and whether the column is right-aligned.</summary>
    public IReadOnlyList<(string Name, bool Right)> Columns { get; }

    /// <summary>The rows so far.</summary>
    public IReadOnlyList<IReadOnlyList<Cell>> Rows => _rows;

    /// <summary>Appends a row; one cell a column.</summary>
    public void Add(params Cell[] cells) => _rows.Add(cells);

    /// <summary>Writes it as plain text, two spaces between the columns.</summary>
    public void Write(TextWriter to)
    {
        int[] widths = [.. Columns.Select((column, i) =>
            _rows.Select(row => row[i].Text.Length).Append(column.Name.Length).Max())];
        WriteRow(to, widths, [.. Columns.Select(static c => c.Name)]);
        foreach (IReadOnlyList<Cell> row in _rows)
        {
            WriteRow(to, widths, [.. row.Select(static c => c.Text)]);
        }
    }

    private void WriteRow(TextWriter to, int[] widths, string[] texts)
    {
        string line = string.Join("  ", texts.Select((text, i) =>
            Columns[i].Right ? text.PadLeft(widths[i]) : text.PadRight(widths[i])));
        to.WriteLine(line.TrimEnd());
    }
}

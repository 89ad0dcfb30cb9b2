namespace Filter.Rules.Syntax;

/// <summary>A place in a file, as an editor counts: line and column start at 1, columns are UTF-16 code units.</summary>
/// <param name="File">The file as the user named it.</param>
/// <param name="Line">1 for the first line.</param>
/// <param name="Column">1 for the first character of the line.</param>
public readonly record struct SourceMark(string File, int Line, int Column) : IComparable<SourceMark>
{
    /// <summary>Orders by file, then line, then column.</summary>
    public int CompareTo(SourceMark other)
    {
        int file = string.CompareOrdinal(File, other.File);
        return file != 0 ? file : Line != other.Line ? Line.CompareTo(other.Line) : Column.CompareTo(other.Column);
    }

    /// <summary><c>file:line:column</c>.</summary>
    public override string ToString() => $"{File}:{Line}:{Column}";

    /// <summary>Whether <paramref name="left"/> stands before <paramref name="right"/>.</summary>
    public static bool operator <(SourceMark left, SourceMark right) => left.CompareTo(right) < 0;

    /// <summary>Whether <paramref name="left"/> stands after <paramref name="right"/>.</summary>
    public static bool operator >(SourceMark left, SourceMark right) => left.CompareTo(right) > 0;

    /// <summary>Whether <paramref name="left"/> does not stand after <paramref name="right"/>.</summary>
    public static bool operator <=(SourceMark left, SourceMark right) => left.CompareTo(right) <= 0;

    /// <summary>Whether <paramref name="left"/> does not stand before <paramref name="right"/>.</summary>
    public static bool operator >=(SourceMark left, SourceMark right) => left.CompareTo(right) >= 0;
}

/// <summary>A value with the place it was written at.</summary>
/// <typeparam name="T">The value's kind.</typeparam>
/// <param name="Value">The value.</param>
/// <param name="At">Where it starts.</param>
public readonly record struct Located<T>(T Value, SourceMark At);

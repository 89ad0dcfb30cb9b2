namespace Filter.Rules.Format;

/// <summary>A line of a file being laid out: its pieces, and what was found out about it.</summary>
internal sealed class Line
{
    /// <summary>The first of its pieces.</summary>
    public required int First { get; init; }

    /// <summary>The piece after its last.</summary>
    public required int Next { get; init; }

    /// <summary>Whether blank lines stood before it, of which one is kept.</summary>
    public required bool IsApart { get; init; }

    /// <summary>The column its first piece had.</summary>
    public required int Was { get; init; }

    /// <summary>The column its first piece gets, where no bracket is open; else it depends on the bracket.</summary>
    public int Indent { get; set; }

    /// <summary>Whether a bracket is open where it starts.</summary>
    public bool InBrackets { get; set; }

    /// <summary>The column of the first piece behind its dashes.</summary>
    public int Base { get; set; }

    /// <summary>The piece that is the colon of its key, where a value follows in the line; else -1.</summary>
    public int Colon { get; set; } = -1;

    /// <summary>The column that value had.</summary>
    public int ValueWas { get; set; }

    /// <summary>How many blanks stood between colon and value.</summary>
    public int GapWas { get; set; }

    /// <summary>The column right behind the colon.</summary>
    public int ColonEnd { get; set; }

    /// <summary>How many blanks go between colon and value.</summary>
    public int Gap { get; set; } = 1;

    /// <summary>The line as it is written, its comment left out where something stands before that.</summary>
    public string Text { get; set; } = "";

    /// <summary>The comment at its end; null if there is none.</summary>
    public string? Comment { get; set; }

    /// <summary>The column that comment had, and then the one it gets.</summary>
    public int CommentColumn { get; set; }
}

namespace Filter.Rules.Syntax;

/// <summary>The YAML parser speaks of tokens and productions; people write brackets, quotes and colons.</summary>
internal static class ParserWords
{
    private const string Align = "entries of one list, and keys of one mapping, start in the same column";
    private const string Quotes = "put a value that holds ': ', brackets or braces in quotes";

    /// <summary>What the parser's message means for the line it stopped in, and what to do.</summary>
    /// <param name="message">The exception's own text.</param>
    /// <param name="line">The text of the line.</param>
    /// <param name="column">Where in the line, from 1.</param>
    public static (string What, string? Hint) Explain(string message, string line, int column)
    {
        bool Says(string part) => message.Contains(part, StringComparison.OrdinalIgnoreCase);

        if (Says("quoted scalar") && (Says("end of stream") || Says("wrong indentation") || Says("document indicator")))
        {
            return ("a quote is never closed", "add the missing quote");
        }

        if (Says("escape") || Says("hexadecimal"))
        {
            return ("an escape in double quotes that YAML does not know", "use single quotes, or write \\\\ for a backslash");
        }

        if (Says("cannot start any token"))
        {
            return ("a character that cannot start a value", "put the value in quotes");
        }

        if (Says("multiline plain scalar"))
        {
            return ("this line was read as part of the value above it", $"a ':' needs a space after it; {Align}");
        }

        if (Says("invalid mapping") || Says("values are not allowed") || Says("mapping values"))
        {
            return ("a second ':' in one value", Quotes);
        }

        if (Says("did not find expected key") || Says("simple key") || Says("expected ':'"))
        {
            return column - 1 > line.Length - line.TrimStart().Length
                ? ("text after the end of a value", "put quotes around the whole value; two quotes ('') stand for one within single quotes")
                : line.Contains(": ", StringComparison.Ordinal) || line.TrimEnd().EndsWith(':')
                    ? ("this line does not line up with those above it", Align)
                    : ("this line is no 'key: value'", "a ':' and a space follow each key");
        }

        if (Says("flow sequence") || Says("flow mapping"))
        {
            return ("a list in [ ] or a mapping in { } is not well-formed", $"a ',' stands between entries; {Quotes}");
        }

        if (Says("expected node content"))
        {
            return ("a closing bracket or a comma that nothing opened", Quotes);
        }

        if (Says("block mapping") || Says("block sequence") || Says("block collection") || Says("block end") || Says("block entries"))
        {
            return ("this line does not line up with those above it", Align);
        }

        if (Says("block scalar"))
        {
            return ("a value that starts with | or >", "put the value in quotes");
        }

        if (Says("anchor") || Says("alias"))
        {
            return ("an anchor or alias that is not well-formed", "put a value that starts with & or * in quotes");
        }

        if (Says("tag") || Says("directive"))
        {
            return ("a tag or directive that is not well-formed", "put a value that starts with ! or % in quotes");
        }

        return ("from here on this is not YAML", null);
    }
}

using System.Text;
using Filter.Rules.Syntax;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Filter.Rules.Format;

/// <summary>Lays out a ruleset, or a file that one includes, without a change to what it says. Never throws, whatever it is given.</summary>
public static class RulesetFormat
{
    /// <summary>The file's text as it should be; null, with at least one error in <paramref name="found"/>, where it is not YAML or cannot be laid out for certain.</summary>
    /// <param name="file">The name that messages give the file.</param>
    /// <param name="bytes">All of the file.</param>
    /// <param name="found">Where findings go.</param>
    public static string? Format(string file, ReadOnlySpan<byte> bytes, Diagnostics found)
    {
        if (SourceText.TryDecode(file, bytes, found) is not { } source || TreeReader.Read(file, bytes, found) is null)
        {
            return null;
        }

        string before = source.Text.ReplaceLineEndings("\n");
        try
        {
            if (Piece.Split(before) is { } pieces)
            {
                string after = new Page(before, pieces).Write();
                if (SaysTheSame(before, pieces, after))
                {
                    return after;
                }
            }
        }
        catch (YamlException)
        {
            // What the parser took, the scanner alone may not take: then nothing is certain.
        }

        found.Error(new SourceMark(file, 1, 1), "the file cannot be laid out without a risk for what it says", "it stays as it is; explicit keys ('? '), directives ('%') and some texts over several lines are not laid out");
        return null;
    }

    private static bool SaysTheSame(string before, List<Piece> pieces, string after)
    {
        if (TreeReader.Read("", Encoding.UTF8.GetBytes(after), new Diagnostics()) is null || Piece.Split(after) is not { } others)
        {
            return false;
        }

        IEnumerable<string> comments = Comments(before, pieces);
        return comments.SequenceEqual(Comments(after, others), StringComparer.Ordinal)
            && Events(before).SequenceEqual(Events(after), StringComparer.Ordinal);
    }

    private static IEnumerable<string> Comments(string text, List<Piece> pieces) =>
        pieces.Where(static piece => piece.Kind == PieceKind.Comment).Select(piece => text[piece.Start..piece.End]);

    /// <summary>All that the parser sees but places and the kind of quotes; of an empty value, whether there are any.</summary>
    private static IEnumerable<string> Events(string text)
    {
        Parser parser = new(new StringReader(text));
        while (parser.MoveNext())
        {
            yield return parser.Current switch
            {
                Scalar scalar => $"={scalar.Anchor}={scalar.Tag}={(scalar.Value.Length == 0 ? scalar.Style : ScalarStyle.Any)}={scalar.Value}",
                SequenceStart list => $"[={list.Anchor}={list.Tag}={list.Style}",
                MappingStart map => $"{{={map.Anchor}={map.Tag}={map.Style}",
                AnchorAlias alias => $"*{alias.Value}",
                var other => other!.GetType().Name,
            };
        }
    }
}

using YamlDotNet.Core;
using YamlDotNet.Core.Tokens;

namespace Filter.Rules.Format;

/// <summary>What a piece of a file is.</summary>
internal enum PieceKind
{
    /// <summary>A value, as it stands, quotes and all.</summary>
    Scalar,

    /// <summary>A text below <c>|</c> or <c>&gt;</c>, whose indentation is part of it.</summary>
    Block,

    /// <summary><c>-</c>.</summary>
    Dash,

    /// <summary><c>:</c>.</summary>
    Colon,

    /// <summary><c>,</c>.</summary>
    Comma,

    /// <summary><c>[</c> or <c>{</c>.</summary>
    Open,

    /// <summary><c>]</c> or <c>}</c>.</summary>
    Close,

    /// <summary><c>&amp;name</c>.</summary>
    Anchor,

    /// <summary><c>*name</c>.</summary>
    Alias,

    /// <summary><c>---</c> or <c>...</c>.</summary>
    Document,

    /// <summary><c>#</c> and the rest of its line.</summary>
    Comment,
}

/// <summary>A piece of a file: where its text stands, and whether a key starts with it.</summary>
internal readonly record struct Piece(PieceKind Kind, int Start, int End, bool BeginsKey)
{
    /// <summary>The pieces of a text in their order; whatever stands between them is blank. Null where that cannot be told for certain.</summary>
    public static List<Piece>? Split(string text)
    {
        List<Piece> pieces = [];
        Scanner scanner = new(new StringReader(text));
        bool key = false;
        int end = 0;
        while (scanner.MoveNext())
        {
            if (scanner.Current is Key implied && implied.Start.Index == implied.End.Index)
            {
                key = true;
            }
            else if (KindOf(scanner.Current) is { } kind)
            {
                // Of brackets the scanner says where they start, but not where they end.
                int start = (int)scanner.Current!.Start.Index;
                Piece piece = Trimmed(text, new(kind, start, kind is PieceKind.Open or PieceKind.Close ? start + 1 : (int)scanner.Current.End.Index, key));
                if (!Comments(text, end, piece.Start, pieces) || !IsWhole(text, piece))
                {
                    return null;
                }

                pieces.Add(piece);
                end = piece.End;
                key = false;
            }
            else if (scanner.Current is not (StreamStart or StreamEnd or BlockMappingStart or BlockSequenceStart or BlockEnd))
            {
                return null;                // '? ' before a key, directives
            }
        }

        return Comments(text, end, text.Length, pieces) ? pieces : null;
    }

    private static PieceKind? KindOf(Token? token) => token switch
    {
        Scalar { Style: ScalarStyle.Literal or ScalarStyle.Folded } => PieceKind.Block,
        Scalar => PieceKind.Scalar,
        BlockEntry => PieceKind.Dash,
        Value => PieceKind.Colon,
        FlowEntry => PieceKind.Comma,
        FlowSequenceStart or FlowMappingStart => PieceKind.Open,
        FlowSequenceEnd or FlowMappingEnd => PieceKind.Close,
        YamlDotNet.Core.Tokens.Anchor => PieceKind.Anchor,
        AnchorAlias => PieceKind.Alias,
        DocumentStart or DocumentEnd => PieceKind.Document,
        _ => null,
    };

    /// <summary>Blanks at its end belong to what follows.</summary>
    private static Piece Trimmed(string text, Piece piece)
    {
        int end = Math.Min(piece.End, text.Length);
        while (end > piece.Start && text[end - 1] is ' ' or '\t' or '\n')
        {
            end--;
        }

        return piece with { End = end };
    }

    /// <summary>Whether the text at its place is what its kind says.</summary>
    private static bool IsWhole(string text, Piece piece) => piece.End > piece.Start && text[piece.Start] is var first && piece.Kind switch
    {
        PieceKind.Dash => piece.End - piece.Start == 1 && first == '-',
        PieceKind.Colon => piece.End - piece.Start == 1 && first == ':',
        PieceKind.Comma => piece.End - piece.Start == 1 && first == ',',
        PieceKind.Open => first is '[' or '{',
        PieceKind.Close => first is ']' or '}',
        PieceKind.Anchor => first == '&',
        PieceKind.Alias => first == '*',
        PieceKind.Block => first is '|' or '>',
        PieceKind.Document => piece.End - piece.Start == 3,
        _ => true,
    };

    /// <summary>Finds the comments between two pieces; false if something else stands there.</summary>
    private static bool Comments(string text, int from, int to, List<Piece> pieces)
    {
        for (int i = from; i < to; i++)
        {
            if (text[i] == '#')
            {
                int line = text.IndexOf('\n', i, to - i);
                int end = line < 0 ? to : line;
                pieces.Add(Trimmed(text, new(PieceKind.Comment, i, end, false)));
                i = end;
            }
            else if (text[i] is not (' ' or '\t' or '\n'))
            {
                return false;
            }
        }

        return from <= to;
    }
}

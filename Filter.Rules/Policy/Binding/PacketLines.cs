using System.Collections.Immutable;
using System.Globalization;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Checks the packet lines of a ruleset's tests: each must be one, and must tell the port it comes in by.</summary>
internal sealed class PacketLines(IReadOnlyList<string> names, ImmutableArray<PortConfig> ports, IpsecNames policies, Diagnostics found)
{
    private const string ColumnWord = "column ";

    /// <summary>The line's text; null, with what is wrong with it, if it is none.</summary>
    public Located<string>? Read(Node? node)
    {
        if (Values.Text(node, "a packet line", found) is not { } text)
        {
            return null;
        }

        if (!PacketLine.TryParse(text.Value, out PacketLine? line, out string? error))
        {
            (int column, string what) = Split(error);
            found.Error(Within((ScalarNode)node!, column), $"packet line: {what}");
        }
        else if (line.ArrivedBy is { } policy && policies.Find(new(policy, text.At), found) == 0)
        {
            return text;
        }
        else if (line.Port is { } port)
        {
            if (!names.Contains(port, StringComparer.Ordinal))
            {
                found.Error(text.At, $"there is no port {Wording.Quote(port)}", Wording.DidYouMean(port, [.. names]));
            }
        }
        else if (ports.Length == names.Count && (line.Kind == LineKind.Ether || PortConfig.Holding(ports, line.Source) is null))
        {
            string why = line.Kind == LineKind.Ether ? "the frame's port is not said" : $"no port's prefixes hold {line.Source}";
            found.Error(text.At, why, $"name the port in front: \"{(names.Count > 0 ? names[0] : "PORT")}: {Wording.Quote(text.Value).Trim('\'')}\"");
        }

        return text;
    }

    /// <summary>The reader's own column, and the rest.</summary>
    private static (int Column, string What) Split(string error)
    {
        int colon = error.IndexOf(": ", StringComparison.Ordinal);
        return error.StartsWith(ColumnWord, StringComparison.Ordinal) && colon > 0
            && int.TryParse(error.AsSpan(ColumnWord.Length, colon - ColumnWord.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int column)
            ? (column, error[(colon + 2)..])
            : (1, error);
    }

    /// <summary>A column of the line as one of the file. Escapes shift it, so with one the line's start must do.</summary>
    private static SourceMark Within(ScalarNode node, int column)
    {
        bool plain = !node.Text.AsSpan().ContainsAny("\"'\\\n");
        return plain ? node.At with { Column = node.At.Column + column - (node.Quoted ? 0 : 1) } : node.At;
    }
}

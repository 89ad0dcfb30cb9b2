using System.Text;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads a file of addresses: one entry a line, `#` and what follows is for people.</summary>
internal static class SetFile
{
    /// <summary>The largest file that is read.</summary>
    public const int MostBytes = 64 * 1024 * 1024;

    /// <summary>No address, prefix or range is longer.</summary>
    private const int LongestEntry = 100;

    /// <summary>Its entries; without those that are wrong, each of which is an error with its own place.</summary>
    /// <param name="name">Its name, where the ruleset has it.</param>
    /// <param name="folder">Where that file stands.</param>
    /// <param name="found">Where findings go.</param>
    public static IReadOnlyList<AddressRange> Read(Located<string> name, string folder, Diagnostics found)
    {
        string path = Path.Combine(folder, name.Value);
        string? why = "a file name has no such characters";
        byte[]? bytes = name.Value.Contains('\0', StringComparison.Ordinal) ? null : OrdinaryFile.Read(path, MostBytes, out why);
        if (bytes is null)
        {
            found.Error(name.At, $"the file {Wording.Quote(name.Value)} is not read: {why}", "a relative name counts from the folder of the file that names it");
            return [];
        }

        ReadOnlySpan<byte> rest = bytes;
        if (rest.StartsWith("\xef\xbb\xbf"u8))
        {
            rest = rest[3..];
        }
        else if (rest.StartsWith([(byte)0xff, (byte)0xfe]) || rest.StartsWith([(byte)0xfe, (byte)0xff]))
        {
            found.Error(new SourceMark(path, 1, 1), "the file is UTF-16, not UTF-8", "save it as UTF-8");
            return [];
        }

        List<AddressRange> ranges = [];
        for (int line = 1; !rest.IsEmpty; line++)
        {
            int end = rest.IndexOf((byte)'\n');
            ReadOnlySpan<byte> text = end < 0 ? rest : rest[..end];
            rest = end < 0 ? [] : rest[(end + 1)..];
            int comment = text.IndexOf((byte)'#');
            text = comment < 0 ? text : text[..comment];
            int column = text.IndexOfAnyExcept((byte)' ', (byte)'\t', (byte)'\r') + 1;
            if (column > 0)
            {
                One(text[(column - 1)..].TrimEnd(" \t\r"u8), new SourceMark(path, line, column), ranges, found);
            }
        }

        return ranges;
    }

    private static void One(ReadOnlySpan<byte> text, SourceMark at, List<AddressRange> ranges, Diagnostics found)
    {
        if (text.Length > LongestEntry)
        {
            found.Error(at, $"a line of {text.Length:N0} bytes is no address", "write one address, prefix or range a line");
            return;
        }

        string entry = Encoding.Latin1.GetString(text);
        if (AddressWords.LooksLikeOne(entry))
        {
            ranges.AddRange(AddressWords.Read(new Located<string>(entry, at), found));
        }
        else
        {
            found.Error(at, $"{Wording.Quote(entry)} is no address, prefix or range", "write one a line; # begins a comment");
        }
    }
}

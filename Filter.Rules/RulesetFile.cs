using System.Text;
using Filter.Rules.Compile;
using Filter.Rules.Policy;
using Filter.Rules.Policy.Binding;
using Filter.Rules.Syntax;

namespace Filter.Rules;

/// <summary>What reading a ruleset gave: either it holds, or the findings say why not.</summary>
/// <param name="Ruleset">The meaning; null if there is at least one error.</param>
/// <param name="Diagnostics">Errors and warnings in the order of their places.</param>
public sealed record RulesetReading(Ruleset? Ruleset, IReadOnlyList<Diagnostic> Diagnostics)
{
    /// <summary>How many errors there are; 0 if the ruleset holds.</summary>
    public int ErrorCount => Diagnostics.Count(static d => d.Severity == Severity.Error);
}

/// <summary>The way in: a file or its bytes become a <see cref="Ruleset"/>. Never throws, whatever they hold.</summary>
public static class RulesetFile
{
    private const int LongestPiece = 81920;

    /// <summary>Reads a file. One that cannot be read is an error at its first character.</summary>
    /// <param name="path">The file, as messages will name it.</param>
    public static RulesetReading Read(string path)
    {
        byte[] bytes;
        try
        {
            FileInfo file = new(path);
            if (file.Exists && file.Length > SourceText.LongestFile)
            {
                return Unreadable(path, $"the file has {file.Length:N0} bytes; more than {SourceText.LongestFile / (1024 * 1024)} MB is not read");
            }

            using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            using MemoryStream whole = new();
            stream.CopyTo(whole, LongestPiece, SourceText.LongestFile + 1);
            bytes = whole.ToArray();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return Unreadable(path, "there is no such file");
        }
        catch (UnauthorizedAccessException)
        {
            return Unreadable(path, Directory.Exists(path) ? "it is a directory, not a ruleset" : "you may not read it");
        }
        catch (Exception e) when (e is IOException or ArgumentException or NotSupportedException or System.Security.SecurityException)
        {
            return Unreadable(path, $"it cannot be read: {e.Message}");
        }

        return Parse(path, bytes, Path.GetDirectoryName(path));
    }

    /// <summary>Reads a ruleset from memory.</summary>
    /// <param name="file">The name that messages give it.</param>
    /// <param name="bytes">All of it, as the file would hold it.</param>
    /// <param name="directory">Where relative key files are looked for; null for the working directory.</param>
    public static RulesetReading Parse(string file, ReadOnlySpan<byte> bytes, string? directory = null)
    {
        Diagnostics found = new();
        Node? root = TreeReader.Read(file, bytes, found);
        Ruleset? ruleset = root is null ? null : RulesetReader.Read(file, root, directory ?? "", found);
        if (ruleset is not null && !RulesetCompiler.Fits(ruleset, found))
        {
            ruleset.WipeKeys();
            ruleset = null;
        }

        return new RulesetReading(ruleset, found.All);
    }

    /// <inheritdoc cref="Parse(string, ReadOnlySpan{byte}, string?)"/>
    public static RulesetReading Parse(string file, string text, string? directory = null) =>
        Parse(file, Encoding.UTF8.GetBytes(text), directory);

    private static RulesetReading Unreadable(string path, string why) =>
        new(null, [new Diagnostic(Severity.Error, new SourceMark(path, 1, 1), why, null)]);

    /// <summary>Copies no more than <paramref name="most"/> bytes: a device or a FIFO may never end.</summary>
    private static void CopyTo(this Stream from, MemoryStream to, int piece, int most)
    {
        byte[] buffer = new byte[piece];
        int read;
        while (to.Length < most && (read = from.Read(buffer, 0, (int)Math.Min(piece, most - to.Length))) > 0)
        {
            to.Write(buffer, 0, read);
        }
    }
}

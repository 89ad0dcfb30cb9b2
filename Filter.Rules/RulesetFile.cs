using System.Text;
using Filter.Engine.Ports;
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
        Diagnostics found = new();
        return Bytes(path, found) is { } bytes ? Parse(path, bytes, Path.GetDirectoryName(path)) : new RulesetReading(null, found.All);
    }

    /// <summary>All bytes of a file; null, and an error at its first character, where it cannot be read or is too large.</summary>
    /// <param name="path">The file, as messages will name it.</param>
    /// <param name="found">Where findings go.</param>
    public static byte[]? Bytes(string path, Diagnostics found)
    {
        string why;
        try
        {
            FileInfo file = new(path);
            string real = (file.Exists ? file.ResolveLinkTarget(returnFinalTarget: true) ?? file : file).FullName;
            if (FileFacts.At(real)?.IsFifo == true)
            {
                why = "it is a FIFO, which may never end";       // even to open it may take for ever
            }
            else if (file.Exists && file.Length > SourceText.LongestFile)
            {
                why = $"the file has {file.Length:N0} bytes; more than {SourceText.LongestFile / (1024 * 1024)} MB is not read";
            }
            else
            {
                using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
                return Bytes(stream);
            }
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            why = "there is no such file";
        }
        catch (UnauthorizedAccessException)
        {
            why = Directory.Exists(path) ? "it is a directory, not a ruleset" : "you may not read it";
        }
        catch (Exception e) when (e is IOException or ArgumentException or NotSupportedException or System.Security.SecurityException)
        {
            why = $"it cannot be read: {e.Message}";
        }

        found.Error(new SourceMark(path, 1, 1), why);
        return null;
    }

    /// <summary>What a stream holds, and no more than shows that it is too much: a device may never end.</summary>
    public static byte[] Bytes(Stream stream)
    {
        using MemoryStream whole = new();
        byte[] piece = new byte[LongestPiece];
        int read;
        while (whole.Length <= SourceText.LongestFile && (read = stream.Read(piece, 0, (int)Math.Min(piece.Length, SourceText.LongestFile + 1 - whole.Length))) > 0)
        {
            whole.Write(piece, 0, read);
        }

        return whole.ToArray();
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
        if (ruleset is not null && (!RulesetCompiler.Fits(ruleset, found) || (ruleset.Ipsec is { Policies: { IsEmpty: false } policies } && !PolicyIndex.Fits(policies, found))))
        {
            ruleset.WipeKeys();
            ruleset = null;
        }

        return new RulesetReading(ruleset, found.All);
    }

    /// <inheritdoc cref="Parse(string, ReadOnlySpan{byte}, string?)"/>
    public static RulesetReading Parse(string file, string text, string? directory = null) =>
        Parse(file, Encoding.UTF8.GetBytes(text), directory);
}

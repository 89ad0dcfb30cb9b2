using System.Security.Cryptography;
using Filter.Engine.Ports;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads a file that holds secrets: an ordinary one, its owner's alone, and no more of it stays in memory than is taken.</summary>
/// <param name="folders">Where a relative name is looked for.</param>
/// <param name="found">Where findings go. They never quote what the file holds.</param>
internal sealed class SecretFile(Folders folders, Diagnostics found)
{
    /// <summary>Takes what it needs out of the bytes, which are wiped afterwards.</summary>
    /// <typeparam name="T">What it gives.</typeparam>
    public delegate T Taking<T>(ReadOnlySpan<byte> bytes);

    /// <summary>What is taken out of a file; null after an error.</summary>
    /// <param name="text">The file's name, where the ruleset has it.</param>
    /// <param name="what">What it should be: "key file".</param>
    /// <param name="longest">The most bytes that it may have.</param>
    /// <param name="hint">What it holds, for who names something else.</param>
    /// <param name="take">Takes it.</param>
    public T? Read<T>(Located<string> text, string what, int longest, string hint, Taking<T?> take)
    {
        string shown = Wording.Quote(text.Value);
        if (text.Value.Contains('\0', StringComparison.Ordinal))
        {
            found.Error(text.At, $"{shown} is not the name of a file");
            return default;
        }

        byte[] bytes = GC.AllocateArray<byte>(longest + 1, pinned: true);
        try
        {
            string directory = folders.Of(text.At), path = Path.Combine(directory, text.Value);
            if (!File.Exists(path))
            {
                found.Error(text.At, $"there is no {what} {shown}", "a relative name counts from the folder of the file that names it");
                return default;
            }

            // What is behind a name may change, so the open file is asked. A FIFO must not even be opened: it would block.
            FileInfo file = new(path);
            bool ordinary = FileFacts.At((file.ResolveLinkTarget(returnFinalTarget: true) ?? file).FullName)?.IsRegular == true;
            using FileStream? stream = ordinary ? new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0) : null;
            if (stream is null || FileFacts.Of(stream.SafeFileHandle) is not { IsRegular: true } facts || stream.Length == 0 || stream.Length > longest)
            {
                found.Error(text.At, $"{shown} is not a {what}", hint);
                return default;
            }

            if (!facts.IsForOwnerAlone)
            {
                found.Error(text.At, $"others than its owner may read or change the {what} {shown}", $"chmod 600 {text.Value}");
                return default;
            }

            // Whoever has the ruleset's folder decides what is protected at all.
            if (!facts.IsOurs && FileFacts.At(Path.GetFullPath(directory.Length == 0 ? "." : directory))?.Owner != facts.Owner)
            {
                found.Error(text.At, $"the {what} {shown} belongs to another user, who may read and change it", $"chown root {text.Value}");
                return default;
            }

            int length = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            return take(bytes.AsSpan(0, length));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or System.Security.SecurityException or ArgumentException or NotSupportedException)
        {
            found.Error(text.At, $"the {what} {shown} cannot be read", "it must be readable by who runs Filter");
            return default;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }
}

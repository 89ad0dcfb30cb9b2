using Filter.Engine.Ports;

namespace Filter.Rules.Syntax;

/// <summary>
/// Reads a file that another one names. What is behind a name may change, so the open file is asked what it is; and a FIFO must
/// not even be opened, since that may never end.
/// </summary>
internal static class OrdinaryFile
{
    /// <summary>All bytes of an ordinary file; null, with the reason, where it is none or cannot be read.</summary>
    /// <param name="path">Where it is.</param>
    /// <param name="most">The most bytes that are read.</param>
    /// <param name="why">Why it is not read, as the end of a sentence.</param>
    public static byte[]? Read(string path, long most, out string? why)
    {
        why = null;
        try
        {
            FileInfo file = new(path);
            if (!file.Exists)
            {
                why = Directory.Exists(path) ? "it is a directory" : "there is no such file";
                return null;
            }

            bool ordinary = FileFacts.At((file.ResolveLinkTarget(returnFinalTarget: true) ?? file).FullName)?.IsRegular == true;
            using FileStream? stream = ordinary ? new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0) : null;
            if (stream is null || FileFacts.Of(stream.SafeFileHandle)?.IsRegular != true)
            {
                why = "it is not an ordinary file";
                return null;
            }

            if (stream.Length > most)
            {
                why = $"it has {stream.Length:N0} bytes; {most:N0} at most are read";
                return null;
            }

            // It may grow while it is read; no more than its length is taken.
            byte[] bytes = new byte[stream.Length];
            int read = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            return read == bytes.Length ? bytes : bytes[..read];
        }
        catch (UnauthorizedAccessException)
        {
            why = "you may not read it";
        }
        catch (Exception e) when (e is IOException or ArgumentException or NotSupportedException or System.Security.SecurityException)
        {
            why = $"it cannot be read: {e.Message}";
        }

        return null;
    }
}

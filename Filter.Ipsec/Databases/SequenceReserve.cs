using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Filter.Engine.Packets;

namespace Filter.Ipsec.Databases;

/// <summary>
/// Sequence numbers of manual SAs, reserved ahead in a file: a number that was used once is never used again with the same
/// key, whatever becomes of the process (RFC 4303 §2.2 needs it where the receiver checks for replays). The file is a line
/// for each SA: SPI, far end, highest number that may have been used. For the control thread only.
/// </summary>
public sealed partial class SequenceReserve
{
    /// <summary>How many numbers are reserved at a time.</summary>
    public const uint Block = 1_000_000;

    private const string FirstLine = "# Filter: highest ESP sequence numbers in use; do not edit";
    private const int LongestFile = 16 * 1024 * 1024;

    private readonly string _path;
    private readonly Dictionary<(uint Spi, Address Remote), ulong> _reserved = [];

    /// <summary>Reads the file, if there is one.</summary>
    /// <param name="path">Where it lies; its folder exists.</param>
    /// <exception cref="InvalidDataException">The file is none of ours or is damaged: numbers might be used again.</exception>
    /// <exception cref="IOException">It can't be read.</exception>
    public SequenceReserve(string path)
    {
        _path = path;
        if (File.Exists(path))
        {
            Read();
        }
    }

    /// <summary>
    /// Reserves a block for an SA that starts now. Nothing of it may be used before <see cref="Save"/> returned.
    /// </summary>
    /// <param name="spi">The far end's SPI.</param>
    /// <param name="remote">The far end; all zero where the SA names none.</param>
    /// <param name="extended">Whether its numbers have 64 bits.</param>
    /// <returns>The number up to which an earlier run may have counted, and the new limit.</returns>
    public (ulong Reserved, ulong Limit) Begin(uint spi, Address remote, bool extended)
    {
        ulong highest = extended ? ulong.MaxValue : uint.MaxValue;
        ulong before = Math.Min(_reserved.GetValueOrDefault((spi, remote)), highest);
        ulong limit = highest - before < Block ? highest : before + Block;
        _reserved[(spi, remote)] = limit;
        return (before, limit);
    }

    /// <summary>Reserves another block for each SA that has used half of its last; the file is on disk before any limit rises.</summary>
    /// <exception cref="IOException">The disk did not take it; limits stay, and the SAs drop when they reach them.</exception>
    public void Renew(IEnumerable<OutboundSa> associations)
    {
        List<(OutboundSa Sa, ulong Limit)> raised = [];
        foreach (OutboundSa sa in associations)
        {
            if (sa.Settings.ReplayWindow == 0 || sa.Limit == sa.Highest || sa.Limit - sa.Counter >= Block / 2)
            {
                continue;
            }

            ulong limit = sa.Highest - sa.Limit < Block ? sa.Highest : sa.Limit + Block;

            // On the line where it began, wherever the far end has moved since; another SA of that line may have come further.
            (uint, Address) line = (sa.Spi, sa.Settings.Remote ?? default);
            _reserved[line] = Math.Max(limit, _reserved.GetValueOrDefault(line));
            raised.Add((sa, limit));
        }

        if (raised.Count == 0)
        {
            return;
        }

        Save();
        foreach ((OutboundSa sa, ulong limit) in raised)
        {
            sa.Limit = limit;
        }
    }

    /// <summary>Writes the file and waits until the disk has it.</summary>
    /// <exception cref="IOException">The disk did not take it.</exception>
    public void Save()
    {
        var text = new StringBuilder(FirstLine).Append('\n');
        foreach (((uint spi, Address remote), ulong limit) in _reserved)
        {
            text.Append(CultureInfo.InvariantCulture, $"0x{spi:x8} {(remote == default ? "any" : remote.ToString())} {limit}\n");
        }

        // Made anew, never through a link that somebody may have put there.
        string fresh = _path + ".new";
        File.Delete(fresh);
        using (var file = new FileStream(fresh, FileMode.CreateNew, FileAccess.Write))
        {
            file.Write(Encoding.ASCII.GetBytes(text.ToString()));
            file.Flush(flushToDisk: true);
        }

        File.Move(fresh, _path, overwrite: true);
        SyncFolder();
    }

    private void Read()
    {
        if (new FileInfo(_path).Length > LongestFile)
        {
            throw new InvalidDataException($"{_path} is too long to be a list of sequence numbers");
        }

        string[] lines = File.ReadAllLines(_path);
        if (lines.Length == 0 || lines[0] != FirstLine)
        {
            throw new InvalidDataException($"{_path} is not a list of sequence numbers of Filter");
        }

        for (int i = 1; i < lines.Length; i++)
        {
            string[] words = lines[i].Split(' ');
            Address remote = default;
            if (words.Length != 3
                || !words[0].StartsWith("0x", StringComparison.Ordinal)
                || !uint.TryParse(words[0].AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint spi)
                || (words[1] != "any" && !Address.TryParse(words[1], out remote))
                || !ulong.TryParse(words[2], NumberStyles.None, CultureInfo.InvariantCulture, out ulong limit))
            {
                throw new InvalidDataException($"{_path}:{i + 1}: not an SPI, an address and a number");
            }

            // Twice there, the higher number is the one that may have been used.
            _reserved[(spi, remote)] = Math.Max(limit, _reserved.GetValueOrDefault((spi, remote)));
        }
    }

    /// <summary>A rename is on disk once its folder is.</summary>
    private void SyncFolder()
    {
        int folder = Open(Path.GetDirectoryName(Path.GetFullPath(_path)) ?? "/", 0);
        bool synced = folder >= 0 && Sync(folder) == 0;
        if (folder >= 0)
        {
            _ = Close(folder);
        }

        if (!synced)
        {
            throw new IOException($"the folder of {_path} could not be written to disk");
        }
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int Sync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}

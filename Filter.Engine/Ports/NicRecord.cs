using System.Text.Json;
using System.Text.Json.Serialization;
using Filter.Engine.Ports.Xdp;
using FilePath = System.IO.Path;

namespace Filter.Engine.Ports;

/// <summary>Something of a NIC's that rtnetlink can give back.</summary>
/// <param name="Text">For people to read.</param>
/// <param name="Payload">The payload of the message that makes it again.</param>
internal sealed record NicBelonging(string Text, byte[] Payload);

/// <summary>How a NIC was before Filter changed it. Written before the first change, read by whoever puts it back.</summary>
/// <param name="Device">Its name.</param>
/// <param name="Index">Its number: a device made anew under the same name has another.</param>
/// <param name="Up">It was set up.</param>
/// <param name="Arp">It spoke ARP.</param>
/// <param name="DisableIPv6">The switch's value; null where the kernel has none.</param>
/// <param name="Addresses">Its addresses, both families.</param>
/// <param name="Routes">The routes out of it that somebody had set.</param>
/// <param name="Offloads">What it did with frames that came in; null in records of before it was asked.</param>
internal sealed record NicRecord(
    string Device,
    int Index,
    bool Up,
    bool Arp,
    string? DisableIPv6,
    IReadOnlyList<NicBelonging> Addresses,
    IReadOnlyList<NicBelonging> Routes,
    NicOffloads? Offloads = null)
{
    /// <summary>Longest record that is read: some thousand addresses and routes.</summary>
    private const int LongestFile = 16 * 1024 * 1024;

    /// <summary>Reads a record; null where there is none.</summary>
    /// <param name="path">The file.</param>
    /// <param name="device">The device that it must speak of.</param>
    /// <exception cref="PortException">The file is there and is not a record of that device.</exception>
    public static NicRecord? TryLoad(string path, string device)
    {
        try
        {
            byte[] text = new FileInfo(path).Length <= LongestFile ? File.ReadAllBytes(path) : throw new JsonException();
            return JsonSerializer.Deserialize(text, NicRecordJson.Default.NicRecord) is { Addresses: not null, Routes: not null } record
                && record.Device == device && record.Addresses.Concat(record.Routes).All(static b => b is { Text: not null, Payload: not null })
                ? record
                : throw new JsonException();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (JsonException e)
        {
            throw new PortException($"{path} is damaged: it should say how the device was before; remove it to go on without", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PortException($"cannot read {path}: {e.Message}", e);
        }
    }

    /// <summary>Writes the record whole or not at all.</summary>
    public void Save(string path)
    {
        try
        {
            Directory.CreateDirectory(FilePath.GetDirectoryName(path)!);
            string draft = $"{path}.{Environment.ProcessId}.new";
            File.Delete(draft);
            using (var file = new FileStream(draft, FileMode.CreateNew, FileAccess.Write))
            {
                JsonSerializer.Serialize(file, this, NicRecordJson.Default.NicRecord);
                file.Flush(flushToDisk: true);
            }

            File.Move(draft, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PortException($"cannot record how {Device} is now: {e.Message}", e);
        }
    }
}

/// <summary>The record's JSON, made at compile time.</summary>
[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(NicRecord))]
internal sealed partial class NicRecordJson : JsonSerializerContext;

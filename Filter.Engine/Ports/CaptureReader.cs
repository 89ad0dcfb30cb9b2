using SharpPcap;
using SharpPcap.LibPcap;

namespace Filter.Engine.Ports;

/// <summary>One packet of a capture file; valid until the next is read.</summary>
/// <param name="bytes">What the file holds of it.</param>
/// <param name="originalLength">How long it was on the wire.</param>
/// <param name="time">When it was captured: nanoseconds since 1970.</param>
/// <param name="linkType">Its link type; 1 is Ethernet.</param>
public readonly ref struct CapturedFrame(ReadOnlySpan<byte> bytes, int originalLength, long time, int linkType)
{
    /// <summary>What the file holds of it.</summary>
    public ReadOnlySpan<byte> Bytes { get; } = bytes;

    /// <summary>How long it was on the wire.</summary>
    public int OriginalLength { get; } = originalLength;

    /// <summary>When it was captured: nanoseconds since 1970.</summary>
    public long Time { get; } = time;

    /// <summary>Its link type, LINKTYPE_ value.</summary>
    public int LinkType { get; } = linkType;

    /// <summary>Whether it is an Ethernet frame.</summary>
    public bool IsEthernet => LinkType == EthernetFraming.Ethernet;

    /// <summary>The capture kept only the packet's beginning.</summary>
    public bool IsSnapped => Bytes.Length < OriginalLength;
}

/// <summary>
/// Reads a capture file of any link type from front to back: pcap by libpcap through SharpPcap, pcapng by a reader of
/// ours. What is not Ethernet but holds IP comes as Ethernet (<see cref="EthernetFraming"/>). A file that is cut short gives its good packets first and then <see cref="Failure"/>.
/// </summary>
public sealed unsafe class CaptureReader : IDisposable
{
    private const int FileBuffer = 128 * 1024;
    private const int PacketRead = 1;
    private const int EndOfFile = -2;
    private const long NanosecondsPerSecond = 1_000_000_000;

    /// <summary>Later times count as this one, in the year 2255: what is to happen after it must still be a time.</summary>
    internal const long LastSecond = 9_000_000_000;

    private readonly CaptureFileReaderDevice? _device;
    private readonly PcapngReader? _pcapng;
    private readonly EthernetFraming _framing = new();
    private readonly string _path;
    private readonly long _nanosecondsPerTick;
    private readonly int _linkType;
    private bool _atEnd;

    /// <summary>Opens a capture file.</summary>
    /// <exception cref="PortException">There is none, or it is not a capture.</exception>
    public CaptureReader(string path)
    {
        _path = path;
        if (!File.Exists(path))
        {
            throw new PortException($"{path}: there is no such file");
        }

        _pcapng = OpenPcapng(path);
        if (_pcapng is not null)
        {
            return;
        }

        try
        {
            _device = new CaptureFileReaderDevice(path);
            _device.Open(new DeviceConfiguration { TimestampResolution = TimestampResolution.Nanosecond });
            _linkType = (int)_device.LinkType;
        }
        catch (Exception e) when (e is PcapException or IOException or UnauthorizedAccessException)
        {
            _device?.Dispose();
            throw new PortException($"{path}: it cannot be read as a capture: {OneLine(e.Message)}", e);
        }
        catch (DllNotFoundException e)
        {
            throw new PortException($"{path}: reading captures needs libpcap (package libpcap0.8)", e);
        }

        _nanosecondsPerTick = _device.TimestampResolution == TimestampResolution.Nanosecond ? 1 : 1000;
    }

    /// <summary>One line, once the file turned out to be damaged; else null.</summary>
    public string? Failure { get; private set; }

    /// <summary>The next packet; false at the end, and at damage (see <see cref="Failure"/>).</summary>
    public bool TryRead(out CapturedFrame frame)
    {
        if (!TryReadCaptured(out frame))
        {
            return false;
        }

        frame = frame.IsEthernet ? frame : _framing.Frame(frame);
        return true;
    }

    private bool TryReadCaptured(out CapturedFrame frame)
    {
        frame = default;
        if (_atEnd)
        {
            return false;
        }

        if (_pcapng is not null)
        {
            return TryReadPcapng(_pcapng, out frame);
        }

        IntPtr header = 0, data = 0;
        int status = _device!.GetNextPacketPointers(ref header, ref data);
        if (status != PacketRead)
        {
            _atEnd = true;
            if (status != EndOfFile)
            {
                Failure = $"{_path}: it ends in the middle, is damaged, or is beyond libpcap: {OneLine(_device.LastError)}";
            }

            return false;
        }

        // struct pcap_pkthdr: seconds and fraction (two longs), captured length, length on the wire.
        var clock = (nint*)header;
        var lengths = (uint*)(clock + 2);
        long seconds = Math.Clamp(clock[0], 0, LastSecond);
        long fraction = Math.Clamp(clock[1], 0, NanosecondsPerSecond / _nanosecondsPerTick) * _nanosecondsPerTick;
        int captured = (int)Math.Min(lengths[0], int.MaxValue);
        int original = (int)Math.Min(lengths[1], int.MaxValue);
        frame = new CapturedFrame(
            new ReadOnlySpan<byte>((void*)data, captured), Math.Max(original, captured), (seconds * NanosecondsPerSecond) + fraction, _linkType);
        return true;
    }

    private static PcapngReader? OpenPcapng(string path)
    {
        FileStream? file = null;
        try
        {
            file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, FileBuffer);
            Span<byte> first = stackalloc byte[4];
            if (file.ReadAtLeast(first, first.Length, throwOnEndOfStream: false) == first.Length
                && BitConverter.ToUInt32(first) == PcapngReader.SectionHeaderBlock)
            {
                file.Position = 0;
                PcapngReader reader = new(file);
                file = null;
                return reader;
            }

            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new PortException($"{path}: it cannot be read as a capture: {OneLine(e.Message)}", e);
        }
        finally
        {
            file?.Dispose();
        }
    }

    private bool TryReadPcapng(PcapngReader reader, out CapturedFrame frame)
    {
        frame = default;
        try
        {
            if (reader.TryRead(out frame))
            {
                return true;
            }

            Failure = reader.Failure is { } why ? $"{_path}: it ends in the middle or is damaged: {why}" : null;
        }
        catch (IOException e)
        {
            Failure = $"{_path}: it cannot be read to its end: {OneLine(e.Message)}";
        }

        _atEnd = true;
        return false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _device?.Dispose();
        _pcapng?.Dispose();
    }

    private static string OneLine(string? text)
        => string.IsNullOrWhiteSpace(text) ? "no reason given" : text.ReplaceLineEndings(" ").Trim();
}

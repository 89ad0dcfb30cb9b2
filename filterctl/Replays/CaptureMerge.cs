using Filter.Engine.Ports;

namespace Filter.Ctl.Replays;

/// <summary>One packet of the merged captures.</summary>
internal sealed class MergedFrame
{
    /// <summary>Room for the longest frame that a capture may hold.</summary>
    private byte[] _bytes = new byte[2048];
    private int _length;

    /// <summary>What the capture holds of it.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, _length);

    /// <summary>When it was captured: nanoseconds since 1970.</summary>
    public long Time { get; private set; }

    /// <summary>Whether it is an Ethernet frame.</summary>
    public bool IsEthernet { get; private set; }

    /// <summary>Its length on the wire: the capture may have kept only its beginning.</summary>
    public int OriginalLength { get; private set; }

    internal void Take(in CapturedFrame frame)
    {
        if (_bytes.Length < frame.Bytes.Length)
        {
            _bytes = new byte[frame.Bytes.Length];
        }

        frame.Bytes.CopyTo(_bytes);
        _length = frame.Bytes.Length;
        Time = frame.Time;
        OriginalLength = frame.OriginalLength;
        IsEthernet = frame.IsEthernet;
    }
}

/// <summary>
/// Several captures as one stream of packets: each capture in its own order, and among them the
/// packet with the earliest time first.
/// </summary>
internal sealed class CaptureMerge : IDisposable
{
    private readonly List<Source> _sources = [];
    private readonly List<string> _failures = [];
    private Source? _given;

    /// <summary>Opens the captures.</summary>
    /// <exception cref="PortException">One can't be read.</exception>
    public CaptureMerge(IReadOnlyCollection<ReplayPort> captures)
    {
        try
        {
            LongestDatagram = captures.Select(static capture => Longest(capture.File)).DefaultIfEmpty().Max();
            foreach (ReplayPort capture in captures)
            {
                Source source = new(capture, new CaptureReader(capture.File));
                _sources.Add(source);
                Advance(source);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>
    /// Bytes behind the Ethernet header of the longest frame in all: the links took that much, be it
    /// by jumbo frames or by segmentation behind the place of capture.
    /// </summary>
    public int LongestDatagram { get; }

    /// <summary>One line for each capture that turned out to be cut short.</summary>
    public IReadOnlyList<string> Failures => _failures;

    /// <summary>The next packet, valid until the next call; false at the end of all.</summary>
    public bool TryNext(out MergedFrame frame, out ReplayPort capture)
    {
        if (_given is { } given)
        {
            Advance(given);
        }

        _given = null;
        foreach (Source source in _sources)
        {
            if (source.HasNext && (_given is null || source.Next.Time < _given.Next.Time))
            {
                _given = source;
            }
        }

        frame = _given?.Next!;
        capture = _given?.Capture!;
        return _given is not null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Source source in _sources)
        {
            source.Reader.Dispose();
        }
    }

    private static int Longest(string file)
    {
        const int EthernetLength = 14;
        using CaptureReader reader = new(file);
        int longest = 0;
        while (reader.TryRead(out CapturedFrame frame))
        {
            longest = Math.Max(longest, Math.Min(frame.OriginalLength, ushort.MaxValue) - EthernetLength);
        }

        return longest;
    }

    private void Advance(Source source)
    {
        source.HasNext = source.Reader.TryRead(out CapturedFrame frame);
        if (source.HasNext)
        {
            source.Next.Take(frame);
        }
        else if (source.Reader.Failure is { } failure)
        {
            _failures.Add(failure);
        }
    }

    private sealed class Source(ReplayPort capture, CaptureReader reader)
    {
        public ReplayPort Capture { get; } = capture;

        public CaptureReader Reader { get; } = reader;

        public MergedFrame Next { get; } = new();

        public bool HasNext { get; set; }
    }
}

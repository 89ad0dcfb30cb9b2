using Filter.Engine.Packets;

namespace Filter.Engine.Ports;

/// <summary>
/// A port whose input is a capture file and whose output is another: packets arrive at the times of the capture. One
/// packet a <see cref="Receive"/>, so that the clock can step with each.
/// </summary>
public sealed class PcapFilePort : Port
{
    private readonly CaptureReader? _reader;
    private readonly PcapngWriter? _writer;
    private readonly int _writerInterface;
    private readonly byte[] _next = new byte[FrameArena.MaxFrame];
    private int _nextLength;
    private int _nextOriginalLength;
    private long _nextTime;
    private bool _nextIsEthernet;
    private bool _hasNext;
    private long _number;

    /// <summary>A port over files that the caller owns.</summary>
    /// <param name="reader">What arrives; null where nothing does.</param>
    /// <param name="writer">Where what is sent goes; null where it is only counted.</param>
    /// <param name="writerInterface">The port's interface in <paramref name="writer"/>.</param>
    public PcapFilePort(CaptureReader? reader, PcapngWriter? writer, int writerInterface = 0)
    {
        _reader = reader;
        _writer = writer;
        _writerInterface = writerInterface;
        ReadAhead();
    }

    /// <summary>When the next packet arrives, nanoseconds since 1970; null at the end.</summary>
    public long? NextTime => _hasNext ? _nextTime : null;

    /// <inheritdoc/>
    /// <remarks>
    /// See <see cref="CaptureIntake"/> for what is not Ethernet, or was kept only in part.
    /// </remarks>
    public override int Receive(Burst burst)
    {
        if (!_hasNext || !CaptureIntake.TryAppend(
            burst, _next.AsSpan(0, _nextLength), _nextOriginalLength, _nextIsEthernet, out int index))
        {
            return 0;
        }

        ref Packet packet = ref burst.Packets[index];
        packet.Time = _nextTime;
        packet.Ingress = Number;
        packet.Number = ++_number;
        Counters.ReceivedPackets++;
        Counters.ReceivedBytes += _nextLength;
        ReadAhead();
        return 1;
    }

    /// <inheritdoc/>
    public override void Transmit(Burst burst)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if ((packet.Egress & Mask) != 0 && packet.Verdict == Verdict.Pass)
            {
                Write(packet);
            }
        }
    }

    private void Write(in Packet packet)
    {
        try
        {
            _writer?.Write(_writerInterface, packet.Time, packet.Kept == 0 ? packet.Bytes : packet.Bytes[..packet.Kept], packet.Length);
            Counters.SentPackets++;
            Counters.SentBytes += packet.Length;
        }
        catch (IOException e)
        {
            Counters.SendErrors++;
            Failure ??= $"what {Name} sends cannot be written: {e.Message}";
        }
    }

    private void ReadAhead()
    {
        _hasNext = _reader is not null && _reader.TryRead(out CapturedFrame frame) && Keep(frame);
        Failure ??= _reader?.Failure;
    }

    private bool Keep(in CapturedFrame frame)
    {
        _nextLength = Math.Min(frame.Bytes.Length, _next.Length);
        frame.Bytes[.._nextLength].CopyTo(_next);
        _nextOriginalLength = frame.OriginalLength;
        _nextTime = frame.Time;
        _nextIsEthernet = frame.IsEthernet;
        return true;
    }
}

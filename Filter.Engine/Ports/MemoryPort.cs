using Filter.Engine.Packets;

namespace Filter.Engine.Ports;

/// <summary>A frame that a <see cref="MemoryPort"/> was given to send.</summary>
/// <param name="Bytes">A copy of the frame.</param>
/// <param name="Offload">Its metadata.</param>
/// <param name="Time">The packet's time, nanoseconds on its burst's clock.</param>
public sealed record SentFrame(byte[] Bytes, Offload Offload, long Time);

/// <summary>A port without a device: frames are put in by hand and what is sent is kept. For one thread.</summary>
public sealed class MemoryPort : Port
{
    private readonly Queue<(ReadOnlyMemory<byte> Frame, Offload Offload, long? Time)> _waiting = new();
    private readonly List<SentFrame> _sent = [];
    private long _number;

    /// <summary>A port that takes IP packets of up to <paramref name="mtu"/> bytes.</summary>
    /// <param name="mtu">Largest IP packet in bytes.</param>
    /// <param name="mac">Its own link address, 48 bits in numeric order; 0 for none.</param>
    public MemoryPort(int mtu = 1500, ulong mac = 0)
    {
        Mtu = mtu;
        Mac = mac;
    }

    /// <summary>Whether sent frames are kept in <see cref="Sent"/>; where not, they are only counted, and nothing is allocated.</summary>
    public bool KeepsSent { get; set; } = true;

    /// <summary>Whether super-frames may be sent by it.</summary>
    public bool TakesSuperFrames { get; init; }

    /// <summary>How many frames wait to be received.</summary>
    public int Waiting => _waiting.Count;

    /// <summary>What was sent since <see cref="TakeSent"/>, in order.</summary>
    public IReadOnlyList<SentFrame> Sent => _sent;

    /// <summary>Lets a frame arrive at the next <see cref="Receive"/>.</summary>
    /// <param name="frame">Its bytes, from the Ethernet header on; read when received, not copied before.</param>
    /// <param name="offload">Its metadata.</param>
    /// <param name="time">When it arrives; the burst's time where absent.</param>
    public void Inject(ReadOnlyMemory<byte> frame, Offload offload = default, long? time = null)
        => _waiting.Enqueue((frame, offload, time));

    /// <summary>What was sent since the last call, in order; forgotten here.</summary>
    public IReadOnlyList<SentFrame> TakeSent()
    {
        SentFrame[] sent = [.. _sent];
        _sent.Clear();
        return sent;
    }

    /// <inheritdoc/>
    public override int Receive(Burst burst)
    {
        int count = 0;
        while (count < Burst.Intake && _waiting.TryPeek(out var next) && burst.TryAppend(next.Frame.Length, out int index))
        {
            _waiting.Dequeue();
            count++;
            ref Packet packet = ref burst.Packets[index];
            packet.Length = next.Frame.Length;
            next.Frame.Span.CopyTo(packet.Bytes);
            packet.Offload = next.Offload;
            packet.Ingress = Number;
            packet.Number = ++_number;
            packet.Time = next.Time ?? burst.Now;
            Counters.ReceivedPackets++;
            Counters.ReceivedBytes += packet.Length;
        }

        return count;
    }

    /// <inheritdoc/>
    public override bool Takes(GsoKind kind) => TakesSuperFrames;

    /// <inheritdoc/>
    public override void Transmit(Burst burst)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if ((packet.Egress & Mask) == 0 || packet.Verdict != Verdict.Pass)
            {
                continue;
            }

            Counters.SentPackets++;
            Counters.SentBytes += packet.Length;
            if (KeepsSent)
            {
                _sent.Add(new SentFrame(packet.Bytes.ToArray(), packet.Offload, packet.Time));
            }
        }
    }
}

using Filter.Engine.Packets;
using Filter.Engine.Ports;

namespace Filter.Ctl.Replays;

/// <summary>A port of a replay: nothing comes in by itself, what is sent is written to a capture, or only counted.</summary>
internal sealed class SinkPort : Port
{
    private readonly PcapngWriter? _writer;

    /// <summary>A port that writes to a capture of its own.</summary>
    /// <param name="writer">The capture, which the port owns; null to count only.</param>
    /// <param name="name">What the capture calls it.</param>
    /// <param name="mtu">Largest IP packet in bytes.</param>
    /// <param name="mac">Its own link address; 0 for none.</param>
    public SinkPort(PcapngWriter? writer, string name, int mtu, ulong mac)
    {
        _writer = writer;
        _writer?.AddInterface(name);
        Mtu = mtu;
        Mac = mac;
    }

    /// <inheritdoc/>
    public override int Receive(Burst burst) => 0;

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

            _writer?.Write(0, packet.Time, packet.Kept == 0 ? packet.Bytes : packet.Bytes[..packet.Kept], packet.Length);
            Counters.SentPackets++;
            Counters.SentBytes += packet.Length;
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _writer?.Dispose();
        base.Dispose(disposing);
    }
}

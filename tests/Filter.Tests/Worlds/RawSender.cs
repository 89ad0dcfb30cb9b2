using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Wire;

namespace Filter.Tests.Worlds;

/// <summary>Puts frames on a host's cable past the host's own stack: what an attacker there can do.</summary>
internal sealed class RawSender : IDisposable
{
    private readonly PacketSocketPort _port;
    private readonly Burst _burst = new();
    private readonly string _source;

    /// <param name="host">Who sends.</param>
    /// <param name="device">Its end of the cable.</param>
    public RawSender(Host host, string device)
    {
        _source = host.Mac(device);
        _port = host.Inside(() => new PacketSocketPort(device) { Name = device, Number = 0, Side = Side.Protected });
    }

    /// <summary>Sends the packet that a packet line describes.</summary>
    /// <param name="line">The packet, without link addresses.</param>
    /// <param name="receiver">The link address of its receiver.</param>
    /// <param name="sender">Another link address than this device's.</param>
    public void Send(string line, string receiver, string? sender = null) =>
        SendFrame(PacketLine.Parse($"{line} src-mac={sender ?? _source} dst-mac={receiver}"));

    /// <summary>Sends a frame from this device to a link address; not IP.</summary>
    public void SendFrame(string receiver, string words) => SendFrame(PacketLine.Parse($"ether {_source} > {receiver} {words}"));

    /// <summary>Sends a frame as it is.</summary>
    public void SendFrame(ReadOnlySpan<byte> frame)
    {
        _burst.Reset();
        Assert.True(_burst.TryAppend(frame.Length, out int index));
        ref Packet packet = ref _burst.Packets[index];
        packet.Length = frame.Length;
        frame.CopyTo(packet.Bytes);
        Transmit(ref packet);
    }

    private void SendFrame(PacketLine line)
    {
        _burst.Reset();
        Assert.True(FrameBuilder.TryAppend(line, _burst, 0, out int index));
        Transmit(ref _burst.Packets[index]);
    }

    private void Transmit(ref Packet packet)
    {
        packet.Verdict = Verdict.Pass;
        packet.Egress = _port.Mask;
        long sent = _port.Counters.SentPackets;
        _port.Transmit(_burst);
        Assert.Equal(sent + 1, _port.Counters.SentPackets);
    }

    public void Dispose() => _port.Dispose();
}

using System.Buffers.Binary;
using System.Diagnostics;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Tests.Worlds;

namespace Filter.Tests.Ports;

/// <summary>Two namespaces and a cable: `box` with the device `nic`, `far` with the device `end`, a packet port on each when asked.</summary>
internal sealed class Cable : IDisposable
{
    public const ushort TestEtherType = 0x88b5;
    private readonly Burst _burst = new();

    /// <param name="queues">Of each end.</param>
    public Cable(int queues = 1)
    {
        Box = NetNs.Create("box");
        Far = NetNs.Create("far");

        // No IPv6 of their own on either end: nothing but what a test sends is on the cable.
        Box.Exec("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1");
        Far.Exec("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1");
        NetNs.Cable(Box, "nic", Far, "end", queues);
    }

    public NetNs Box { get; }

    public NetNs Far { get; }

    public PacketSocketPort OpenNic() => Box.Run(() => new PacketSocketPort("nic") { Name = "nic", Number = 0, Side = Side.Unprotected });

    public PacketSocketPort OpenEnd() => Far.Run(() => new PacketSocketPort("end") { Name = "end", Number = 1, Side = Side.Protected });

    /// <summary>A broadcast frame of the experimental ethertype; its payload counts up from <paramref name="seed"/>.</summary>
    public static byte[] Frame(int length, byte seed = 0)
    {
        var frame = new byte[length];
        frame.AsSpan(0, 6).Fill(0xff);
        frame[6] = 0x02;
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), TestEtherType);
        for (int i = 14; i < length; i++)
        {
            frame[i] = (byte)(seed + i);
        }

        return frame;
    }

    /// <summary>Sends frames by a port, in one burst.</summary>
    public void Send(Port port, params (byte[] Frame, Offload Offload)[] frames)
    {
        _burst.Reset();
        foreach ((byte[] frame, Offload offload) in frames)
        {
            Assert.True(_burst.TryAppend(frame.Length, out int index));
            ref Packet packet = ref _burst.Packets[index];
            packet.Length = frame.Length;
            frame.CopyTo(packet.Bytes);
            packet.Offload = offload;
            packet.Verdict = Verdict.Pass;
            packet.Egress = port.Mask;
        }

        port.Transmit(_burst);
        _burst.Reset();
    }

    public void Send(Port port, params byte[][] frames) => Send(port, [.. frames.Select(frame => (frame, default(Offload)))]);

    /// <summary>What a port hears, until there are so many frames; fails after ten seconds without.</summary>
    public List<(byte[] Frame, Packet Packet)> Hear(Port port, int count)
    {
        var heard = new List<(byte[], Packet)>();
        using var poller = new PortPoller([port]);
        long deadline = Stopwatch.GetTimestamp() + (10 * Stopwatch.Frequency);
        while (heard.Count < count)
        {
            Assert.True(Stopwatch.GetTimestamp() < deadline, $"{port.Name} heard {heard.Count} of {count} frames");
            poller.Wait(100);
            heard.AddRange(HearNow(port));
        }

        return heard;
    }

    /// <summary>What a port hears without waiting.</summary>
    public List<(byte[] Frame, Packet Packet)> HearNow(Port port)
    {
        var heard = new List<(byte[], Packet)>();
        do
        {
            _burst.Reset();
            port.Receive(_burst);
            for (int i = 0; i < _burst.Count; i++)
            {
                heard.Add((_burst.Packets[i].Bytes.ToArray(), _burst.Packets[i]));
            }
        }
        while (_burst.Count > 0);
        return heard;
    }

    public void Dispose()
    {
        Box.Dispose();
        Far.Dispose();
    }
}

using System.Diagnostics;
using System.Globalization;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Wire;

namespace Filter.Bench;

/// <summary>
/// A SYN flood of bounded size and rate from senders who do not exist, past the stack of the host that sends it. For
/// `./dev bench flood`, in namespaces of its own.
/// </summary>
internal static class SynFlood
{
    private const int MostAtOnce = Burst.Intake;

    /// <summary>Sends, and prints what it sent.</summary>
    /// <param name="device">The device to send by.</param>
    /// <param name="receiver">The link address of the receiver.</param>
    /// <param name="target">Address and port, as packet lines write them.</param>
    /// <param name="count">How many packets.</param>
    /// <param name="rate">Packets a second, at most.</param>
    public static void Run(string device, string receiver, string target, int count, int rate)
    {
        using var port = new PacketSocketPort(device) { Name = device, Number = 0, Side = Side.Unprotected };
        var random = new Random(1);
        byte[][] frames = [.. Enumerable.Range(0, Math.Min(count, 50_000)).Select(_ => Frame(random, target, receiver))];
        var burst = new Burst();
        var clock = Stopwatch.StartNew();
        int sent = 0;
        while (sent < count)
        {
            int due = (int)Math.Min(count, clock.Elapsed.TotalSeconds * rate);
            for (; sent < due && burst.Count < MostAtOnce; sent++)
            {
                byte[] frame = frames[sent % frames.Length];
                burst.TryAppend(frame.Length, out int index);
                ref Packet packet = ref burst.Packets[index];
                packet.Length = frame.Length;
                frame.CopyTo(packet.Bytes);
                packet.Verdict = Verdict.Pass;
                packet.Egress = port.Mask;
            }

            if (burst.Count == 0)
            {
                Thread.Sleep(1);
                continue;
            }

            port.Transmit(burst);
            burst.Reset();
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{port.Counters.SentPackets} {port.Counters.SentPackets / clock.Elapsed.TotalSeconds:f0}"));
    }

    private static byte[] Frame(Random random, string target, string receiver)
    {
        string source = target[0] == '['
            ? $"[2001:db8:{random.Next(0x1000, 0x10000):x}::{random.Next(1, 0x10000):x}]"
            : $"203.0.113.{random.Next(1, 255)}";
        PacketLine line = PacketLine.Parse(
            $"tcp {source}:{random.Next(1024, 65536)} > {target} syn seq={random.Next()} src-mac=02:00:00:00:00:66 dst-mac={receiver}");
        byte[] frame = new byte[FrameBuilder.Length(line)];
        FrameBuilder.Write(line, frame);
        return frame;
    }
}

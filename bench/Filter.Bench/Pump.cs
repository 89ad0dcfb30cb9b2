using System.Diagnostics;
using System.Globalization;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Wire;

namespace Filter.Bench;

/// <summary>
/// Datagrams of some flows in turn, past the stack of the host that sends them, at a rate or as fast as one thread can. For
/// `./dev bench inline`, in namespaces of its own.
/// </summary>
internal static class Pump
{
    private const int FirstPort = 10_000;
    private const int EthernetAndIPv4AndUdp = 14 + 20 + 8;

    /// <summary>Sends, and prints how many frames, in how many seconds, and how many nanoseconds of processor time each took.</summary>
    /// <param name="device">The device to send by.</param>
    /// <param name="receiver">The link address of the receiver.</param>
    /// <param name="source">An IPv4 address of the sender.</param>
    /// <param name="target">Address and port, as packet lines write them.</param>
    /// <param name="length">Bytes of a frame.</param>
    /// <param name="flows">How many source ports.</param>
    /// <param name="seconds">For how long.</param>
    /// <param name="rate">Frames a second; 0 for as many as go.</param>
    public static void Run(string device, string receiver, string source, string target, int length, int flows, double seconds, int rate)
    {
        using var port = new PacketSocketPort(device) { Name = device, Number = 0, Side = Side.Unprotected };
        Burst[] bursts = [.. Enumerable.Range(0, flows).Chunk(Burst.Intake).Select(some => Filled(some.Select(flow => PacketLine.Parse(
            $"udp {source}:{FirstPort + flow} > {target} len={length - EthernetAndIPv4AndUdp} src-mac=02:00:00:00:00:66 dst-mac={receiver}")), port.Mask))];
        long spent = ProcessorTime();
        var clock = Stopwatch.StartNew();
        for (int turn = 0; clock.Elapsed.TotalSeconds < seconds;)
        {
            if (rate > 0 && port.Counters.SentPackets >= clock.Elapsed.TotalSeconds * rate)
            {
                Thread.Sleep(1);
                continue;
            }

            port.Transmit(bursts[turn++ % bursts.Length]);
        }

        double took = clock.Elapsed.TotalSeconds;
        spent = ProcessorTime() - spent;
        long sent = port.Counters.SentPackets;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{sent} {took:f3} {spent / Math.Max(1, sent)}"));
    }

    private static Burst Filled(IEnumerable<PacketLine> lines, ushort egress)
    {
        var burst = new Burst();
        foreach (PacketLine line in lines)
        {
            if (FrameBuilder.TryAppend(line, burst, 0, out int index))
            {
                burst.Packets[index].Verdict = Verdict.Pass;
                burst.Packets[index].Egress = egress;
            }
        }

        return burst;
    }

    /// <summary>Nanoseconds that this process's threads ran, with what the kernel did in their name.</summary>
    private static long ProcessorTime() => Directory.EnumerateDirectories("/proc/self/task")
        .Sum(static task => long.Parse(File.ReadAllText($"{task}/schedstat").Split(' ')[0], CultureInfo.InvariantCulture));
}

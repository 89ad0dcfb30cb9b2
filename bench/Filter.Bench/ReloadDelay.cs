using System.Diagnostics;
using System.Globalization;
using System.Runtime;
using System.Text;
using Filter.Ctl.Control;
using Filter.Ctl.Service;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Policy;

namespace Filter.Bench;

/// <summary>
/// How long a packet waits at most while rules are reloaded, beside how long it waits without: one packet each 50 µs, of flows in
/// turn, through the daemon's own worker in this process, from when it was due to when it was sent. A reload is the daemon's
/// own: it reads the file, checks, compiles, publishes, and all flows are judged again. It takes two cores for itself; on a busy
/// machine compare the two lines. Part of `./dev bench rules`.
/// </summary>
internal static class ReloadDelay
{
    private const long Pace = 50_000;
    private const long Millisecond = 1_000_000;

    /// <summary>Measures, and prints a line for each part.</summary>
    public static void Run(int rules = 10_000, int flows = 100_000, int reloads = 100)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("filter-bench");
        try
        {
            string[] files = [Path.Combine(folder.FullName, "one.yaml"), Path.Combine(folder.FullName, "other.yaml")];
            File.WriteAllText(files[0], Text(rules, 0));
            File.WriteAllText(files[1], Text(rules, 1));
            Run(files, flows, reloads, folder.FullName);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Run(string[] files, int flows, int reloads, string folder)
    {
        GCSettings.LatencyMode = GCLatencyMode.SustainedLowLatency;     // as the daemon has it
        RulesetLoader loader = new([]);
        Ruleset first = loader.Read(files[0]).Ruleset!;
        Stream inside = new(1, flows) { Name = "inside", Number = 1, Side = Side.Protected };
        Stream outside = new(0, flows) { Name = "outside", Number = 0, Side = Side.Unprotected };
        outside.Peer = inside;
        using Gateway gateway = Gateway.Compose<NoTrace>(first, [outside, inside], flows: 2 * flows);
        gateway.Path.Events.Muted = true;
        Workforce workers = new(new Worker(gateway.Path, static _ => Wait(), static () => { }));
        using StopOrder stop = new();
        using Sequences sequences = new(folder);
        using RulesetSwitch rulesets = new(gateway, workers, loader, first, sequences, new ServiceLog(TextWriter.Null, json: false), stop);
        workers.Start();
        SpinWait.SpinUntil(() => inside.Filled);
        Reload(rulesets, files[1], out _);      // what runs for the first time is compiled now
        Reload(rulesets, files[0], out _);

        List<long> took = [];
        long switched = 0;
        TimeSpan paused = GC.GetTotalPauseDuration();
        inside.Begin();
        for (int i = 0; i < reloads; i++)
        {
            took.Add(Reload(rulesets, files[(i + 1) % 2], out long held));
            switched = Math.Max(switched, held);
        }

        (long Longest, string Told) during = inside.End();
        paused = GC.GetTotalPauseDuration() - paused;
        long time = took.Sum();
        inside.Begin();
        Thread.Sleep((int)Math.Max(1000, time));
        (long Longest, string Told) without = inside.End();
        workers.Stop();
        took.Sort();
        Say($"");
        Say($"{reloads} reloads of {first.Rules.Length} rules with {gateway.Path.Flows.Count} flows: {took[took.Count / 2]} ms each, at most {took[^1]}; the worker was held up to {switched} µs, and the collector stopped it {paused.TotalMilliseconds / reloads:F0} ms a reload");
        Say($"delay of a packet, without reloads: {without.Told}");
        Say($"delay of a packet, during reloads:  {during.Told}");
        Say($"flows ended {gateway.Path.Counters.Disallowed}, packets dropped {gateway.Path.Counters[Verdict.Drop]}");
    }

    private static bool Wait()
    {
        Thread.SpinWait(20);
        return true;
    }

    private static long Reload(RulesetSwitch rulesets, string file, out long switched)
    {
        long began = Stopwatch.GetTimestamp();
        ControlResponse answer = rulesets.ReloadAsync(file, null).GetAwaiter().GetResult();
        if (!answer.Ok)
        {
            throw new InvalidOperationException($"{answer.Error}: {string.Join(' ', answer.Diagnostics ?? [])}");
        }

        switched = answer.Reload!.Switched;
        return (long)Stopwatch.GetElapsedTime(began).TotalMilliseconds;
    }

    private static string Text(int rules, int shift)
    {
        var random = new Random(1);
        StringBuilder text = new("""
            filter: 1
            ports:
              outside: { nic: eth0, side: unprotected }
              inside: { nic: eth1, side: protected }
            limits: { per-source: { flows: none }, half-open: none }
            rules:

            """);
        string[] actions = ["allow", "drop", "reject"];
        for (int i = 0; i < rules - 1; i++)
        {
            uint source = (uint)random.Next(), destination = (uint)random.Next();
            text.Append(CultureInfo.InvariantCulture, $"  - {actions[(i + shift) % 3]}: rule-{i}\n    source: {Prefix(source, random.Next(16, 33))}\n");
            text.Append(CultureInfo.InvariantCulture, $"    destination: {Prefix(destination, random.Next(16, 33))}\n    service: tcp/{random.Next(1, 65536)}\n");
        }

        return text.Append("  - allow: rest\n").ToString();
    }

    private static string Prefix(uint address, int length)
    {
        uint masked = address & (uint)(ulong.MaxValue << (32 - length));
        return $"{masked >> 24}.{(masked >> 16) & 255}.{(masked >> 8) & 255}.{masked & 255}/{length}";
    }

    private static void Say(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    /// <summary>A port at which a packet is due each so often, that notes how late each is when it leaves on the far side.</summary>
    private sealed class Stream : Port
    {
        private readonly byte[][] _frames;
        private readonly long[] _delays = new long[64];
        private long _due = WallClock.Monotonic;
        private int _next;
        private long _longest, _sent;
        private volatile int _phase;

        public Stream(byte number, int flows)
        {
            Mtu = 1500;
            _frames = number == 0 ? [] : [.. Enumerable.Range(0, flows).Select(Frame)];
        }

        /// <summary>Every flow has been opened.</summary>
        public bool Filled => _phase > 0;

        public void Begin()
        {
            _phase = 2;
            SpinWait.SpinUntil(() => _phase == 3);
        }

        public (long Longest, string Told) End()
        {
            _phase = 1;
            Thread.Sleep(50);
            long half = Below(0.5), most = Below(0.99), nearlyAll = Below(0.9999);
            return (_longest, string.Create(CultureInfo.InvariantCulture,
                $"longest {(double)_longest / Millisecond:F2} ms; of {_sent} packets half below {half / 1000} µs, 99% below {most / 1000}, 99.99% below {nearlyAll / 1000}"));
        }

        public override int Receive(Burst burst)
        {
            int came = 0;
            long now = WallClock.Monotonic;
            if (_phase == 2)
            {
                Array.Clear(_delays);
                (_longest, _sent, _due, _phase) = (0, 0, now, 3);
            }

            while (_frames.Length > 0 && came < Burst.Intake && (_phase == 0 || _due <= now) && burst.TryAppend(128, out int index))
            {
                byte[] frame = _frames[_next];
                ref Packet packet = ref burst.Packets[index];
                packet.Length = frame.Length;
                frame.CopyTo(packet.Bytes);
                packet.Ingress = Number;
                packet.Time = _due;
                came++;
                _due += Pace;
                _next = (_next + 1) % _frames.Length;
                if (_next == 0 && _phase == 0)
                {
                    (_due, _phase) = (now, 1);
                }
            }

            return came;
        }

        public override void Transmit(Burst burst)
        {
            if (_frames.Length > 0 || burst.Count == 0)
            {
                return;
            }

            Stream from = Peer!;
            long now = WallClock.Monotonic;
            for (int i = 0; i < burst.Count && from._phase == 3; i++)
            {
                long delay = Math.Max(1, now - burst.Packets[i].Time);
                from._longest = Math.Max(from._longest, delay);
                from._delays[(2 * System.Numerics.BitOperations.Log2((ulong)delay)) + (int)(delay >> (System.Numerics.BitOperations.Log2((ulong)delay) - 1) & 1)]++;
                from._sent++;
            }
        }

        /// <summary>Where the packets come from.</summary>
        public Stream? Peer { get; set; }

        /// <summary>An upper bound of what so many hundredths waited.</summary>
        private long Below(double part)
        {
            long seen = 0;
            for (int i = 0; i < _delays.Length; i++)
            {
                seen += _delays[i];
                if (seen >= part * _sent)
                {
                    return (3L + (i & 1)) << ((i / 2) - 1);
                }
            }

            return _longest;
        }

        private static byte[] Frame(int flow)
        {
            PacketLine line = PacketLine.Parse(string.Create(CultureInfo.InvariantCulture,
                $"udp 10.{flow >> 16}.{(flow >> 8) & 255}.{flow & 255}:4000 > 203.0.113.9:4000 len=64"));
            byte[] frame = new byte[FrameBuilder.Length(line)];
            FrameBuilder.Write(line, frame);
            return frame;
        }
    }
}

using BenchmarkDotNet.Attributes;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Compile;

namespace Filter.Bench;

/// <summary>
/// The engine alone, without I/O: nanoseconds a packet of the whole walk, beside that of parsing alone. UDP, both
/// families mixed, flows in random order, bursts of 64. Run by `./dev bench engine`.
/// </summary>
[MemoryDiagnoser]
public class EngineWalkBenchmarks
{
    internal const int Packets = 16_384;

    private const string Ruleset = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - drop: telnet
            service: tcp/23
          - allow: outbound
            from: inside
        """;

    private readonly Burst _burst = new();
    private PacketPath _path = null!;
    private byte[][] _frames = null!;

    /// <summary>Flows among which packets are spread.</summary>
    [Params(1_000, 100_000)]
    public int Flows { get; set; }

    /// <summary>Builds the path, opens every flow, and has it answered: what nobody answers would be half-open.</summary>
    [GlobalSetup]
    public void Setup() => Setup("");

    /// <summary>The same with further rules before all others.</summary>
    internal void Setup(string rules)
    {
        RulesetReading reading = RulesetFile.Parse("bench.yaml", Ruleset.Replace("rules:\n", "rules:\n" + rules, StringComparison.Ordinal));
        MemoryPort[] ports =
        [
            new(1500) { Name = "outside", Number = 0, Side = Side.Unprotected, KeepsSent = false },
            new(1500) { Name = "inside", Number = 1, Side = Side.Protected, KeepsSent = false },
        ];
        _path = new PacketPath<NoTrace>(new PathSettings
        {
            Ports = ports,
            Ruleset = RulesetCompiler.Compile(reading.Ruleset!),
            Flows = 2 * Flows,
        });
        _path.Events.Muted = true;
        var random = new Random(1);
        _frames = [.. Enumerable.Range(0, Packets).Select(_ => Frame(random.Next(Flows)))];
        for (int flow = 0; flow < Flows; flow++)
        {
            Append(Frame(flow));
            Finish(walk: true);
            Append(Frame(flow, answer: true), ingress: 0);
            Finish(walk: true);
        }
    }

    /// <summary>Parsing alone: part of the limit.</summary>
    [Benchmark(Baseline = true, OperationsPerInvoke = Packets)]
    public int Parse()
    {
        int parsed = 0;
        foreach (byte[] frame in _frames)
        {
            Append(frame);
            if (_burst.Count == Burst.Intake)
            {
                for (int i = 0; i < _burst.Count; i++)
                {
                    parsed += Parser.Parse(ref _burst.Packets[i]) == DropReason.None ? 1 : 0;
                }

                Finish(walk: false);
            }
        }

        return parsed;
    }

    /// <summary>The whole walk of packets of established flows.</summary>
    [Benchmark(OperationsPerInvoke = Packets)]
    public long Walk()
    {
        foreach (byte[] frame in _frames)
        {
            Append(frame);
            if (_burst.Count == Burst.Intake)
            {
                Finish(walk: true);
            }
        }

        return _path.Counters[Verdict.Pass];
    }

    private static byte[] Frame(int flow, bool answer = false)
    {
        (string near, string far) = flow % 2 == 0
            ? ($"10.{flow >> 16 & 255}.{flow >> 8 & 255}.{flow & 255}:4000", "198.51.100.7:53")
            : ($"[2001:db8::{flow >> 16:x}:{flow & 0xffff:x}]:4000", "[2001:db8:f::7]:53");
        PacketLine packet = PacketLine.Parse(answer ? $"udp {far} > {near} len=32" : $"udp {near} > {far} len=32");
        byte[] frame = new byte[FrameBuilder.Length(packet)];
        FrameBuilder.Write(packet, frame);
        return frame;
    }

    private void Append(byte[] frame, byte ingress = 1)
    {
        _burst.TryAppend(frame.Length, out int index);
        ref Packet packet = ref _burst.Packets[index];
        packet.Length = frame.Length;
        packet.Ingress = ingress;
        frame.CopyTo(packet.Bytes);
    }

    private void Finish(bool walk)
    {
        if (walk)
        {
            _burst.Now = 1;
            _path.Walk(_burst);
        }

        _burst.Reset();
    }
}

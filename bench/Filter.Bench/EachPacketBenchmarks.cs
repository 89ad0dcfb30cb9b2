using BenchmarkDotNet.Attributes;

namespace Filter.Bench;

/// <summary>
/// What packets of established flows pay for rules with `each-packet`, none of which matches: the whole walk, nanoseconds a
/// packet, without such a rule and with some. Run by `./dev bench each`.
/// </summary>
[MemoryDiagnoser]
public class EachPacketBenchmarks
{
    private readonly EngineWalkBenchmarks _walk = new() { Flows = 1_000 };

    /// <summary>How many rules look at each packet.</summary>
    [Params(0, 1, 10, 1_000)]
    public int Rules { get; set; }

    /// <summary>Builds the path and opens every flow.</summary>
    [GlobalSetup]
    public void Setup()
    {
        IEnumerable<string> each = Enumerable.Range(0, Rules).Select(static i =>
            $"  - {{ drop: each-{i}, from: outside, source: [ 203.0.{i >> 8}.{i & 255}, 2001:db8:{i + 1:x}::/64 ], dscp: ef, each-packet: true }}\n");
        _walk.Setup(string.Concat(each));
    }

    /// <summary>The whole walk.</summary>
    [Benchmark(OperationsPerInvoke = EngineWalkBenchmarks.Packets)]
    public long Walk() => _walk.Walk();
}

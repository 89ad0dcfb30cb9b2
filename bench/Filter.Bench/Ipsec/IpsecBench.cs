using System.Diagnostics;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Bench;

/// <summary>
/// What sealing and opening cost beside the cryptography alone, through the same seam, in one run: a thousand SAs, bursts of 32, one
/// core; the best round counts, for what is slower is the machine's other work. Then what a forged packet costs, and a million SAs.
/// </summary>
internal static class IpsecBench
{
    private const int Sas = 1000;
    private const int Bursts = 500;
    private const int Rounds = 40;

    internal static void Run()
    {
        Console.WriteLine($"backend: {Backend()}; {Sas} SAs, bursts of {SealedPath.BurstSize}, best of {Rounds} rounds of {Bursts} bursts; ns a packet");
        Console.WriteLine();
        Console.WriteLine("| suite | size | raw seal | ESP step (share, asked) | whole path out (share, asked) | raw open | whole path in (share, asked) | forged, of good |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|");
        if (IpsecSuite.TryFind("aes-gcm-16-128", out IpsecSuite? gcm))
        {
            Row(gcm, 64, 0.75, 0.60);
            Row(gcm, 576, 0.91, 0.85);
            Row(gcm, 1400, 0.95, 0.93);
        }

        Row(IpsecSuite.AesCbc128HmacSha256, 1400, null, 0.85);
        Console.WriteLine();
        PolicyBench.Run();
        Million();
    }

    private static string Backend()
    {
        using CryptoBackend best = CryptoBackend.CreateBest();
        return best.Name;
    }

    private static void Row(IpsecSuite suite, int size, double? stepBar, double pathBar)
    {
        SealedFigure figure = Measure(suite, size);
        Console.WriteLine($"| {suite.Name} | {size} | {figure.RawSeal:0.0} | {Share(figure.RawSeal, figure.Step, stepBar)} | {Share(figure.RawSeal, figure.Sealing, pathBar)} "
            + $"| {figure.RawOpen:0.0} | {Share(figure.RawOpen, figure.Opening, pathBar)} | {figure.Forged:0.0} = {figure.Forged / figure.Opening:0.00} (< 1) |");
        Console.WriteLine($"|  |  |  |  | {figure.Allocated} bytes allocated (0) |  |  |  |");
    }

    /// <summary>One suite at one size of packets.</summary>
    internal static SealedFigure Measure(IpsecSuite suite, int size)
    {
        using SealedPath tunnel = new(suite, size, Sas, tunnel: true), path = new(suite, size, Sas, tunnel: false);
        using var raw = new RawSeal(suite, size, Sas);
        List<double> rawSeal = [], rawOpen = [], step = [], sealing = [], opening = [], forging = [];
        long allocated = 0;
        for (int round = -3; round < Rounds; round++)
        {
            long sealTicks = 0, openTicks = 0, stepTicks = 0, outTicks = 0, inTicks = 0, forgedTicks = 0;
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < Bursts; i++)
            {
                (long s, long o) = raw.Once();
                (sealTicks, openTicks) = (sealTicks + s, openTicks + o);

                Burst burst = tunnel.Fill();
                SealedPath.Judge(burst, tunnel.Sealing);
                long start = Stopwatch.GetTimestamp();
                tunnel.Sealing.Protect(burst);
                stepTicks += Stopwatch.GetTimestamp() - start;

                burst = path.Fill();
                start = Stopwatch.GetTimestamp();
                path.Seal(burst);
                outTicks += Stopwatch.GetTimestamp() - start;

                Burst arrived = path.Carry(burst, forged: true);
                start = Stopwatch.GetTimestamp();
                path.Open(arrived, forged: true);
                forgedTicks += Stopwatch.GetTimestamp() - start;

                arrived = path.Carry(burst);
                start = Stopwatch.GetTimestamp();
                path.Open(arrived);
                inTicks += Stopwatch.GetTimestamp() - start;
            }

            if (round >= 0)
            {
                allocated += GC.GetAllocatedBytesForCurrentThread() - before;
                rawSeal.Add(Ns(sealTicks));
                rawOpen.Add(Ns(openTicks));
                step.Add(Ns(stepTicks));
                sealing.Add(Ns(outTicks));
                opening.Add(Ns(inTicks));
                forging.Add(Ns(forgedTicks));
            }
        }

        return new(Best(rawSeal), Best(rawOpen), Best(step), Best(sealing), Best(opening), Best(forging), allocated);
    }

    /// <summary>Memory of an SA, and what finding one costs among a million beside a thousand.</summary>
    private static void Million()
    {
        const int many = 1_000_000;
        IpsecSuite suite = IpsecSuite.TryFind("aes-gcm-16-128", out IpsecSuite? found) ? found : IpsecSuite.AesCbc128HmacSha256;
        double few = Lookups(1_000, suite, out _), all = Lookups(many, suite, out double bytes);
        Console.WriteLine($"a million SAs ({suite.Name}, window {SaSettings.OrdinaryWindow}): {bytes:0} bytes an SA (asked: less than 2,048); "
            + $"a lookup in a burst of {SealedPath.BurstSize}, random order: {few:0.0} ns among 1,000, {all:0.0} among 1,000,000 = {all / few:0.00} (asked: at most 2)");
    }

    private static double Lookups(int count, IpsecSuite suite, out double bytes)
    {
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        long before = Resident();
        var sad = new Sad();
        var settings = new SaSettings { Mode = IpsecMode.Tunnel, Local = Address.Parse("198.51.100.1"), Remote = Address.Parse("192.0.2.1"), Suite = suite };
        using SaKey key = SealedPath.KeyOf(suite, 1);
        for (int i = 0; i < count; i++)
        {
            sad.Add(new InboundSa("many", settings, 0x1000u + (uint)i, SealedPath.KeyOf(suite, i)));
        }

        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        bytes = (double)(Resident() - before) / count;
        var random = new Random(7);
        uint[] spis = [.. Enumerable.Range(0, 1 << 16).Select(_ => 0x1000u + (uint)random.Next(count))];
        var firsts = new InboundSa?[SealedPath.BurstSize];
        long found = 0;
        uint read = 0;
        Address here = settings.Local!.Value;
        List<double> rounds = [];
        for (int round = 0; round < 12; round++)
        {
            long start = Stopwatch.GetTimestamp();
            for (int at = 0; at < spis.Length; at += SealedPath.BurstSize)
            {
                ReadOnlySpan<uint> some = spis.AsSpan(at, SealedPath.BurstSize);
                read ^= sad.Warm(some);
                for (int i = 0; i < some.Length; i++)
                {
                    firsts[i] = sad.First(some[i]);
                }

                for (int i = 0; i < some.Length; i++)
                {
                    found += sad.Settle(firsts[i], some[i], 50, here) is null ? 0 : 1;
                }
            }

            double ns = (Stopwatch.GetTimestamp() - start) * 1e9 / Stopwatch.Frequency / spis.Length;
            if (round >= 3)
            {
                rounds.Add(ns);
            }
        }

        GC.KeepAlive(read);
        if (found != 12L * spis.Length)
        {
            throw new InvalidOperationException("an SA that was not found");
        }

        foreach (SecurityAssociation sa in sad.All)
        {
            sa.Dispose();
        }

        return Best(rounds);
    }

    private static long Resident()
    {
        string line = File.ReadLines("/proc/self/status").First(static l => l.StartsWith("VmRSS", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture) * 1024;
    }

    private static string Share(double raw, double whole, double? asked) =>
        $"{whole:0.0} = {raw / whole:P0}{(asked is { } bar ? $" ({bar:P0})" : "")}";

    private static double Ns(long ticks) => ticks * 1e9 / Stopwatch.Frequency / Bursts / SealedPath.BurstSize;

    private static double Best(List<double> figures) => figures.Min();

    /// <summary>Nanoseconds a packet: the library alone, the ESP step, the whole path out and in, and in with a forged one; bytes allocated meanwhile.</summary>
    internal sealed record SealedFigure(double RawSeal, double RawOpen, double Step, double Sealing, double Opening, double Forged, long Allocated);

    /// <summary>The library through the seam and nothing else, over as many keys.</summary>
    private sealed class RawSeal : IDisposable
    {
        private readonly CryptoBackend _backend = CryptoBackend.CreateBest();
        private readonly SaKey[] _keys;
        private readonly byte[] _slab;
        private readonly CryptoJob[] _jobs = new CryptoJob[SealedPath.BurstSize];
        private readonly int _text, _stride;
        private int _next;
        private ulong _sequence;

        internal RawSeal(IpsecSuite suite, int size, int keys)
        {
            _keys = [.. Enumerable.Range(0, keys).Select(i => SealedPath.KeyOf(suite, i))];
            _text = (size + 2 + suite.BlockLength - 1) / suite.BlockLength * suite.BlockLength;
            _stride = (_text + 256) & ~63;
            _slab = GC.AllocateArray<byte>(_stride * SealedPath.BurstSize, pinned: true);
        }

        internal (long Seal, long Open) Once()
        {
            for (int i = 0; i < _jobs.Length; i++)
            {
                int header = (i * _stride) + 64;
                SaKey key = _keys[(_next + i) % _keys.Length];
                int text = header + 8 + key.Suite.IvLength;
                _jobs[i] = new CryptoJob
                {
                    Key = key, Slab = _slab, Header = header, Iv = header + 8, Text = text, Icv = text + _text, End = text + _text, Sequence = ++_sequence,
                };
            }

            _next = (_next + _jobs.Length) % _keys.Length;
            long start = Stopwatch.GetTimestamp();
            _backend.Seal(_jobs);
            long seal = Stopwatch.GetTimestamp() - start;
            start = Stopwatch.GetTimestamp();
            _backend.Open(_jobs);
            long open = Stopwatch.GetTimestamp() - start;
            return _jobs[0].Good ? (seal, open) : throw new InvalidOperationException("the raw library did not open what it sealed");
        }

        public void Dispose()
        {
            _backend.Dispose();
            foreach (SaKey key in _keys)
            {
                key.Dispose();
            }
        }
    }
}

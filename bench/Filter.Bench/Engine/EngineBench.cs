using System.Diagnostics;
using System.Globalization;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;

namespace Filter.Bench.Engine;

/// <summary>
/// The engine alone, without I/O: nanoseconds a packet of the whole walk beside those of its parts measured alone, by turns, in one run.
/// Frames are filled anew between bursts, untimed. The best round counts: what is slower is the machine's other work. For
/// `./dev bench engine`.
/// </summary>
internal static class EngineBench
{
    // Short ones, so that some are not interrupted.
    private const int Rounds = 250;
    private const int Bursts = 200;

    /// <summary>Measures at each of these numbers of flows, and prints tables.</summary>
    internal static IReadOnlyList<Figure> Run(int[] sizes)
    {
        List<Figure> figures = [];
        Console.WriteLine($"bursts of {Burst.Intake}, best of {Rounds} rounds of {Bursts}; a dependent load from memory takes {Memory.Latency():0} ns, of 64 MB");
        Figure memory = Flows();        // first: what others leave behind would be counted
        Established(1_000);             // the compiler has its turn
        foreach (int flows in sizes)
        {
            figures.Add(Established(flows));
        }

        figures.Add(Opening());
        figures.Add(Denial());
        figures.Add(memory);
        Print(figures);
        Endings(1_000, tells: false);       // the compiler has its turn
        Endings(sizes.Max());
        return figures;
    }

    /// <summary>Packets of flows that both ends keep alive.</summary>
    internal static Figure Established(int flows)
    {
        var engine = new EnginePath(flows + (flows / 8) + 1024);
        engine.Establish(0, flows);
        var random = new Random(1);
        Burst burst = engine.Burst;
        double parse = double.MaxValue, find = double.MaxValue, walk = double.MaxValue;
        long allocated = 0;
        for (int round = 0; round < Rounds; round++)
        {
            long parsing = 0, finding = 0, walking = 0;
            for (int i = 0; i < Bursts; i++)
            {
                Traffic.Fill(burst, random, flows);
                parsing += Parse(burst);
                finding += Find(engine, burst, hits: true);
                Traffic.Fill(burst, random, flows);
                long before = GC.GetAllocatedBytesForCurrentThread(), start = Stopwatch.GetTimestamp();
                engine.Path.Walk(burst);
                walking += Stopwatch.GetTimestamp() - start;
                allocated += GC.GetAllocatedBytesForCurrentThread() - before;
            }

            (parse, find, walk) = (Math.Min(parse, Ns(parsing)), Math.Min(find, Ns(finding)), Math.Min(walk, Ns(walking)));
        }

        long drops = engine.Path.Counters[Verdict.Drop];
        if (drops + allocated != 0)
        {
            throw new InvalidOperationException($"{drops} drops, {allocated} bytes allocated");
        }

        return new($"packet of an established flow, {flows:n0} flows", walk, 2.5, flows <= 10_000 ? 1.5 : 1.4, [("parse", parse), ("lookup", find)]);
    }

    /// <summary>UDP flows that nobody answers, each of a host of its own, in a table of half a million.</summary>
    internal static Figure Opening(int rules = EnginePath.Usual)
    {
        const int standing = 500_000;
        var engine = new EnginePath((2 * standing) + (4 * Bursts * Burst.Intake), rules);
        engine.Establish(0, standing);
        var alone = new FlowTable(engine.Path.Flows.Capacity);
        Burst burst = engine.Burst;
        int next = standing;
        var opened = new int[Burst.Intake];
        double parse = double.MaxValue, classify = double.MaxValue, insert = double.MaxValue, walk = double.MaxValue;
        for (int round = 0; round < Rounds; round++)
        {
            long parsing = 0, classifying = 0, inserting = 0, walking = 0;
            for (int i = 0; i < Bursts / 4; i++)
            {
                Traffic.Fill(burst, ref next);
                parsing += Parse(burst);
                classifying += Classify(engine, burst, Verdict.Pass);
                long start = Stopwatch.GetTimestamp();
                for (int k = 0; k < burst.Count; k++)
                {
                    opened[k] = alone.Add(Facts(burst.Packets[k]), burst.Now, long.MaxValue);
                }

                inserting += Stopwatch.GetTimestamp() - start;
                if (alone.Count > standing)
                {
                    for (int flow = alone.Count; flow > 0; flow--)
                    {
                        alone.Remove(flow);
                    }
                }

                Traffic.Fill(burst, ref next);
                start = Stopwatch.GetTimestamp();
                engine.Path.Walk(burst);
                walking += Stopwatch.GetTimestamp() - start;
                for (int k = 0; k < burst.Count; k++)
                {
                    engine.Path.Flows.Remove(burst.Packets[k].Flow);
                }
            }

            const double share = 4;
            (parse, classify) = (Math.Min(parse, share * Ns(parsing)), Math.Min(classify, share * Ns(classifying)));
            (insert, walk) = (Math.Min(insert, share * Ns(inserting)), Math.Min(walk, share * Ns(walking)));
        }

        return new($"new flow beside {standing:n0}, {rules:n0} rules", walk, 2.5, 1.6, [("parse", parse), ("classify", classify), ("insert", insert)]);
    }

    /// <summary>Packets from outside that belong to no flow and that no rule lets in.</summary>
    internal static Figure Denial(int rules = EnginePath.Usual)
    {
        const int standing = 500_000;
        var engine = new EnginePath(2 * standing, rules);
        engine.Establish(0, standing);
        Burst burst = engine.Burst;
        int next = standing;
        double parse = double.MaxValue, find = double.MaxValue, classify = double.MaxValue, walk = double.MaxValue;
        for (int round = 0; round < Rounds; round++)
        {
            long parsing = 0, finding = 0, classifying = 0, walking = 0;
            for (int i = 0; i < Bursts; i++)
            {
                Traffic.Fill(burst, ref next, unasked: true);
                parsing += Parse(burst);
                finding += Find(engine, burst, hits: false);
                classifying += Classify(engine, burst, Verdict.Drop);
                Traffic.Fill(burst, ref next, unasked: true);
                long start = Stopwatch.GetTimestamp();
                engine.Path.Walk(burst);
                walking += Stopwatch.GetTimestamp() - start;
            }

            (parse, find) = (Math.Min(parse, Ns(parsing)), Math.Min(find, Ns(finding)));
            (classify, walk) = (Math.Min(classify, Ns(classifying)), Math.Min(walk, Ns(walking)));
        }

        return new($"denied packet, {rules:n0} rules", walk, 2, 1.3, [("parse", parse), ("missed lookup", find), ("classify", classify)]);
    }

    /// <summary>What a million flows of IPv6 take, all included; a hundred of each host.</summary>
    internal static Figure Flows()
    {
        const int flows = 1_000_000;
        var engine = new EnginePath(flows + (flows / 8));
        engine.Establish(0, 1024);
        long before = Memory.Resident();
        for (int first = 1024; first < flows; first += Burst.Intake)
        {
            engine.EstablishIPv6(first, Math.Min(Burst.Intake, flows - first), hosts: 100);
        }

        return new("bytes a flow, IPv6, at 1,000,000", (double)(Memory.Resident() - before) / (engine.Path.Flows.Count - 1024), 160, 128, []);
    }

    /// <summary>All flows of a table end within a second; the longest that a packet would have waited for that, beside the longest gap of a thread that does nothing.</summary>
    private static void Endings(int flows, bool tells = true)
    {
        var engine = new EnginePath(flows + (flows / 8));
        engine.Establish(0, flows);
        Burst burst = engine.Burst;
        (double idle, _) = Longest(static _ => { }, TimeSpan.FromSeconds(3));
        burst.Now += 24L * 3600 * 1_000_000_000;
        long nextTick = 0;
        (double longest, double took) = Longest(
            now =>
            {
                if (now >= nextTick)
                {
                    nextTick = now + (Stopwatch.Frequency / 20);
                    burst.Reset();
                    engine.Path.Tick(burst);
                }

                engine.Path.Reclaim(burst.Now, 64);
            },
            TimeSpan.FromMinutes(1),
            () => engine.Path.Flows.Count == 0);
        if (!tells)
        {
            return;
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{flows:n0} flows end at once: gone after {took:0.0} s, the longest pause {longest:0.00} ms; of a thread that only looks at the clock {idle:0.00} ms (aim: at most 1 ms more)"));
    }

    /// <summary>Milliseconds of the longest turn, and seconds in all.</summary>
    private static (double Longest, double Took) Longest(Action<long> turn, TimeSpan most, Func<bool>? ends = null)
    {
        long begin = Stopwatch.GetTimestamp(), last = begin, longest = 0, until = begin + (long)(most.TotalSeconds * Stopwatch.Frequency);
        while (last < until && ends?.Invoke() != true)
        {
            turn(last);
            long now = Stopwatch.GetTimestamp();
            longest = Math.Max(longest, now - last);
            last = now;
        }

        return (longest * 1e3 / Stopwatch.Frequency, (last - begin) / (double)Stopwatch.Frequency);
    }

    private static void Print(List<Figure> figures)
    {
        Console.WriteLine();
        Console.WriteLine("| what | measured | its limit, measured alone | times the limit | must | aim |");
        Console.WriteLine("|---|---|---|---|---|---|");
        foreach (Figure figure in figures)
        {
            string limit = string.Join(" + ", figure.Parts.Select(static part => string.Create(CultureInfo.InvariantCulture, $"{part.Name} {part.Ns:0.0}")));
            Console.WriteLine(figure.Parts.Length == 0
                ? string.Create(CultureInfo.InvariantCulture, $"| {figure.What} | {figure.Measured:0} | | | {figure.Must:0} | {figure.Aim:0} |")
                : string.Create(CultureInfo.InvariantCulture, $"| {figure.What} | {figure.Measured:0.0} ns | {limit} = {figure.Limit:0.0} | {figure.Ratio:0.00} | {figure.Must:0.0} | {figure.Aim:0.0} |"));
        }
    }

    private static long Parse(Burst burst)
    {
        int parsed = 0;
        long start = Stopwatch.GetTimestamp();
        for (int k = 0; k < burst.Count; k++)
        {
            parsed += Parser.Parse(ref burst.Packets[k]) == DropReason.None ? 1 : 0;
        }

        long took = Stopwatch.GetTimestamp() - start;
        return parsed == burst.Count ? took : throw new InvalidOperationException("a packet that does not parse");
    }

    private static long Find(EnginePath engine, Burst burst, bool hits)
    {
        long start = Stopwatch.GetTimestamp();
        engine.Path.Flows.Find(burst);
        long took = Stopwatch.GetTimestamp() - start;
        for (int k = 0; k < burst.Count; k++)
        {
            if ((burst.Packets[k].Flow != 0) != hits)
            {
                throw new InvalidOperationException("a lookup that went wrong");
            }
        }

        return took;
    }

    private static long Classify(EnginePath engine, Burst burst, Verdict expected)
    {
        long start = Stopwatch.GetTimestamp();
        int right = 0;
        for (int k = 0; k < burst.Count; k++)
        {
            right += engine.Compiled.Judge(Facts(burst.Packets[k])).Verdict == expected ? 1 : 0;
        }

        long took = Stopwatch.GetTimestamp() - start;
        return right == burst.Count ? took : throw new InvalidOperationException("rules that say something else");
    }

    private static OpeningFacts Facts(in Packet packet) => new(
        packet.Key, packet.Ingress, (byte)(1 - packet.Ingress), packet.Ingress == Traffic.Inside ? Direction.Out : Direction.In, packet.TcpFlags, 0, 0, 0, 0);

    private static double Ns(long ticks) => ticks * 1e9 / Stopwatch.Frequency / Bursts / Burst.Intake;

    /// <summary>One figure, and what its parts cost alone.</summary>
    internal sealed record Figure(string What, double Measured, double Must, double Aim, (string Name, double Ns)[] Parts)
    {
        /// <summary>What the parts cost together.</summary>
        internal double Limit => Parts.Sum(static part => part.Ns);

        /// <summary>What it is of that.</summary>
        internal double Ratio => Measured / Limit;
    }
}

using System.Globalization;
using Filter.Bench.Engine;
using Filter.Ipsec.Crypto;
using Filter.Rules.Policy;

namespace Filter.Bench.Report;

/// <summary>Measures all that a page shows, and writes it; the run before stays beside it. For `./dev bench report`.</summary>
internal static class Reporting
{
    private const long RoomForMostFlows = 6L << 30;

    /// <summary>Measures, and writes into a folder.</summary>
    internal static void Run(string folder)
    {
        Directory.CreateDirectory(folder);
        (string last, string previous) = (System.IO.Path.Combine(folder, "run.json"), System.IO.Path.Combine(folder, "previous.json"));
        // First: what others leave behind would be counted.
        EngineBench.Figure memory = Said("memory of a flow", EngineBench.Flows);
        // The compiler does its best for what has run for a while.
        Said("to warm up", static () => EngineBench.Established(10_000));
        EngineBench.Figure[] established = [.. Sizes().Select(static flows => Said($"{flows:n0} flows", () => EngineBench.Established(flows)))];
        int[] rules = [1, 10, 1_000, 10_000];
        EngineBench.Figure[] opened = [.. rules.Select(static count => Said($"new flows, {count:n0} rules", () => EngineBench.Opening(count)))];
        EngineBench.Figure[] denied = [.. rules.Select(static count => Said($"denied packets, {count:n0} rules", () => EngineBench.Denial(count)))];
        int[] sizes = [64, 256, 576, 1_024, 1_400];
        IpsecSuite suite = IpsecSuite.TryFind("aes-gcm-16-128", out IpsecSuite? gcm) ? gcm : IpsecSuite.AesCbc128HmacSha256;
        IpsecBench.SealedFigure[] protectedOnes = [.. sizes.Select(size => Said($"sealed packets of {size:n0} bytes", () => IpsecBench.Measure(suite, size)))];
        int[] workers = [.. Enumerable.Range(0, 4).Select(static power => 1 << power).Where(static count => count <= Environment.ProcessorCount)];
        (double Walk, double Lookup)[] carried = [.. workers.Select(static count => Said($"{count} workers", () => WorkersBench.Measure(count, 100_000)))];

        List<Chart> charts =
        [
            Limits([.. established, opened[2], denied[2]], memory, sizes, protectedOnes),
            Parted("flows", "A packet of an established flow, by number of flows", Sizes(), established, []),
            ByRules(rules, opened, denied),
            BySize(suite, sizes, protectedOnes),
            ByWorker(workers, carried),
        ];
        string wire = System.IO.Path.Combine(folder, WireFile.Name);
        if (WireFile.Read(wire) is { } kernel)
        {
            charts.Insert(1, kernel);
        }

        ReportRun run = ReportRun.Of(charts);
        if (File.Exists(last))
        {
            File.Move(last, previous, overwrite: true);
        }

        run.Write(last);
        Page.Write(folder, run, ReportRun.Read(previous));
        File.WriteAllText(System.IO.Path.Combine(folder, "readme.svg"), Figure.Draw(charts[0], null, run.ToString()));
        Console.WriteLine($"{System.IO.Path.Combine(folder, "index.html")}: {charts.Count} pictures; {run}");
    }

    /// <summary>How many flows: the most only where the machine has room for them.</summary>
    private static int[] Sizes() => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes >= RoomForMostFlows ? [10_000, 1_000_000, 8_000_000] : [10_000, 1_000_000];

    private static T Said<T>(string what, Func<T> measure)
    {
        Console.Error.WriteLine($"report: {what}");
        T measured = measure();
        // What it was measured with is big.
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        return measured;
    }

    /// <summary>The picture of all: each figure as so many times its limit.</summary>
    private static Chart Limits(EngineBench.Figure[] figures, EngineBench.Figure memory, int[] sizes, IpsecBench.SealedFigure[] sealing)
    {
        List<(string Group, string Detail, double Ratio, double? Must, double? Aim)> rows =
        [
            .. figures.Select(static figure => (figure.What.Replace("packet of an established flow", "established", StringComparison.Ordinal), Costs(figure), figure.Ratio, (double?)figure.Must, (double?)figure.Aim)),
            .. Sealed(64, 0.60),
            .. Sealed(1_400, 0.93),
        ];
        return new Chart("limits", "A packet's whole walk, as so many times what its parts cost alone", "×", Shape.Bars,
            [.. rows.Select(static row => row.Group)],
            [.. rows.Select(static row => row.Detail)],
            [
                new Series("measured", [.. rows.Select(static row => (double?)row.Ratio)]),
                new Series("must", [.. rows.Select(static row => row.Must)], SeriesKind.Must),
                new Series("aim", [.. rows.Select(static row => row.Aim)], SeriesKind.Aim),
            ],
            [
                Invariant($"A flow of IPv6 takes {memory.Measured:0} bytes among a million, all included (must {memory.Must:0}, aim {memory.Aim:0})."),
                Invariant($"A load from memory that waits for the one before takes {Memory.Latency():0} ns, of 64 MB. The best of many rounds counts, and its limit is the best of the same rounds."),
            ]);

        IEnumerable<(string, string, double, double?, double?)> Sealed(int size, double share)
        {
            IpsecBench.SealedFigure figure = sealing[sizes.IndexOf(size)];
            yield return ($"packet to seal, {size:n0} bytes", Invariant($"{figure.Sealing:0} ns; cryptography {figure.RawSeal:0}"), figure.Sealing / figure.RawSeal, 1 / share, null);
            yield return ($"packet to open, {size:n0} bytes", Invariant($"{figure.Opening:0} ns; cryptography {figure.RawOpen:0}"), figure.Opening / figure.RawOpen, 1 / share, null);
        }
    }

    private static string Costs(EngineBench.Figure figure) =>
        Invariant($"{figure.Measured:n0} ns; ") + string.Join(", ", figure.Parts.Select(static part => Invariant($"{part.Name} {part.Ns:n0}")));

    /// <summary>A figure and its parts, from number to number.</summary>
    private static Chart Parted(string name, string title, int[] numbers, EngineBench.Figure[] figures, string[] notes) => new(
        name, title, "ns", Shape.Lines, [.. numbers.Select(static number => $"{number:n0}")], [],
        [
            new Series("whole walk", [.. figures.Select(static figure => (double?)figure.Measured)]),
            .. figures[0].Parts.Select((part, at) => new Series($"{part.Name} alone", [.. figures.Select(figure => (double?)figure.Parts[at].Ns)])),
        ],
        notes);

    private static Chart ByRules(int[] rules, EngineBench.Figure[] opened, EngineBench.Figure[] denied) => new(
        "rules", "New flows and denied packets, by number of rules", "ns", Shape.Lines, [.. rules.Select(static count => count == 1 ? "1 rule" : $"{count:n0}")], [],
        [
            new Series("new flow", [.. opened.Select(static figure => (double?)figure.Measured)]),
            new Series("denied packet", [.. denied.Select(static figure => (double?)figure.Measured)]),
            new Series("classify alone", [.. denied.Select(static figure => (double?)figure.Parts[2].Ns)]),
        ],
        ["Packets of established flows ask no rule. Half a million flows stand beside the new ones."]);

    private static Chart BySize(IpsecSuite suite, int[] sizes, IpsecBench.SealedFigure[] figures)
    {
        using CryptoBackend backend = CryptoBackend.CreateBest();
        return new("sizes", $"Packets that are sealed and opened ({suite.Name}), by bytes of a packet", "ns", Shape.Lines, [.. sizes.Select(static size => $"{size:n0}")], [],
            [
                new Series("seal, whole walk", [.. figures.Select(static figure => (double?)figure.Sealing)]),
                new Series("cryptography alone", [.. figures.Select(static figure => (double?)figure.RawSeal)]),
                new Series("open, whole walk", [.. figures.Select(static figure => (double?)figure.Opening)]),
                new Series("cryptography alone, opening", [.. figures.Select(static figure => (double?)figure.RawOpen)]),
            ],
            [$"A thousand SAs, over {backend.Name}."]);
    }

    private static Chart ByWorker(int[] workers, (double Walk, double Lookup)[] carried)
    {
        (double walk, double lookup) = (carried[^1].Walk / carried[0].Walk, carried[^1].Lookup / carried[0].Lookup);
        return new("workers", "Packets of established flows, by workers; 100,000 flows", "M/s", Shape.Bars,
            [.. workers.Select(static count => count == 1 ? "1 worker" : $"{count} workers")], [],
            [
                new Series("whole walk", [.. carried.Select(static each => (double?)each.Walk)]),
                new Series("bare lookup", [.. carried.Select(static each => (double?)each.Lookup)]),
            ],
            [Invariant($"{workers[^1]} workers walk {walk:0.00} times what one does, and look up {lookup:0.00} times as much: a share of {walk / lookup:0.00} (of two: must 0.9, aim 1.0).")]);
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

using System.Diagnostics;
using System.Globalization;
using System.Text;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Compile;
using Filter.Rules.Compile.Classification;
using Filter.Rules.Policy;
using Filter.Tests.Rules.Compile.Classification;

namespace Filter.Bench;

/// <summary>
/// Rules: what a lookup costs beside a linear scan that answers the same (and beside one of bare five-tuples), what a flood of random flows costs, and how long reading and compiling
/// take. For `./dev bench rules`; a few minutes. What is compared is measured by turns; the best of several rounds counts.
/// </summary>
internal static class RulesBench
{
    private const int Rounds = 60;
    private const int ScanRounds = 3;

    private delegate int Lookup(in OpeningFacts facts);

    /// <summary>Measures, and prints tables with what is asked of each figure.</summary>
    /// <param name="folder">Where sets of ClassBench lie; without them made ones stand in.</param>
    public static void Run(string folder)
    {
        Say($"{"lookups",-14} {"rules",7} {"ns",5} {"scan ns",9} {"ratio",6} {"bare ns",8} {"flood ns",8} {"compile ms",10} {"MB",6}");
        Measure("(warming up)", MadeRules.Make("fw", 1000, 1), null, false);
        List<Row> real = Real(folder), made = [];
        foreach (int count in (int[])[1_000, 10_000, 100_000])
        {
            foreach ((string kind, bool v6) in ((string, bool)[])[("acl", false), ("fw", false), ("ipc", false), ("acl", true), ("fw", true)])
            {
                made.Add(Measure($"made {kind}{(v6 ? "6" : "4")}", MadeRules.Make(kind, count, 1, v6), null, v6));
            }
        }

        Say($"");
        List<Row> judged = [.. (real.Count > 0 ? real : made).Where(static row => row.Rules is > 5000 and <= 10_000 && !row.Name.StartsWith("v6m_ipc", StringComparison.Ordinal))];
        Bar("a lookup, geometric mean at 10,000 rules", Mean(judged, static row => row.Lookup), "ns", "at most", 80);
        Bar("times a linear scan, geometric mean at 10,000 rules", Mean(judged, static row => row.Scan / row.Lookup), "", "at least", 100);
        Say($"times a scan of bare five-tuples, which knows no sets, zones or types: {Mean(judged, static row => row.Bare / row.Lookup):f1}");
        Bar("a flood's lookup at 100,000 rules, times that at 1,000",
            Mean(made, static row => row.Flood, 100_000) / Mean(made, static row => row.Flood, 1_000), "", "at most", 2.5);
        Bar("compiling 10,000 rules", judged.Max(static row => row.Compile), "ms", "at most", 100);
        Bar("compiling 100,000 rules", made.Max(static row => row.Compile), "ms", "at most", 1000);
        Bar("memory at 10,000 rules", judged.Max(static row => row.Megabytes), "MB", "at most", 10);
        Bar("memory at 100,000 rules", made.Max(static row => row.Megabytes), "MB", "at most", 150);
        (double compile, double megabytes) = Groups();
        Bar("compiling 10,000 rules over 1,000 groups of 100 prefixes", compile, "ms", "at most", 1500);
        Bar("their memory", megabytes, "MB", "at most", 20);
        Reading();
    }

    private static List<Row> Real(string folder)
    {
        List<Row> rows = [];
        foreach (string size in (string[])["1k", "10k"])
        {
            foreach (string set in (string[])["v4_acl1", "v4_fw1", "v4_ipc1", "v6m_acl1", "v6m_fw1", "v6m_ipc1"])
            {
                if (File.Exists(Path.Combine(folder, $"{set}_{size}.rules.gz")))
                {
                    ClassBenchSet read = ClassBenchSet.Read(folder, $"{set}_{size}");
                    rows.Add(Measure(read.Name, read.Rules, read.Packets, set.StartsWith("v6", StringComparison.Ordinal)));
                }
            }
        }

        return rows;
    }

    private static Row Measure(string name, IndexedRule[] rules, OpeningFacts[]? packets, bool v6)
    {
        packets ??= MadeRules.Packets(rules, 20_000, 2, v6);
        OpeningFacts[] flood = MadeRules.Flood(rules, 20_000, 3, v6);
        (Classifier classifier, double compile) = Compile(rules);
        LinearScan scan = new(rules);
        TupleScan bare = new(rules, v6);
        double lookup = double.MaxValue, scanned = double.MaxValue, bared = double.MaxValue, flooded = double.MaxValue;
        int few = Math.Min(packets.Length, 2_000_000 / rules.Length);
        for (int round = 0; round < Rounds; round++)
        {
            lookup = Math.Min(lookup, Time(packets, 2, (in facts) => First(classifier, facts)));
            flooded = Math.Min(flooded, Time(flood, 2, (in facts) => First(classifier, facts)));
            if (round % (Rounds / ScanRounds) == 0)
            {
                scanned = Math.Min(scanned, Time(packets.AsSpan(0, few), 1, (in facts) => scan.Next(facts)));
                bared = Math.Min(bared, Time(packets.AsSpan(0, few), 1, (in facts) => bare.First(facts)));
            }
        }

        Row row = new(name, rules.Length, lookup, scanned, bared, flooded, compile, classifier.Size / 1e6);
        Say($"{row.Name,-14} {row.Rules,7} {row.Lookup,5:f0} {row.Scan,9:f0} {row.Scan / row.Lookup,6:f0} {row.Bare,8:f0} {row.Flood,8:f0} {row.Compile,10:f1} {row.Megabytes,6:f1}");
        return row;
    }

    private static (Classifier Classifier, double Milliseconds) Compile(IndexedRule[] rules)
    {
        double least = double.MaxValue;
        Classifier? classifier = null;
        for (int i = 0; i < 5; i++)
        {
            long start = Stopwatch.GetTimestamp();
            classifier = Classifier.Build(rules, out Oversize? oversize) ?? throw new InvalidOperationException(oversize?.ToString());
            least = Math.Min(least, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }

        return (classifier!, least);
    }

    private static (double Milliseconds, double Megabytes) Groups()
    {
        Random random = new(1);
        AddressSet[] groups = [.. Enumerable.Range(0, 1000).Select(_ => AddressSet.Of(Enumerable.Range(0, 100).Select(_ =>
            Prefix.Around(MadeRules.Address(random, v6: false), random.Next(16, 33)).Range)))];
        ServiceSet[] services = [.. Enumerable.Range(1, 100).Select(static port => ServiceSet.Of([new Service(IpProtocol.Tcp, new((ushort)port, (ushort)port))]))];
        (Classifier classifier, double least) = Compile([.. Enumerable.Range(0, 10_000).Select(_ => new IndexedRule(
            groups[random.Next(groups.Length)], groups[random.Next(groups.Length)], services[random.Next(services.Length)], [],
            Rule.AnyPort, Rule.AnyPort, Families.Both))]);
        return (least, classifier.Size / 1e6);
    }

    /// <summary>A whole ruleset as a file has it, apart from compiling it.</summary>
    private static void Reading()
    {
        Say($"");
        Say($"{"files",-14} {"rules",7} {"MB",5} {"read ms",9} {"compile ms",10}");
        foreach (int count in (int[])[10_000, 100_000])
        {
            StringBuilder text = new("filter: 1\nports:\n  outside: { nic: eth0, side: unprotected }\n  inside: { nic: eth1, side: protected }\nrules:\n");
            foreach ((int i, IndexedRule rule) in MadeRules.Make("acl", count, 1).Index())
            {
                text.Append(CultureInfo.InvariantCulture, $"  - allow: rule {i}\n    from: outside\n");
                text.Append(rule.Source is null ? "" : $"    source: {rule.Source}\n").Append(rule.Destination is null ? "" : $"    destination: {rule.Destination}\n");
                text.Append(rule.Service is null ? "" : $"    service: {rule.Service}\n");
            }

            byte[] bytes = Encoding.UTF8.GetBytes(text.ToString());
            double read = double.MaxValue, compile = double.MaxValue;
            for (int i = 0; i < 3; i++)
            {
                long start = Stopwatch.GetTimestamp();
                RulesetReading reading = RulesetFile.Parse("bench.yaml", bytes);
                read = Math.Min(read, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                start = Stopwatch.GetTimestamp();
                RulesetCompiler.Compile(reading.Ruleset ?? throw new InvalidOperationException(reading.Diagnostics[0].ToString()));
                compile = Math.Min(compile, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }

            Say($"{"made acl4",-14} {count,7} {bytes.Length / 1e6,5:f1} {read,9:f0} {compile,10:f0}");
        }
    }

    private static int First(Classifier classifier, in OpeningFacts facts)
    {
        classifier.Find(facts, out Candidates found);
        return Classifier.Next(ref found);
    }

    private static double Time(ReadOnlySpan<OpeningFacts> packets, int times, Lookup lookup)
    {
        int sum = 0;
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < times; i++)
        {
            foreach (ref readonly OpeningFacts facts in packets)
            {
                sum += lookup(facts);
            }
        }

        GC.KeepAlive(sum);
        return Stopwatch.GetElapsedTime(start).TotalNanoseconds / ((double)packets.Length * times);
    }

    private static double Mean(IEnumerable<Row> rows, Func<Row, double> figure, int? rules = null) =>
        Math.Exp(rows.Where(row => rules is null || row.Rules == rules).Average(row => Math.Log(figure(row))));

    private static void Bar(string what, double figure, string unit, string bound, double asked)
    {
        bool met = bound == "at most" ? figure <= asked : figure >= asked;
        Say($"{what}: {figure:f1} {unit}{(unit.Length > 0 ? " " : "")}({bound} {asked}){(met ? "" : "  MISSED")}");
    }

    private static void Say(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    private sealed record Row(string Name, int Rules, double Lookup, double Scan, double Bare, double Flood, double Compile, double Megabytes);
}

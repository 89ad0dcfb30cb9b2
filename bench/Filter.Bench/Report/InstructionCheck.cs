using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Filter.Bench.Report;

/// <summary>
/// Instructions per packet, counted by valgrind over a native build of Filter.Count, beside those of a baseline: a figure that does not
/// depend on what else the machine does. For `./dev bench check`.
/// </summary>
internal static class InstructionCheck
{
    /// <summary>More than this share above the baseline fails.</summary>
    private const double Allowed = 0.03;

    /// <summary>The keys of hashes are random, and what collides under one does not under the next: the least of so many runs counts.</summary>
    private const int Runs = 5;

    private const string Accept = "./dev bench check --accept";

    /// <summary>Counts, compares and prints.</summary>
    /// <param name="program">Filter.Count, built.</param>
    /// <param name="baselineFile">What to compare with.</param>
    /// <param name="accept">Write what was counted there instead.</param>
    /// <returns>0 where nothing takes more than it may.</returns>
    internal static int Run(string program, string baselineFile, bool accept)
    {
        Baseline[] runs = [.. Enumerable.Range(0, Runs).Select(_ => Count(program))];
        Baseline counted = runs[0] with { Instructions = runs[0].Instructions.Keys.ToDictionary(static row => row, row => runs.Min(run => run.Instructions[row])) };
        if (accept)
        {
            File.WriteAllText(baselineFile, JsonSerializer.Serialize(counted, ReportRun.Json) + "\n");
            Console.WriteLine($"{baselineFile} says now what the engine takes, {counted.Runtime}: commit it, and say why");
            return 0;
        }

        if (!File.Exists(baselineFile))
        {
            Console.Error.WriteLine($"there is no {baselineFile} to compare with: '{Accept}' writes it");
            return 1;
        }

        Baseline baseline = JsonSerializer.Deserialize<Baseline>(File.ReadAllText(baselineFile), ReportRun.Json)!;
        List<string> wrong = [], better = [];
        Console.WriteLine($"instructions per packet, {counted.Runtime}, x86-64-v3, without AVX-512");
        foreach ((string row, double now) in counted.Instructions)
        {
            if (!baseline.Instructions.TryGetValue(row, out double before))
            {
                Print(row, now, "new");
                wrong.Add($"'{row}' is not in {baselineFile}; '{Accept}' writes it there");
                continue;
            }

            double more = (now / before) - 1;
            Print(row, now, string.Create(CultureInfo.InvariantCulture, $"{100 * more:+0.0;-0.0;0.0} %"));
            if (more > Allowed)
            {
                wrong.Add(string.Create(CultureInfo.InvariantCulture, $"'{row}' takes {now:0.0} instructions a packet, {100 * more:0.0} % more than the {before:0.0} of {baselineFile} ({100 * Allowed:0} % is allowed); if that is meant, '{Accept}' writes what it takes now"));
            }
            else if (more < -Allowed)
            {
                better.Add(string.Create(CultureInfo.InvariantCulture, $"'{row}' takes {-100 * more:0.0} % less than {baselineFile} says; '{Accept}' holds it there"));
            }
        }

        wrong.AddRange(baseline.Instructions.Keys.Except(counted.Instructions.Keys).Select(static row => $"'{row}' was not counted, though the baseline has it; '{Accept}' forgets it"));
        if (wrong.Count > 0 && baseline.Runtime != counted.Runtime)
        {
            wrong.Add($"the baseline was counted with {baseline.Runtime}, this with {counted.Runtime}");
        }

        better.ForEach(Console.WriteLine);
        wrong.ForEach(static line => Console.Error.WriteLine($"check: {line}"));
        return wrong.Count == 0 ? 0 : 1;
    }

    private static void Print(string row, double now, string beside) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {row,-48} {now,8:0.0}   {beside}"));

    private static Baseline Count(string program)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("filter-count-");
        try
        {
            string dump = System.IO.Path.Combine(folder.FullName, "row");
            // Counts only within the work on a burst, and writes what it has whenever a row ends: row.1, row.2 …
            var start = new ProcessStartInfo("valgrind", [
                "-q", "--tool=callgrind", $"--callgrind-out-file={dump}", "--toggle-collect=*Counted__Work*", "--dump-before=*Counted__EndOfRow*", program])
            {
                RedirectStandardOutput = true,
            };
            // The collector would ask for more room than valgrind has to give.
            start.Environment["DOTNET_GCHeapHardLimit"] = "60000000";
            using Process process = Process.Start(start)!;
            string[] lines = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
            process.WaitForExit();
            if (process.ExitCode != 0 || lines.Length < 2)
            {
                throw new InvalidOperationException($"{program} under valgrind ended with status {process.ExitCode}, after {lines.Length} lines");
            }

            var instructions = new Dictionary<string, double>();
            foreach ((int number, string line) in lines[1..].Index())
            {
                string[] words = line.Split(' ', 2);
                instructions[words[1]] = Math.Round(Total($"{dump}.{number + 1}") / double.Parse(words[0], CultureInfo.InvariantCulture), 1);
            }

            return new Baseline(lines[0], instructions);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static double Total(string file)
    {
        string line = File.ReadLines(file).Last(static line => line.StartsWith("totals:", StringComparison.Ordinal));
        double total = double.Parse(line.AsSpan("totals:".Length), CultureInfo.InvariantCulture);
        return total > 0 ? total : throw new InvalidOperationException($"nothing was counted in {file}: the functions that mark it have other names");
    }

    /// <summary>What a packet takes, by row, and what ran it.</summary>
    private sealed record Baseline(string Runtime, IReadOnlyDictionary<string, double> Instructions);
}

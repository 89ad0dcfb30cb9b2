using System.Globalization;

namespace Filter.Bench.Report;

/// <summary>
/// What bench/inline.sh leaves: a line a metric and contestant, of tabs between the metric, who, the median, the kernel's, what must be
/// and what is aimed at.
/// </summary>
internal static class WireFile
{
    /// <summary>The file, in the folder of the page.</summary>
    internal const string Name = "inline.tsv";

    private const int Columns = 6;

    /// <summary>The ratios to the kernel.</summary>
    /// <returns>Null where nobody has measured.</returns>
    internal static Chart? Read(string file)
    {
        if (!File.Exists(file))
        {
            return null;
        }

        string[][] rows = [.. File.ReadLines(file).Select(static line => line.Split('\t')).Where(static row => row.Length == Columns && row[1] != "kernel")];
        string[] metrics = [.. rows.Where(static row => !IsDelay(row)).Select(static row => row[0]).Distinct()];
        string[] drivers = [.. rows.Select(static row => row[1]).Distinct()];
        if (metrics.Length == 0)
        {
            return null;
        }

        return new Chart("kernel", "Filter on the wire, as so many times the kernel's bridge with nftables", "×", Shape.Bars,
            [.. metrics.Select(static metric => metric switch
            {
                "packets/s" => "packets a second, 60 bytes",
                "ns/packet" => "processor time a packet (less is better)",
                _ => metric.StartsWith("TCP ", StringComparison.Ordinal) ? metric.Split(' ') is [_, var streams, var to] ? $"TCP, {streams} stream{(streams == "1" ? "" : "s")}, {(to.Contains(':', StringComparison.Ordinal) ? "IPv6" : "IPv4")}" : metric : metric,
            })],
            [.. metrics.Select(metric => Details(rows.First(row => row[0] == metric)))],
            [
                .. drivers.Select(driver => new Series(driver, [.. metrics.Select(metric => rows.FirstOrDefault(row => row[0] == metric && row[1] == driver) is { } row ? Number(row[2]) / Number(row[3]) : null)])),
                new Series("must", [.. metrics.Select(metric => Number(rows.First(row => row[0] == metric)[4]))], SeriesKind.Must),
                new Series("aim", [.. metrics.Select(metric => Number(rows.First(row => row[0] == metric)[5]))], SeriesKind.Aim),
            ],
            [
                .. rows.Where(IsDelay).Select(static row => string.Create(CultureInfo.InvariantCulture, $"{row[1]} adds {Number(row[2]) - Number(row[3]):0} µs to an idle round trip (must {row[4]}, aim {row[5]}).")),
                $"Measured {File.GetLastWriteTimeUtc(file):yyyy-MM-dd HH:mm} UTC by turns with the kernel, medians.",
            ]);
    }

    private static bool IsDelay(string[] row) => row[0].StartsWith("round trip", StringComparison.Ordinal);

    private static string Details(string[] row) => $"{row[1]} {row[2]}, kernel {row[3]}";

    /// <summary>The number that stands first: `1.4 x`.</summary>
    private static double? Number(string text) =>
        double.TryParse(text.Split(' ')[0], NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number : null;
}

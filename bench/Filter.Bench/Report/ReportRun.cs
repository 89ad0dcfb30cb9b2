using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Filter.Bench.Report;

/// <summary>What one run measured: the charts of its page, and where and when it was.</summary>
internal sealed record ReportRun(DateTimeOffset When, string Machine, string Runtime, IReadOnlyList<Chart> Charts)
{
    /// <summary>How runs, and the baseline of instructions, are written.</summary>
    internal static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter() },
    };

    /// <summary>One of now, on this machine.</summary>
    internal static ReportRun Of(IReadOnlyList<Chart> charts) =>
        new(DateTimeOffset.UtcNow, $"{Environment.ProcessorCount} cores of {Processor()}", RuntimeInformation.FrameworkDescription, charts);

    /// <summary>Reads what an earlier run wrote.</summary>
    /// <returns>Null where there is none, or of an older form.</returns>
    internal static ReportRun? Read(string file)
    {
        try
        {
            return File.Exists(file) ? JsonSerializer.Deserialize<ReportRun>(File.ReadAllText(file), Json) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Writes it.</summary>
    internal void Write(string file) => File.WriteAllText(file, JsonSerializer.Serialize(this, Json) + "\n");

    /// <summary>The run in a line.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{When:yyyy-MM-dd HH:mm} UTC, {Machine}, {Runtime}");

    private static string Processor() => File.ReadLines("/proc/cpuinfo").FirstOrDefault(static line => line.StartsWith("model name", StringComparison.Ordinal)) is { } line
        ? line[(line.IndexOf(':', StringComparison.Ordinal) + 2)..]
        : RuntimeInformation.ProcessArchitecture.ToString();
}

/// <summary>How a chart is drawn.</summary>
internal enum Shape
{
    /// <summary>A bar for each value, a group below the other.</summary>
    Bars,

    /// <summary>A line for each series, from group to group.</summary>
    Lines,
}

/// <summary>What a series says.</summary>
internal enum SeriesKind
{
    /// <summary>What was measured.</summary>
    Measured,

    /// <summary>What is asked.</summary>
    Must,

    /// <summary>What is hoped for.</summary>
    Aim,
}

/// <summary>Figures of one kind: series that have a value in each group, or none.</summary>
/// <param name="Name">Of its file.</param>
/// <param name="Title">What stands above it.</param>
/// <param name="Unit">Behind each value.</param>
/// <param name="Shape">How it is drawn.</param>
/// <param name="Groups">What its values are of.</param>
/// <param name="Details">A word more on each group; or none on any.</param>
/// <param name="Series">The values.</param>
/// <param name="Notes">What stands below it.</param>
internal sealed record Chart(
    string Name, string Title, string Unit, Shape Shape, IReadOnlyList<string> Groups, IReadOnlyList<string> Details, IReadOnlyList<Series> Series, IReadOnlyList<string> Notes)
{
    /// <summary>What was measured.</summary>
    internal IEnumerable<Series> Measured => Series.Where(static series => series.Kind == SeriesKind.Measured);

    /// <summary>The value of an equally named series for an equally named group; null where there is none.</summary>
    internal double? Find(string series, string group)
    {
        int at = Groups.Index().Where(each => each.Item == group).Select(static each => each.Index).FirstOrDefault(-1);
        return at < 0 ? null : Series.FirstOrDefault(each => each.Name == series)?.Values.ElementAtOrDefault(at);
    }

    /// <summary>A value as people read it.</summary>
    internal static string Text(double value) =>
        value.ToString(value switch { >= 100 => "n0", >= 10 => "0.0", _ => "0.00" }, CultureInfo.InvariantCulture);
}

/// <summary>One value a group; null where there is none.</summary>
internal sealed record Series(string Name, IReadOnlyList<double?> Values, SeriesKind Kind = SeriesKind.Measured);

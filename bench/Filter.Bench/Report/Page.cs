using System.Net;
using System.Text;

namespace Filter.Bench.Report;

/// <summary>Writes a run's page: its pictures, the numbers in them, and what the run before had. No script, and nothing from elsewhere.</summary>
internal static class Page
{
    private const string Style = """
        body{font:16px/1.5 system-ui,sans-serif;max-width:800px;margin:2em auto;padding:0 1em;color:#1f2328;background:#fff}
        svg{max-width:100%;height:auto}table{border-collapse:collapse;font-size:13px}td,th{padding:2px 10px 2px 0;text-align:right;border-bottom:1px solid #8884}
        td:first-child,th:first-child{text-align:left}.soft,.note{color:#59636e;font-size:14px}
        @media (prefers-color-scheme:dark){body{color:#f0f6fc;background:#0d1117}.soft,.note{color:#9198a1}}
        """;

    /// <summary>Writes `index.html` and a picture for each chart into a folder.</summary>
    internal static void Write(string folder, ReportRun run, ReportRun? before)
    {
        var body = new StringBuilder();
        body.Append($"<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>What a packet costs in Filter</title>\n<style>\n{Style}\n</style>\n");
        body.Append($"<h1>What a packet costs in Filter</h1>\n<p class=\"note\">{Text(run.ToString())}");
        body.Append(before is null ? "" : $"<br>Before: {Text(before.ToString())}").Append("</p>\n");
        foreach (Chart chart in run.Charts)
        {
            Chart? earlier = before?.Charts.FirstOrDefault(each => each.Name == chart.Name);
            string picture = Figure.Draw(chart, earlier, run.ToString());
            File.WriteAllText(System.IO.Path.Combine(folder, $"{chart.Name}.svg"), picture);
            body.Append($"<h2 id=\"{chart.Name}\">{Text(chart.Title)}</h2>\n{picture}");
            Table(body, chart, earlier);
            foreach (string note in chart.Notes)
            {
                body.Append($"<p class=\"note\">{Text(note)}</p>\n");
            }
        }

        File.WriteAllText(System.IO.Path.Combine(folder, "index.html"), body.Append("</html>\n").ToString());
    }

    private static void Table(StringBuilder body, Chart chart, Chart? before)
    {
        body.Append($"<table>\n<tr><th>{Text(chart.Unit)}</th>");
        foreach (Series series in chart.Series)
        {
            body.Append($"<th>{Text(series.Name)}</th>").Append(before is not null && series.Kind == SeriesKind.Measured ? "<th>before</th>" : "");
        }

        body.Append("</tr>\n");
        foreach ((int number, string group) in chart.Groups.Index())
        {
            string details = chart.Details.ElementAtOrDefault(number) is { Length: > 0 } more ? $" <span class=\"note\">{Text(more)}</span>" : "";
            body.Append($"<tr><td>{Text(group)}{details}</td>");
            foreach (Series series in chart.Series)
            {
                body.Append($"<td>{Value(series.Values[number])}</td>");
                body.Append(before is not null && series.Kind == SeriesKind.Measured ? $"<td class=\"note\">{Value(before.Find(series.Name, group))}</td>" : "");
            }

            body.Append("</tr>\n");
        }

        body.Append("</table>\n");
    }

    private static string Value(double? value) => value is { } number ? Chart.Text(number) : "";

    private static string Text(string words) => WebUtility.HtmlEncode(words);
}

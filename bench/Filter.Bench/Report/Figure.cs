namespace Filter.Bench.Report;

/// <summary>Draws a chart, and what the run before had for it, fainter.</summary>
internal static class Figure
{
    private const double Width = 760, Head = 62, Foot = 34, Edge = 16;

    /// <summary>The picture of a chart.</summary>
    /// <param name="chart">What is drawn.</param>
    /// <param name="before">The same of the run before; null where there was none.</param>
    /// <param name="foot">A line at its foot: where the figures are from.</param>
    internal static string Draw(Chart chart, Chart? before, string foot) => chart.Shape == Shape.Bars ? Bars(chart, before, foot) : Lines(chart, before, foot);

    private static string Bars(Chart chart, Chart? before, string foot)
    {
        const double labels = 282, values = 78, bar = 14, thin = 4, gap = 14;
        Series[] measured = [.. chart.Measured];
        double group = Math.Max(chart.Details.Count > 0 ? 32 : 18, measured.Length * (bar + (before is null ? 2 : thin + 2))) + gap;
        double height = Head + (chart.Groups.Count * group) + 22 + Foot, bottom = height - Foot - 22;
        double left = Edge + labels, wide = Width - left - values;
        (double top, double step) = Scale(All(chart, before));
        Svg svg = Begin(chart, before, height, foot);
        for (double at = 0; at <= top + (step / 2); at += step)
        {
            svg.Line(at == 0 ? "axis" : "grid", left + (at / top * wide), Head - 6, left + (at / top * wide), bottom);
            svg.Words("soft", left + (at / top * wide), bottom + 16, at.ToString("0.##", System.Globalization.CultureInfo.InvariantCulture), "middle", 11);
        }

        foreach ((int number, string name) in chart.Groups.Index())
        {
            double y = Head + (number * group), from = y;
            bool detailed = chart.Details.ElementAtOrDefault(number) is { Length: > 0 };
            svg.Words("ink", left - 10, y + 13, name, "end");
            if (detailed)
            {
                svg.Words("soft", left - 10, y + 28, chart.Details[number], "end", 11);
            }

            foreach ((int colour, Series series) in measured.Index())
            {
                if (series.Values[number] is { } value)
                {
                    svg.Rect($"b{colour % Svg.Colours}", left, y, value / top * wide, bar);
                    svg.Words("ink", Width - Edge, y + 12, $"{Chart.Text(value)} {chart.Unit}", "end");
                }

                y += bar + 1;
                if (before is not null)
                {
                    if (before.Find(series.Name, name) is { } earlier)
                    {
                        svg.Rect($"b{colour % Svg.Colours} before", left, y, earlier / top * wide, thin);
                    }

                    y += thin + 1;
                }
            }

            foreach (Series goal in chart.Series.Where(static series => series.Kind != SeriesKind.Measured))
            {
                if (goal.Values[number] is { } value)
                {
                    double x = left + (value / top * wide);
                    svg.Line(goal.Kind == SeriesKind.Must ? "must" : "aim", x, from - 4, x, Math.Max(y, from + bar) + 3);
                }
            }
        }

        return svg.ToString();
    }

    private static string Lines(Chart chart, Chart? before, string foot)
    {
        const double height = 360, labels = 58;
        double left = Edge + labels, wide = Width - left - 60, bottom = height - Foot - 24, high = bottom - Head - 6;
        (double top, double step) = Scale(All(chart, before));
        Svg svg = Begin(chart, before, height, foot);
        double X(int number) => left + ((number + 0.5) * wide / chart.Groups.Count);
        double Y(double value) => bottom - (value / top * high);
        for (double at = 0; at <= top + (step / 2); at += step)
        {
            svg.Line(at == 0 ? "axis" : "grid", left, Y(at), left + wide, Y(at));
            svg.Words("soft", left - 8, Y(at) + 4, at.ToString("#,0.##", System.Globalization.CultureInfo.InvariantCulture), "end", 11);
        }

        svg.Words("soft", left - 8, Head - 8, chart.Unit, "end", 11);
        foreach ((int number, string name) in chart.Groups.Index())
        {
            svg.Words("ink", X(number), bottom + 18, name, "middle", 12);
        }

        foreach ((int colour, Series series) in chart.Measured.Index())
        {
            (double X, double Y)[] Points(Func<int, double?> value) =>
                [.. Enumerable.Range(0, chart.Groups.Count).Where(number => value(number) is not null).Select(number => (X(number), Y(value(number)!.Value)))];
            if (before is not null)
            {
                svg.Curve($"l{colour % Svg.Colours} before", Points(number => before.Find(series.Name, chart.Groups[number])));
            }

            (double X, double Y)[] points = Points(number => series.Values[number]);
            svg.Curve($"l{colour % Svg.Colours}", points);
            foreach ((double x, double y) in points)
            {
                svg.Dot($"b{colour % Svg.Colours}", x, y);
            }

            if (series.Values[^1] is { } last)
            {
                svg.Words("ink", points[^1].X + 9, points[^1].Y + 4, Chart.Text(last), "start", 11);
            }
        }

        return svg.ToString();
    }

    /// <summary>Ground, title, what the colours mean, and the foot.</summary>
    private static Svg Begin(Chart chart, Chart? before, double height, string foot)
    {
        var svg = new Svg(Width, height, chart.Title);
        svg.Words("ink", Edge, 24, chart.Title, "start", 16);
        double x = Edge;
        Series[] measured = [.. chart.Measured];
        foreach ((int colour, Series series) in measured.Index())
        {
            if (measured.Length > 1)
            {
                svg.Rect($"b{colour % Svg.Colours}", x, 34, 11, 11);
                Word(series.Name);
            }
        }

        foreach (Series goal in chart.Series.Where(static series => series.Kind != SeriesKind.Measured))
        {
            svg.Line(goal.Kind == SeriesKind.Must ? "must" : "aim", x + 6, 32, x + 6, 46);
            Word(goal.Name);
        }

        if (before is not null)
        {
            svg.Rect("b0 before", x, 38, 11, 4);
            Word("the run before");
        }

        svg.Words("soft", Edge, height - 12, foot, "start", 11);
        return svg;

        void Word(string name)
        {
            svg.Words("soft", x + 16, 44, name, "start", 12);
            x += 16 + (name.Length * 6.6) + 18;
        }
    }

    private static IEnumerable<double> All(Chart chart, Chart? before) =>
        chart.Series.Concat(before?.Measured.Where(series => before.Groups.Any(chart.Groups.Contains)) ?? []).SelectMany(static series => series.Values).OfType<double>();

    /// <summary>Where a scale from 0 ends, and its steps: 1, 2 or 5 of some power of ten.</summary>
    private static (double Top, double Step) Scale(IEnumerable<double> values)
    {
        double most = values.DefaultIfEmpty(1).Max() * 1.02;
        double power = Math.Pow(10, Math.Floor(Math.Log10(most / 4)));
        double step = power * ((most / 4 / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 });
        return (Math.Ceiling(most / step) * step, step);
    }
}

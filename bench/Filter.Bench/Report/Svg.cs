using System.Globalization;
using System.Net;
using System.Text;

namespace Filter.Bench.Report;

/// <summary>Writes a picture: rectangles, lines, words. Its colours are classes, readable on a light ground and on a dark one.</summary>
internal sealed class Svg(double width, double height, string title)
{
    /// <summary>How many series have a colour of their own.</summary>
    internal const int Colours = 5;

    private const string Style = """
        .ground{fill:#fff}.ink{fill:#1f2328}.soft{fill:#59636e}.grid{stroke:#d1d9e0;fill:none}.axis{stroke:#818b98;fill:none}
        .must{stroke:#cf222e;stroke-width:2;fill:none}.aim{stroke:#1a7f37;stroke-width:2;stroke-dasharray:3 2;fill:none}
        .b0{fill:#0969da}.b1{fill:#bf8700}.b2{fill:#1a7f37}.b3{fill:#8250df}.b4{fill:#bc4c00}
        .l0{stroke:#0969da}.l1{stroke:#bf8700}.l2{stroke:#1a7f37}.l3{stroke:#8250df}.l4{stroke:#bc4c00}
        .l0,.l1,.l2,.l3,.l4{fill:none;stroke-width:2}.before{opacity:.4}.l0.before,.l1.before,.l2.before,.l3.before,.l4.before{stroke-dasharray:5 4}
        @media (prefers-color-scheme:dark){
        .ground{fill:#0d1117}.ink{fill:#f0f6fc}.soft{fill:#9198a1}.grid{stroke:#30363d}.axis{stroke:#656c76}.must{stroke:#f85149}.aim{stroke:#3fb950}
        .b0{fill:#4493f8}.b1{fill:#d29922}.b2{fill:#3fb950}.b3{fill:#ab7df8}.b4{fill:#f0883e}
        .l0{stroke:#4493f8}.l1{stroke:#d29922}.l2{stroke:#3fb950}.l3{stroke:#ab7df8}.l4{stroke:#f0883e}}
        """;

    private readonly StringBuilder _body = new();

    internal void Rect(string style, double x, double y, double wide, double high) =>
        Add($"<rect class=\"{style}\" x=\"{x:0.#}\" y=\"{y:0.#}\" width=\"{Math.Max(0, wide):0.#}\" height=\"{high:0.#}\"/>\n");

    internal void Line(string style, double x, double y, double toX, double toY) =>
        Add($"<path class=\"{style}\" d=\"M{x:0.#} {y:0.#}L{toX:0.#} {toY:0.#}\"/>\n");

    internal void Curve(string style, IReadOnlyList<(double X, double Y)> points)
    {
        if (points.Count > 1)
        {
            string path = string.Join('L', points.Select(static point => string.Create(CultureInfo.InvariantCulture, $"{point.X:0.#} {point.Y:0.#}")));
            Add($"<path class=\"{style}\" d=\"M{path}\"/>\n");
        }
    }

    internal void Dot(string style, double x, double y) => Add($"<circle class=\"{style}\" cx=\"{x:0.#}\" cy=\"{y:0.#}\" r=\"3.5\"/>\n");

    /// <summary>Words.</summary>
    /// <param name="style">Their class.</param>
    /// <param name="x">Where they start, end, or have their middle.</param>
    /// <param name="y">Their line.</param>
    /// <param name="words">The words.</param>
    /// <param name="anchor">`start`, `end` or `middle`.</param>
    /// <param name="size">Of the letters.</param>
    internal void Words(string style, double x, double y, string words, string anchor = "start", double size = 13) =>
        Add($"<text class=\"{style}\" x=\"{x:0.#}\" y=\"{y:0.#}\" text-anchor=\"{anchor}\" font-size=\"{size:0.#}\">{WebUtility.HtmlEncode(words)}</text>\n");

    /// <summary>The picture.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:0} {height:0}\" width=\"{width:0}\" height=\"{height:0}\" role=\"img\" font-family=\"system-ui,sans-serif\">\n")
        + $"<title>{WebUtility.HtmlEncode(title)}</title>\n<style>\n{Style}\n</style>\n"
        + string.Create(CultureInfo.InvariantCulture, $"<rect class=\"ground\" width=\"{width:0}\" height=\"{height:0}\"/>\n") + _body + "</svg>\n";

    private void Add(FormattableString text) => _body.Append(text.ToString(CultureInfo.InvariantCulture));
}

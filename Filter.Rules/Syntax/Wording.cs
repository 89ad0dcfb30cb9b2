using System.Globalization;
using System.Text;

namespace Filter.Rules.Syntax;

/// <summary>How messages quote what a file says, and which known word a misspelt one was meant to be.</summary>
internal static class Wording
{
    private const int LongestQuote = 60;

    private static readonly (long Unit, string Word)[] s_units =
        [(3_600_000_000_000, "h"), (60_000_000_000, "m"), (1_000_000_000, "s"), (1_000_000, "ms")];

    /// <summary>The text in quotes, cut if long.</summary>
    public static string Quote(string text) =>
        text.Length <= LongestQuote ? $"'{text}'" : $"'{text.AsSpan(0, LongestQuote)}…'";

    /// <summary><c>a, b or c</c>.</summary>
    public static string OneOf(IEnumerable<string> words)
    {
        List<string> all = [.. words];
        return all.Count switch
        {
            0 => "nothing",
            1 => all[0],
            _ => $"{string.Join(", ", all.Take(all.Count - 1))} or {all[^1]}",
        };
    }

    /// <summary>Where something stands that is spoken of at another place: <c>in line 7</c>, or <c>in base.yaml:7</c>.</summary>
    public static string Place(SourceMark first, SourceMark here) =>
        first.File == here.File
            ? string.Create(CultureInfo.InvariantCulture, $"in line {first.Line}")
            : string.Create(CultureInfo.InvariantCulture, $"in {first.File}:{first.Line}");

    /// <summary>Nanoseconds as a ruleset writes them: <c>2h4m</c>.</summary>
    public static string Duration(long nanoseconds)
    {
        var text = new StringBuilder();
        foreach ((long unit, string word) in s_units)
        {
            if (nanoseconds >= unit)
            {
                text.Append(CultureInfo.InvariantCulture, $"{nanoseconds / unit}{word}");
                nanoseconds %= unit;
            }
        }

        return text.ToString();
    }

    /// <summary>The known word nearest to <paramref name="word"/>, or null if none is near enough to have been meant.</summary>
    public static string? Nearest(string word, IEnumerable<string> known)
    {
        if (word.Length is 0 or > 64)
        {
            return null;
        }

        int allowed = Math.Max(1, (word.Length + 1) / 3);
        string? best = null;
        int bestDistance = int.MaxValue;
        foreach (string candidate in known)
        {
            if (candidate.Length > 64 || Math.Abs(candidate.Length - word.Length) > allowed)
            {
                continue;
            }

            int distance = Distance(word, candidate);
            if (distance < bestDistance)
            {
                (best, bestDistance) = (candidate, distance);
            }
        }

        return bestDistance <= allowed ? best : null;
    }

    /// <summary>A hint that names the nearest known word, or else all of them if they are few.</summary>
    public static string? DidYouMean(string word, IReadOnlyCollection<string> known)
    {
        if (Nearest(word, known) is { } nearest)
        {
            return $"did you mean {Quote(nearest)}?";
        }

        return known.Count is > 0 and <= 20 ? $"known here: {OneOf(known)}" : null;
    }

    /// <summary>Edits between two short words: insert, delete, replace, swap of neighbours; case does not count.</summary>
    internal static int Distance(string a, string b)
    {
        int width = b.Length + 1;
        Span<int> before = stackalloc int[width];
        Span<int> last = stackalloc int[width];
        Span<int> row = stackalloc int[width];
        for (int j = 0; j < width; j++)
        {
            last[j] = j;
        }

        for (int i = 1; i <= a.Length; i++)
        {
            row[0] = i;
            for (int j = 1; j < width; j++)
            {
                bool same = char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(b[j - 1]);
                int edits = Math.Min(Math.Min(row[j - 1], last[j]) + 1, last[j - 1] + (same ? 0 : 1));
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    edits = Math.Min(edits, before[j - 2] + 1);
                }

                row[j] = edits;
            }

            Span<int> free = before;
            before = last;
            last = row;
            row = free;
        }

        return last[b.Length];
    }
}

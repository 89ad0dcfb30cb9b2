using System.Globalization;
using Filter.Engine.Path;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Rates: <c>N/s</c>, <c>N/m</c> or <c>N/h</c>, and <c>burst N</c> if a burst is not as long as N.</summary>
internal static class RateWords
{
    /// <summary>The longest rate and burst.</summary>
    private const int MostPerPeriod = 1_000_000;

    /// <summary>Reads a rate; null where there is none, or after an error.</summary>
    public static RateLimit? Read(Node? node, string what, Diagnostics found)
    {
        if (Values.Text(node, what, found) is not { } text)
        {
            return null;
        }

        string[] words = text.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        string[] rate = words.Length == 0 ? [] : words[0].Split('/');
        long period = rate.Length == 2
            ? rate[1] switch { "s" => 1_000_000_000L, "m" => 60_000_000_000L, "h" => 3_600_000_000_000L, _ => 0 }
            : 0;
        bool good = period > 0 && words.Length is 1 or 3 && TryCount(rate[0], out _) && (words.Length == 1 || (words[1] == "burst" && TryCount(words[2], out _)));
        if (!good)
        {
            found.Error(text.At, $"{Wording.Quote(text.Value)} is not a rate", string.Create(CultureInfo.InvariantCulture, $"write 10/s, 10/m or 10/h, and a burst if you like: 10/s burst 20; numbers go from 1 to {MostPerPeriod}"));
            return null;
        }

        TryCount(rate[0], out int count);
        int burst = count;
        if (words.Length == 3)
        {
            TryCount(words[2], out burst);
        }

        return new RateLimit(period / count, burst);
    }

    private static bool TryCount(string text, out int count) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out count) && count is > 0 and <= MostPerPeriod;
}

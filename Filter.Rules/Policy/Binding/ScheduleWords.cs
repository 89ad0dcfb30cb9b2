using System.Globalization;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>
/// Reads times of day and week: <c>mon-fri 08:00-18:00</c>, <c>sat,sun</c>, <c>22:00-06:00</c>. A span over midnight belongs to
/// the day on which it begins.
/// </summary>
internal static class ScheduleWords
{
    private const string Hint = "write days, times or both: mon-fri 08:00-18:00, sat,sun, 22:00-06:00";

    private static readonly string[] s_days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

    /// <summary>Whether the text is a span rather than the name of a schedule, also one with a mistake in it.</summary>
    public static bool LooksLikeOne(string text) =>
        text.Contains(':', StringComparison.Ordinal)
        || text.Split(' ', ',', '-').All(static word => Array.IndexOf(s_days, word.ToLowerInvariant()) >= 0);

    /// <summary>The spans of one entry, as <see cref="Schedule.Of"/> takes them; null after an error.</summary>
    public static IReadOnlyList<(int First, int Count)>? Read(Located<string> text, Diagnostics found)
    {
        string[] parts = text.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        bool hasTime = parts.Length > 0 && parts[^1].Contains(':', StringComparison.Ordinal);
        string days = string.Concat(hasTime ? parts[..^1] : parts);
        (int First, int Count)? times = hasTime ? Times(parts[^1], text, found) : (0, Schedule.Day);
        return Days(days, text, found) is { } good && times is { } span
            ? [.. good.Select(day => ((day * Schedule.Day) + span.First, span.Count))]
            : null;
    }

    /// <summary>The minute of the week of <c>mon 10:00</c>; null after an error.</summary>
    public static int? Moment(Node? node, string what, Diagnostics found)
    {
        if (Values.Text(node, what, found) is not { } text)
        {
            return null;
        }

        if (Moment(text.Value) is { } minute)
        {
            return minute;
        }

        found.Error(text.At, $"{Wording.Quote(text.Value)} is not a moment of the week", "write a day and a time: mon 10:00");
        return null;
    }

    /// <summary>The minute of the week of <c>mon 10:00</c>; null if the text is none.</summary>
    public static int? Moment(string text)
    {
        string[] parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return parts.Length == 2 && Day(parts[0]) is >= 0 and var day && Minute(parts[1]) is >= 0 and < Schedule.Day and var minute
            ? (day * Schedule.Day) + minute
            : null;
    }

    private static (int First, int Count)? Times(string text, Located<string> whole, Diagnostics found)
    {
        string[] ends = text.Split('-');
        if (ends.Length != 2 || Minute(ends[0]) is not (>= 0 and < Schedule.Day and var first) || Minute(ends[1]) is not (>= 0 and var end))
        {
            found.Error(whole.At, $"{Wording.Quote(text)} is not a span of time", "times go from 00:00 to 24:00, the later behind a '-': 08:00-18:00; over midnight 22:00-06:00");
            return null;
        }

        if (first == end)
        {
            found.Error(whole.At, $"{Wording.Quote(text)} is no time at all", "for a whole day leave the time out, or write 00:00-24:00");
            return null;
        }

        return (first, end > first ? end - first : Schedule.Day - first + end);
    }

    private static List<int>? Days(string text, Located<string> whole, Diagnostics found)
    {
        List<int> days = [];
        if (text.Length == 0)
        {
            days.AddRange(Enumerable.Range(0, s_days.Length));
            return days;
        }

        foreach (string entry in text.Split(','))
        {
            string[] ends = entry.Split('-');
            string? wrong = ends.FirstOrDefault(static end => Day(end) < 0);
            if (ends.Length > 2 || wrong is not null)
            {
                string word = wrong ?? entry;
                string? near = Wording.Nearest(word.Length > 3 ? word[..3] : word, s_days);
                found.Error(whole.At, $"{Wording.Quote(word)} is not a day of the week", near is null ? Hint : $"did you mean {Wording.Quote(near)}? Days are {Wording.OneOf(s_days)}");
                return null;
            }

            int first = Day(ends[0]), last = Day(ends[^1]);
            for (int day = first; ; day = (day + 1) % s_days.Length)
            {
                days.Add(day);
                if (day == last)
                {
                    break;
                }
            }
        }

        return days;
    }

    private static int Day(string word) => Array.IndexOf(s_days, word.ToLowerInvariant());

    /// <summary>The minute of the day that <c>08:30</c> names; -1 for none. The day's end is <c>24:00</c>.</summary>
    private static int Minute(string text)
    {
        string[] parts = text.Split(':');
        bool good = parts.Length == 2 && parts[0].Length is 1 or 2 && parts[1].Length == 2;
        return good
            && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int hour)
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int minute)
            && minute < 60 && (hour * 60) + minute <= Schedule.Day
            ? (hour * 60) + minute
            : -1;
    }
}

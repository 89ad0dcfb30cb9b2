using System.Numerics;

namespace Filter.Rules.Policy;

/// <summary>When a rule holds: minutes of the week, by the clock on the wall. Immutable.</summary>
public sealed class Schedule : IEquatable<Schedule>
{
    /// <summary>Minutes of a day.</summary>
    public const int Day = 24 * 60;

    /// <summary>Minutes of a week, which begins on Monday at 00:00.</summary>
    public const int Week = 7 * Day;

    private const int Bits = 64;

    private readonly ulong[] _minutes;

    private Schedule(string name, ulong[] minutes)
    {
        Name = name;
        _minutes = minutes;
    }

    /// <summary>What the ruleset calls it, or its times as written.</summary>
    public string Name { get; }

    /// <summary>Whether it never holds.</summary>
    public bool IsEmpty => Minutes == 0;

    /// <summary>How many minutes of the week it holds.</summary>
    public int Minutes => _minutes.Sum(static word => BitOperations.PopCount(word));

    /// <summary>The union of spans.</summary>
    /// <param name="name">What the ruleset calls it, or its times as written.</param>
    /// <param name="spans">First minute of the week, and how many; what goes beyond the week's end goes on at its beginning.</param>
    public static Schedule Of(string name, IEnumerable<(int First, int Count)> spans)
    {
        ulong[] minutes = new ulong[(Week + Bits - 1) / Bits];
        foreach ((int first, int count) in spans)
        {
            for (int i = 0; i < Math.Min(count, Week); i++)
            {
                int minute = (first + i) % Week;
                minutes[minute / Bits] |= 1UL << (minute % Bits);
            }
        }

        return new Schedule(name, minutes);
    }

    /// <summary>The minute of the week that <c>mon 10:00</c> names; null if it is none.</summary>
    public static int? MinuteOf(string moment) => Binding.ScheduleWords.Moment(moment);

    /// <summary>Whether it holds in this minute of the week. Never allocates.</summary>
    public bool Holds(int minute) => (uint)minute < Week && (_minutes[minute / Bits] >> (minute % Bits) & 1) != 0;

    /// <summary>When both hold.</summary>
    public Schedule Intersect(Schedule other) =>
        Equals(other) ? this : new($"{Name}, {other.Name}", [.. _minutes.Zip(other._minutes, static (a, b) => a & b)]);

    /// <summary>When one of the two holds, under this one's name.</summary>
    public Schedule Union(Schedule other) => new(Name, [.. _minutes.Zip(other._minutes, static (a, b) => a | b)]);

    /// <summary>The same under another name.</summary>
    public Schedule Named(string name) => new(name, _minutes);

    /// <summary>The same minutes, whatever the name.</summary>
    public bool Equals(Schedule? other) => other is not null && _minutes.AsSpan().SequenceEqual(other._minutes);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Schedule);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        HashCode hash = default;
        foreach (ulong word in _minutes)
        {
            hash.Add(word);
        }

        return hash.ToHashCode();
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}

namespace Filter.Rules.Policy;

/// <summary>What tells schedules the time on the wall.</summary>
public abstract class Calendar
{
    /// <summary>
    /// The minute of the week, from Monday at 00:00, at a moment on the path's clock. Called by the worker; never allocates,
    /// blocks or throws.
    /// </summary>
    /// <param name="now">Nanoseconds on the path's clock.</param>
    public abstract int MinuteOfWeek(long now);
}

/// <summary>
/// The machine's time zone. A day on which the clock changes has its hour twice, or not at all, as the clock on the wall does.
/// Made anew with each ruleset, so that a reload takes note of another time zone.
/// </summary>
public sealed class LocalCalendar : Calendar
{
    /// <summary>1970-01-01 was a Thursday.</summary>
    private const int FirstDay = 3;

    private readonly bool _unixTime;
    private readonly TimeZoneInfo _zone;
    private long _minute = long.MinValue;
    private int _ofWeek;

    /// <summary>A calendar of the machine's time zone.</summary>
    /// <param name="unixTime">
    /// Whether the path's clock counts from 1970, as a capture's does; else the machine's own clock is asked, which may be set at
    /// any moment.
    /// </param>
    /// <param name="zone">Another zone than the machine's; null for that.</param>
    public LocalCalendar(bool unixTime = false, TimeZoneInfo? zone = null)
    {
        if (zone is null)
        {
            TimeZoneInfo.ClearCachedData();
        }

        _unixTime = unixTime;
        _zone = zone ?? TimeZoneInfo.Local;
        MinuteOfWeek(0);                                    // what the zone has to look up, it does now
    }

    /// <inheritdoc/>
    public override int MinuteOfWeek(long now)
    {
        long ticks = _unixTime
            ? DateTime.UnixEpoch.Ticks + (now / TimeSpan.NanosecondsPerTick)
            : DateTime.UtcNow.Ticks;
        long minute = ticks / TimeSpan.TicksPerMinute;
        if (minute == _minute)
        {
            return _ofWeek;
        }

        DateTime utc = new(Math.Clamp(ticks, 0, DateTime.MaxValue.Ticks), DateTimeKind.Utc);
        long local = (utc - DateTime.UnixEpoch + _zone.GetUtcOffset(utc)).Ticks / TimeSpan.TicksPerMinute;
        _minute = minute;
        _ofWeek = (int)(((local + (FirstDay * Schedule.Day)) % Schedule.Week + Schedule.Week) % Schedule.Week);
        return _ofWeek;
    }
}

/// <summary>A week that begins where a test wants it to, and then goes on with the path's clock.</summary>
public sealed class SetCalendar : Calendar
{
    private const long Minute = 60_000_000_000;

    private long _since;
    private long _minute;

    /// <summary>Sets the clock on the wall.</summary>
    /// <param name="minute">The minute of the week that begins.</param>
    /// <param name="now">Nanoseconds on the path's clock.</param>
    public void Set(int minute, long now) => (_minute, _since) = (minute, now);

    /// <inheritdoc/>
    public override int MinuteOfWeek(long now) => (int)((_minute + ((now - _since) / Minute)) % Schedule.Week);
}

using Filter.Rules.Policy;

namespace Filter.Tests.Rules.Policy;

/// <summary>Minutes of the week, and how a machine's clock comes to one.</summary>
public sealed class ScheduleTests
{
    private const int Monday = 0, Sunday = 6 * Schedule.Day;

    [Fact]
    public void A_span_holds_from_its_first_minute_to_before_its_end()
    {
        Schedule work = Schedule.Of("work", [(Monday + (8 * 60), 10 * 60)]);
        Assert.Equal([false, true, true, false], new[] { 479, 480, 1079, 1080 }.Select(work.Holds));
        Assert.Equal(600, work.Minutes);
        Assert.False(work.Holds(-1) || work.Holds(Schedule.Week));
    }

    [Fact]
    public void A_span_over_the_end_of_the_week_goes_on_at_its_beginning()
    {
        Schedule night = Schedule.Of("night", [(Sunday + (22 * 60), 8 * 60)]);
        Assert.Equal([true, true, true, false], new[] { Sunday + 1320, Schedule.Week - 1, 0, 360 }.Select(night.Holds));
        Assert.Equal(480, night.Minutes);
    }

    [Fact]
    public void Two_schedules_hold_together_when_both_do()
    {
        Schedule morning = Schedule.Of("morning", [(0, 720)]), late = Schedule.Of("late", [(600, 600)]);
        Assert.Equal(Schedule.Of("both", [(600, 120)]), morning.Intersect(late));
        Assert.Equal(Schedule.Of("one", [(0, 1200)]), morning.Union(late));
        Assert.True(morning.Intersect(Schedule.Of("other", [(3000, 1)])).IsEmpty);
    }

    [Theory]
    [InlineData("2026-11-26T00:00:00Z", 3, 1, 0)]           // a Thursday; Berlin is an hour ahead in winter
    [InlineData("2026-07-05T22:30:00Z", 0, 0, 30)]          // Monday already in summer, two hours ahead
    [InlineData("2026-03-29T00:59:59Z", 6, 1, 59)]          // the night that lacks an hour
    [InlineData("2026-03-29T01:00:00Z", 6, 3, 0)]
    [InlineData("2026-10-25T00:30:00Z", 6, 2, 30)]          // the night that has one twice
    [InlineData("2026-10-25T01:30:00Z", 6, 2, 30)]
    [InlineData("1969-12-31T23:00:00Z", 3, 0, 0)]           // before all captures
    public void A_moment_is_the_minute_that_the_clock_on_the_wall_shows(string moment, int day, int hour, int minute)
    {
        LocalCalendar berlin = new(unixTime: true, Berlin());
        long now = (DateTimeOffset.Parse(moment, System.Globalization.CultureInfo.InvariantCulture) - DateTimeOffset.UnixEpoch).Ticks * 100;
        Assert.Equal((day * Schedule.Day) + (hour * 60) + minute, berlin.MinuteOfWeek(now));
    }

    [Fact]
    public void Looking_at_the_clock_allocates_nothing()
    {
        LocalCalendar machine = new(), captures = new(unixTime: true, Berlin());
        const long Minute = 60_000_000_000;
        long before = 0;
        for (int round = 0; round < 2; round++)
        {
            before = GC.GetAllocatedBytesForCurrentThread();
            for (long i = 0; i < 100_000; i++)
            {
                machine.MinuteOfWeek(i);
                captures.MinuteOfWeek(i * 7 * Minute);
            }
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void The_clock_of_a_test_stands_where_it_is_set_and_goes_on_with_the_path()
    {
        SetCalendar calendar = new();
        calendar.Set(Schedule.Week - 1, now: 5_000_000_000);
        Assert.Equal(Schedule.Week - 1, calendar.MinuteOfWeek(64_999_999_999));
        Assert.Equal(0, calendar.MinuteOfWeek(65_000_000_000));
    }

    private static TimeZoneInfo Berlin() => TimeZoneInfo.CreateCustomTimeZone(
        "Berlin", TimeSpan.FromHours(1), "Berlin", "winter", "summer",
        [
            TimeZoneInfo.AdjustmentRule.CreateAdjustmentRule(
                DateTime.MinValue.Date, DateTime.MaxValue.Date, TimeSpan.FromHours(1),
                TimeZoneInfo.TransitionTime.CreateFloatingDateRule(new DateTime(1, 1, 1, 2, 0, 0), 3, 5, DayOfWeek.Sunday),
                TimeZoneInfo.TransitionTime.CreateFloatingDateRule(new DateTime(1, 1, 1, 3, 0, 0), 10, 5, DayOfWeek.Sunday)),
        ]);
}

using Filter.Engine.Packets;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Tests.Rules.Policy;

public sealed class LiveSetTests
{
    [Fact]
    public void It_holds_what_a_plain_list_of_elements_with_their_times_holds()
    {
        Random random = Fuzzing.Seeded(out int seed);
        for (int round = 0; round < Fuzzing.Rounds(60); round++)
        {
            LiveSet set = Make();
            Dictionary<AddressRange, long> model = [];
            long now = 1000;
            for (int step = 0; step < 60; step++)
            {
                ulong first = (ulong)random.Next(64);
                AddressRange range = new(new(0, first), new(0, first + (ulong)random.Next(random.Next(2) == 0 ? 1 : 12)));
                switch (random.Next(5))
                {
                    case 0:
                        Assert.Equal(!(model.TryGetValue(range, out long left) && left > now), set.Contents.Delete([range], now).Count == 1);
                        model.Remove(range);
                        break;
                    case 1:
                        now += random.Next(200);
                        break;
                    default:
                        long deadline = random.Next(4) == 0 ? LiveContents.Never : now + random.Next(1, 500);
                        Assert.True(set.Contents.TryAdd([range], deadline, now, 1000));
                        model[range] = deadline;
                        break;
                }

                set.Advance(now);
                for (ulong i = 0; i < 80; i++)
                {
                    Address address = new(0, i);
                    bool expected = model.Any(one => one.Value > now && one.Key.Contains(address));
                    Assert.True(expected == set.Contains(address), $"seed {seed}, round {round}, step {step}: {address}");
                }
            }
        }
    }

    [Fact]
    public void It_says_when_it_changes_and_an_element_leaves_at_its_moment()
    {
        LiveSet set = Make();
        set.Begin(0);
        Address one = Address.Parse("203.0.113.9"), other = Address.Parse("2001:db8::9");
        set.Advance(0);
        Assert.False(set.Advance(1));
        set.Contents.TryAdd([new(one, one)], 100, 1, 10);
        set.Contents.TryAdd([new(other, other)], LiveContents.Never, 1, 10);
        Assert.False(set.Contains(one));            // not before the worker looks
        Assert.True(set.Advance(2));
        Assert.True(set.Contains(one) && set.Contains(other));
        Assert.False(set.Advance(99));
        Assert.True(set.Contains(one));
        Assert.True(set.Advance(100));
        Assert.True(!set.Contains(one) && set.Contains(other));
        Assert.False(set.Advance(101));
    }

    [Fact]
    public void Its_size_is_a_bound_and_what_is_over_makes_room()
    {
        LiveSet set = Make();
        AddressRange[] three = [.. Enumerable.Range(1, 3).Select(static i => new AddressRange(new(0, (ulong)i), new(0, (ulong)i)))];
        Assert.True(set.Contents.TryAdd(three[..2], 50, 0, 2));
        Assert.False(set.Contents.TryAdd(three[2..], 60, 10, 2));
        Assert.True(set.Contents.TryAdd(three[..1], 70, 10, 2));       // it is there: only its time changes
        Assert.True(set.Contents.TryAdd(three[2..], 60, 50, 2));
        Assert.Equal(["1 70", "3 60"], set.Contents.List(50).Select(static e => $"{e.Range.First.Low} {e.Deadline}"));
    }

    [Fact]
    public void What_was_added_stays_under_the_next_ruleset_and_what_that_writes_no_more_leaves()
    {
        AddressRange written = Range("192.0.2.1"), later = Range("192.0.2.2"), added = Range("203.0.113.9");
        LiveSet first = Make((written, 1000L)), next = Make((later, 1000L));
        first.Begin(0);
        first.Contents.TryAdd([added], 500, 100, 10);
        LiveSet.GoOn([next], [first], 200);
        next.Seed(200);
        next.Advance(200);
        Assert.True(next.Contains(added.First) && next.Contains(later.First) && !next.Contains(written.First));
        next.Advance(500);
        Assert.False(next.Contains(added.First));       // its time is what it was

        LiveSet same = Make((later, 1000L));
        next.Contents.Delete([later], 600);
        LiveSet.GoOn([same], [next], 600);
        same.Seed(600);
        same.Advance(600);
        Assert.False(same.Contains(later.First));       // deleted by hand: a reload does not bring it back
    }

    [Fact]
    public void Looking_allocates_nothing()
    {
        LiveSet set = Make();
        set.Contents.TryAdd([.. Enumerable.Range(0, 100_000).Select(static i => new AddressRange(new(0, (ulong)i * 7), new(0, ((ulong)i * 7) + 2)))], LiveContents.Never, 0, 200_000);
        int held = 0;
        set.Advance(1);
        for (int i = 0; i < 1000; i++)
        {
            held += set.Contains(new(0, (ulong)i)) ? 1 : 0;
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
        {
            held += set.Contains(new(0, (ulong)i)) ? 1 : 0;
            set.Advance(2 + i);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        Assert.Equal(2 * 429, held);
    }

    private static AddressRange Range(string address) => new(Address.Parse(address), Address.Parse(address));

    private static LiveSet Make(params (AddressRange Range, long? Timeout)[] first) =>
        new() { SetName = "blocklist", At = new SourceMark("f.yaml", 1, 1), Source = LiveSource.Control, First = [.. first] };
}

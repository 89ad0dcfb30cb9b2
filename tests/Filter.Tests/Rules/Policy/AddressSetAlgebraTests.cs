using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Tests.Rules.Policy;

public sealed class AddressSetAlgebraTests
{
    [Fact]
    public void Differences_and_intersections_agree_with_asking_each_address()
    {
        int seed = Environment.TickCount;
        Random random = new(seed);
        for (int round = 0; round < 2_000; round++)
        {
            AddressSet a = Some(random), b = Some(random), without = a.Except(b), both = a.Intersect(b);
            for (ulong i = 0; i < 64; i++)
            {
                Address address = new(0, i), top = new(ulong.MaxValue, ulong.MaxValue - i);
                Assert.True((a.Contains(address) && !b.Contains(address)) == without.Contains(address), $"seed {seed}, {a} except {b}, {address}");
                Assert.True((a.Contains(address) && b.Contains(address)) == both.Contains(address), $"seed {seed}, {a} and {b}, {address}");
                Assert.True((a.Contains(top) && !b.Contains(top)) == without.Contains(top), $"seed {seed}, {a} except {b}, {top}");
            }

            Assert.Equal(AddressSet.Of([.. without.Ranges]), without);
        }
    }

    [Fact]
    public void Nothing_remains_of_a_set_without_everything_and_all_of_it_without_nothing()
    {
        AddressSet lan = AddressSet.Of([Prefix.Around(Address.Parse("192.0.2.0"), 24).Range]);
        Assert.True(lan.Except(AddressSet.Any).IsEmpty);
        Assert.Equal(lan, lan.Except(AddressSet.Empty));
        Assert.Equal(lan, AddressSet.Any.Except(AddressSet.Any.Except(lan)));
        Assert.True(AddressSet.Any.Except(AddressSet.Any).IsEmpty);
    }

    private static AddressSet Some(Random random) => AddressSet.Of(Enumerable.Range(0, random.Next(5)).Select(_ =>
    {
        bool top = random.Next(3) == 0;
        ulong first = (ulong)random.Next(64), last = Math.Min(63, first + (ulong)random.Next(8));
        return top
            ? new AddressRange(new(ulong.MaxValue, ulong.MaxValue - last), new(ulong.MaxValue, ulong.MaxValue - first))
            : new AddressRange(new(0, first), new(0, last));
    }));
}

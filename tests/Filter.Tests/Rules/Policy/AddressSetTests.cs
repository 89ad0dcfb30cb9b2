using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Tests.Rules.Policy;

/// <summary>Sets of addresses, both families in one space.</summary>
public sealed class AddressSetTests
{
    [Fact]
    public void Runs_that_overlap_or_touch_become_one()
    {
        AddressSet set = Set("192.0.2.0-192.0.2.9", "192.0.2.10-192.0.2.20", "192.0.2.5-192.0.2.12", "192.0.2.30-192.0.2.31");
        Assert.Equal("192.0.2.0-192.0.2.20, 192.0.2.30-192.0.2.31", set.ToString());
    }

    [Fact]
    public void An_IPv6_network_never_holds_an_IPv4_address()
    {
        Assert.True(Prefix.TryParse("::/0", out Prefix everything, out _));
        AddressSet set = AddressSet.Of(AddressSet.RangesOf(everything));

        Assert.False(set.Contains(Address.Parse("192.0.2.1")));
        Assert.True(set.Contains(Address.Parse("::1")));
        Assert.True(set.Contains(Address.Parse("2001:db8::1")));
        Assert.Equal(Families.IPv6, set.Families);
    }

    [Fact]
    public void Both_default_routes_together_are_everything()
    {
        Assert.True(Prefix.TryParse("::/0", out Prefix six, out _));
        Assert.True(Prefix.TryParse("0.0.0.0/0", out Prefix four, out _));
        AddressSet set = AddressSet.Of([.. AddressSet.RangesOf(six), .. AddressSet.RangesOf(four)]);

        Assert.Equal(AddressSet.Any, set);
        Assert.Equal("any", set.ToString());
        Assert.Equal(Families.Both, set.Families);
    }

    [Fact]
    public void The_families_of_a_set_can_be_taken_apart()
    {
        AddressSet all = AddressSet.Any;
        Assert.Equal([AddressRange.AllIPv4], all.Only(Families.IPv4).Ranges.ToArray());
        Assert.Equal(Families.IPv6, all.Only(Families.IPv6).Families);
        Assert.Same(all, all.Only(Families.Both));
        Assert.True(all.Only(Families.None).IsEmpty);
    }

    [Fact]
    public void The_last_address_of_all_wraps_into_nothing()
    {
        AddressRange last = new(AddressRange.Everything.Last, AddressRange.Everything.Last);
        AddressSet set = AddressSet.Of([last, new(default, default)]);
        Assert.Equal(2, set.Ranges.Length);
        Assert.True(set.Contains(last.Last));
        Assert.False(set.Contains(new Address(1, 0)));
    }

    [Fact]
    public void Membership_is_what_a_plain_search_says()
    {
        int seed = Random.Shared.Next();
        Random random = new(seed);
        for (int round = 0; round < 200; round++)
        {
            AddressRange[] ranges = [.. Enumerable.Range(0, random.Next(1, 12)).Select(_ =>
            {
                ulong high = (ulong)random.Next(3), from = (ulong)random.Next(64);
                return new AddressRange(new(high, from), new(high + (ulong)random.Next(2), from + (ulong)random.Next(8)));
            })];
            AddressSet set = AddressSet.Of(ranges);
            for (ulong high = 0; high < 4; high++)
            {
                for (ulong low = 0; low < 74; low++)
                {
                    Address address = new(high, low);
                    Assert.True(set.Contains(address) == ranges.Any(r => r.Contains(address)), $"seed {seed}, round {round}, {address}");
                }
            }
        }
    }

    private static AddressSet Set(params string[] ranges) => AddressSet.Of(ranges.Select(static r =>
    {
        string[] ends = r.Split('-');
        return new AddressRange(Address.Parse(ends[0]), Address.Parse(ends[1]));
    }));
}

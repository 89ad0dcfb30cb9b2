using Filter.Engine.Packets;

namespace Filter.Tests.Packets;

/// <summary>A flow's identity.</summary>
public sealed class FlowKeyTests
{
    private static readonly FlowKey s_key = new(Address.Parse("192.0.2.1"), Address.Parse("198.51.100.1"), 40000, 443, 6, 0);

    [Fact]
    public void The_answer_of_the_answer_is_the_key_itself() => Assert.Equal(s_key, s_key.Reverse.Reverse);

    [Fact]
    public void Its_text_ends_though_it_knows_its_own_reverse() =>
        Assert.Equal("6: 192.0.2.1 40000 > 198.51.100.1 443", s_key.ToString());
}

using Filter.Ctl.Service;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Tests.Filterctl;

/// <summary>What the log says of limits that bit.</summary>
public sealed class LimitLogTests : IDisposable
{
    private readonly LimitCounters _limits = new();
    private readonly StringWriter _said = new();

    [Fact]
    public void A_flood_is_one_line_that_counts_it_and_names_whom_it_hit()
    {
        var log = new LimitLog(() => _limits, new ServiceLog(_said, json: false));
        var flooded = new ShareKey(Address.Parse("192.0.2.80"), 0, 443, 6, false);
        for (int i = 0; i < 1000; i++)
        {
            _limits.GiveUp(Limit.HalfOpen, i % 5 == 0 ? flooded with { Port = 80 } : flooded);
        }

        log.Look();
        log.Look();
        Assert.Equal("limit half-open: 1000 flows given up, most to 192.0.2.80 tcp/443", Said());
        _limits.GiveUp(Limit.HalfOpen, flooded);
        log.Look();
        Assert.Equal("limit half-open: 1 flows given up, most to 192.0.2.80 tcp/443", Said());
    }

    [Fact]
    public void Each_limit_has_a_line_of_its_own()
    {
        var log = new LimitLog(() => _limits, new ServiceLog(_said, json: false));
        ShareKey source = ShareKey.OfSource(new FlowKey(Address.Parse("2001:db8:1::7"), default, 1, 2, 6, 0), management: false);
        _limits.Refuse(Limit.SourceRate, source);
        _limits.Refuse(Limit.Answers, source);
        _limits.GiveUp(Limit.Table, new ShareKey(Address.Parse("2001:db8:2::80"), 0, 0, 47, false));
        _limits.Refuse(Limit.Table, new ShareKey(Address.Parse("2001:db8:2::80"), 0, 0, 47, false));
        log.Look();
        Assert.Equal(
            """
            limit table: 1 flows given up, 1 openings refused, most to 2001:db8:2::80 gre
            limit source-rate: 1 openings refused, most from 2001:db8:1::/64
            limit answers: 1 answers not given, most to 2001:db8:1::/64
            """.ReplaceLineEndings("\n"),
            Said());
    }

    [Fact]
    public void Who_leads_no_more_is_named_no_more()
    {
        var one = new ShareKey(Address.Parse("192.0.2.1"), 0, 0, 0, false);
        var two = new ShareKey(Address.Parse("192.0.2.2"), 0, 0, 0, false);
        Assert.False(_limits.TryName(Limit.SourceRate, out _));
        for (int i = 0; i < 100_000; i++)
        {
            _limits.Refuse(Limit.SourceRate, one);
        }

        for (int i = 0; i < 1001; i++)
        {
            _limits.Refuse(Limit.SourceRate, two);
        }

        Assert.True(_limits.TryName(Limit.SourceRate, out ShareKey most));
        Assert.Equal(two, most);
    }

    public void Dispose() => _said.Dispose();

    /// <summary>What was said since it was last asked, without times.</summary>
    private string Said()
    {
        string said = string.Join('\n', _said.ToString().Trim().Split(Environment.NewLine).Select(static line => line[(line.IndexOf(' ') + 1)..]));
        _said.GetStringBuilder().Clear();
        return said;
    }
}

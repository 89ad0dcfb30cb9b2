using System.Globalization;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Ctl.Replays;
using Filter.Engine.Path;
using Filter.Engine.Ports;

namespace Filter.Ctl.Service;

/// <summary>Tells of flows that a new policy ended: each in a line, and of a multitude how many more.</summary>
internal sealed class EndedLog(IReadOnlyList<Ring<FlowEnd>> ends, IReadOnlyList<Port> ports, EventFeed feed, ServiceLog log)
{
    /// <summary>Most lines a second.</summary>
    private const int MostLines = 100;

    private long _second;
    private int _lines;
    private long _lost;
    private long _unsaid;

    /// <summary>Looks, and tells.</summary>
    public void Look()
    {
        long second = Environment.TickCount64 / 1000;
        if (second != _second)
        {
            SayRest();
            (_second, _lines) = (second, 0);
        }

        for (int worker = 0; worker < ends.Count; worker++)
        {
            Take(ends[worker], worker);
        }

        long lost = ends.Sum(static ring => ring.Lost);
        _unsaid += lost - _lost;
        feed.Lose(lost - _lost);
        _lost = lost;
    }

    private void Take(Ring<FlowEnd> ring, int worker)
    {
        while (ring.TryRead(out FlowEnd ended))
        {
            bool said = _lines++ < MostLines;
            _unsaid += said ? 0 : 1;
            if (!said && !feed.Heard)
            {
                continue;
            }

            PacketEvent told = Describe(ended) with { Flow = FlowNumbers.Shown(ended.Flow, worker, ends.Count) };
            feed.Publish(told);
            if (said)
            {
                log.Packet(told);
            }
        }
    }

    /// <summary>How many ended of which no line tells.</summary>
    public void SayRest()
    {
        if (_unsaid > 0)
        {
            log.Line(string.Create(CultureInfo.InvariantCulture, $"{_unsaid} more flows ended that the rules no longer allow: `filterctl counters` has them by rule"));
            _unsaid = 0;
        }
    }

    private PacketEvent Describe(in FlowEnd ended) => new()
    {
        Time = VerdictLog.Seconds(WallClock.Of(WallClock.Monotonic)),
        Verdict = "ended",
        Line = Openings.Line(ended.Opening, ports[ended.Opening.Ingress].Name).ToString(),
        Reason = "no-longer-allowed",
        Rule = ended.By.Name,
        Place = PlaceOf(ended.By),
        Flow = ended.Flow,
        Age = ended.Age / 1_000_000_000,
        Was = ended.Was.Name,
        WasPlace = PlaceOf(ended.Was),
    };

    /// <summary>file:line; null of a default that is not written.</summary>
    internal static string? PlaceOf(in RuleName rule) =>
        rule.Line > 0 ? string.Create(CultureInfo.InvariantCulture, $"{rule.File}:{rule.Line}") : null;
}

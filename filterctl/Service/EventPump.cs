using System.Globalization;
using System.Text;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Ctl.Replays;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;

namespace Filter.Ctl.Service;

/// <summary>
/// Carries events from the worker's ring to those who want them: the log on stderr, and whoever
/// listens to `drops`. One thread; what it can't keep up with is counted and said.
/// </summary>
internal sealed class EventPump : IDisposable
{
    /// <summary>Most lines of rules that log, a second.</summary>
    private const int MostLinesASecond = 1000;

    /// <summary>Milliseconds between two looks, and where nobody wants events: an idle Filter is to cost nothing.</summary>
    private const int Pause = 20, UnheardPause = 50;

    private const long SummaryInterval = 10_000;
    private const long LimitInterval = 1000;
    private readonly EventRing[] _rings;
    private readonly PathEvent?[] _heads;
    private readonly IReadOnlyList<PacketPath> _paths;
    private readonly IReadOnlyList<Port> _ports;
    private readonly EventFeed _feed;
    private readonly ServiceLog _log;
    private readonly LimitLog _limits;
    private readonly EndedLog _ended;
    private readonly Func<bool> _rulesLog;
    private readonly long[] _dropped = new long[DropReasons.Count];
    private readonly ManualResetEventSlim _stop = new(initialState: false, spinCount: 0);
    private readonly Thread _thread;
    private long _lost;
    private long _second;
    private int _lines;
    private long _unsaid;
    private long _nextSummary, _nextLimits;
    private bool _complained;

    /// <summary>A pump from a path to its listeners.</summary>
    /// <param name="paths">Their rings are muted while nobody wants events: a flood of drops then costs no more than counting.</param>
    /// <param name="ports">They name where packets came in.</param>
    /// <param name="feed">Who listens.</param>
    /// <param name="log">Where rules that log are heard.</param>
    /// <param name="rulesLog">Whether a rule in force logs.</param>
    public EventPump(IReadOnlyList<PacketPath> paths, IReadOnlyList<Port> ports, EventFeed feed, ServiceLog log, Func<bool> rulesLog)
    {
        _rulesLog = rulesLog;
        _paths = paths;
        _rings = [.. paths.Select(static path => path.Events)];
        _heads = new PathEvent?[_rings.Length];
        _ports = ports;
        _feed = feed;
        _log = log;
        _limits = new LimitLog(() => LimitCounters.Of([.. paths.Select(static path => path.Counters.Limits)]), log);
        _ended = new EndedLog([.. paths.Select(static path => path.Ends)], ports, feed, log);
        _nextSummary = Environment.TickCount64 + SummaryInterval;
        _thread = new Thread(Run) { Name = "events", IsBackground = true };
    }

    /// <summary>Begins.</summary>
    public void Start() => _thread.Start();

    /// <summary>Ends, when what was there is told.</summary>
    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _limits.Look();
        _ended.SayRest();
        Summarize();
        _stop.Dispose();
    }

    private void Run()
    {
        bool stopping;
        do
        {
            stopping = _stop.IsSet;
            bool muted = !_feed.Heard && !_rulesLog();
            foreach (EventRing ring in _rings)
            {
                ring.Muted = muted;
            }

            while (TryRead(out PathEvent taken))
            {
                TryTake(taken);
            }

            TellLost();
            _ended.Look();
            if (Environment.TickCount64 >= _nextLimits)
            {
                _nextLimits = Environment.TickCount64 + LimitInterval;
                _limits.Look();
            }

            if (Environment.TickCount64 >= _nextSummary)
            {
                Summarize();
            }

            _stop.Wait(muted ? UnheardPause : Pause);
        }
        while (!stopping);
    }

    /// <summary>The next event of all workers, by the time that its packet came.</summary>
    private bool TryRead(out PathEvent taken)
    {
        if (_rings.Length == 1)
        {
            return _rings[0].TryRead(out taken);
        }

        int first = -1;
        for (int i = 0; i < _rings.Length; i++)
        {
            if (_heads[i] is null && _rings[i].TryRead(out PathEvent head))
            {
                _heads[i] = head;
            }

            if (_heads[i] is { } next && (first < 0 || next.Packet.Time < _heads[first]!.Value.Packet.Time))
            {
                first = i;
            }
        }

        taken = first < 0 ? default : _heads[first]!.Value;
        if (first >= 0)
        {
            _heads[first] = null;
        }

        return first >= 0;
    }

    /// <summary>A packet that cannot be told of, for a fault of ours, must not end the daemon.</summary>
    private void TryTake(in PathEvent taken)
    {
        try
        {
            Take(taken);
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            if (!_complained)
            {
                _log.Line($"internal error: a packet could not be written as a line: {failure.GetType().Name}: {failure.Message.ReplaceLineEndings(" ")}");
            }

            _complained = true;
        }
    }

    private void Take(in PathEvent taken)
    {
        bool logs = (taken.Packet.Log || taken.Counted) && MayLog();
        bool heard = _feed.Heard && !taken.Counted && taken.Packet.Verdict is Verdict.Drop or Verdict.Reject;
        if (!logs && !heard)
        {
            return;
        }

        PacketEvent told = Describe(taken);
        if (heard)
        {
            _feed.Publish(told);
        }

        if (logs)
        {
            _log.Packet(told);
        }
    }

    private bool MayLog()
    {
        long second = Environment.TickCount64 / 1000;
        if (second != _second)
        {
            (_second, _lines) = (second, 0);
            if (_unsaid > 0)
            {
                _log.Line($"{_unsaid} lines of rules that log are left out: more than {MostLinesASecond} a second");
                _unsaid = 0;
            }
        }

        if (_lines++ < MostLinesASecond)
        {
            return true;
        }

        _unsaid++;
        return false;
    }

    private PacketEvent Describe(in PathEvent taken)
    {
        RuleName rule = taken.Packet.Rule == 0 ? default : taken.Rules.Name(taken.Packet.Rule);
        return new PacketEvent
        {
            Time = VerdictLog.Seconds(WallClock.Of(taken.Packet.Time)),
            Verdict = taken.Counted ? "counted" : taken.Packet.Verdict.Word(),
            Line = taken.Facts.Line(_ports[taken.Packet.Ingress].Name).ToString(),
            Reason = taken.Packet.Reason.Word(),
            Rule = rule.Name,
            Place = EndedLog.PlaceOf(rule),
        };
    }

    private void TellLost()
    {
        long lost = _rings.Sum(static ring => ring.Lost);
        if (lost != _lost)
        {
            _feed.Lose(lost - _lost);
            _lost = lost;
        }
    }

    /// <summary>What was dropped since the last summary, in one line; nothing where nothing was.</summary>
    private void Summarize()
    {
        _nextSummary = Environment.TickCount64 + SummaryInterval;
        StringBuilder line = new();
        long sum = 0;
        for (int i = 1; i < _dropped.Length; i++)
        {
            var reason = (DropReason)i;
            long count = _paths.Sum(path => path.Counters[reason]);
            long more = count - _dropped[i];
            _dropped[i] = count;
            if (more > 0)
            {
                sum += more;
                line.Append(CultureInfo.InvariantCulture, $"{(line.Length == 0 ? "" : ", ")}{((DropReason)i).Name()} {more}");
            }
        }

        if (sum > 0)
        {
            _log.Line($"dropped {sum}: {line}");
        }
    }
}

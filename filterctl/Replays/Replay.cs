using Filter.Ctl.Rehearsals;
using Filter.Ctl.Service;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Ctl.Replays;

/// <summary>
/// Captures walked through the data path on their own clock, one packet at a time: what each port
/// would have sent, and what became of each packet.
/// </summary>
internal sealed class Replay : IDisposable
{
    /// <summary>How often the path looks at the time, in nanoseconds, as the worker does.</summary>
    private const long TickInterval = 50_000_000;

    /// <summary>Most ticks between two packets: captures may leap by years.</summary>
    private const int MostTicks = 64;

    private readonly Gateway _gateway;
    private readonly CaptureMerge _captures;
    private readonly VerdictLog? _log;
    private readonly Burst _burst = new();
    private readonly Dictionary<string, Conversations> _conversations = [];
    private readonly Dictionary<int, (long Opened, FlowKey Key, long Serial)> _flows = [];
    private readonly Dictionary<string, byte> _ports;
    private readonly List<SinkPort> _sinks = [];
    private readonly long[] _verdicts = new long[(int)Verdict.Consumed + 1];
    private readonly long[] _reasons = new long[DropReasons.Count];
    private readonly Rehearsed _rehearsed;
    private long _serials;
    private long _ticked;

    /// <summary>A replay of captures through a ruleset.</summary>
    /// <param name="ruleset">What judges.</param>
    /// <param name="captures">What arrives where; the ports exist.</param>
    /// <param name="directory">Where the results go; null for nowhere. It is made where it is missing.</param>
    /// <exception cref="PortException">A capture or a result can't be opened.</exception>
    public Replay(Ruleset ruleset, IReadOnlyCollection<ReplayPort> captures, string? directory)
    {
        _captures = new CaptureMerge(captures);
        try
        {
            if (directory is not null)
            {
                Directory.CreateDirectory(directory);
                _log = new VerdictLog(new FileStream(Path.Combine(directory, "verdicts.jsonl"), FileMode.Create, FileAccess.Write, FileShare.Read, 1 << 16));
            }

            int mtu = Math.Max(Gateway.OrdinaryMtu, _captures.LongestDatagram);
            foreach (PortConfig port in ruleset.Ports)
            {
                _sinks.Add(new SinkPort(
                    directory is null ? null : PcapngWriter.Create(Path.Combine(directory, $"{port.Name}.pcapng")),
                    port.Name,
                    port.Mtu ?? mtu,
                    Gateway.MacInMemory(port))
                {
                    Name = port.Name,
                    Number = port.Number,
                    Side = port.Side,
                });
            }

            _gateway = Gateway.Compose<NoTrace>(ruleset, _sinks, calendar: new LocalCalendar(unixTime: true));
            _gateway.Path.Events.Muted = true;
            _rehearsed = new Rehearsed(_gateway, ruleset, _burst);
        }
        catch
        {
            CloseFiles();
            throw;
        }

        _ports = ruleset.Ports.ToDictionary(static port => port.Name, static port => port.Number);
    }

    /// <summary>Packets that ended so.</summary>
    public long this[Verdict verdict] => _verdicts[(int)verdict];

    /// <summary>Packets that ended for this reason.</summary>
    public long this[DropReason reason] => _reasons[(int)reason];

    /// <summary>How many packets came.</summary>
    public long Packets { get; private set; }

    /// <summary>One line for each capture that was cut short.</summary>
    public IReadOnlyList<string> Failures => _captures.Failures;

    /// <summary>What each port sent.</summary>
    public IEnumerable<(string Port, long Packets)> Sent =>
        _sinks.Select(static port => (port.Name, port.Counters.SentPackets));

    /// <summary>Walks every packet.</summary>
    public void Run()
    {
        while (_captures.TryNext(out MergedFrame frame, out ReplayPort capture))
        {
            Step(frame, capture);
        }

        // What waits at the end (fragments, answers of ours) gets its time.
        Tick(_burst.Now + (120 * 1_000_000_000L));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        CloseFiles();
        _gateway.Dispose();
    }

    private void CloseFiles()
    {
        _log?.Dispose();
        _captures.Dispose();
        _sinks.ForEach(static port => port.Dispose());
    }

    private void Step(MergedFrame frame, ReplayPort capture)
    {
        // A capture's clock may step back; the path's must not.
        Tick(Math.Max(frame.Time, _burst.Now));
        Packets++;
        CaptureIntake.TryAppend(_burst, frame.Bytes, frame.OriginalLength, frame.IsEthernet, out int index);
        ref Packet packet = ref _burst.Packets[index];
        packet.Time = frame.Time;
        packet.Number = Packets;
        string port = frame.IsEthernet && capture.Far is { } far && !IsFromOpener(capture, packet) ? far : capture.Name;
        packet.Ingress = _ports[port];
        Packet ended = _rehearsed.Walk(index);
        _verdicts[(int)ended.Verdict]++;
        _reasons[(int)ended.Reason]++;
        _log?.Write(Packets, frame.Time, port, ended, _gateway.Path.Ruleset, Serial(ended));
    }

    private bool IsFromOpener(ReplayPort capture, in Packet packet)
    {
        // Each pair of ports is a link of its own.
        string link = $"{capture.Name},{capture.Far}";
        if (!_conversations.TryGetValue(link, out Conversations? conversations))
        {
            _conversations.Add(link, conversations = new Conversations());
        }

        Packet looked = packet;
        Parser.Parse(ref looked);
        return conversations.IsFromOpener(looked);
    }

    private void Tick(long now)
    {
        if (_ticked == 0)
        {
            _ticked = now;
        }

        for (int i = 0; i < MostTicks && now - _ticked >= TickInterval; i++)
        {
            _ticked = i == MostTicks - 1 ? now : Math.Min(now, _ticked + Math.Max(TickInterval, (now - _ticked) / 2));
            _rehearsed.Tick(_ticked);
        }

        _burst.Now = now;
    }

    /// <summary>
    /// A number for the packet's flow that no other flow of the replay has: the table gives its own again.
    /// </summary>
    private long Serial(in Packet packet)
    {
        if (packet.Flow == 0)
        {
            return 0;
        }

        ref Flow flow = ref _gateway.Path.Flows[packet.Flow];
        if (!_flows.TryGetValue(packet.Flow, out (long Opened, FlowKey Key, long Serial) known)
            || known.Opened != flow.Opened || known.Key != flow.Opening.Key)
        {
            known = (flow.Opened, flow.Opening.Key, ++_serials);
            _flows[packet.Flow] = known;
        }

        return known.Serial;
    }
}

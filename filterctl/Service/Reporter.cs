using System.Globalization;
using System.Reflection;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Engine.Algs;
using Filter.Engine.Flows;
using Filter.Engine.Flows.Trackers;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Ipsec;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>What a running daemon tells of itself. Status and counters are asked on the worker, between two bursts.</summary>
internal sealed class Reporter(Gateway gateway, Workforce workers, RulesetSwitch rulesets)
{
    private const long Second = 1_000_000_000;

    /// <summary>Packets wait for a status: of thousands of SAs it tells the number.</summary>
    private const int SasInStatus = 20;

    private readonly long _started = WallClock.Monotonic;
    private readonly WorkerLoads? _loads = workers.All.Count == 1 ? null : new WorkerLoads(workers);

    /// <summary>Version of the program.</summary>
    public static string Version { get; } =
        typeof(Reporter).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    /// <summary>How one worker's path stands; asked between two bursts.</summary>
    public static PathState StateOf(PacketPath path) => new(
        path.Flows.Count, path.Flows.Proven, path.Flows.Management, path.Flows.SourcesAtLimit, path.JudgedAgain,
        path.Counters.Disallowed, path.Counters.In, path.Settings.Seat?.Given ?? 0, path.Events.Lost);

    /// <summary>What runs.</summary>
    public StatusReport Status(IReadOnlyList<PathState> states) => new()
    {
        Version = Version,
        Pid = Environment.ProcessId,
        Uptime = (WallClock.Monotonic - _started) / Second,
        Ruleset = rulesets.Current.File,
        Generation = rulesets.Generation,
        ConfirmWithin = rulesets.TrialLeft,
        Flows = states.Sum(static state => (long)state.Flows),
        FlowCapacity = gateway.Path.Flows.Capacity,
        ProvenFlows = states.Sum(static state => (long)state.Proven),
        ManagementFlows = states.Sum(static state => (long)state.Management),
        SourcesAtLimit = states.Sum(static state => (long)state.SourcesAtLimit),
        JudgedAgain = states.Min(static state => state.JudgedAgain),
        Disallowed = states.Sum(static state => state.Disallowed),
        Workers = states.Count == 1 ? null : [.. states.Index().Select(state => Describe(state.Index, state.Item))],
        Ports = Ports(),
        SaCount = gateway.Ipsec?.Sad.Count ?? 0,
        Sas = [.. SaTelling.InOrder((gateway.Ipsec?.Sad.All ?? []).Take(SasInStatus)).Select(static sa => SaTelling.Of(sa, WallClock.Monotonic))],
        Crypto = gateway.Ipsec is { } stage ? [stage.Backend] : [],
        EventsLost = states.Sum(static state => state.EventsLost),
    };

    private WorkerReport Describe(int worker, in PathState state) => new(
        worker, state.Flows, state.In, state.Given, _loads?.Of(worker) ?? 0, gateway.Crew?.Seats[worker].Unsent ?? 0,
        [.. gateway.Ports.Where(port => gateway.OwnerOf(port) == worker).Select(static port => port.Name)]);

    /// <summary>What was counted, but for the rules: there may be many, and packets wait meanwhile.</summary>
    public CountersReport Counters(IReadOnlyList<long> heldNow)
    {
        PathCounters counters = gateway.Counters;
        return new CountersReport
        {
            In = Volatile.Read(ref counters.In),
            Out = Volatile.Read(ref counters.Out),
            Own = Volatile.Read(ref counters.Own),
            Coalesced = Volatile.Read(ref counters.Coalesced),
            Opened = Volatile.Read(ref counters.Opened),
            Expired = Volatile.Read(ref counters.Expired),
            Disallowed = Volatile.Read(ref counters.Disallowed),
            Kept = Volatile.Read(ref counters.Kept),
            Evicted = Volatile.Read(ref counters.Evicted),
            Announced = Volatile.Read(ref counters.Announced),
            Met = Volatile.Read(ref counters.Met),
            Unmet = Volatile.Read(ref counters.ExpectationsExpired) + Volatile.Read(ref counters.ExpectationsGivenUp),
            NoRoom = Volatile.Read(ref counters.ExpectationsRefused),
            Disbelieved = Volatile.Read(ref counters.AnnouncementsRefused),
            HelpersSilent = Volatile.Read(ref counters.HelpersSilent),
            Limits =
            [
                .. Enum.GetValues<Limit>()
                    .Select(limit => new LimitReport(limit.Word(), counters.Limits.GivenUp(limit), counters.Limits.Refused(limit))),
            ],
            HeldNow = heldNow.Sum(),
            Verdicts = [.. Enum.GetValues<Verdict>().Select(verdict => new CountReport(verdict.Word(), counters[verdict]))],
            Reasons =
            [
                .. Enum.GetValues<DropReason>()
                    .Where(reason => reason != DropReason.None && counters[reason] > 0)
                    .Select(reason => new CountReport(reason.Name(), counters[reason])),
            ],
            Rules = [],
            Ports = Ports(),
        };
    }

    /// <summary>What was counted by rule; of rules that are gone, those that ever counted anything.</summary>
    public IReadOnlyList<RuleReport> Rules()
    {
        RuleBook book = gateway.Counters.Rules;
        (long[] packets, long[] ended, long[] limited) = book.Take();
        List<RuleReport> rules = [];
        for (int rule = 1; rule < book.Count; rule++)
        {
            bool gone = rule >= book.Rules;
            if (!gone || packets[rule] + ended[rule] > 0)
            {
                RuleName name = book.Name(rule);
                rules.Add(new RuleReport(name.Name, name.File, name.Line, packets[rule], ended[rule], limited[rule], gone ? true : null));
            }
        }

        return rules;
    }

    /// <summary>A flow, from a copy of its record.</summary>
    /// <param name="worker">Whose it is.</param>
    /// <param name="number">Its number there.</param>
    /// <param name="flow">The copy.</param>
    /// <param name="rule">Its rule, as it is named now.</param>
    /// <param name="now">The path's clock.</param>
    public FlowReport Describe(int worker, int number, in Flow flow, in RuleName rule, long now)
    {
        return new FlowReport
        {
            Flow = Shown(number),
            Line = Openings.Line(flow.Opening, gateway.Ports[flow.Opening.Ingress].Name).ToString(),
            State = State(flow),
            Age = Math.Max(0, now - flow.Opened) / Second,
            Expires = Math.Max(0, flow.Deadline - now) / Second,
            Packets = flow.ForwardPackets,
            Bytes = flow.ForwardBytes,
            ReplyPackets = flow.ReplyPackets,
            ReplyBytes = flow.ReplyBytes,
            Rule = rule.Name,
            Place = EndedLog.PlaceOf(rule),
            Kept = flow.Kept ? true : null,
            Parent = flow.Parent.Number == 0 ? null : Shown(flow.Parent.Number),
            Helper = flow.Helper == HelperKind.None ? null : flow.Helper.Word(),
            Ipsec = flow.ForwardIpsec.Action.Word(),
        };

        int Shown(int flow) => FlowNumbers.Shown(flow, worker, workers.All.Count);
    }

    private static string State(in Flow flow) => flow.Class switch
    {
        FlowClass.Tcp => (TcpPhase)flow.State switch
        {
            TcpPhase.SynSent => "syn-sent",
            TcpPhase.BothSent => "both-sent",
            TcpPhase.SynReceived => "syn-received",
            TcpPhase.Established => "established",
            TcpPhase.Closing => "closing",
            TcpPhase.TimeWait => "time-wait",
            TcpPhase.Resetting => "resetting",
            TcpPhase.Reset => "reset",
            _ => "closed",
        },
        FlowClass.Sctp => (SctpPhase)flow.State switch
        {
            SctpPhase.CookieWait => "cookie-wait",
            SctpPhase.CookieEchoed => "cookie-echoed",
            SctpPhase.Established => "established",
            SctpPhase.ShutdownSent => "shutdown-sent",
            SctpPhase.ShutdownReceived => "shutdown-received",
            SctpPhase.ShutdownBoth => "shutdown-both",
            SctpPhase.ShutdownAckSent => "shutdown-ack-sent",
            SctpPhase.Ended => "ended",
            _ => "closed",
        },
        _ when flow.Pinhole == PinholeKind.OneAnswer => string.Create(CultureInfo.InvariantCulture, $"owes {flow.Owed}"),
        _ => (DatagramPhase)flow.State switch
        {
            DatagramPhase.Lasting => "lasting",
            DatagramPhase.Answered => "answered",
            _ => "opening",
        },
    };

    private PortReport[] Ports() => [.. gateway.Ports.Zip(rulesets.Current.Ports, Describe)];

    private PortReport Describe(Port port, PortConfig config)
    {
        PortCounters counters = port.Counters;
        PortCounters[] sending = [counters, .. gateway.CompanionsOf(port).Select(static other => other.Counters)];
        return new PortReport
        {
            Name = port.Name,
            Device = config.Device,
            Side = port.Side.Word(),
            Driver = port.Driver,
            DriverNote = port.DriverNote,
            Mtu = port.Mtu,
            Failure = port.Failure,
            ReceivedPackets = Volatile.Read(ref counters.ReceivedPackets),
            ReceivedBytes = Volatile.Read(ref counters.ReceivedBytes),
            SentPackets = sending.Sum(static one => Volatile.Read(ref one.SentPackets)),
            SentBytes = sending.Sum(static one => Volatile.Read(ref one.SentBytes)),
            SendErrors = sending.Sum(static one => Volatile.Read(ref one.SendErrors)),
            KernelDrops = Volatile.Read(ref counters.KernelDrops),
        };
    }
}

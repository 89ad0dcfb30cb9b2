using Filter.Ctl.Service;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Rules.Policy;

namespace Filter.Ctl.Rehearsals;

/// <summary>
/// What would become of a packet on a running gateway, which never notices: a second gateway, with ports in memory, gets a copy of
/// the one flow or expectation that the packet would meet, and walks it. For each verdict it asks the rules in force themselves, with
/// their sets and schedules as they stand.
/// </summary>
internal sealed class LiveRehearsal(Gateway gateway, Workforce workers)
{
    /// <summary>One flow, the one that expected it, and what the packet opens.</summary>
    private const int Flows = 16;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);
    private Burst? _burst;

    /// <summary>Rehearses one packet line. Nothing may be put in force meanwhile, and one at a time.</summary>
    /// <exception cref="Refusal">The line can't be read, or nothing says where it arrives.</exception>
    /// <exception cref="TimeoutException">The worker does not answer.</exception>
    public (Outcome Outcome, PathExcerpt Live, int At) Walk(Ruleset ruleset, string line)
    {
        Burst burst = _burst ??= new Burst();
        List<WalkStep> steps = [];
        Dictionary<int, int> known = [];
        IReadOnlyList<Port> ports =
        [
            .. gateway.Ports.Select(port => new MemoryPort(port.Mtu, ruleset.Ports[port.Number].Kind == PortKind.Tap ? port.Mac : 0) { Name = port.Name, Number = port.Number, Side = port.Side, KeepsSent = false }),
        ];
        using Gateway copy = Gateway.Compose(
            ruleset, ports, new StepRecorder(steps, known), Flows, judge: new AskedRuleset(gateway.Path.Ruleset, workers.First));
        using Rehearsal rehearsal = new(ruleset, burst, copy, steps);
        (FlowKey key, byte ingress) = rehearsal.KeyOf(line);
        (PathExcerpt live, int at) = Excerpt(key, ingress);
        foreach ((int own, int number) in copy.Path.Adopt(live))
        {
            known[own] = FlowNumbers.Shown(number, at, workers.All.Count);
        }

        burst.Now = live.Now;
        return (rehearsal.Send(line), live, at);
    }

    /// <summary>What the packet's home knows of it; where that is nothing, another worker may have its endpoint's pinhole.</summary>
    private (PathExcerpt Live, int At) Excerpt(FlowKey key, byte ingress)
    {
        if (gateway.Crew is not { } crew)
        {
            return (Ask(workers.First, path => path.Excerpt(key, ingress, WallClock.Monotonic)), 0);
        }

        PathExcerpt[] all = workers.AskAllAsync(path => path.Excerpt(key, ingress, WallClock.Monotonic)).WaitAsync(s_patience).GetAwaiter().GetResult();
        int home = crew.Homes.Of(key.Source, key.Destination);
        int at = all[home].KnowsIt ? home
            : Array.FindIndex(all, static one => one.KnowsIt) is >= 0 and var other ? other : home;
        return (all[at], at);
    }

    private static T Ask<T>(Worker worker, Func<PacketPath, T> question) =>
        worker.AskAsync(question).WaitAsync(s_patience).GetAwaiter().GetResult();

    /// <summary>The ruleset in force, asked where alone it may be: by the worker, between two bursts.</summary>
    internal sealed class AskedRuleset(IRuleset rules, Worker worker) : IRuleset
    {
        public int RuleCount => rules.RuleCount;

        public RuleKinds Kinds => rules.Kinds;

        public PathPolicy Policy => rules.Policy;

        public IReadOnlyList<string> Policies => rules.Policies;

        public Judgement Judge(in OpeningFacts facts)
        {
            OpeningFacts asked = facts;
            return Ask(worker, _ => rules.Judge(asked));
        }

        public int Next(RuleKinds kind, in OpeningFacts facts, int after)
        {
            OpeningFacts asked = facts;
            return Ask(worker, _ => rules.Next(kind, asked, after));
        }

        public Judgement this[int rule] => rules[rule];

        /// <summary>The time passes for the gateway that runs.</summary>
        public bool Advance(long now) => false;

        public bool PassesEtherType(ushort etherType) => rules.PassesEtherType(etherType);

        public RuleName Name(int rule) => rules.Name(rule);

        public RuleLimit? Limit(int rule) => rules.Limit(rule);

        public IReadOnlyList<FlowTimers> Timers => rules.Timers;
    }
}

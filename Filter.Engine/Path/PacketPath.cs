using Filter.Engine.Flows;
using Filter.Engine.Fragments;
using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Ports;

namespace Filter.Engine.Path;

/// <summary>What a path is built from.</summary>
public sealed record PathSettings
{
    /// <summary>The ports, by number.</summary>
    public required IReadOnlyList<Port> Ports { get; init; }

    /// <summary>The compiled ruleset.</summary>
    public required IRuleset Ruleset { get; init; }

    /// <summary>The IPsec stage; null where everything bypasses.</summary>
    public IIpsecStage? Ipsec { get; init; }

    /// <summary>The gateway's own addresses and routes.</summary>
    public LocalNetwork Local { get; init; } = LocalNetwork.None;

    /// <summary>Most flows, of all workers together.</summary>
    public int Flows { get; init; } = 262_144;

    /// <summary>Its place among several workers; null for the only one.</summary>
    public Seat? Seat { get; init; }

    /// <summary>How much of what came in fragments may wait.</summary>
    public FragmentLimits Fragments { get; init; } = new();
}

/// <summary>
/// The walk, whole: everything that `run`, `replay`, `test` and `explain` do to packets. One worker
/// calls it; nothing in it allocates, throws, blocks or logs.
/// </summary>
public abstract class PacketPath
{
    private protected PacketPath(PathSettings settings)
    {
        Settings = settings;
        Flows = new FlowTable(settings.Flows);
        Ruleset = settings.Ruleset;
        Counters = new PathCounters(Ruleset);
        settings.Seat?.Crew.Join(this, settings.Seat.Number);
    }

    /// <summary>What it was built from.</summary>
    public PathSettings Settings { get; }

    /// <summary>The flows. To be read by the worker alone.</summary>
    public FlowTable Flows { get; }

    /// <summary>What was counted.</summary>
    public PathCounters Counters { get; }

    /// <summary>Drops and logged packets.</summary>
    public EventRing Events { get; } = new();

    /// <summary>Flows that a new policy ended.</summary>
    public Ring<FlowEnd> Ends { get; } = new(1024);

    /// <summary>The ruleset in force.</summary>
    public IRuleset Ruleset { get; private protected set; }

    /// <summary>What the ruleset in force says of the walk as a whole.</summary>
    public PathPolicy Policy => Ruleset.Policy;

    /// <summary>Rises with each reload, and whenever what the ruleset says changes with the time or its sets.</summary>
    public int Generation { get; private protected set; }

    /// <summary>The IPsec stage in force; null where everything bypasses.</summary>
    public IIpsecStage? Ipsec { get; private protected set; }

    /// <summary>Pieces of datagrams and packets for unresolved neighbours that wait.</summary>
    public abstract long HeldNow { get; }

    /// <summary>Walks a burst from its ports to its ports: afterwards each packet has its verdict and egress.</summary>
    public abstract void Walk(Burst burst);

    /// <summary>
    /// What time brings: flows and fragments expire, held packets are given up, neighbours asked again.
    /// Packets to send are appended to the (otherwise empty) burst.
    /// </summary>
    public abstract void Tick(Burst burst);

    /// <summary>Gives a next hop to what other workers have walked to its end. For the first worker, who has the neighbours.</summary>
    public abstract void Resolve(Burst burst);

    /// <summary>Looks at the time before any packet comes: the others of a <see cref="Crew"/> ask a ruleset that its first worker has let look.</summary>
    internal abstract void Begin(long now);

    /// <summary>Does what other workers have asked for meanwhile. Called between bursts by the worker.</summary>
    public abstract void Serve(long now);

    /// <summary>How many hundredths of the flows were judged under the policy in force; null once all were.</summary>
    public abstract int? JudgedAgain { get; }

    /// <summary>
    /// Makes another ruleset ready to be put in force. Not for the worker: it takes its time and memory. One at a time, and
    /// what it gives is published, or forgotten, before the next one is made ready.
    /// </summary>
    /// <param name="ruleset">What comes next.</param>
    /// <param name="keepsFlows">Flows that it does not allow stay nevertheless.</param>
    public abstract Publication Prepare(IRuleset ruleset, bool keepsFlows = false);

    /// <summary>
    /// Puts a new ruleset and IPsec stage in force. Flows are judged again, by their opening: a few at a time by
    /// <see cref="Sweep"/>, or when they next meet a packet. Called between bursts by the worker.
    /// </summary>
    public abstract void Publish(Publication ready, IIpsecStage? ipsec);

    /// <summary>Makes a ruleset ready and puts it in force at once: for whoever has no packets that wait.</summary>
    public void Publish(IRuleset ruleset, IIpsecStage? ipsec) => Publish(Prepare(ruleset), ipsec);

    /// <summary>
    /// Judges flows again that no packet has met since the policy changed. <see cref="Tick"/> does some; the worker more, a few
    /// between two bursts.
    /// </summary>
    /// <param name="now">The path's clock.</param>
    /// <param name="most">Most records to look at.</param>
    /// <returns>Whether any are left.</returns>
    public abstract bool Sweep(long now, int most);

    /// <summary>
    /// Ends flows whose time is over, where the last <see cref="Tick"/> has left some: for the worker to call between two bursts, so that
    /// however many end at once, no packet waits for all of them.
    /// </summary>
    /// <param name="now">The path's clock.</param>
    /// <param name="most">Most flows to look at.</param>
    /// <returns>Whether any may be left.</returns>
    public abstract bool Reclaim(long now, int most);

    /// <summary>The rule by which a flow was let in, as it is named now.</summary>
    public abstract RuleName RuleOf(in Flow flow);

    /// <summary>
    /// Copies what this path knows of a packet with this key that would come in by this port. For the worker to call; changes
    /// nothing.
    /// </summary>
    public abstract PathExcerpt Excerpt(in FlowKey key, byte ingress, long now);

    /// <summary>Puts an excerpt of another path in this one, whose tables are empty, and that has the same ruleset.</summary>
    /// <returns>By this path's numbers of flows, the other one's.</returns>
    public abstract IReadOnlyDictionary<int, int> Adopt(PathExcerpt excerpt);
}

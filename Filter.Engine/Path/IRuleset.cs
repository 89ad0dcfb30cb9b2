using Filter.Engine.Algs;
using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <summary>What keeps a pinhole open.</summary>
public enum PinholeKind : byte
{
    /// <summary>The flow's state and timers.</summary>
    Flow,

    /// <summary>Each datagram that went out earns one answer; closed as soon as none is owed.</summary>
    OneAnswer,

    /// <summary>As <see cref="Flow"/>; and the host spoken to reaches the endpoint inside from any of its ports (RFC 4787 §5).</summary>
    AddressDependent,

    /// <summary>As <see cref="Flow"/>; and every host outside reaches the endpoint inside (RFC 4787 §5).</summary>
    EndpointIndependent,
}

/// <summary>The words for pinholes, as rulesets and traces spell them.</summary>
public static class PinholeKinds
{
    /// <summary>"one-answer" for <see cref="PinholeKind.OneAnswer"/>.</summary>
    public static string Word(this PinholeKind pinhole) => pinhole switch
    {
        PinholeKind.OneAnswer => "one-answer",
        PinholeKind.AddressDependent => "address-dependent",
        PinholeKind.EndpointIndependent => "endpoint-independent",
        _ => "flow",
    };
}

/// <summary>What a ruleset says of an opening.</summary>
/// <param name="Verdict">Pass, Drop or Reject.</param>
/// <param name="Rule">The rule that said so; see <see cref="IRuleset.RuleCount"/>.</param>
/// <param name="Pinhole">The kind of pinhole a pass opens.</param>
/// <param name="Limited">The rule has a rate limit: charge it before passing.</param>
/// <param name="Log">Tell the event ring.</param>
/// <param name="IsDefault">No rule matched: the default of its direction spoke.</param>
public readonly record struct Judgement(
    Verdict Verdict, int Rule, PinholeKind Pinhole, bool Limited, bool Log, bool IsDefault)
{
    /// <summary>
    /// A TCP segment in the middle of a connection may open a flow: its windows are not known, so none is checked
    /// (RFC 6092 REC-32).
    /// </summary>
    public bool Midstream { get; init; }

    /// <summary>Who reads along, and lets in what the flow's ends announce.</summary>
    public HelperKind Helper { get; init; }

    /// <summary>Of ICMP the rule matches only types that it names, so that it may let obsolete ones pass (RFC 4890 §4.3.5).</summary>
    public bool NamesIcmp { get; init; }

    /// <summary>Its flows may use the part of the table that is kept for such.</summary>
    public bool Management { get; init; }

    /// <summary>The rule counts what it matches and decides nothing: the verdict is none.</summary>
    public bool Counts { get; init; }

    /// <summary>The rule looks at each packet of the flows that rules below it let in.</summary>
    public bool EachPacket { get; init; }

    /// <summary>Which of <see cref="IRuleset.Timers"/>, from 1, its flows have; 0 for those of the policy.</summary>
    public byte Timers { get; init; }
}

/// <summary>Rules that do more than judge openings. Of each kind a ruleset may have none, and then nobody asks.</summary>
[Flags]
public enum RuleKinds : byte
{
    /// <summary>No such rule.</summary>
    None = 0,

    /// <summary>Rules that count and decide nothing.</summary>
    Counting = 1,

    /// <summary>Rules that look at each packet; those among them that count, too.</summary>
    EachPacket = 2,
}

/// <summary>A rule's name and place, for people.</summary>
/// <param name="Name">Unique in its ruleset; the defaults are "default out", "default in", "default across".</param>
/// <param name="File">The file it stands in.</param>
/// <param name="Line">Its line, from 1; 0 for a default that is not written.</param>
public readonly record struct RuleName(string Name, string File, int Line);

/// <summary>A rate: a bucket of <paramref name="Burst"/> tokens, one more each <paramref name="Interval"/>.</summary>
/// <param name="Interval">Nanoseconds that earn one token; at least 1.</param>
/// <param name="Burst">Most tokens; at least 1.</param>
public readonly record struct RateLimit(long Interval, int Burst);

/// <summary>
/// The engine's view of a compiled ruleset. Immutable; asked once a flow, and once a packet for what
/// is not tracked. Never allocates, never throws.
/// </summary>
public interface IRuleset
{
    /// <summary>
    /// One more than the largest rule number. Rule 0 is "none"; the rules follow from 1 in file order,
    /// and behind them the three defaults (out, in, across).
    /// </summary>
    int RuleCount { get; }

    /// <summary>What it says of the walk as a whole. The same object each time.</summary>
    PathPolicy Policy { get; }

    /// <summary>First match wins, those that only count left aside; else the default for the direction.</summary>
    Judgement Judge(in OpeningFacts facts);

    /// <summary>The kinds of rules it has; the two members below are for those.</summary>
    RuleKinds Kinds => RuleKinds.None;

    /// <summary>The next rule of a kind that matches.</summary>
    /// <param name="kind">One kind.</param>
    /// <param name="facts">Those of the packet at hand.</param>
    /// <param name="after">The rule behind which is looked; 0 for all.</param>
    /// <returns>The rule's number; 0 where none is left.</returns>
    int Next(RuleKinds kind, in OpeningFacts facts, int after) => 0;

    /// <summary>What a rule or default says of what it matches.</summary>
    Judgement this[int rule] => default;

    /// <summary>
    /// Lets it look at the time, and at what changes beside its rules: sets, schedules. Called with each tick and before it is
    /// first asked; what it finds holds for all judgements until it is called again.
    /// </summary>
    /// <param name="now">Nanoseconds on the path's clock.</param>
    /// <returns>Whether it may judge otherwise than before: flows are then judged again.</returns>
    bool Advance(long now);

    /// <summary>Names of the IPsec policies, the first of which has number 1: a flow remembers by which it was opened.</summary>
    IReadOnlyList<string> Policies => [];

    /// <summary>Whether a frame that is neither IPv4 nor IPv6 goes on, by its ethertype (ARP included).</summary>
    bool PassesEtherType(ushort etherType);

    /// <summary>The rule's name and place.</summary>
    RuleName Name(int rule);

    /// <summary>How much the rule lets in; null for no limit.</summary>
    RuleLimit? Limit(int rule);

    /// <summary>The timers that rules set for their flows; at most 255.</summary>
    IReadOnlyList<FlowTimers> Timers => [];
}

using Filter.Rules.Analysis;

namespace Filter.Ctl.Control;

/// <summary>What `status` shows.</summary>
internal sealed record StatusReport
{
    /// <summary>Version of the program.</summary>
    public required string Version { get; init; }

    /// <summary>Process id of the daemon.</summary>
    public required int Pid { get; init; }

    /// <summary>Seconds since it started.</summary>
    public required long Uptime { get; init; }

    /// <summary>The ruleset that runs.</summary>
    public required string Ruleset { get; init; }

    /// <summary>How many rulesets this daemon has run, from 1.</summary>
    public required int Generation { get; init; }

    /// <summary>Seconds until it goes back by itself; null where nothing waits for `confirm`.</summary>
    public long? ConfirmWithin { get; init; }

    /// <summary>Flows now.</summary>
    public required long Flows { get; init; }

    /// <summary>Room for flows.</summary>
    public required long FlowCapacity { get; init; }

    /// <summary>Flows now of which both ends have shown that they are there: no limit gives them up.</summary>
    public required long ProvenFlows { get; init; }

    /// <summary>Flows now that rules marked `management` let in.</summary>
    public required long ManagementFlows { get; init; }

    /// <summary>Sources that have as many flows as one may.</summary>
    public required long SourcesAtLimit { get; init; }

    /// <summary>How many hundredths of the flows were judged under the policy in force; null once all were.</summary>
    public int? JudgedAgain { get; init; }

    /// <summary>Flows that a new policy ended, since the start.</summary>
    public required long Disallowed { get; init; }

    /// <summary>The workers, where there are several.</summary>
    public IReadOnlyList<WorkerReport>? Workers { get; init; }

    /// <summary>The ports, in the ruleset's order.</summary>
    public required IReadOnlyList<PortReport> Ports { get; init; }

    /// <summary>How many SAs there are, both directions.</summary>
    public required long SaCount { get; init; }

    /// <summary>The SAs; of more than twenty the first twenty.</summary>
    public required IReadOnlyList<SaReport> Sas { get; init; }

    /// <summary>How it stands with the peers of IKE; null where the ruleset names none.</summary>
    public IkeSummaryReply? Ike { get; init; }

    /// <summary>The crypto libraries in use.</summary>
    public required IReadOnlyList<string> Crypto { get; init; }

    /// <summary>Events for the log that were lost because they came too fast.</summary>
    public required long EventsLost { get; init; }
}

/// <summary>One of several workers.</summary>
/// <param name="Worker">Its number, from 0.</param>
/// <param name="Flows">Flows that it has.</param>
/// <param name="In">Packets that it walked to their end.</param>
/// <param name="Given">Packets that came to it and were another's.</param>
/// <param name="Load">Hundredths of the last seconds in which it had something to do.</param>
/// <param name="Unsent">Packets that passed, but found no room on the way to the worker whose port they leave by.</param>
/// <param name="Ports">The ports whose packets come in at it.</param>
internal sealed record WorkerReport(int Worker, long Flows, long In, long Given, int Load, long Unsent, IReadOnlyList<string> Ports);

/// <summary>A port and what it counted.</summary>
internal sealed record PortReport
{
    /// <summary>Its name in the ruleset.</summary>
    public required string Name { get; init; }

    /// <summary>The NIC or TAP.</summary>
    public required string Device { get; init; }

    /// <summary>protected or unprotected.</summary>
    public required string Side { get; init; }

    /// <summary>packet, ring, xdp, xdp-generic, pcap or tap.</summary>
    public required string Driver { get; init; }

    /// <summary>How the driver runs, or why it was taken before another; null where there is nothing to say.</summary>
    public string? DriverNote { get; init; }

    /// <summary>Largest IP packet, in bytes.</summary>
    public required int Mtu { get; init; }

    /// <summary>Why it no longer works; null where it does.</summary>
    public string? Failure { get; init; }

    /// <summary>Frames that came in; a super-frame is one.</summary>
    public required long ReceivedPackets { get; init; }

    /// <summary>Their bytes.</summary>
    public required long ReceivedBytes { get; init; }

    /// <summary>Frames that went out.</summary>
    public required long SentPackets { get; init; }

    /// <summary>Their bytes.</summary>
    public required long SentBytes { get; init; }

    /// <summary>Frames that the device refused.</summary>
    public required long SendErrors { get; init; }

    /// <summary>Frames that the kernel lost before Filter read them.</summary>
    public required long KernelDrops { get; init; }
}

/// <summary>What `counters` shows.</summary>
internal sealed record CountersReport
{
    /// <summary>Packets that came in.</summary>
    public required long In { get; init; }

    /// <summary>Frames that went out, copies included.</summary>
    public required long Out { get; init; }

    /// <summary>Packets that Filter made itself.</summary>
    public required long Own { get; init; }

    /// <summary>Packets that left within another, as part of a super-frame.</summary>
    public long Coalesced { get; init; }

    /// <summary>Flows opened.</summary>
    public required long Opened { get; init; }

    /// <summary>Flows that ended by their timer.</summary>
    public required long Expired { get; init; }

    /// <summary>Flows that a new policy no longer allowed; see <see cref="RuleReport.Ended"/>.</summary>
    public required long Disallowed { get; init; }

    /// <summary>Flows that a new policy would not have allowed, and that `--keep-flows` left.</summary>
    public required long Kept { get; init; }

    /// <summary>Flows, none of them proven, that were given up for others: the sum of <see cref="Limits"/>.</summary>
    public required long Evicted { get; init; }

    /// <summary>Flows that helpers heard announced, and so expected.</summary>
    public required long Announced { get; init; }

    /// <summary>Flows that came because they were expected, or by a pinhole that is open for others too.</summary>
    public required long Met { get; init; }

    /// <summary>Expectations that nobody met in time, or that their flow gave up for further ones.</summary>
    public required long Unmet { get; init; }

    /// <summary>Expectations, pinholes for others and helpers that found no room.</summary>
    public required long NoRoom { get; init; }

    /// <summary>Announcements that were not believed.</summary>
    public required long Disbelieved { get; init; }

    /// <summary>Helpers that stopped reading: sealed, or another protocol.</summary>
    public required long HelpersSilent { get; init; }

    /// <summary>What each limit cost.</summary>
    public required IReadOnlyList<LimitReport> Limits { get; init; }

    /// <summary>Packets that wait now: pieces of datagrams, and those whose next hop is not known yet.</summary>
    public required long HeldNow { get; init; }

    /// <summary>Packets by what became of them.</summary>
    public required IReadOnlyList<CountReport> Verdicts { get; init; }

    /// <summary>Packets that ended, by reason; those with none are left out.</summary>
    public required IReadOnlyList<CountReport> Reasons { get; init; }

    /// <summary>Every rule; and behind them rules of earlier rulesets, whose names this one does not have.</summary>
    public required IReadOnlyList<RuleReport> Rules { get; init; }

    /// <summary>Every port.</summary>
    public required IReadOnlyList<PortReport> Ports { get; init; }
}

/// <summary>A limit and how often it bit.</summary>
/// <param name="Name">table, half-open, source-flows, source-rate or answers.</param>
/// <param name="GivenUp">Flows given up for others.</param>
/// <param name="Refused">Openings dropped, or answers not given.</param>
internal sealed record LimitReport(string Name, long GivenUp, long Refused);

/// <summary>A name and how often.</summary>
internal sealed record CountReport(string Name, long Packets);

/// <summary>A rule and how often it decided.</summary>
/// <param name="Name">Its name.</param>
/// <param name="File">The file it stands in.</param>
/// <param name="Line">Its line; 0 for a default that is not written.</param>
/// <param name="Packets">Packets it decided, those of its flows included, since the start.</param>
/// <param name="Ended">Flows it had let in and a new policy ended, since the start.</param>
/// <param name="Limited">Packets that its limits kept out, since the start; they are among <paramref name="Packets"/>.</param>
/// <param name="Gone">The ruleset in force has no rule of this name; its place is where it last was. Else null.</param>
internal sealed record RuleReport(string Name, string File, int Line, long Packets, long Ended, long Limited, bool? Gone);

/// <summary>What a reload did.</summary>
internal sealed record ReloadReport
{
    /// <summary>Milliseconds to read, check and compile it.</summary>
    public required long Milliseconds { get; init; }

    /// <summary>Microseconds that the worker took to put it in force: so long packets waited for it.</summary>
    public required long Switched { get; init; }

    /// <summary>How many rulesets this daemon has run by now.</summary>
    public required int Generation { get; init; }

    /// <summary>Rules whose name is new.</summary>
    public required int Added { get; init; }

    /// <summary>Rules whose name is gone.</summary>
    public required int Removed { get; init; }

    /// <summary>Rules that say something else under the same name.</summary>
    public required int Changed { get; init; }

    /// <summary>Rules in another order.</summary>
    public required int Moved { get; init; }

    /// <summary>Flows that it ended so far.</summary>
    public required long Ended { get; init; }

    /// <summary>Flows that it would have ended, but was told to keep, so far.</summary>
    public required long Kept { get; init; }

    /// <summary>How many hundredths of the flows were judged again so far; null where all were.</summary>
    public int? JudgedAgain { get; init; }
}

/// <summary>The walk of one packet.</summary>
internal sealed record ExplainReport
{
    /// <summary>The packet line, with its port.</summary>
    public required string Line { get; init; }

    /// <summary>pass, drop, reject, held, answered or consumed.</summary>
    public required string Verdict { get; init; }

    /// <summary>Why it ended; null where it passed.</summary>
    public string? Reason { get; init; }

    /// <summary>The rule that decided; null where none did.</summary>
    public string? Rule { get; init; }

    /// <summary>Where it stands: file:line.</summary>
    public string? Place { get; init; }

    /// <summary>The rules that counted it and decided nothing.</summary>
    public required IReadOnlyList<string> CountedBy { get; init; }

    /// <summary>bypass, protect or opened; null where IPsec had no say.</summary>
    public string? Ipsec { get; init; }

    /// <summary>The ports it would leave by.</summary>
    public required IReadOnlyList<string> Egress { get; init; }

    /// <summary>The steps.</summary>
    public required IReadOnlyList<StepReport> Steps { get; init; }

    /// <summary>The verdict in one line.</summary>
    public required string Sentence { get; init; }

    /// <summary>Of a running gateway: the flow that the packet belongs to, as it stands; null for none.</summary>
    public FlowReport? Flow { get; init; }
}

/// <summary>A step of a walk.</summary>
internal sealed record StepReport(string Step, string What);

/// <summary>What another ruleset does otherwise.</summary>
internal sealed record DifferenceReport
{
    /// <summary>Nothing differs.</summary>
    public required bool Same { get; init; }

    /// <summary>False where ports differ, so that no packet is the same to both.</summary>
    public required bool Comparable { get; init; }

    /// <summary>How many pairs of rules decide differently on the same packet.</summary>
    public required int Count { get; init; }

    /// <summary>The pairs, or of a multitude the first.</summary>
    public required IReadOnlyList<PairReport> Pairs { get; init; }

    /// <summary>What differs beside the decisions on openings.</summary>
    public required IReadOnlyList<string> Beside { get; init; }

    /// <summary>From the analysis, with so many pairs at most.</summary>
    public static DifferenceReport Of(RulesetDifference difference, int most = int.MaxValue) => new()
    {
        Same = difference.IsNone,
        Comparable = difference.Comparable,
        Count = difference.Pairs.Length,
        Pairs =
        [
            .. difference.Pairs.Take(most).Select(static pair => new PairReport(
                pair.Before, pair.BeforeAt, pair.BeforeDoes, pair.After, pair.AfterAt, pair.AfterDoes, WitnessReport.Of(pair.Witness))),
        ],
        Beside = difference.Beside,
    };
}

/// <summary>Two rules, or defaults, that decide differently on the same packet: each with its place, empty where none is written, and what it does.</summary>
internal sealed record PairReport(string Before, string BeforeAt, string BeforeDoes, string After, string AfterAt, string AfterDoes, WitnessReport? Witness);

/// <summary>A packet that shows something.</summary>
/// <param name="Line">The packet, as `explain` takes it.</param>
/// <param name="Minute">The minute of the week it comes in; null for any.</param>
/// <param name="Given">What must be so of sets that change.</param>
/// <param name="Text">All of it for people.</param>
internal sealed record WitnessReport(string Line, int? Minute, IReadOnlyList<string> Given, string Text)
{
    /// <summary>From the analysis; null for none.</summary>
    public static WitnessReport? Of(Witness? witness) =>
        witness is null ? null : new(witness.Line.ToString(), witness.Minute, witness.Held, witness.ToString());
}

/// <summary>A flow.</summary>
internal sealed record FlowReport
{
    /// <summary>Its number.</summary>
    public required long Flow { get; init; }

    /// <summary>Its opening as a packet line.</summary>
    public required string Line { get; init; }

    /// <summary>The tracker's word for its state.</summary>
    public required string State { get; init; }

    /// <summary>Seconds since it was opened.</summary>
    public required long Age { get; init; }

    /// <summary>Seconds until it ends if nothing comes.</summary>
    public required long Expires { get; init; }

    /// <summary>Packets in the direction of its opening.</summary>
    public required long Packets { get; init; }

    /// <summary>Their bytes.</summary>
    public required long Bytes { get; init; }

    /// <summary>Packets against it.</summary>
    public required long ReplyPackets { get; init; }

    /// <summary>Their bytes.</summary>
    public required long ReplyBytes { get; init; }

    /// <summary>The rule that opened it.</summary>
    public string? Rule { get; init; }

    /// <summary>Where that rule stands, or last stood: file:line.</summary>
    public string? Place { get; init; }

    /// <summary>The rules in force do not allow it: `reload --keep-flows` left it. Else null.</summary>
    public bool? Kept { get; init; }

    /// <summary>The flow that expected it; null where the rules let it in, or where that flow has ended.</summary>
    public long? Parent { get; init; }

    /// <summary>Who reads along: ftp, tftp or sip; null for nobody.</summary>
    public string? Helper { get; init; }

    /// <summary>bypass, protect or opened; null within one side.</summary>
    public string? Ipsec { get; init; }
}

/// <summary>A packet that ended, or that a rule logs; or a flow that a new policy ended.</summary>
internal sealed record PacketEvent
{
    /// <summary>Unix time in seconds.</summary>
    public required decimal Time { get; init; }

    /// <summary>pass, drop, reject, held, answered or consumed; of a flow: ended.</summary>
    public required string Verdict { get; init; }

    /// <summary>The packet line; of a flow: of its opening, as `explain` takes it.</summary>
    public required string Line { get; init; }

    /// <summary>Why it ended; null where it passed.</summary>
    public string? Reason { get; init; }

    /// <summary>The rule that decided.</summary>
    public string? Rule { get; init; }

    /// <summary>Where the rule stands: file:line.</summary>
    public string? Place { get; init; }

    /// <summary>The flow's number; null of a packet.</summary>
    public long? Flow { get; init; }

    /// <summary>Seconds that the flow had lived; null of a packet.</summary>
    public long? Age { get; init; }

    /// <summary>The rule that had let the flow in; null of a packet.</summary>
    public string? Was { get; init; }

    /// <summary>Where that rule stands, or last stood.</summary>
    public string? WasPlace { get; init; }

    /// <summary>By whom, and what it was before: " by web (a.yaml:7)"; empty where no rule had a say.</summary>
    public string Deciders() =>
        (Rule is null ? "" : $" by {Rule}{(Place is null ? "" : $" ({Place})")}")
        + (Was is null ? "" : $", was let in by {Was}{(WasPlace is null ? "" : $" ({WasPlace})")}");
}

/// <summary>A line of the daemon's log, for `run --json`.</summary>
/// <param name="Time">When, as ISO 8601.</param>
/// <param name="Message">What.</param>
internal sealed record LogLine(string Time, string Message);

/// <summary>A set that changes, or a piece of it.</summary>
internal sealed record SetReport
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>live, names, or prefix-of and the port.</summary>
    public required string Source { get; init; }

    /// <summary>How many elements it has, beside what the ruleset writes into it for good.</summary>
    public required long Count { get; init; }

    /// <summary>Most elements; null where nobody adds any.</summary>
    public long? Size { get; init; }

    /// <summary>What is wrong with it; null where nothing is.</summary>
    public string? Trouble { get; init; }

    /// <summary>Elements.</summary>
    public required IReadOnlyList<ElementReport> Elements { get; init; }
}

/// <summary>An element of a set.</summary>
/// <param name="Element">An address, a prefix or a range.</param>
/// <param name="Left">Seconds that it stays; null for ever.</param>
internal sealed record ElementReport(string Element, long? Left);

namespace Filter.Ctl.Control;

/// <summary>
/// What a verb asks of the daemon: one JSON object a line, at most <see cref="ControlServer.MaxRequest"/> bytes.
/// </summary>
/// <param name="Verb">status, flows, delete, counters, drops, explain, diff, set, sa, policy, ike, capture, reload, confirm or stop.</param>
internal sealed record ControlRequest(string Verb)
{
    /// <summary>reload, diff: the ruleset's absolute path; null for the one that runs. sa: what messages call the text.</summary>
    public string? File { get; init; }

    /// <summary>reload: seconds after which it goes back unless confirmed.</summary>
    public int? Confirm { get; init; }

    /// <summary>reload: flows that it does not allow stay.</summary>
    public bool KeepFlows { get; init; }

    /// <summary>stop: give the ports back as they were before Filter.</summary>
    public bool Restore { get; init; }

    /// <summary>explain, policy: the packet line.</summary>
    public string? Line { get; init; }

    /// <summary>set: which; null for all.</summary>
    public string? Set { get; init; }

    /// <summary>set: the elements that are added or deleted.</summary>
    public IReadOnlyList<string>? Elements { get; init; }

    /// <summary>set: how many seconds added elements stay; null for as long as the set says.</summary>
    public long? Timeout { get; init; }

    /// <summary>sa: which, by name or SPI; null for all.</summary>
    public string? Sa { get; init; }

    /// <summary>sa: with their keys, for root alone.</summary>
    public bool ShowKeys { get; init; }

    /// <summary>sa: the SAs to add, in the words of a ruleset.</summary>
    public string? Text { get; init; }

    /// <summary>sa: where key files that the text names are looked for; an absolute path.</summary>
    public string? Folder { get; init; }

    /// <summary>sa: those of this policy alone. policy: which; null for all.</summary>
    public string? Policy { get; init; }

    /// <summary>flows, delete: which of them; null for all. set, sa, policy: list, show, add, delete, flush or explain. ike: list, show, up, down, rekey or keys.</summary>
    public string? Match { get; init; }

    /// <summary>ike: the peer, or a policy of it; null for all.</summary>
    public string? Peer { get; init; }

    /// <summary>capture: what comes out of SAs too.</summary>
    public bool Decrypt { get; init; }

    /// <summary>capture: this port alone; null for all.</summary>
    public string? Port { get; init; }

    /// <summary>flows, sa: most rows to give.</summary>
    public int? Limit { get; init; }
}

/// <summary>
/// What the daemon answers: one JSON object a line. Lists come in several, each but the last with
/// <see cref="More"/>; `drops` gives one for each event, without end.
/// </summary>
internal sealed record ControlResponse
{
    /// <summary>Whether it was done.</summary>
    public bool Ok { get; init; } = true;

    /// <summary>Why not, in one line.</summary>
    public string? Error { get; init; }

    /// <summary>What was done, in one line.</summary>
    public string? Message { get; init; }

    /// <summary>Findings in a ruleset, each as the compiler writes it.</summary>
    public IReadOnlyList<string>? Diagnostics { get; init; }

    /// <summary>What a reload did.</summary>
    public ReloadReport? Reload { get; init; }

    /// <summary>Another line of the same answer follows.</summary>
    public bool More { get; init; }

    /// <summary>Answer to status.</summary>
    public StatusReport? Status { get; init; }

    /// <summary>Answer to counters.</summary>
    public CountersReport? Counters { get; init; }

    /// <summary>Answer to flows.</summary>
    public IReadOnlyList<FlowReport>? Flows { get; init; }

    /// <summary>Answer to explain.</summary>
    public ExplainReport? Explained { get; init; }

    /// <summary>Answer to diff.</summary>
    public DifferenceReport? Difference { get; init; }

    /// <summary>A set, or a piece of one, in an answer to set.</summary>
    public SetReport? Set { get; init; }

    /// <summary>SAs, or some of them, in an answer to sa.</summary>
    public IReadOnlyList<SaReport>? Sas { get; init; }

    /// <summary>Policies, in an answer to policy.</summary>
    public IReadOnlyList<PolicyReport>? Policies { get; init; }

    /// <summary>What policy says of a packet, in an answer to policy.</summary>
    public IReadOnlyList<PolicyWalkReport>? PolicyWalks { get; init; }

    /// <summary>Peers, in an answer to ike.</summary>
    public IReadOnlyList<IkePeerReply>? Peers { get; init; }

    /// <summary>What came and went of IKE, in an answer to ike.</summary>
    public IkeTrafficReply? IkeTraffic { get; init; }

    /// <summary>Lines of Wireshark's table of IKE SAs, for root who asked for them.</summary>
    public IReadOnlyList<string>? IkeKeys { get; init; }

    /// <summary>How many flows or SAs there are, or were deleted; how many elements were added or left.</summary>
    public long? Count { get; init; }

    /// <summary>The ports by number, where a capture begins.</summary>
    public IReadOnlyList<string>? Interfaces { get; init; }

    /// <summary>Frames, of a capture.</summary>
    public IReadOnlyList<FrameReport>? Frames { get; init; }

    /// <summary>A packet that ended, for drops.</summary>
    public PacketEvent? Event { get; init; }

    /// <summary>Events, or frames, that this listener lost since the last line, because it read too slowly.</summary>
    public long? Lost { get; init; }

    /// <summary>A refusal.</summary>
    public static ControlResponse Refuse(string why) => new() { Ok = false, Error = why };
}

/// <summary>A captured frame.</summary>
/// <param name="Port">The number of the port.</param>
/// <param name="Point">in, out or opened.</param>
/// <param name="Time">Nanoseconds since 1970.</param>
/// <param name="Original">How long it was.</param>
/// <param name="Data">What was copied.</param>
internal sealed record FrameReport(int Port, string Point, long Time, int Original, byte[] Data);

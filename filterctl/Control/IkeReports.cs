namespace Filter.Ctl.Control;

/// <summary>A peer of IKE, what is configured of it, and how it stands.</summary>
internal sealed record IkePeerReply
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Where it stands: file:line; null where the ruleset in force has just lost it.</summary>
    public string? Place { get; init; }

    /// <summary>down (configured, and nothing is up), connecting or up.</summary>
    public required string State { get; init; }

    /// <summary>Our end; null for any of our addresses.</summary>
    public string? Local { get; init; }

    /// <summary>The far end, or where the peer may come from: "any" for anywhere.</summary>
    public required string Remote { get; init; }

    /// <summary>Who we say we are.</summary>
    public required string Identity { get; init; }

    /// <summary>Who the peer has to be.</summary>
    public required string PeerIdentity { get; init; }

    /// <summary>How we prove who we are: PSK, certificate or public key.</summary>
    public required string Proof { get; init; }

    /// <summary>How the peer has to.</summary>
    public required string PeerProof { get; init; }

    /// <summary>on-demand, at-once or never.</summary>
    public required string Start { get; init; }

    /// <summary>What is proposed for the IKE SA, best first.</summary>
    public required IReadOnlyList<string> Proposals { get; init; }

    /// <summary>Seconds until it is tried again; null where it is not.</summary>
    public long? RetryIn { get; init; }

    /// <summary>The policies that name it.</summary>
    public required IReadOnlyList<IkePolicyReply> Policies { get; init; }

    /// <summary>IKE SAs with it.</summary>
    public required IReadOnlyList<IkeSaReply> Sas { get; init; }

    /// <summary>What went wrong last, and has not gone well since; null for nothing.</summary>
    public IkeFailureReply? Failure { get; init; }
}

/// <summary>A policy with automatic keys.</summary>
/// <param name="Name">Its name.</param>
/// <param name="State">up, or down: configured, and no SA carries it.</param>
/// <param name="Children">Pairs of SAs that carry it.</param>
/// <param name="Suites">Algorithms that are proposed for them, best first.</param>
/// <param name="Failure">What went wrong last with it; null for nothing.</param>
internal sealed record IkePolicyReply(string Name, string State, int Children, IReadOnlyList<string> Suites, IkeFailureReply? Failure);

/// <summary>An IKE SA.</summary>
internal sealed record IkeSaReply
{
    /// <summary>Both SPIs: 16 hex digits each, who began it first.</summary>
    public required string Spis { get; init; }

    /// <summary>Whether we began it.</summary>
    public required bool Initiator { get; init; }

    /// <summary>connecting, authenticating, up, replaced, closing or closed.</summary>
    public required string State { get; init; }

    /// <summary>Our end, with its port.</summary>
    public required string Local { get; init; }

    /// <summary>The far end, as it is seen from here, with its port.</summary>
    public required string Remote { get; init; }

    /// <summary>Who the peer has proved to be; null until then.</summary>
    public string? PeerIdentity { get; init; }

    /// <summary>The algorithms; null until they are agreed on.</summary>
    public string? Suite { get; init; }

    /// <summary>Seconds since it began.</summary>
    public required long Age { get; init; }

    /// <summary>Seconds until its keys are renewed; null for never.</summary>
    public long? RekeyIn { get; init; }

    /// <summary>Who stands behind a device that translates addresses: we, peer or both; null for nobody.</summary>
    public string? Translated { get; init; }

    /// <summary>Addresses that one end got from the other; null for none.</summary>
    public IReadOnlyList<string>? Given { get; init; }

    /// <summary>Its children.</summary>
    public required IReadOnlyList<IkeChildReply> Children { get; init; }
}

/// <summary>A child: a pair of SAs of ESP or AH.</summary>
/// <param name="Name">Its name, as `filterctl sa` has it.</param>
/// <param name="Policy">The policy that it carries.</param>
/// <param name="State">receiving, up, replaced or gone.</param>
/// <param name="Protocol">esp or ah.</param>
/// <param name="Mode">tunnel or transport.</param>
/// <param name="Suite">The algorithms.</param>
/// <param name="In">The SPI of what comes, as 0x with eight digits.</param>
/// <param name="Out">The SPI of what goes.</param>
/// <param name="Local">Traffic on our side.</param>
/// <param name="Remote">Traffic on the peer's side.</param>
/// <param name="Age">Seconds since it began.</param>
internal sealed record IkeChildReply(
    string Name, string Policy, string State, string Protocol, string Mode, string Suite, string In, string Out, string Local, string Remote, long Age);

/// <summary>Why something was not agreed on.</summary>
internal sealed record IkeFailureReply
{
    /// <summary>no-answer, no-proposal, selectors, authentication, address, refused or here.</summary>
    public required string Kind { get; init; }

    /// <summary>All of it in one line.</summary>
    public required string Text { get; init; }

    /// <summary>Seconds since then.</summary>
    public required long Age { get; init; }

    /// <summary>What we propose or accept; null where it is about neither proposals nor selectors.</summary>
    public IReadOnlyList<string>? Ours { get; init; }

    /// <summary>The same of the peer; empty where it did not say.</summary>
    public IReadOnlyList<string>? Theirs { get; init; }

    /// <summary>The first thing that they have not in common.</summary>
    public string? Differs { get; init; }

    /// <summary>What was expected of the peer.</summary>
    public string? Expected { get; init; }

    /// <summary>What came instead.</summary>
    public string? Found { get; init; }

    /// <summary>Whether nobody has proved that he said so.</summary>
    public bool Unproven { get; init; }
}

/// <summary>What came and went of IKE since the daemon started.</summary>
/// <param name="Received">Datagrams that came.</param>
/// <param name="Sent">Datagrams that went.</param>
/// <param name="Retransmitted">Of those, what was sent again.</param>
/// <param name="Refused">What was of no use, by cause; causes of which there was none are left out.</param>
internal sealed record IkeTrafficReply(long Received, long Sent, long Retransmitted, IReadOnlyList<CountReport> Refused);

/// <summary>How it stands with all peers, in few words.</summary>
/// <param name="Peers">How many there are.</param>
/// <param name="Up">How many of them are up.</param>
/// <param name="Down">Those that are down though they should be up: something went wrong, and has not gone well since. The first of them.</param>
internal sealed record IkeSummaryReply(int Peers, int Up, IReadOnlyList<string> Down);

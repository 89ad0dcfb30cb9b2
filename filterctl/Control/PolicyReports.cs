namespace Filter.Ctl.Control;

/// <summary>An entry of the SPD, its SAs, and what it counted since the daemon started, whatever became of its SAs.</summary>
internal sealed record PolicyReport
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Where it stands: file:line.</summary>
    public required string Place { get; init; }

    /// <summary>protect, bypass or drop.</summary>
    public required string Action { get; init; }

    /// <summary>both, out or in.</summary>
    public required string Direction { get; init; }

    /// <summary>Addresses on the protected side; null for any. Of a long list the first, and how many more.</summary>
    public IReadOnlyList<string>? Local { get; init; }

    /// <summary>Addresses on the unprotected side, likewise.</summary>
    public IReadOnlyList<string>? Remote { get; init; }

    /// <summary>Protocols and remote ports; null for any.</summary>
    public IReadOnlyList<string>? Service { get; init; }

    /// <summary>Ports on the protected side; null for any.</summary>
    public IReadOnlyList<string>? LocalPort { get; init; }

    /// <summary>What each SA has from the packet it was made for; null for nothing.</summary>
    public IReadOnlyList<string>? Populate { get; init; }

    /// <summary>The peer that its SAs are agreed on with; null where others bring them.</summary>
    public string? Peer { get; init; }

    /// <summary>What it selects of what goes out that no policy before it does, as boxes of which no two overlap; for `show`, else null.</summary>
    public IReadOnlyList<string>? AloneOut { get; init; }

    /// <summary>The same of what comes in.</summary>
    public IReadOnlyList<string>? AloneIn { get; init; }

    /// <summary>SAs that use it now, both directions.</summary>
    public required long Sas { get; init; }

    /// <summary>Openings that it decided.</summary>
    public required long Decisions { get; init; }

    /// <summary>Packets sealed.</summary>
    public required long Protected { get; init; }

    /// <summary>Their bytes.</summary>
    public required long ProtectedBytes { get; init; }

    /// <summary>Packets opened that fitted it.</summary>
    public required long Opened { get; init; }

    /// <summary>Their bytes.</summary>
    public required long OpenedBytes { get; init; }

    /// <summary>What it refused, by cause; causes of which there was none are left out.</summary>
    public required IReadOnlyList<CountReport> Refused { get; init; }
}

/// <summary>What policy says of a packet one way.</summary>
internal sealed record PolicyWalkReport
{
    /// <summary>out or in.</summary>
    public required string Direction { get; init; }

    /// <summary>Whether it is the answer that crosses this way, and not the packet itself.</summary>
    public required bool Answer { get; init; }

    /// <summary>protect, bypass or drop.</summary>
    public required string Action { get; init; }

    /// <summary>The policy that decides; null where none matches, which drops.</summary>
    public string? Policy { get; init; }

    /// <summary>Where it stands: file:line.</summary>
    public string? Place { get; init; }

    /// <summary>The policies before it, each with the first selector that differs.</summary>
    public required IReadOnlyList<PassedPolicyReport> Passed { get; init; }

    /// <summary>The SAs of one that protects, the first of them; why one does not carry the packet, or null.</summary>
    public required IReadOnlyList<ConsideredSaReport> Sas { get; init; }

    /// <summary>All of it in one line.</summary>
    public required string Sentence { get; init; }
}

/// <summary>A policy that did not match.</summary>
/// <param name="Policy">Its name.</param>
/// <param name="Place">Where it stands.</param>
/// <param name="Selector">The first selector that differs: direction, local, remote, service or local-port.</param>
/// <param name="What">What the packet has there, and the policy.</param>
internal sealed record PassedPolicyReport(string Policy, string Place, string Selector, string What);

/// <summary>An SA of a policy, and why it does not carry the packet; null where it does.</summary>
internal sealed record ConsideredSaReport(string Name, string Spi, string? Why);

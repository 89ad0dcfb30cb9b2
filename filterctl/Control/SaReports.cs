namespace Filter.Ctl.Control;

/// <summary>One direction of a security association.</summary>
internal sealed record SaReport
{
    /// <summary>Its name: in the ruleset, or as whoever added it called it.</summary>
    public required string Name { get; init; }

    /// <summary>out or in.</summary>
    public required string Direction { get; init; }

    /// <summary>esp or ah.</summary>
    public required string Protocol { get; init; }

    /// <summary>The SPI, as 0x with eight digits.</summary>
    public required string Spi { get; init; }

    /// <summary>tunnel or transport.</summary>
    public required string Mode { get; init; }

    /// <summary>Our end; null of a transport SA that names none.</summary>
    public string? Local { get; init; }

    /// <summary>The far end, likewise.</summary>
    public string? Remote { get; init; }

    /// <summary>The suite.</summary>
    public required string Suite { get; init; }

    /// <summary>The policies that use it, in order.</summary>
    public required IReadOnlyList<string> Policies { get; init; }

    /// <summary>Who brought it: ruleset, hand, ike or key-manager.</summary>
    public required string Source { get; init; }

    /// <summary>live, expiring or expired.</summary>
    public required string State { get; init; }

    /// <summary>Seconds since it was put there.</summary>
    public required long Age { get; init; }

    /// <summary>Packets sealed or opened.</summary>
    public required long Packets { get; init; }

    /// <summary>Their bytes.</summary>
    public required long Bytes { get; init; }

    /// <summary>The last sequence number sent, or the highest taken; null where an inbound one has no window.</summary>
    public ulong? Sequence { get; init; }

    /// <summary>Packets with a wrong ICV.</summary>
    public required long BadIcv { get; init; }

    /// <summary>Packets whose sequence number was seen already, or too old.</summary>
    public required long Replayed { get; init; }

    /// <summary>Packets cut short, or not a multiple of the cipher's block.</summary>
    public required long Malformed { get; init; }

    /// <summary>Packets with wrong padding behind a good ICV.</summary>
    public required long BadPadding { get; init; }

    /// <summary>Packets whose inner header is not what the SA carries.</summary>
    public required long WrongInner { get; init; }

    /// <summary>Packets that no sequence number was left for.</summary>
    public required long Exhausted { get; init; }

    /// <summary>Packets that came after its hard limit.</summary>
    public required long Expired { get; init; }

    /// <summary>Dummy packets.</summary>
    public required long Dummies { get; init; }

    /// <summary>The encryption key as hex, with its salt; null but for root who asked for it.</summary>
    public string? EncryptionKey { get; init; }

    /// <summary>The integrity key, likewise.</summary>
    public string? IntegrityKey { get; init; }

    /// <summary>All else, for `show`; null in a list.</summary>
    public SaDetails? Details { get; init; }

    /// <summary>What it refused, and why: "2 bad-icv, 1 replayed"; "-" where nothing.</summary>
    public string Refused()
    {
        string refused = string.Join(", ", Refusals().Where(static r => r.Count > 0).Select(static r => $"{r.Count} {r.Why}"));
        return refused.Length == 0 ? "-" : refused;
    }

    private (string Why, long Count)[] Refusals() =>
    [
        ("bad-icv", BadIcv), ("replayed", Replayed), ("malformed", Malformed), ("bad-padding", BadPadding),
        ("wrong-inner", WrongInner), ("sequence-exhausted", Exhausted), ("sa-expired", Expired),
    ];
}

/// <summary>What a list of SAs has no room for.</summary>
internal sealed record SaDetails
{
    /// <summary>Its number in the database.</summary>
    public required int Number { get; init; }

    /// <summary>What it may carry, each limit that it has.</summary>
    public required IReadOnlyList<SaLimitReport> Limits { get; init; }

    /// <summary>Packets that its window spans; null of one that sends, or does not look for replays.</summary>
    public int? Window { get; init; }

    /// <summary>Sequence numbers of 64 bits.</summary>
    public required bool Esn { get; init; }

    /// <summary>The highest number it may use for now; null of one that receives.</summary>
    public ulong? SequenceLimit { get; init; }

    /// <summary>Our UDP port, of ESP in UDP.</summary>
    public int? UdpPort { get; init; }

    /// <summary>The far end's UDP port.</summary>
    public int? UdpRemotePort { get; init; }

    /// <summary>Keep-alives that it sent; null of one that receives, or is not in UDP.</summary>
    public long? KeepAlivesSent { get; init; }

    /// <summary>Keep-alives that came for all SAs in UDP, as none says for which; null of one that sends, or is not in UDP.</summary>
    public long? KeepAlivesHeard { get; init; }

    /// <summary>The DSCPs that it carries; null for all.</summary>
    public IReadOnlyList<int>? Dscps { get; init; }

    /// <summary>What it may carry, where that is less than its policies name.</summary>
    public SaSelectorReport? Selectors { get; init; }

    /// <summary>What a tunnel's outer header is made of, in the words of a ruleset.</summary>
    public string? Outer { get; init; }

    /// <summary>Whether the MSS of TCP handshakes is lowered to what fits.</summary>
    public required bool ClampMss { get; init; }

    /// <summary>The largest packet that the path takes, in bytes, as was learnt from it; null where nothing was.</summary>
    public int? PathMtu { get; init; }
}

/// <summary>A limit of an SA's life.</summary>
/// <param name="Unit">bytes, packets or seconds.</param>
/// <param name="Used">How much of it is used up.</param>
/// <param name="Soft">Where it should be replaced; null for nowhere.</param>
/// <param name="Hard">Where it ends; null for nowhere.</param>
internal sealed record SaLimitReport(string Unit, long Used, long? Soft, long? Hard);

/// <summary>An SA's own selectors.</summary>
internal sealed record SaSelectorReport(string Local, string Remote, int? Protocol, string LocalPorts, string RemotePorts);

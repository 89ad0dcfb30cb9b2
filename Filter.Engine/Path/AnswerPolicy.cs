namespace Filter.Engine.Path;

/// <summary>What Filter says to senders, and how often.</summary>
public sealed record AnswerPolicy
{
    /// <summary>
    /// Answers of a kind (rejections, too big, unsolicited SYNs) a second, at most: an error must not become an amplifier
    /// (RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8).
    /// </summary>
    public RateLimit Rate { get; init; } = new(1_000_000_000 / 200, 200);

    /// <summary>
    /// A SYN from outside, or an INIT of SCTP, that only the default dropped is answered after six seconds, unless its
    /// connection was opened from inside meanwhile (RFC 6092 REC-34, REC-39, RFC 5382 REQ-4). Else it is never answered.
    /// </summary>
    public bool UnsolicitedSyns { get; init; }
}

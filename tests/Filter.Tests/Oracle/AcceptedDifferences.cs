namespace Filter.Tests.Oracle;

/// <summary>Who of the two lets the packet pass.</summary>
internal enum Passes
{
    /// <summary>Filter alone.</summary>
    Filter,

    /// <summary>The kernel alone.</summary>
    Kernel,
}

/// <summary>One difference between the kernel's verdicts and Filter's in which Filter is right.</summary>
/// <param name="Subject">What is spoken, as <see cref="Conversation.Subject"/>; several between bars.</param>
/// <param name="State">Where Filter's flow stood, as <see cref="FilterWalk.Phase"/> names it; several between bars, or * for any.</param>
/// <param name="Kind">What the packet is, as <see cref="Step.Kind"/>; several between bars.</param>
/// <param name="Who">Who lets it pass.</param>
/// <param name="Reason">Why Filter drops it; empty where it passes.</param>
/// <param name="Rfc">What decides.</param>
/// <param name="Why">What it says, and what Filter makes of it.</param>
internal sealed record AcceptedDifference(
    string Subject, string State, string Kind, Passes Who, string Reason, string Rfc, string Why)
{
    public bool Covers(string subject, string state, string kind, bool filterPasses, string verdict) =>
        (Who == Passes.Filter) == filterPasses && Has(Subject, subject) && Has(State, state) && Has(Kind, kind)
        && (filterPasses || Reason == verdict);

    private static bool Has(string words, string word) => words == "*" || words.Split('|').Contains(word);
}

/// <summary>
/// Every difference that is accepted, with the RFC that decides it. A difference that stands here is one in which Filter
/// is right; one in which it is wrong is a fault to be mended. Whatever no longer occurs is struck out: a test says so.
/// </summary>
internal static class AcceptedDifferences
{
    public static readonly AcceptedDifference[] All =
    [
        // ---- UDP-Lite
        new("udplite", "none", "question|answer", Passes.Filter, "", "RFC 3828 §3.2",
            "The pseudo-header names protocol 136; the kernel sums as if it were UDP's 17 and takes every right checksum for a wrong one."),

        // ---- fragments
        new("fragments|fragments of tcp", "*", "last piece missing, one lay within another", Passes.Kernel, "fragment-overlap", "RFC 5722 §4, RFC 8200 §4.5",
            "Only an exact duplicate may be dropped alone; any other overlap gives up the datagram. The kernel drops whatever lies within what it has. IPv4 likewise."),
        new("fragments|fragments of tcp", "*", "piece of what was given up", Passes.Kernel, "fragment-overlap", "RFC 5722 §4",
            "After an overlap the pieces not yet received are discarded, too; the kernel begins a new datagram with them. IPv4 likewise."),
        new("fragments|fragments of tcp", "*", "last piece missing, one lay behind the end", Passes.Kernel, "bad-fragment", "RFC 5722 §3",
            "Two ends contradict each other as an overlap does, and nobody can tell which is forged: the datagram is given up. Over IPv6 the kernel drops the later piece alone."),
        new("fragments|fragments of tcp", "*", "last piece missing, one of odd length came", Passes.Filter, "", "RFC 8200 §4.5",
            "A piece before the last whose length is no multiple of 8 is discarded, the piece and no more; the kernel gives up the datagram. IPv4 likewise."),
        new("fragments of tcp", "*", "rest behind eight bytes", Passes.Kernel, "waits for its rest", "RFC 7112 §5, RFC 3128 §2.1",
            "A first piece without the whole TCP header was dropped; the rest waits for it in vain. The kernel puts them together."),

        // ---- TCP among ends that keep to the RFCs
        new("tcp", "SynSent", "syn-ack to another syn", Passes.Filter, "", "RFC 9293 §3.10.7.3",
            "An old SYN-ACK must reach the opener: its reset ends the half-open connection at the other end."),
        new("tcp", "Reset", "in flight to who reset", Passes.Kernel, "invalid-state", "RFC 9293 §3.10.7.1",
            "Who has reset discards all data: the way back is closed but for resets. The kernel leaves it open for ten seconds."),
        new("tcp", "Reset", "reset of what was in flight", Passes.Filter, "", "RFC 9293 §3.10.7.1",
            "A closed end answers each segment with a reset that has that segment's number, behind what the first reset had; the kernel counts it as old."),
        new("tcp", "Established", "copy of syn-ack of both", Passes.Filter, "", "RFC 5961 §4",
            "A late SYN-ACK of a simultaneous open is answered by a challenge ACK; of the opener's the kernel has no row."),
        new("tcp", "Established|Closing", "challenge ack", Passes.Filter, "", "RFC 5961 §4",
            "A SYN on a connection is answered by where it stands; the kernel has forgotten the connection for a SYN from its answerer that its rules then dropped."),
        new("tcp", "Established", "data|data behind a gap|fin|ack", Passes.Filter, "", "RFC 9293 §3.10.7.4",
            "A late copy of SYN and SYN-ACK changes nothing for either end; the kernel takes them for a new handshake and loses the window."),
    ];
}

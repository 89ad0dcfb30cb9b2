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
/// <param name="Kind">What the packet is, as <see cref="Step.Kind"/>; several between bars, * for what follows.</param>
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

    private static bool Has(string words, string word) =>
        words.Split('|').Any(one => one == word || (one.EndsWith('*') && word.StartsWith(one[..^1], StringComparison.Ordinal)));
}

/// <summary>
/// Every difference that is accepted, with the RFC that decides it. A difference that stands here is one in which Filter
/// is right; one in which it is wrong is a fault to be mended. Whatever no longer occurs is struck out: the long test names it.
/// </summary>
internal static class AcceptedDifferences
{
    /// <summary>What ends that keep to the RFCs say.</summary>
    private const string Sound =
        "syn|syn again|syn-ack|syn-ack again|syn from the other end|syn-ack of both|ack of the handshake|ack|data|data again|data behind a gap|"
        + "keep-alive|probe of a closed window|challenge ack|challenge from an old connection|fin|fin again|ack of a fin|"
        + "refusal|reset|reset behind a gap|reset after a crash|in flight to who reset";

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
        new("fragments|fragments of tcp", "*", "last piece missing, two overlapped", Passes.Kernel, "fragment-overlap", "RFC 5722 §4",
            "The same, where the overlapping piece ends behind the last: over IPv6 the kernel drops it alone."),
        new("fragments|fragments of tcp", "*", "last piece missing, one of odd length came", Passes.Filter, "", "RFC 8200 §4.5",
            "A piece before the last whose length is no multiple of 8 is discarded, the piece and no more; the kernel gives up the datagram. IPv4 likewise."),
        new("fragments of tcp", "*", "rest behind eight bytes", Passes.Kernel, "waits for its rest", "RFC 7112 §5, RFC 3128 §2.1",
            "A first piece without the whole TCP header was dropped; the rest waits for it in vain. The kernel puts them together."),

        // ---- TCP: openings
        new("tcp|tcp attacked", "SynSent|BothSent", "syn-ack to another syn|blind syn-ack|syn-ack inside the window", Passes.Filter, "", "RFC 9293 §3.10.7.3",
            "A SYN-ACK of another SYN must reach the opener: its reset ends what is half open at the other end."),
        new("tcp attacked", "SynSent|BothSent", "blind reset|reset of an old connection|reset left of the window|reset inside the window|reset right of the window", Passes.Filter, "", "RFC 9293 §3.10.7.3",
            "The opener's reset of such an answer has whatever number that answer acknowledged."),
        new("tcp attacked", "SynSent|BothSent", "blind reset|reset left of the window|reset inside the window|reset right of the window|reset at the window's edge|reset that guessed right|reset|reset behind a gap|reset of what was in flight", Passes.Kernel, "invalid-state", "RFC 9293 §3.10.7.3",
            "A SYN is refused by a reset that acknowledges it and by no other."),
        new("tcp attacked", "SynSent|BothSent", "blind data|data|data again|data behind a gap|data left of the window|data right of the window|keep-alive|fin again|probe of a closed window|in flight to who reset|copy of *", Passes.Kernel, "invalid-state", "RFC 9293 §3.10.7.3",
            "Who has sent a SYN takes no data before the answer to it. A challenge, which has none, passes."),
        new("tcp attacked", "BothSent", "ack of long ago|ack of what was not sent", Passes.Filter, "", "RFC 9293 §3.10.7.4",
            "Until one SYN is acknowledged nothing is known of what the ends expect; they answer it with a reset."),

        // ---- TCP: numbers
        new("tcp|tcp attacked", "SynReceived|Established|Closing|Resetting|Reset", "ack of long ago|data left of the window|blind data|copy of *", Passes.Kernel, "out-of-window", "RFC 9293 §3.10.7.4, RFC 5961 §5.2",
            "What lies left of the windows is of no use to its receiver, who discards it; the kernel lets it pass without effect."),
        new("tcp attacked", "SynReceived|Established|Closing|Resetting|Reset", "blind reset|reset left of the window|reset inside the window|reset right of the window", Passes.Kernel, "out-of-window", "RFC 5961 §3.2",
            "A reset outside the window is discarded by its receiver; the kernel no longer looks once a FIN went by, and after a SYN in the middle it looks by another window."),
        new("tcp|tcp attacked", "SynReceived|Established|Closing|Resetting", "reset left of the window|copy of reset *", Passes.Filter, "", "RFC 9293 §3.10.7.1, RFC 5961 §3.2",
            "A closed end's reset has the number of the segment that it answers, perhaps an old one. It ends nothing: its receiver discards it."),
        new("tcp attacked", "*", "reset that guessed right", Passes.Filter, "", "RFC 5961 §3.2",
            "A reset is judged by its sequence number before its acknowledgment; the kernel wants both in their windows."),

        new("tcp attacked", "SynReceived|Established|Closing|Resetting", "reset inside the window|reset at the window's edge", Passes.Filter, "", "RFC 5961 §3.2",
            "Its receiver challenges it. The kernel does the same, but here has taken a SYN before it for a new connection."),
        new("tcp attacked", "SynReceived|Established|Closing|Resetting|Reset", "ack of what was not sent|data right of the window|fin right of the window", Passes.Kernel, "out-of-window", "RFC 9293 §3.10.7.4",
            "Its receiver can't take it. Nor does the kernel let it pass, unless it has taken a SYN before it for a new connection."),

        // ---- TCP: SYNs on a connection
        new("tcp|tcp attacked", "SynSent|BothSent|SynReceived|Established|Closing|TimeWait|Resetting|Reset", "blind syn|blind syn-ack|syn inside the window|syn-ack inside the window|its syn again, late|copy of syn*|copy of blind syn*", Passes.Filter, "", "RFC 5961 §4.2",
            "Any SYN is answered by where the connection stands: by its receiver, not by us. The kernel lets pass the opener's SYN and the answerer's SYN-ACK alone."),
        new("tcp|tcp attacked", "*", Sound, Passes.Filter, "", "RFC 9293 §3.10.7.4, RFC 5961 §3 to §5",
            "What the ends go on to say is legal. The kernel has believed what went before it: a late handshake, a SYN or a reset that its receiver only challenges."),

        // ---- TCP: after the end
        new("tcp|tcp attacked", "Reset", "*", Passes.Kernel, "invalid-state", "RFC 9293 §3.10.7.1",
            "Who has reset discards all data: the way back is closed but for resets. The kernel leaves it open for ten seconds."),
        new("tcp attacked", "TimeWait", "ack of long ago|ack of what was not sent|blind data|data left of the window|blind syn-ack|syn-ack inside the window|blind reset|reset left of the window|reset inside the window|reset at the window's edge|reset right of the window|its syn again, late", Passes.Kernel, "invalid-state", "RFC 9293 §3.10.7.4, RFC 1337 §3",
            "Of a connection that has ended only its last FINs come again, and what acknowledges them."),
    ];
}

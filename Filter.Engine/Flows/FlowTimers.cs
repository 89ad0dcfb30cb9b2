namespace Filter.Engine.Flows;

/// <summary>
/// How long a flow lives without a packet, by its state; nanoseconds. The defaults meet the minima
/// of RFC 6092 §3, RFC 5382 §5 (REQ-5), RFC 4787 §4.3 and RFC 5508 §3.2.
/// </summary>
public sealed record FlowTimers
{
    private const long Second = 1_000_000_000;

    /// <summary>TCP that is being opened.</summary>
    public long TcpOpening { get; init; } = 240 * Second;

    /// <summary>TCP that is established.</summary>
    public long TcpEstablished { get; init; } = 7440 * Second;

    /// <summary>TCP after its first FIN.</summary>
    public long TcpClosing { get; init; } = 240 * Second;

    /// <summary>TCP after both FINs are acknowledged: only their retransmissions still pass.</summary>
    public long TcpTimeWait { get; init; } = 60 * Second;

    /// <summary>TCP after a reset: what the opener had in flight still passes, and further resets.</summary>
    public long TcpReset { get; init; } = 10 * Second;

    /// <summary>UDP and UDP-Lite before the first answer.</summary>
    public long UdpOpening { get; init; } = 120 * Second;

    /// <summary>UDP and UDP-Lite once both sides have spoken.</summary>
    public long UdpAnswered { get; init; } = 300 * Second;

    /// <summary>ICMP queries.</summary>
    public long Icmp { get; init; } = 60 * Second;

    /// <summary>Any other protocol.</summary>
    public long Other { get; init; } = 300 * Second;
}

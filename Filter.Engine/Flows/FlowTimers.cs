using System.Collections.Immutable;
using Filter.Engine.Path;

namespace Filter.Engine.Flows;

/// <summary>The times that a ruleset may set; <see cref="FlowTimers.Words"/> has their words.</summary>
public enum FlowTimer : byte
{
    /// <summary>TCP that is being opened.</summary>
    TcpOpening,
    /// <summary>TCP that is established.</summary>
    TcpEstablished,
    /// <summary>TCP after its first FIN.</summary>
    TcpClosing,
    /// <summary>TCP after both FINs are acknowledged: only their retransmissions still pass.</summary>
    TcpTimeWait,
    /// <summary>TCP after a reset: what the opener had in flight still passes, and further resets.</summary>
    TcpReset,
    /// <summary>TCP of which one end has repeated three segments, and the other says nothing.</summary>
    TcpUnanswered,
    /// <summary>UDP and UDP-Lite before the first answer, no port below 1024.</summary>
    UdpOpening,
    /// <summary>UDP once both sides have spoken, no port below 1024.</summary>
    UdpAnswered,
    /// <summary>UDP that was seen to last, both ways.</summary>
    UdpLasting,
    /// <summary>As <see cref="UdpOpening"/>, where a port is a well-known one (0 to 1023).</summary>
    UdpWellKnownOpening,
    /// <summary>As <see cref="UdpAnswered"/>, where a port is a well-known one.</summary>
    UdpWellKnownAnswered,
    /// <summary>ICMP and ICMPv6 queries.</summary>
    Icmp,
    /// <summary>An SCTP association that is being opened.</summary>
    SctpOpening,
    /// <summary>An SCTP association that is established.</summary>
    SctpEstablished,
    /// <summary>An SCTP association from its first SHUTDOWN on.</summary>
    SctpClosing,
    /// <summary>An SCTP association that has ended: what says so may come again.</summary>
    SctpClosed,
    /// <summary>DCCP before the first answer.</summary>
    DccpOpening,
    /// <summary>DCCP once both sides have spoken.</summary>
    DccpOpen,
    /// <summary>GRE.</summary>
    Gre,
    /// <summary>ESP and AH of other hosts, and their IKE (UDP 500 and 4500) once it is answered.</summary>
    Ipsec,
    /// <summary>Any other protocol.</summary>
    Other,
    /// <summary>The longest that any flow lives after three repetitions of its opening without an answer.</summary>
    Unanswered,
    /// <summary>Pieces of an IPv4 datagram that wait for the rest.</summary>
    FragmentsIpv4,
    /// <summary>Pieces of an IPv6 datagram that wait for the rest.</summary>
    FragmentsIpv6,
}

/// <summary>How long a flow lives without a packet, by its state; nanoseconds. Immutable.</summary>
public sealed class FlowTimers : IEquatable<FlowTimers>
{
    /// <summary>Nanoseconds of a second.</summary>
    private const long Second = 1_000_000_000;

    /// <summary>No time that ends.</summary>
    private const int Never = 0;

    /// <summary>The times of both profiles, the least that `rfc6092` allows, and who says so; seconds.</summary>
    private static readonly ImmutableArray<Row> s_rows =
    [
        new(FlowTimer.TcpOpening, "tcp-opening", 240, 240, 240, "REC-35"),
        new(FlowTimer.TcpEstablished, "tcp-established", 7440, 7440, 7440, "REC-35"),
        new(FlowTimer.TcpClosing, "tcp-closing", 240, 240, 240, "REC-35"),
        new(FlowTimer.TcpTimeWait, "tcp-time-wait", 60, 240, 240, "REC-35"),
        new(FlowTimer.TcpReset, "tcp-reset", 10, 240, 240, "REC-35"),
        new(FlowTimer.TcpUnanswered, "tcp-unanswered", 300, Never, Never, "REC-35"),     // above the longest pause between repetitions
        new(FlowTimer.UdpOpening, "udp-opening", 120, 300, 120, "REC-14"),
        new(FlowTimer.UdpAnswered, "udp-answered", 120, 300, 120, "REC-14"),
        new(FlowTimer.UdpLasting, "udp-lasting", 300, 300, 120, "REC-14"),
        new(FlowTimer.UdpWellKnownOpening, "udp-well-known-opening", 30, 30, 1, "REC-15"),
        new(FlowTimer.UdpWellKnownAnswered, "udp-well-known-answered", 60, 60, 1, "REC-15"),
        new(FlowTimer.Icmp, "icmp", 60, 60, 60, "RFC 5508 REQ-2"),
        new(FlowTimer.SctpOpening, "sctp-opening", 240, 240, 240, "REC-40"),
        new(FlowTimer.SctpEstablished, "sctp-established", 7440, 7440, 7440, "REC-40"),
        new(FlowTimer.SctpClosing, "sctp-closing", 240, 240, 240, "REC-40"),
        new(FlowTimer.SctpClosed, "sctp-closed", 60, 240, 240, "REC-40"),
        new(FlowTimer.DccpOpening, "dccp-opening", 480, 480, 480, "REC-44"),
        new(FlowTimer.DccpOpen, "dccp-open", 7440, 7440, 7440, "REC-44"),
        new(FlowTimer.Gre, "gre", 300, 300, 120, "REC-12"),
        new(FlowTimer.Ipsec, "ipsec", 3600, 3600, 120, "REC-12"),        // so long does an SA mostly last: either end may renew it
        new(FlowTimer.Other, "other", 300, 300, 120, "REC-12"),
        new(FlowTimer.Unanswered, "unanswered", 60, Never, Never, "REC-12, REC-14, REC-35"),
        new(FlowTimer.FragmentsIpv4, "fragments-ipv4", 30, 60, 60, "RFC 1122 §3.3.2"),
        new(FlowTimer.FragmentsIpv6, "fragments-ipv6", 60, 60, 60, "RFC 8200 §4.5"),
    ];

    private static readonly FlowTimers s_default = new([.. s_rows.Select(static row => Nanoseconds(row.Default))]);
    private static readonly FlowTimers s_rfc6092 = new([.. s_rows.Select(static row => Nanoseconds(row.Rfc6092))]);

    private readonly ImmutableArray<long> _times;

    private FlowTimers(ImmutableArray<long> times) => _times = times;

    /// <summary>One of the times.</summary>
    public long this[FlowTimer timer] => _times[(int)timer];

    /// <summary>The times of a profile.</summary>
    public static FlowTimers Of(Profile profile) => profile == Profile.Rfc6092 ? s_rfc6092 : s_default;

    /// <summary>
    /// The least that a profile lets a ruleset set, and the recommendation that says so (of RFC 6092, where it names no
    /// other); <see cref="long.MaxValue"/> where the profile lets nobody set it.
    /// </summary>
    public static (long Least, string Source) Minimum(Profile profile, FlowTimer timer)
    {
        Row row = s_rows[(int)timer];
        return (profile == Profile.Rfc6092 ? Nanoseconds(row.Least) : Second, row.Source);
    }

    /// <summary>Every timer and its word in rulesets.</summary>
    public static IEnumerable<(string Word, FlowTimer Timer)> Words => s_rows.Select(static row => (row.Name, row.Timer));

    /// <summary>The same with another time for one timer.</summary>
    public FlowTimers With(FlowTimer timer, long nanoseconds) => new(_times.SetItem((int)timer, nanoseconds));

    /// <inheritdoc/>
    public bool Equals(FlowTimers? other) => other is not null && _times.AsSpan().SequenceEqual(other._times.AsSpan());

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as FlowTimers);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        HashCode hash = default;
        foreach (long time in _times)
        {
            hash.Add(time);
        }

        return hash.ToHashCode();
    }

    private static long Nanoseconds(int seconds) => seconds == Never ? long.MaxValue : seconds * Second;

    private readonly record struct Row(FlowTimer Timer, string Name, int Default, int Rfc6092, int Least, string Source);
}

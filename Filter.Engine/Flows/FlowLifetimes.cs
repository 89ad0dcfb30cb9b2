using Filter.Engine.Flows.Trackers;

namespace Filter.Engine.Flows;

/// <summary>
/// <see cref="FlowTimers"/> as the walk asks for them: one look-up by a flow's class and state. Immutable.
/// </summary>
public sealed class FlowLifetimes
{
    /// <summary>More states than any tracker knows.</summary>
    private const int States = 16;

    /// <summary>The opening and its repetitions.</summary>
    private const int Repetitions = 3;

    private readonly long[] _times = new long[States * (1 + (int)Enum.GetValues<FlowClass>().Max())];
    private readonly long _unanswered, _tcpUnanswered;

    /// <summary>The table of these timers.</summary>
    public FlowLifetimes(FlowTimers timers)
    {
        _unanswered = timers[FlowTimer.Unanswered];
        _tcpUnanswered = timers[FlowTimer.TcpUnanswered];
        foreach (FlowClass kind in Enum.GetValues<FlowClass>())
        {
            for (int state = 0; state < States; state++)
            {
                _times[((int)kind * States) + state] = timers[Timer(kind, (byte)state)];
            }
        }
    }

    /// <summary>How long the flow lives without a packet; nanoseconds.</summary>
    public long Of(in Flow flow)
    {
        long lifetime = _times[((int)flow.Class * States) + (flow.State & (States - 1))];
        return flow.ReplyPackets == 0 && flow.ForwardPackets > Repetitions ? Math.Min(lifetime, _unanswered)
            : flow.Class == FlowClass.Tcp && Math.Max(flow.Opener.Repeats, flow.Answerer.Repeats) >= Repetitions ? Math.Min(lifetime, _tcpUnanswered)
            : lifetime;
    }

    /// <summary>The timer of a flow of a class in a state of its tracker's.</summary>
    public static FlowTimer Timer(FlowClass kind, byte state) => kind switch
    {
        FlowClass.Tcp => (TcpPhase)state switch
        {
            TcpPhase.Established => FlowTimer.TcpEstablished,
            TcpPhase.Closing or TcpPhase.Resetting => FlowTimer.TcpClosing,
            TcpPhase.TimeWait => FlowTimer.TcpTimeWait,
            TcpPhase.Reset => FlowTimer.TcpReset,
            _ => FlowTimer.TcpOpening,
        },
        FlowClass.Udp => (DatagramPhase)state switch
        {
            DatagramPhase.Lasting => FlowTimer.UdpLasting,
            DatagramPhase.Answered => FlowTimer.UdpAnswered,
            _ => FlowTimer.UdpOpening,
        },
        FlowClass.UdpWellKnown => (DatagramPhase)state switch
        {
            DatagramPhase.Lasting => FlowTimer.UdpLasting,
            DatagramPhase.Answered => FlowTimer.UdpWellKnownAnswered,
            _ => FlowTimer.UdpWellKnownOpening,
        },
        FlowClass.Ike => (DatagramPhase)state == DatagramPhase.Opening ? FlowTimer.UdpOpening : FlowTimer.Ipsec,
        FlowClass.Icmp => FlowTimer.Icmp,
        FlowClass.Sctp => (SctpPhase)state switch
        {
            < SctpPhase.Established => FlowTimer.SctpOpening,
            SctpPhase.Established => FlowTimer.SctpEstablished,
            SctpPhase.Ended => FlowTimer.SctpClosed,
            _ => FlowTimer.SctpClosing,
        },
        FlowClass.Dccp => (DatagramPhase)state == DatagramPhase.Opening ? FlowTimer.DccpOpening : FlowTimer.DccpOpen,
        FlowClass.Gre => FlowTimer.Gre,
        FlowClass.Ipsec => FlowTimer.Ipsec,
        _ => FlowTimer.Other,
    };
}

namespace Filter.Engine.Flows.Trackers;

/// <summary>Where a TCP flow stands, seen from between its ends.</summary>
public enum TcpPhase : byte
{
    /// <summary>Nothing was seen.</summary>
    Closed,
    /// <summary>The opener's SYN went by.</summary>
    SynSent,
    /// <summary>Both ends sent a SYN (simultaneous open, RFC 9293 §3.5).</summary>
    BothSent,
    /// <summary>A SYN was acknowledged.</summary>
    SynReceived,
    /// <summary>The handshake is done.</summary>
    Established,
    /// <summary>At least one FIN went by, and not both are acknowledged.</summary>
    Closing,
    /// <summary>Both FINs are acknowledged: only they, again, and their acknowledgments pass.</summary>
    TimeWait,
    /// <summary>A reset went by while something is under way: whether its receiver takes it, hangs on which comes first.</summary>
    Resetting,
    /// <summary>A reset went by that its receiver takes: the way back is closed but for resets.</summary>
    Reset,
}

/// <summary>What a segment is to the state table.</summary>
public enum TcpEvent : byte
{
    /// <summary>SYN without ACK.</summary>
    Syn,
    /// <summary>SYN with ACK, of a SYN that was sent.</summary>
    SynAck,
    /// <summary>SYN with ACK, of a SYN that nobody sent.</summary>
    StraySynAck,
    /// <summary>ACK, with or without data.</summary>
    Ack,
    /// <summary>FIN with ACK.</summary>
    Fin,
    /// <summary>The segment after which both FINs are acknowledged.</summary>
    LastAck,
    /// <summary>RST at the number that its receiver expects: it ends the connection.</summary>
    Reset,
    /// <summary>
    /// RST at the number that its receiver said it expects, or behind all that its sender sent, while something is under way
    /// between the two.
    /// </summary>
    Abort,
    /// <summary>RST anywhere else: the receiver will challenge it (RFC 5961 §3.2).</summary>
    StrayReset,
    /// <summary>Whoever seemed to abort goes on: it was not its reset, or the reset was refused.</summary>
    Alive,
}

/// <summary>
/// TCP as written rows: (phase, direction, event) → phase. What is not written is invalid.
/// </summary>
public static class TcpRows
{
    private const bool Forward = false;
    private const bool Reply = true;

    /// <summary>How many events there are.</summary>
    private const int Events = (int)TcpEvent.Alive + 1;

    private static readonly TcpPhase[] s_next = Table(
        (TcpPhase.Closed, Forward, TcpEvent.Syn, TcpPhase.SynSent),
        (TcpPhase.Closed, Forward, TcpEvent.Ack, TcpPhase.Established),         // midstream, where a rule allows it

        (TcpPhase.SynSent, Forward, TcpEvent.Syn, TcpPhase.SynSent),            // retransmission
        (TcpPhase.SynSent, Reply, TcpEvent.SynAck, TcpPhase.SynReceived),
        (TcpPhase.SynSent, Reply, TcpEvent.Syn, TcpPhase.BothSent),
        (TcpPhase.SynSent, Reply, TcpEvent.Ack, TcpPhase.SynSent),              // an old connection's challenge (RFC 5961 §4)
        (TcpPhase.SynSent, Reply, TcpEvent.StraySynAck, TcpPhase.SynSent),      // to another SYN: the opener will reset it
        (TcpPhase.SynSent, Forward, TcpEvent.StrayReset, TcpPhase.SynSent),     // the answer to either
        (TcpPhase.SynSent, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.SynSent, Forward, TcpEvent.Abort, TcpPhase.Reset),            // the opener gives up
        (TcpPhase.SynSent, Reply, TcpEvent.Reset, TcpPhase.Reset),              // refused

        (TcpPhase.BothSent, Forward, TcpEvent.Syn, TcpPhase.BothSent),
        (TcpPhase.BothSent, Reply, TcpEvent.Syn, TcpPhase.BothSent),
        (TcpPhase.BothSent, Forward, TcpEvent.SynAck, TcpPhase.SynReceived),
        (TcpPhase.BothSent, Reply, TcpEvent.SynAck, TcpPhase.SynReceived),
        (TcpPhase.BothSent, Forward, TcpEvent.StraySynAck, TcpPhase.BothSent),
        (TcpPhase.BothSent, Reply, TcpEvent.StraySynAck, TcpPhase.BothSent),
        (TcpPhase.BothSent, Forward, TcpEvent.Ack, TcpPhase.BothSent),          // challenges
        (TcpPhase.BothSent, Reply, TcpEvent.Ack, TcpPhase.BothSent),
        (TcpPhase.BothSent, Forward, TcpEvent.StrayReset, TcpPhase.BothSent),
        (TcpPhase.BothSent, Reply, TcpEvent.StrayReset, TcpPhase.BothSent),
        (TcpPhase.BothSent, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.BothSent, Reply, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.BothSent, Forward, TcpEvent.Abort, TcpPhase.Reset),
        (TcpPhase.BothSent, Reply, TcpEvent.Abort, TcpPhase.Reset),

        (TcpPhase.SynReceived, Forward, TcpEvent.Syn, TcpPhase.SynReceived),    // the SYN-ACK was lost behind us
        (TcpPhase.SynReceived, Reply, TcpEvent.Syn, TcpPhase.SynReceived),      // simultaneous open: the same, the other way
        (TcpPhase.SynReceived, Forward, TcpEvent.SynAck, TcpPhase.SynReceived), // simultaneous open, split handshake
        (TcpPhase.SynReceived, Reply, TcpEvent.SynAck, TcpPhase.SynReceived),
        (TcpPhase.SynReceived, Forward, TcpEvent.StraySynAck, TcpPhase.SynReceived),
        (TcpPhase.SynReceived, Reply, TcpEvent.StraySynAck, TcpPhase.SynReceived),
        (TcpPhase.SynReceived, Forward, TcpEvent.Ack, TcpPhase.Established),
        (TcpPhase.SynReceived, Reply, TcpEvent.Ack, TcpPhase.SynReceived),
        (TcpPhase.SynReceived, Forward, TcpEvent.Fin, TcpPhase.Closing),
        (TcpPhase.SynReceived, Reply, TcpEvent.Fin, TcpPhase.Closing),
        (TcpPhase.SynReceived, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.SynReceived, Reply, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.SynReceived, Forward, TcpEvent.Abort, TcpPhase.Reset),
        (TcpPhase.SynReceived, Reply, TcpEvent.Abort, TcpPhase.Reset),
        (TcpPhase.SynReceived, Forward, TcpEvent.StrayReset, TcpPhase.SynReceived),
        (TcpPhase.SynReceived, Reply, TcpEvent.StrayReset, TcpPhase.SynReceived),

        (TcpPhase.Established, Forward, TcpEvent.Ack, TcpPhase.Established),
        (TcpPhase.Established, Reply, TcpEvent.Ack, TcpPhase.Established),
        (TcpPhase.Established, Forward, TcpEvent.Fin, TcpPhase.Closing),
        (TcpPhase.Established, Reply, TcpEvent.Fin, TcpPhase.Closing),
        (TcpPhase.Established, Reply, TcpEvent.SynAck, TcpPhase.Established),   // our ACK was lost ahead of us
        (TcpPhase.Established, Forward, TcpEvent.SynAck, TcpPhase.Established),
        (TcpPhase.Established, Reply, TcpEvent.StraySynAck, TcpPhase.Established),  // challenged (RFC 5961 §4)
        (TcpPhase.Established, Forward, TcpEvent.StraySynAck, TcpPhase.Established),
        (TcpPhase.Established, Forward, TcpEvent.Syn, TcpPhase.Established),
        (TcpPhase.Established, Reply, TcpEvent.Syn, TcpPhase.Established),
        (TcpPhase.Established, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.Established, Reply, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.Established, Forward, TcpEvent.Abort, TcpPhase.Resetting),
        (TcpPhase.Established, Reply, TcpEvent.Abort, TcpPhase.Resetting),
        (TcpPhase.Established, Forward, TcpEvent.StrayReset, TcpPhase.Established),
        (TcpPhase.Established, Reply, TcpEvent.StrayReset, TcpPhase.Established),

        (TcpPhase.Closing, Forward, TcpEvent.Syn, TcpPhase.Closing),            // the opener crashed and begins anew
        (TcpPhase.Closing, Reply, TcpEvent.Syn, TcpPhase.Closing),
        (TcpPhase.Closing, Reply, TcpEvent.SynAck, TcpPhase.Closing),
        (TcpPhase.Closing, Forward, TcpEvent.SynAck, TcpPhase.Closing),
        (TcpPhase.Closing, Reply, TcpEvent.StraySynAck, TcpPhase.Closing),
        (TcpPhase.Closing, Forward, TcpEvent.StraySynAck, TcpPhase.Closing),
        (TcpPhase.Closing, Forward, TcpEvent.Ack, TcpPhase.Closing),
        (TcpPhase.Closing, Reply, TcpEvent.Ack, TcpPhase.Closing),
        (TcpPhase.Closing, Forward, TcpEvent.Fin, TcpPhase.Closing),
        (TcpPhase.Closing, Reply, TcpEvent.Fin, TcpPhase.Closing),
        (TcpPhase.Closing, Forward, TcpEvent.LastAck, TcpPhase.TimeWait),
        (TcpPhase.Closing, Reply, TcpEvent.LastAck, TcpPhase.TimeWait),
        (TcpPhase.Closing, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.Closing, Reply, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.Closing, Forward, TcpEvent.Abort, TcpPhase.Resetting),        // the FIN may be under way
        (TcpPhase.Closing, Reply, TcpEvent.Abort, TcpPhase.Resetting),
        (TcpPhase.Closing, Forward, TcpEvent.StrayReset, TcpPhase.Closing),
        (TcpPhase.Closing, Reply, TcpEvent.StrayReset, TcpPhase.Closing),

        (TcpPhase.TimeWait, Forward, TcpEvent.Fin, TcpPhase.TimeWait),
        (TcpPhase.TimeWait, Reply, TcpEvent.Fin, TcpPhase.TimeWait),
        (TcpPhase.TimeWait, Forward, TcpEvent.Ack, TcpPhase.TimeWait),
        (TcpPhase.TimeWait, Reply, TcpEvent.Ack, TcpPhase.TimeWait),
        (TcpPhase.TimeWait, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.TimeWait, Reply, TcpEvent.Reset, TcpPhase.Reset),

        (TcpPhase.Resetting, Forward, TcpEvent.Ack, TcpPhase.Resetting),        // under way when the other reset, or a challenge
        (TcpPhase.Resetting, Reply, TcpEvent.Ack, TcpPhase.Resetting),
        (TcpPhase.Resetting, Forward, TcpEvent.Fin, TcpPhase.Resetting),
        (TcpPhase.Resetting, Reply, TcpEvent.Fin, TcpPhase.Resetting),
        (TcpPhase.Resetting, Forward, TcpEvent.Syn, TcpPhase.Resetting),
        (TcpPhase.Resetting, Reply, TcpEvent.Syn, TcpPhase.Resetting),
        (TcpPhase.Resetting, Reply, TcpEvent.SynAck, TcpPhase.Resetting),
        (TcpPhase.Resetting, Reply, TcpEvent.StraySynAck, TcpPhase.Resetting),  // the answer to that, which begins it
        (TcpPhase.Resetting, Forward, TcpEvent.Alive, TcpPhase.Established),
        (TcpPhase.Resetting, Reply, TcpEvent.Alive, TcpPhase.Established),
        (TcpPhase.Resetting, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.Resetting, Reply, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.Resetting, Forward, TcpEvent.Abort, TcpPhase.Resetting),
        (TcpPhase.Resetting, Reply, TcpEvent.Abort, TcpPhase.Resetting),
        (TcpPhase.Resetting, Forward, TcpEvent.StrayReset, TcpPhase.Resetting),
        (TcpPhase.Resetting, Reply, TcpEvent.StrayReset, TcpPhase.Resetting),

        (TcpPhase.Reset, Forward, TcpEvent.Ack, TcpPhase.Reset),                // in flight when the answerer reset:
        (TcpPhase.Reset, Forward, TcpEvent.Fin, TcpPhase.Reset),                // it will reset them too
        (TcpPhase.Reset, Forward, TcpEvent.StrayReset, TcpPhase.Reset),
        (TcpPhase.Reset, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.Reset, Forward, TcpEvent.Abort, TcpPhase.Reset),
        (TcpPhase.Reset, Reply, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.Reset, Reply, TcpEvent.Abort, TcpPhase.Reset),
        (TcpPhase.Reset, Reply, TcpEvent.StrayReset, TcpPhase.Reset));          // to what was in flight, each with its number

    /// <summary>The phase after an event; <see cref="TcpPhase.Closed"/> where the phase does not allow it.</summary>
    public static TcpPhase Next(TcpPhase phase, bool reply, TcpEvent what) => s_next[Row(phase, reply, what)];

    private static int Row(TcpPhase phase, bool reply, TcpEvent what) =>
        ((((int)phase * 2) + (reply ? 1 : 0)) * Events) + (int)what;

    private static TcpPhase[] Table(params ReadOnlySpan<(TcpPhase Phase, bool Reply, TcpEvent Event, TcpPhase Next)> rows)
    {
        var table = new TcpPhase[Row(TcpPhase.Reset, Reply, TcpEvent.Alive) + 1];
        foreach ((TcpPhase phase, bool reply, TcpEvent what, TcpPhase next) in rows)
        {
            table[Row(phase, reply, what)] = next;
        }

        return table;
    }
}

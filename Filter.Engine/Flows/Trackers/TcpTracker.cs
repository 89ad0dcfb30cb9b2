using Filter.Engine.Packets;

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
    /// <summary>A reset went by: the way back is closed but for resets.</summary>
    Reset,
}

/// <summary>What a segment is to the state table.</summary>
public enum TcpEvent : byte
{
    /// <summary>SYN without ACK.</summary>
    Syn,
    /// <summary>SYN with ACK.</summary>
    SynAck,
    /// <summary>ACK, with or without data.</summary>
    Ack,
    /// <summary>FIN with ACK.</summary>
    Fin,
    /// <summary>The segment after which both FINs are acknowledged.</summary>
    LastAck,
    /// <summary>RST at exactly the next sequence number: it ends the connection.</summary>
    Reset,
    /// <summary>RST anywhere else: the receiver will challenge it (RFC 5961 §3.2).</summary>
    StrayReset,
}

/// <summary>What a tracker says of a packet.</summary>
public enum TrackResult : byte
{
    /// <summary>The state does not allow it.</summary>
    Invalid,
    /// <summary>It belongs here; the state has moved on.</summary>
    Pass,
    /// <summary>It opens a new flow with the key of this finished one: judge it afresh.</summary>
    Reopen,
}

/// <summary>
/// TCP as written rows: (phase, direction, event) → phase. What is not written is invalid.
/// </summary>
public static class TcpTracker
{
    private const bool Forward = false;
    private const bool Reply = true;
    private const int Events = 7;

    private static readonly TcpPhase[] s_next = Rows(
        (TcpPhase.Closed, Forward, TcpEvent.Syn, TcpPhase.SynSent),

        (TcpPhase.SynSent, Forward, TcpEvent.Syn, TcpPhase.SynSent),           // retransmission
        (TcpPhase.SynSent, Reply, TcpEvent.SynAck, TcpPhase.SynReceived),
        (TcpPhase.SynSent, Reply, TcpEvent.Syn, TcpPhase.BothSent),
        (TcpPhase.SynSent, Reply, TcpEvent.Ack, TcpPhase.SynSent),             // an old connection's challenge (RFC 5961 §4)
        (TcpPhase.SynSent, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.SynSent, Forward, TcpEvent.StrayReset, TcpPhase.SynSent),    // the answer to that challenge
        (TcpPhase.SynSent, Reply, TcpEvent.Reset, TcpPhase.Reset),

        (TcpPhase.BothSent, Forward, TcpEvent.Syn, TcpPhase.BothSent),
        (TcpPhase.BothSent, Reply, TcpEvent.Syn, TcpPhase.BothSent),
        (TcpPhase.BothSent, Forward, TcpEvent.SynAck, TcpPhase.SynReceived),
        (TcpPhase.BothSent, Reply, TcpEvent.SynAck, TcpPhase.SynReceived),
        (TcpPhase.BothSent, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.BothSent, Reply, TcpEvent.Reset, TcpPhase.Reset),

        (TcpPhase.SynReceived, Forward, TcpEvent.Syn, TcpPhase.SynReceived),   // the SYN-ACK was lost behind us
        (TcpPhase.SynReceived, Forward, TcpEvent.SynAck, TcpPhase.SynReceived), // simultaneous open
        (TcpPhase.SynReceived, Reply, TcpEvent.SynAck, TcpPhase.SynReceived),
        (TcpPhase.SynReceived, Forward, TcpEvent.Ack, TcpPhase.Established),
        (TcpPhase.SynReceived, Reply, TcpEvent.Ack, TcpPhase.SynReceived),
        (TcpPhase.SynReceived, Forward, TcpEvent.Fin, TcpPhase.Closing),
        (TcpPhase.SynReceived, Reply, TcpEvent.Fin, TcpPhase.Closing),
        (TcpPhase.SynReceived, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.SynReceived, Reply, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.SynReceived, Forward, TcpEvent.StrayReset, TcpPhase.SynReceived),
        (TcpPhase.SynReceived, Reply, TcpEvent.StrayReset, TcpPhase.SynReceived),

        (TcpPhase.Established, Forward, TcpEvent.Ack, TcpPhase.Established),
        (TcpPhase.Established, Reply, TcpEvent.Ack, TcpPhase.Established),
        (TcpPhase.Established, Forward, TcpEvent.Fin, TcpPhase.Closing),
        (TcpPhase.Established, Reply, TcpEvent.Fin, TcpPhase.Closing),
        (TcpPhase.Established, Reply, TcpEvent.SynAck, TcpPhase.Established),  // our ACK was lost ahead of us
        (TcpPhase.Established, Forward, TcpEvent.SynAck, TcpPhase.Established),
        (TcpPhase.Established, Forward, TcpEvent.Syn, TcpPhase.Established),   // answered by a challenge ACK (RFC 5961 §4)
        (TcpPhase.Established, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.Established, Reply, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.Established, Forward, TcpEvent.StrayReset, TcpPhase.Established),
        (TcpPhase.Established, Reply, TcpEvent.StrayReset, TcpPhase.Established),

        (TcpPhase.Closing, Forward, TcpEvent.Ack, TcpPhase.Closing),
        (TcpPhase.Closing, Reply, TcpEvent.Ack, TcpPhase.Closing),
        (TcpPhase.Closing, Forward, TcpEvent.Fin, TcpPhase.Closing),
        (TcpPhase.Closing, Reply, TcpEvent.Fin, TcpPhase.Closing),
        (TcpPhase.Closing, Forward, TcpEvent.LastAck, TcpPhase.TimeWait),
        (TcpPhase.Closing, Reply, TcpEvent.LastAck, TcpPhase.TimeWait),
        (TcpPhase.Closing, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.Closing, Reply, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.Closing, Forward, TcpEvent.StrayReset, TcpPhase.Closing),
        (TcpPhase.Closing, Reply, TcpEvent.StrayReset, TcpPhase.Closing),

        (TcpPhase.TimeWait, Forward, TcpEvent.Fin, TcpPhase.TimeWait),
        (TcpPhase.TimeWait, Reply, TcpEvent.Fin, TcpPhase.TimeWait),
        (TcpPhase.TimeWait, Forward, TcpEvent.Ack, TcpPhase.TimeWait),
        (TcpPhase.TimeWait, Reply, TcpEvent.Ack, TcpPhase.TimeWait),
        (TcpPhase.TimeWait, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.TimeWait, Reply, TcpEvent.Reset, TcpPhase.Reset),

        (TcpPhase.Reset, Forward, TcpEvent.Ack, TcpPhase.Reset),               // in flight when the answerer reset:
        (TcpPhase.Reset, Forward, TcpEvent.Fin, TcpPhase.Reset),               // it will reset them too
        (TcpPhase.Reset, Forward, TcpEvent.StrayReset, TcpPhase.Reset),
        (TcpPhase.Reset, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.Reset, Reply, TcpEvent.Reset, TcpPhase.Reset));

    /// <summary>Moves the flow on by one segment.</summary>
    /// <param name="flow">The flow; its opening may be this very packet.</param>
    /// <param name="packet">A parsed TCP segment; a super-frame counts as the bytes it holds.</param>
    public static TrackResult Track(ref Flow flow, in Packet packet)
    {
        ref TcpEnd sender = ref packet.Reply ? ref flow.Answerer : ref flow.Opener;
        ref TcpEnd receiver = ref packet.Reply ? ref flow.Opener : ref flow.Answerer;
        var phase = (TcpPhase)flow.State;
        TcpFlags flags = packet.TcpFlags;
        bool syn = (flags & TcpFlags.Syn) != 0, fin = (flags & TcpFlags.Fin) != 0, ack = (flags & TcpFlags.Ack) != 0;
        uint end = packet.Sequence + (uint)(packet.End - packet.Payload) + (syn ? 1u : 0) + (fin ? 1u : 0);
        if (phase is TcpPhase.TimeWait or TcpPhase.Reset && syn && !ack)
        {
            return TrackResult.Reopen;
        }

        TcpEvent what = Classify(flow, packet, sender, receiver, end);
        if (what == TcpEvent.StrayReset && phase == TcpPhase.SynSent && packet.Reply)
        {
            // A reset that does not acknowledge our SYN is not for this connection (RFC 9293 §3.10.7.3).
            return TrackResult.Invalid;
        }

        if (fin && sender.Finished && end == sender.Sent)
        {
            // Sent again: it will be acknowledged again, perhaps after all is over.
            flow.Owed = Math.Min(flow.Owed + 1, 16);
        }

        if (phase == TcpPhase.TimeWait && !AllowedInTimeWait(ref flow, packet, sender, end))
        {
            return TrackResult.Invalid;
        }

        if (sender.Finished && phase == TcpPhase.Closing && IsAfter(end, sender.Sent)
            && what is TcpEvent.Ack or TcpEvent.Fin or TcpEvent.LastAck)
        {
            return TrackResult.Invalid;                      // data behind its own FIN
        }

        TcpPhase next = s_next[Row(phase, packet.Reply, what)];
        if (next == TcpPhase.Closed)
        {
            return TrackResult.Invalid;
        }

        if (what is TcpEvent.Syn or TcpEvent.SynAck && phase < TcpPhase.Established)
        {
            // A repeated opening may come with a new initial sequence number.
            sender.Sent = end;
            sender.Seen = true;
        }
        else if (what is not (TcpEvent.Reset or TcpEvent.StrayReset or TcpEvent.Syn or TcpEvent.SynAck))
        {
            sender.Sent = sender.Seen && !IsAfter(end, sender.Sent) ? sender.Sent : end;
            sender.Seen = true;
            sender.Finished |= fin;
        }

        if (ack && what is not (TcpEvent.Reset or TcpEvent.StrayReset))
        {
            sender.Acknowledged = IsAfter(packet.Acknowledgment, sender.Acknowledged) || phase < TcpPhase.Established
                ? packet.Acknowledgment
                : sender.Acknowledged;
        }

        flow.State = (byte)next;
        return TrackResult.Pass;
    }

    private static TcpEvent Classify(
        in Flow flow, in Packet packet, in TcpEnd sender, in TcpEnd receiver, uint end)
    {
        TcpFlags flags = packet.TcpFlags;
        if ((flags & TcpFlags.Rst) != 0)
        {
            // An answer to a SYN must acknowledge it; later only the exact next number resets (RFC 5961 §3.2).
            bool exact = (TcpPhase)flow.State is TcpPhase.SynSent && packet.Reply
                ? (flags & TcpFlags.Ack) != 0 && packet.Acknowledgment == receiver.Sent
                : packet.Sequence == receiver.Acknowledged || (sender.Seen && packet.Sequence == sender.Sent);
            return exact ? TcpEvent.Reset : TcpEvent.StrayReset;
        }

        if ((flags & TcpFlags.Syn) != 0)
        {
            return (flags & TcpFlags.Ack) != 0 ? TcpEvent.SynAck : TcpEvent.Syn;
        }

        bool fin = (flags & TcpFlags.Fin) != 0;
        bool senderDone = (fin && (!sender.Finished || end == sender.Sent)) || sender.Finished;
        uint senderEnd = sender.Finished ? sender.Sent : end;
        if ((TcpPhase)flow.State == TcpPhase.Closing && senderDone && receiver.Finished
            && packet.Acknowledgment == receiver.Sent && receiver.Acknowledged == senderEnd)
        {
            return TcpEvent.LastAck;
        }

        return fin ? TcpEvent.Fin : TcpEvent.Ack;
    }

    /// <summary>
    /// A FIN again; one acknowledgment for each such FIN; a late acknowledgment from before the FIN.
    /// </summary>
    private static bool AllowedInTimeWait(ref Flow flow, in Packet packet, in TcpEnd sender, uint end)
    {
        if ((packet.TcpFlags & TcpFlags.Rst) != 0)
        {
            return true;
        }

        if ((packet.TcpFlags & TcpFlags.Fin) != 0)
        {
            return end == sender.Sent;
        }

        if (end != packet.Sequence)
        {
            return false;
        }

        if (packet.Sequence == sender.Sent && flow.Owed > 0)
        {
            flow.Owed--;
            return true;
        }

        return packet.Sequence == sender.Sent - 1;
    }

    /// <summary>Whether one sequence number is behind another, modulo 2^32 (RFC 9293 §3.4).</summary>
    private static bool IsAfter(uint left, uint right) => (int)(left - right) > 0;

    private static int Row(TcpPhase phase, bool reply, TcpEvent what) =>
        (((int)phase * 2) + (reply ? 1 : 0)) * Events + (int)what;

    private static TcpPhase[] Rows(params ReadOnlySpan<(TcpPhase Phase, bool Reply, TcpEvent Event, TcpPhase Next)> rows)
    {
        var table = new TcpPhase[Row(TcpPhase.Reset, Reply, TcpEvent.StrayReset) + 1];
        foreach ((TcpPhase phase, bool reply, TcpEvent what, TcpPhase next) in rows)
        {
            table[Row(phase, reply, what)] = next;
        }

        return table;
    }
}

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
    /// <summary>
    /// A segment that its receiver can't take: outside its window, or acknowledging what was not sent. The receiver
    /// answers it; what it says is not believed.
    /// </summary>
    Stray,
}

/// <summary>What a tracker says of a packet.</summary>
public enum TrackResult : byte
{
    /// <summary>The state does not allow it.</summary>
    Invalid,
    /// <summary>It belongs here; the state has moved on.</summary>
    Pass,
    /// <summary>It may pass, but changes nothing, the timer included.</summary>
    Aside,
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
    private const int Events = 8;
    private const int MostOwed = 16;

    private static readonly TcpPhase[] s_next = Rows(
        (TcpPhase.Closed, Forward, TcpEvent.Syn, TcpPhase.SynSent),

        (TcpPhase.SynSent, Forward, TcpEvent.Syn, TcpPhase.SynSent),           // retransmission
        (TcpPhase.SynSent, Reply, TcpEvent.SynAck, TcpPhase.SynReceived),
        (TcpPhase.SynSent, Reply, TcpEvent.Syn, TcpPhase.BothSent),
        (TcpPhase.SynSent, Reply, TcpEvent.Ack, TcpPhase.SynSent),             // an old connection's challenge (RFC 5961 §4)
        (TcpPhase.SynSent, Forward, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.SynSent, Forward, TcpEvent.StrayReset, TcpPhase.SynSent),    // the answer to that challenge
        (TcpPhase.SynSent, Reply, TcpEvent.Stray, TcpPhase.SynSent),           // a SYN-ACK to another SYN: the opener will reset it
        (TcpPhase.SynSent, Reply, TcpEvent.Reset, TcpPhase.Reset),

        (TcpPhase.BothSent, Forward, TcpEvent.Syn, TcpPhase.BothSent),
        (TcpPhase.BothSent, Reply, TcpEvent.Syn, TcpPhase.BothSent),
        (TcpPhase.BothSent, Forward, TcpEvent.SynAck, TcpPhase.SynReceived),
        (TcpPhase.BothSent, Reply, TcpEvent.SynAck, TcpPhase.SynReceived),
        (TcpPhase.BothSent, Forward, TcpEvent.Ack, TcpPhase.BothSent),         // challenges
        (TcpPhase.BothSent, Reply, TcpEvent.Ack, TcpPhase.BothSent),
        (TcpPhase.BothSent, Forward, TcpEvent.Stray, TcpPhase.BothSent),
        (TcpPhase.BothSent, Reply, TcpEvent.Stray, TcpPhase.BothSent),
        (TcpPhase.BothSent, Forward, TcpEvent.StrayReset, TcpPhase.BothSent),
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
        (TcpPhase.SynReceived, Forward, TcpEvent.Stray, TcpPhase.SynReceived),
        (TcpPhase.SynReceived, Reply, TcpEvent.Stray, TcpPhase.SynReceived),

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
        (TcpPhase.Established, Forward, TcpEvent.Stray, TcpPhase.Established),
        (TcpPhase.Established, Reply, TcpEvent.Stray, TcpPhase.Established),

        (TcpPhase.Closing, Forward, TcpEvent.Syn, TcpPhase.Closing),           // the opener crashed and begins anew
        (TcpPhase.Closing, Reply, TcpEvent.SynAck, TcpPhase.Closing),
        (TcpPhase.Closing, Forward, TcpEvent.SynAck, TcpPhase.Closing),
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
        (TcpPhase.Closing, Forward, TcpEvent.Stray, TcpPhase.Closing),
        (TcpPhase.Closing, Reply, TcpEvent.Stray, TcpPhase.Closing),

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
        (TcpPhase.Reset, Reply, TcpEvent.Reset, TcpPhase.Reset),
        (TcpPhase.Reset, Reply, TcpEvent.StrayReset, TcpPhase.Reset));         // to what was in flight, each with its number

    /// <summary>Moves the flow on by one segment.</summary>
    /// <param name="flow">The flow; its opening may be this very packet.</param>
    /// <param name="packet">A parsed TCP segment; a super-frame counts as the bytes it holds.</param>
    public static TrackResult Track(ref Flow flow, in Packet packet)
    {
        ref TcpEnd sender = ref packet.Reply ? ref flow.Answerer : ref flow.Opener;
        ref TcpEnd receiver = ref packet.Reply ? ref flow.Opener : ref flow.Answerer;
        var phase = (TcpPhase)flow.State;
        bool syn = (packet.TcpFlags & TcpFlags.Syn) != 0, fin = (packet.TcpFlags & TcpFlags.Fin) != 0;
        uint end = packet.Sequence + (uint)(packet.End - packet.Payload) + (syn ? 1u : 0) + (fin ? 1u : 0);
        if (phase is TcpPhase.TimeWait or TcpPhase.Reset && syn && (packet.TcpFlags & TcpFlags.Ack) == 0)
        {
            return TrackResult.Reopen;
        }

        TcpEvent what = Classify(flow, packet, sender, receiver, end);
        TcpPhase next = s_next[Row(phase, packet.Reply, what)];
        bool isData = what is TcpEvent.Ack or TcpEvent.Fin or TcpEvent.LastAck or TcpEvent.Stray;
        if (next == TcpPhase.Closed
            || (isData && phase < TcpPhase.SynReceived && end != packet.Sequence && !syn)       // no data before the handshake
            || (isData && phase == TcpPhase.Closing && sender.Finished && IsAfter(end, sender.Sent))   // nor behind a FIN
            || (phase == TcpPhase.TimeWait && !AllowedInTimeWait(ref flow, packet, sender, receiver, end)))
        {
            return TrackResult.Invalid;
        }

        switch (what)
        {
            case TcpEvent.Syn or TcpEvent.SynAck when phase < TcpPhase.Established:
                TakeSyn(ref sender, packet, end);
                break;

            case TcpEvent.Syn:
                // It contradicts the state. The answerer will challenge it, or has forgotten all and takes it (RFC 9293 §3.5.1).
                flow.Again = default;
                if (packet.Sequence + 1 != sender.First)
                {
                    TakeSyn(ref flow.Again, packet, end);
                }

                return TrackResult.Aside;

            case TcpEvent.SynAck when packet.Reply && flow.Again.Seen && Acknowledges(flow.Again, packet):
                flow.Opener = flow.Again;
                flow.Answerer = flow.Again = default;
                flow.Owed = 0;
                TakeSyn(ref flow.Answerer, packet, end);
                next = TcpPhase.SynReceived;
                break;

            case TcpEvent.Ack or TcpEvent.Fin or TcpEvent.LastAck when phase is >= TcpPhase.SynReceived and <= TcpPhase.Closing:
                TakeSegment(ref flow, ref sender, receiver, packet, end);
                break;

            case TcpEvent.Ack or TcpEvent.Fin when phase == TcpPhase.TimeWait:
            case TcpEvent.Reset when phase != TcpPhase.Reset:
                break;

            default:
                return TrackResult.Aside;
        }

        flow.State = (byte)next;
        return TrackResult.Pass;
    }

    private static TcpEvent Classify(
        in Flow flow, in Packet packet, in TcpEnd sender, in TcpEnd receiver, uint end)
    {
        TcpFlags flags = packet.TcpFlags;
        var phase = (TcpPhase)flow.State;
        if ((flags & TcpFlags.Rst) != 0)
        {
            return IsExactReset(phase, packet, sender, receiver) ? TcpEvent.Reset : TcpEvent.StrayReset;
        }

        if ((flags & TcpFlags.Syn) != 0)
        {
            return (flags & TcpFlags.Ack) == 0 ? TcpEvent.Syn
                : phase >= TcpPhase.Established || Acknowledges(receiver, packet) ? TcpEvent.SynAck
                : TcpEvent.Stray;
        }

        if (phase is >= TcpPhase.SynReceived and <= TcpPhase.Closing && !Fits(packet, sender, receiver, end))
        {
            return TcpEvent.Stray;
        }

        bool fin = (flags & TcpFlags.Fin) != 0;
        bool senderDone = (fin && (!sender.Finished || end == sender.Sent)) || sender.Finished;
        uint senderEnd = sender.Finished ? sender.Sent : end;
        if (phase == TcpPhase.Closing && senderDone && receiver.Finished
            && packet.Acknowledgment == receiver.Sent && receiver.Acknowledged == senderEnd)
        {
            return TcpEvent.LastAck;
        }

        return fin ? TcpEvent.Fin : TcpEvent.Ack;
    }

    /// <summary>
    /// An answer to a SYN must acknowledge it (RFC 9293 §3.10.7.3); later only the exact next number resets (RFC 5961 §3.2).
    /// </summary>
    private static bool IsExactReset(TcpPhase phase, in Packet packet, in TcpEnd sender, in TcpEnd receiver)
    {
        bool answersSyn = (packet.TcpFlags & TcpFlags.Ack) != 0 && Acknowledges(receiver, packet);
        if (phase == TcpPhase.SynSent && packet.Reply)
        {
            return answersSyn;
        }

        return (phase == TcpPhase.BothSent && answersSyn)
            || (receiver.Acks && packet.Sequence == receiver.Acknowledged)
            || (sender.Seen && packet.Sequence == sender.Sent);
    }

    /// <summary>Whether a segment acknowledges the SYN of its receiver, and of the data on that no more than there was.</summary>
    private static bool Acknowledges(in TcpEnd receiver, in Packet packet) =>
        receiver.Seen && packet.Acknowledgment - receiver.First <= receiver.Sent - receiver.First;

    /// <summary>
    /// Whether the receiver can take a segment: not right of the window that it offered (RFC 9293 §3.10.7.4), not left of
    /// what it may have lost, and not acknowledging what it has not sent, or long ago (RFC 5961 §5).
    /// </summary>
    private static bool Fits(in Packet packet, in TcpEnd sender, in TcpEnd receiver, uint end)
    {
        const uint LeastWindow = 65_536;
        return !(receiver.Acks && IsAfter(packet.Sequence, receiver.Acknowledged + receiver.Window))
            && !(sender.Seen && IsAfter(sender.Sent - receiver.Window - 1, end))
            && !IsAfter(packet.Acknowledgment, receiver.Sent)
            && !IsAfter(receiver.Sent - (2 * Math.Max(sender.Window, LeastWindow)), packet.Acknowledgment);
    }

    /// <summary>A SYN, or one again: with the same number, perhaps with less data, or with another number.</summary>
    private static void TakeSyn(ref TcpEnd sender, in Packet packet, uint end)
    {
        if (!sender.Seen || sender.First != packet.Sequence + 1)
        {
            sender = new TcpEnd { First = packet.Sequence + 1, Sent = end, Seen = true };
        }

        sender.Sent = IsAfter(end, sender.Sent) ? end : sender.Sent;
        sender.Window = packet.Window;                      // never scaled (RFC 7323 §2.2)
        sender.Scale = packet.WindowScale;
        sender.Acks = (packet.TcpFlags & TcpFlags.Ack) != 0;
        sender.Acknowledged = sender.Acks ? packet.Acknowledgment : 0;
    }

    private static void TakeSegment(ref Flow flow, ref TcpEnd sender, in TcpEnd receiver, in Packet packet, uint end)
    {
        bool fin = (packet.TcpFlags & TcpFlags.Fin) != 0;
        if ((TcpPhase)flow.State == TcpPhase.Closing
            && ((fin && sender.Finished) || (end != packet.Sequence && receiver.Acks && !IsAfter(end, receiver.Acknowledged))))
        {
            flow.Owed = Math.Min(flow.Owed + 1, MostOwed);  // sent again: it will be acknowledged again, perhaps late
        }

        bool scaled = sender.Scale != Packet.NoWindowScale && receiver.Scale != Packet.NoWindowScale;
        sender.Sent = IsAfter(end, sender.Sent) ? end : sender.Sent;
        sender.FinAcknowledged = fin && !sender.Finished ? packet.Acknowledgment : sender.FinAcknowledged;
        sender.Finished |= fin;
        sender.Window = Math.Max(sender.Window, (uint)packet.Window << (scaled ? sender.Scale : 0));
        sender.Acknowledged = !sender.Acks || IsAfter(packet.Acknowledgment, sender.Acknowledged)
            ? packet.Acknowledgment
            : sender.Acknowledged;
        sender.Acks = true;
    }

    /// <summary>
    /// What was sent before, again; one acknowledgment for each such segment; a late acknowledgment from before the FIN.
    /// </summary>
    private static bool AllowedInTimeWait(ref Flow flow, in Packet packet, in TcpEnd sender, in TcpEnd receiver, uint end)
    {
        if ((packet.TcpFlags & TcpFlags.Rst) != 0)
        {
            return true;
        }

        if (end != packet.Sequence)
        {
            // Where the acknowledgment was lost behind us, the sender begins with the oldest segment, not with its FIN; but
            // not with what the other's FIN acknowledged, for it has seen that.
            bool again = (packet.TcpFlags & TcpFlags.Fin) != 0 ? end == sender.Sent
                : IsAfter(end, receiver.FinAcknowledged) && IsAfter(sender.Sent, end);
            flow.Owed = again ? Math.Min(flow.Owed + 1, MostOwed) : flow.Owed;
            return again;
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
        var table = new TcpPhase[Row(TcpPhase.Reset, Reply, TcpEvent.Stray) + 1];
        foreach ((TcpPhase phase, bool reply, TcpEvent what, TcpPhase next) in rows)
        {
            table[Row(phase, reply, what)] = next;
        }

        return table;
    }
}

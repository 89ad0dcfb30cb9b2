using Filter.Engine.Packets;

namespace Filter.Engine.Flows.Trackers;

/// <summary>
/// TCP: what a segment is, whether its receiver can take it, and what it tells of its sender; where the flow then stands
/// is written in <see cref="TcpRows"/>.
/// </summary>
public static class TcpTracker
{
    private const int MostOwed = 16;

    /// <summary>The largest shift (RFC 7323 §2.3): with it no window is taken for smaller than it is.</summary>
    private const byte LargestScale = 14;

    /// <summary>The largest window (RFC 7323 §2.3), in bytes.</summary>
    private const uint LargestWindow = 1 << 30;

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
        if (phase >= TcpPhase.TimeWait && syn && (packet.TcpFlags & TcpFlags.Ack) == 0 && Reopens(phase, packet, sender))
        {
            return TrackResult.Reopen;
        }

        TcpEvent what = Classify(flow, packet, sender, receiver, end);
        TcpPhase next = TcpRows.Next(phase, packet.Reply, what);
        bool isData = what is TcpEvent.Ack or TcpEvent.Fin or TcpEvent.LastAck or TcpEvent.Alive;
        if (next == TcpPhase.Closed
            || (isData && phase is > TcpPhase.Closed and < TcpPhase.SynReceived && end != packet.Sequence)  // no data before the handshake
            || (phase == TcpPhase.TimeWait && !AllowedInTimeWait(ref flow, packet, sender, receiver, end)))
        {
            return TrackResult.Invalid;
        }

        if (phase is >= TcpPhase.SynReceived and not TcpPhase.TimeWait
            && (isData ? !Fits(flow, packet, sender, receiver, end)
                : what == TcpEvent.StrayReset && phase != TcpPhase.Reset && !LiesInWindow(sender, receiver, packet.Sequence, packet.Sequence)))
        {
            return TrackResult.OutOfWindow;
        }

        if (isData && phase == TcpPhase.Closing && sender.Finished && IsAfter(end, sender.Sent))
        {
            return TrackResult.Invalid;                     // nothing stands behind a FIN
        }

        if (isData && phase == TcpPhase.SynReceived && !packet.Reply && !Acknowledges(receiver, packet))
        {
            return TrackResult.Aside;                       // only what acknowledges the answer has seen it, and ends the handshake
        }

        if (fin && phase is >= TcpPhase.SynReceived and <= TcpPhase.Closing && IsAfter(sender.Sent, end))
        {
            return TrackResult.Aside;                       // nor was anything: it is of an older connection, or forged
        }

        switch (what)
        {
            case TcpEvent.SynAck or TcpEvent.StraySynAck when packet.Reply && flow.Opener.BeginsAnew && Acknowledges(flow.Again, packet):
                flow.Opener = flow.Again;
                flow.Answerer = flow.Again = default;
                flow.Owed = 0;
                TakeSyn(ref flow.Answerer, packet, end);
                next = TcpPhase.SynReceived;
                break;

            case TcpEvent.Syn when phase < TcpPhase.SynReceived && !packet.Reply && sender.Seen && packet.Sequence + 1 != sender.First:
                // Until one is answered the last two count, the later one before the other.
                (flow.Opener, flow.Again) = (flow.Again.First == packet.Sequence + 1 ? flow.Again : default, flow.Opener);
                TakeSyn(ref flow.Opener, packet, end);
                flow.Opener.BeginsAnew = true;
                break;

            case TcpEvent.Syn or TcpEvent.SynAck when phase <= TcpPhase.SynReceived && (!sender.Seen || packet.Sequence + 1 == sender.First):
            case TcpEvent.SynAck when phase < TcpPhase.SynReceived || (phase == TcpPhase.SynReceived && packet.Reply):
                // Whoever acknowledges a SYN has seen it, and so is believed. One SYN may even be answered with several numbers:
                // a server that keeps none makes them anew (RFC 4987 §3.6).
                TakeSyn(ref sender, packet, end);
                break;

            case TcpEvent.Syn when !packet.Reply && packet.Sequence + 1 != sender.First:
                // It contradicts the state. The answerer will challenge it, or has forgotten all and takes it (RFC 9293 §3.5.1).
                flow.Again = default;
                TakeSyn(ref flow.Again, packet, end);
                sender.BeginsAnew = true;
                return TrackResult.Aside;

            case TcpEvent.Ack when phase == TcpPhase.Closed:
                PickUp(ref sender, ref receiver, packet, end);
                break;

            case TcpEvent.Ack or TcpEvent.Fin or TcpEvent.LastAck or TcpEvent.Alive
                when phase is >= TcpPhase.SynReceived and <= TcpPhase.Closing or TcpPhase.Resetting:
                TakeSegment(ref flow, ref sender, ref receiver, packet, end);
                if (what == TcpEvent.Alive)
                {
                    sender.Aborted = false;
                    next = receiver.Aborted ? phase : sender.Finished || receiver.Finished ? TcpPhase.Closing : next;
                }

                break;

            case TcpEvent.Abort when next == TcpPhase.Resetting:
                sender.Aborted = true;
                break;

            case TcpEvent.Ack or TcpEvent.Fin when phase == TcpPhase.TimeWait:
            case TcpEvent.Reset or TcpEvent.Abort when phase != TcpPhase.Reset:
                break;

            default:
                return TrackResult.Aside;
        }

        flow.State = (byte)next;
        return TrackResult.Pass;
    }

    /// <summary>Whether a segment may open a flow.</summary>
    public static bool Opens(in Packet packet) => (packet.TcpFlags & (TcpFlags.Syn | TcpFlags.Ack)) == TcpFlags.Syn;

    /// <summary>Whether a connection may be picked up by this segment: not where it begins, nor where it ends.</summary>
    public static bool PicksUp(in Packet packet) =>
        (packet.TcpFlags & (TcpFlags.Syn | TcpFlags.Ack | TcpFlags.Rst | TcpFlags.Fin)) == TcpFlags.Ack;

    /// <summary>
    /// Whether a SYN begins a new connection in the place of one that is over: not a late copy of the SYN that began that one,
    /// and while a reset is in doubt only its own sender's.
    /// </summary>
    private static bool Reopens(TcpPhase phase, in Packet packet, in TcpEnd sender) => phase switch
    {
        TcpPhase.TimeWait => packet.Sequence + 1 != sender.First,
        TcpPhase.Resetting => sender.Aborted,
        _ => true,
    };

    private static TcpEvent Classify(
        in Flow flow, in Packet packet, in TcpEnd sender, in TcpEnd receiver, uint end)
    {
        TcpFlags flags = packet.TcpFlags;
        var phase = (TcpPhase)flow.State;
        if ((flags & TcpFlags.Rst) != 0)
        {
            return ClassifyReset(flow, packet, sender, receiver);
        }

        if ((flags & TcpFlags.Syn) != 0)
        {
            return (flags & TcpFlags.Ack) == 0 ? TcpEvent.Syn
                : Acknowledges(receiver, packet) ? TcpEvent.SynAck
                : TcpEvent.StraySynAck;
        }

        if (phase == TcpPhase.Resetting && sender.Aborted)
        {
            return TcpEvent.Alive;
        }

        bool fin = (flags & TcpFlags.Fin) != 0;
        bool senderDone = (fin && (!sender.Finished || end == sender.Sent)) || sender.Finished;
        uint senderEnd = sender.Finished ? sender.Sent : end;
        if (phase == TcpPhase.Closing && !IsOld(receiver, end) && senderDone && receiver.Finished
            && packet.Acknowledgment == receiver.Sent && receiver.Acknowledged == senderEnd)
        {
            return TcpEvent.LastAck;
        }

        return fin ? TcpEvent.Fin : TcpEvent.Ack;
    }

    /// <summary>
    /// An answer to a SYN must acknowledge it (RFC 9293 §3.10.7.3); later only the exact next number resets (RFC 5961 §3.2).
    /// Which number that is, the receiver has said itself, unless something is under way to it.
    /// </summary>
    private static TcpEvent ClassifyReset(in Flow flow, in Packet packet, in TcpEnd sender, in TcpEnd receiver)
    {
        var phase = (TcpPhase)flow.State;
        bool acknowledges = (packet.TcpFlags & TcpFlags.Ack) != 0;
        bool answersAgain = acknowledges && packet.Reply && receiver.BeginsAnew && Acknowledges(flow.Again, packet);
        bool answersSyn = answersAgain || (acknowledges && Acknowledges(receiver, packet));
        if (answersAgain && phase >= TcpPhase.SynReceived)
        {
            return TcpEvent.Reset;                          // refuses the SYN that contradicted the state
        }

        if (phase == TcpPhase.SynSent && packet.Reply)
        {
            return answersSyn ? TcpEvent.Reset : TcpEvent.StrayReset;
        }

        bool isExpected = receiver.Acks && packet.Sequence == receiver.Acknowledged;
        bool isLast = sender.Seen && packet.Sequence == sender.Sent;
        return (phase == TcpPhase.BothSent && answersSyn)
            || (isExpected && (isLast || !sender.Seen || phase < TcpPhase.SynReceived)) ? TcpEvent.Reset
            : isExpected || isLast ? TcpEvent.Abort
            : TcpEvent.StrayReset;
    }

    /// <summary>Whether a segment acknowledges the SYN of its receiver, and of the data on that no more than there was.</summary>
    private static bool Acknowledges(in TcpEnd receiver, in Packet packet) =>
        receiver.Seen && packet.Acknowledgment - receiver.First <= receiver.Sent - receiver.First;

    /// <summary>
    /// Whether the receiver can take a segment: two bounds for its numbers, and two for what it acknowledges: not what was
    /// not sent, nor what was acknowledged long ago (RFC 5961 §5).
    /// </summary>
    private static bool Fits(in Flow flow, in Packet packet, in TcpEnd sender, in TcpEnd receiver, uint end)
    {
        const uint LeastWindow = 65_536;

        // Where the beginning was not seen, the receiver may have sent more than went by here.
        uint unseen = (flow.Packed.TcpFlags & TcpFlags.Syn) == 0 ? LargestWindow : 0;
        return LiesInWindow(sender, receiver, packet.Sequence, end)
            && !IsAfter(packet.Acknowledgment, receiver.Sent + unseen)
            && !IsAfter(receiver.Sent - Math.Min(2 * Math.Max(sender.Window, LeastWindow), LargestWindow), packet.Acknowledgment);
    }

    /// <summary>
    /// Whether sequence numbers are neither right of the window that the receiver offered (RFC 9293 §3.10.7.4) nor left of
    /// what it may have lost. Some send their FIN behind a window that is full, and go on from there: hence one more.
    /// </summary>
    private static bool LiesInWindow(in TcpEnd sender, in TcpEnd receiver, uint first, uint end) =>
        !((receiver.Acks || sender.Seen) && IsAfter(first, (receiver.Acks ? receiver.Acknowledged : sender.First) + receiver.Window + 1))
        && !(sender.Seen && IsAfter(sender.Sent - receiver.Window - 1, end));

    /// <summary>
    /// Whether a segment ends before what its receiver has acknowledged: some discard it with all that it says (RFC 9293
    /// §3.10.7.4), some believe its acknowledgment. A connection does not end by one.
    /// </summary>
    private static bool IsOld(in TcpEnd receiver, uint end) => receiver.Acks && IsAfter(receiver.Acknowledged, end);

    /// <summary>A SYN, or one again: with the same number, perhaps with less data or options, or with another number.</summary>
    private static void TakeSyn(ref TcpEnd sender, in Packet packet, uint end)
    {
        if (!sender.Seen || sender.First != packet.Sequence + 1)
        {
            byte scale = sender.Seen ? sender.Scale : Packet.NoWindowScale;
            sender = new TcpEnd { First = packet.Sequence + 1, Sent = end, Seen = true, Scale = scale };
        }

        sender.Sent = IsAfter(end, sender.Sent) ? end : sender.Sent;
        sender.Window = packet.Window;                      // never scaled (RFC 7323 §2.2)

        // Some leave the option out when they try again; which SYN was answered, nobody says.
        sender.Scale = packet.WindowScale != Packet.NoWindowScale ? packet.WindowScale : sender.Scale;
        sender.Acks = (packet.TcpFlags & TcpFlags.Ack) != 0;
        sender.Acknowledged = sender.Acks ? packet.Acknowledgment : 0;
    }

    /// <summary>
    /// The first segment that was seen of a connection under way. How windows are scaled nobody will say any more, so both
    /// count as the largest that they can be: none is judged too small (RFC 6092 REC-32).
    /// </summary>
    private static void PickUp(ref TcpEnd sender, ref TcpEnd receiver, in Packet packet, uint end)
    {
        sender = new TcpEnd
        {
            First = packet.Sequence, Sent = end, Acknowledged = packet.Acknowledgment, Window = LargestWindow,
            Scale = LargestScale, Seen = true, Acks = true,
        };
        receiver = new TcpEnd
        {
            First = packet.Acknowledgment, Sent = packet.Acknowledgment, Window = LargestWindow, Scale = LargestScale, Seen = true,
        };
    }

    private static void TakeSegment(ref Flow flow, ref TcpEnd sender, ref TcpEnd receiver, in Packet packet, uint end)
    {
        bool fin = (packet.TcpFlags & TcpFlags.Fin) != 0;
        if ((TcpPhase)flow.State == TcpPhase.Closing
            && ((fin && sender.Finished) || (end != packet.Sequence && receiver.Acks && !IsAfter(end, receiver.Acknowledged))))
        {
            // Sent again: each segment will be acknowledged again, perhaps late.
            flow.Owed = Math.Min(flow.Owed + packet.Segments, MostOwed);
        }

        bool repeats = end != packet.Sequence && !IsAfter(end, sender.Sent);
        sender.Repeats = repeats && sender.Repeats < byte.MaxValue ? (byte)(sender.Repeats + 1) : sender.Repeats;
        receiver.Repeats = 0;
        sender.BeginsAnew = false;
        bool scaled = sender.Scale != Packet.NoWindowScale && receiver.Scale != Packet.NoWindowScale;
        sender.Sent = IsAfter(end, sender.Sent) ? end : sender.Sent;
        sender.FinAcknowledged = fin && !sender.Finished ? packet.Acknowledgment : sender.FinAcknowledged;
        sender.Finished |= fin;
        sender.Window = Math.Max(sender.Window, (uint)packet.Window << (scaled ? sender.Scale : 0));
        sender.Acknowledged = !sender.Acks || IsAfter(packet.Acknowledgment, sender.Acknowledged)
            ? packet.Acknowledgment
            : sender.Acknowledged;
        sender.Acks = true;

        // Only where the beginning was not seen: what is acknowledged was sent.
        receiver.Sent = IsAfter(packet.Acknowledgment, receiver.Sent) ? packet.Acknowledgment : receiver.Sent;
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
            flow.Owed = again ? Math.Min(flow.Owed + packet.Segments, MostOwed) : flow.Owed;
            return again;
        }

        if (packet.Sequence == sender.Sent && packet.Acknowledgment == receiver.Sent && flow.Owed > 0)
        {
            flow.Owed--;
            return true;
        }

        return packet.Sequence == sender.Sent - 1;
    }

    /// <summary>Whether one sequence number is behind another, modulo 2^32 (RFC 9293 §3.4).</summary>
    private static bool IsAfter(uint left, uint right) => (int)(left - right) > 0;
}

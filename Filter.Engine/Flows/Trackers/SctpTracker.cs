using System.Numerics;
using Filter.Engine.Packets;

namespace Filter.Engine.Flows.Trackers;

/// <summary>Where an SCTP association stands, seen from between its ends (RFC 9260 §4).</summary>
public enum SctpPhase : byte
{
    /// <summary>Nothing was seen.</summary>
    Closed,
    /// <summary>INIT went by, perhaps INIT ACK too.</summary>
    CookieWait,
    /// <summary>COOKIE ECHO went by.</summary>
    CookieEchoed,
    /// <summary>COOKIE ACK went by: the association is up.</summary>
    Established,
    /// <summary>The opener sent SHUTDOWN.</summary>
    ShutdownSent,
    /// <summary>The answerer sent SHUTDOWN.</summary>
    ShutdownReceived,
    /// <summary>Both did (RFC 9260 §9.2).</summary>
    ShutdownBoth,
    /// <summary>SHUTDOWN ACK went by.</summary>
    ShutdownAckSent,
    /// <summary>SHUTDOWN COMPLETE or ABORT went by: only they, again, and what the opener had in flight.</summary>
    Ended,
}

/// <summary>The tags that the ends of an association chose: each is sent to who chose it. 0 is not known.</summary>
public struct SctpTags
{
    /// <summary>What packets to the opener carry.</summary>
    public uint Opener;

    /// <summary>What packets to the answerer carry.</summary>
    public uint Answerer;
}

/// <summary>
/// SCTP as written rows: (phase, direction, event) → phase; what is not written is invalid. Before the table the
/// verification tag is compared (RFC 9260 §8.5): <see cref="Fits"/>. One pair of addresses an association: the further addresses that
/// INIT may list (multihoming) are flows of their own, which only an INIT of their own opens.
/// </summary>
public static class SctpTracker
{
    private const int Events = 9;
    private const SctpEvents Handshake = SctpEvents.Init | SctpEvents.InitAck;
    private const SctpEvents Cookie = SctpEvents.CookieEcho | SctpEvents.CookieAck;

    private static readonly SctpPhase[] s_next = Rows(
        Opener(SctpPhase.Closed, SctpEvents.Init, SctpPhase.CookieWait),

        Either(SctpPhase.CookieWait, SctpEvents.Init, SctpPhase.CookieWait),            // again, or from both ends (§5.2.1)
        Either(SctpPhase.CookieWait, SctpEvents.InitAck, SctpPhase.CookieWait),
        Either(SctpPhase.CookieWait, SctpEvents.CookieEcho, SctpPhase.CookieEchoed),
        Either(SctpPhase.CookieWait, SctpEvents.Abort, SctpPhase.Ended),

        Either(SctpPhase.CookieEchoed, SctpEvents.Init, SctpPhase.CookieEchoed),
        Either(SctpPhase.CookieEchoed, SctpEvents.InitAck, SctpPhase.CookieEchoed),
        Either(SctpPhase.CookieEchoed, SctpEvents.CookieEcho, SctpPhase.CookieEchoed),
        Either(SctpPhase.CookieEchoed, SctpEvents.CookieAck, SctpPhase.Established),
        Either(SctpPhase.CookieEchoed, SctpEvents.Other, SctpPhase.CookieEchoed),       // beside the cookie; COOKIE ACK lost ahead of us
        Either(SctpPhase.CookieEchoed, SctpEvents.Abort, SctpPhase.Ended),

        Either(SctpPhase.Established, SctpEvents.Init, SctpPhase.Established),          // an end has forgotten all and begins
        Either(SctpPhase.Established, SctpEvents.InitAck, SctpPhase.Established),       // anew (§5.2.2): nothing counts before
        Either(SctpPhase.Established, SctpEvents.CookieEcho, SctpPhase.Established),    // the new COOKIE ACK
        Either(SctpPhase.Established, SctpEvents.CookieAck, SctpPhase.Established),
        Either(SctpPhase.Established, SctpEvents.Other, SctpPhase.Established),
        Opener(SctpPhase.Established, SctpEvents.Shutdown, SctpPhase.ShutdownSent),
        Answerer(SctpPhase.Established, SctpEvents.Shutdown, SctpPhase.ShutdownReceived),
        Either(SctpPhase.Established, SctpEvents.Abort, SctpPhase.Ended),

        Either(SctpPhase.ShutdownSent, SctpEvents.Init, SctpPhase.ShutdownSent),
        Either(SctpPhase.ShutdownSent, SctpEvents.InitAck, SctpPhase.ShutdownSent),
        Either(SctpPhase.ShutdownSent, SctpEvents.CookieEcho, SctpPhase.ShutdownSent),
        Either(SctpPhase.ShutdownSent, SctpEvents.CookieAck, SctpPhase.Established),
        Either(SctpPhase.ShutdownSent, SctpEvents.Other, SctpPhase.ShutdownSent),
        Opener(SctpPhase.ShutdownSent, SctpEvents.Shutdown, SctpPhase.ShutdownSent),
        Answerer(SctpPhase.ShutdownSent, SctpEvents.Shutdown, SctpPhase.ShutdownBoth),
        Answerer(SctpPhase.ShutdownSent, SctpEvents.ShutdownAck, SctpPhase.ShutdownAckSent),
        Either(SctpPhase.ShutdownSent, SctpEvents.Abort, SctpPhase.Ended),

        Either(SctpPhase.ShutdownReceived, SctpEvents.Init, SctpPhase.ShutdownReceived),
        Either(SctpPhase.ShutdownReceived, SctpEvents.InitAck, SctpPhase.ShutdownReceived),
        Either(SctpPhase.ShutdownReceived, SctpEvents.CookieEcho, SctpPhase.ShutdownReceived),
        Either(SctpPhase.ShutdownReceived, SctpEvents.CookieAck, SctpPhase.Established),
        Either(SctpPhase.ShutdownReceived, SctpEvents.Other, SctpPhase.ShutdownReceived),
        Opener(SctpPhase.ShutdownReceived, SctpEvents.Shutdown, SctpPhase.ShutdownBoth),
        Answerer(SctpPhase.ShutdownReceived, SctpEvents.Shutdown, SctpPhase.ShutdownReceived),
        Opener(SctpPhase.ShutdownReceived, SctpEvents.ShutdownAck, SctpPhase.ShutdownAckSent),
        Either(SctpPhase.ShutdownReceived, SctpEvents.Abort, SctpPhase.Ended),

        Either(SctpPhase.ShutdownBoth, SctpEvents.Init, SctpPhase.ShutdownBoth),
        Either(SctpPhase.ShutdownBoth, SctpEvents.InitAck, SctpPhase.ShutdownBoth),
        Either(SctpPhase.ShutdownBoth, SctpEvents.CookieEcho, SctpPhase.ShutdownBoth),
        Either(SctpPhase.ShutdownBoth, SctpEvents.CookieAck, SctpPhase.Established),
        Either(SctpPhase.ShutdownBoth, SctpEvents.Other, SctpPhase.ShutdownBoth),
        Either(SctpPhase.ShutdownBoth, SctpEvents.Shutdown, SctpPhase.ShutdownBoth),
        Either(SctpPhase.ShutdownBoth, SctpEvents.ShutdownAck, SctpPhase.ShutdownAckSent),
        Either(SctpPhase.ShutdownBoth, SctpEvents.Abort, SctpPhase.Ended),

        Either(SctpPhase.ShutdownAckSent, SctpEvents.Init, SctpPhase.ShutdownAckSent),  // answered by SHUTDOWN ACK (§9.2)
        Either(SctpPhase.ShutdownAckSent, SctpEvents.InitAck, SctpPhase.ShutdownAckSent),
        Either(SctpPhase.ShutdownAckSent, SctpEvents.CookieEcho, SctpPhase.ShutdownAckSent),
        Either(SctpPhase.ShutdownAckSent, SctpEvents.CookieAck, SctpPhase.Established),
        Either(SctpPhase.ShutdownAckSent, SctpEvents.Other, SctpPhase.ShutdownAckSent),
        Either(SctpPhase.ShutdownAckSent, SctpEvents.Shutdown, SctpPhase.ShutdownAckSent),   // SHUTDOWN ACK was lost
        Either(SctpPhase.ShutdownAckSent, SctpEvents.ShutdownAck, SctpPhase.ShutdownAckSent),
        Either(SctpPhase.ShutdownAckSent, SctpEvents.ShutdownComplete, SctpPhase.Ended),
        Either(SctpPhase.ShutdownAckSent, SctpEvents.Abort, SctpPhase.Ended),

        Either(SctpPhase.Ended, SctpEvents.ShutdownAck, SctpPhase.Ended),               // SHUTDOWN COMPLETE was lost (§8.4)
        Either(SctpPhase.Ended, SctpEvents.ShutdownComplete, SctpPhase.Ended),
        Either(SctpPhase.Ended, SctpEvents.Abort, SctpPhase.Ended),
        Opener(SctpPhase.Ended, SctpEvents.Other, SctpPhase.Ended),                     // in flight when the answerer aborted:
        Opener(SctpPhase.Ended, SctpEvents.Shutdown, SctpPhase.Ended));                 // it will abort again

    /// <summary>Whether a packet may open a flow: INIT alone.</summary>
    public static bool Opens(in Packet packet) => packet.Chunks == SctpEvents.Init;

    /// <summary>
    /// Whether the verification tag is the one its receiver chose (RFC 9260 §8.5): of the association that is up, or of the one
    /// that is being set up where none is, or where the packet belongs to setting it up.
    /// </summary>
    public static bool Fits(in Flow flow, in Packet packet)
    {
        if (packet.Chunks == SctpEvents.Init)
        {
            return true;                                    // it has none, as parsing found
        }

        bool isUp = flow.Tags.Opener != 0;
        if (packet.TagReflected)
        {
            // The receiver's tag is not known to who sent this; it has seen one of the receiver's packets (§8.5.1 B, C).
            return isUp && packet.Tag == (packet.Reply ? flow.Tags.Answerer : flow.Tags.Opener);
        }

        return (isUp && packet.Tag == Receiver(flow.Tags, packet.Reply) && (packet.Chunks & SctpEvents.InitAck) == 0)
            || ((!isUp || (packet.Chunks & (SctpEvents.InitAck | Cookie | SctpEvents.Abort)) != 0) && IsOfNext(flow, packet));
    }

    /// <summary>Moves the flow on by one packet, which <see cref="Fits"/>.</summary>
    public static TrackResult Track(ref Flow flow, in Packet packet)
    {
        var phase = (SctpPhase)flow.State;
        if (phase == SctpPhase.Ended && packet.Chunks == SctpEvents.Init)
        {
            return TrackResult.Reopen;
        }

        bool isUp = flow.Tags.Opener != 0, isOfNext = IsOfNext(flow, packet);
        SctpEvents events = packet.Chunks;
        if (isUp && !isOfNext && (events & Cookie) != 0)
        {
            events = (events & ~Cookie) | SctpEvents.Other;     // the handshake's last steps again (§5.2.4 D)
        }

        if (isUp && isOfNext && events == SctpEvents.Abort && packet.Tag != Receiver(flow.Tags, packet.Reply))
        {
            return TrackResult.Aside;                           // who would begin anew is refused; what is up stays
        }

        if ((events & Cookie) != 0 && (flow.NextTags.Opener == 0 || flow.NextTags.Answerer == 0))
        {
            return TrackResult.Invalid;                         // no cookie was given
        }

        SctpPhase next = phase;
        for (int rest = (int)events; rest != 0; rest &= rest - 1)
        {
            next = s_next[Row(next, packet.Reply, BitOperations.TrailingZeroCount(rest))];
            if (next == SctpPhase.Closed)
            {
                return TrackResult.Invalid;
            }
        }

        Learn(ref flow, packet, events);
        flow.State = (byte)next;
        bool moves = next != SctpPhase.Ended || phase != SctpPhase.Ended;
        bool anew = isUp && (events & (Handshake | SctpEvents.CookieEcho)) != 0;
        return moves && !anew ? TrackResult.Pass : TrackResult.Aside;
    }

    private static void Learn(ref Flow flow, in Packet packet, SctpEvents events)
    {
        SctpTags next = flow.NextTags;
        switch (events)
        {
            case SctpEvents.Init:
                LearnInit(ref flow, packet);
                return;

            case SctpEvents.InitAck when packet.Reply:
                next.Answerer = packet.InitiateTag;
                break;

            case SctpEvents.InitAck:
                next.Opener = packet.InitiateTag;
                break;

            default:
                if ((events & SctpEvents.CookieAck) != 0)
                {
                    flow.Tags = next;
                    next = default;
                }

                break;
        }

        flow.NextTags = next;
    }

    /// <summary>
    /// What INIT says counts once its INIT ACK and cookies bear it out. Nobody can prove that an INIT is its sender's, so while the
    /// handshake of the opener goes on, none from the other end takes from it what was learned.
    /// </summary>
    private static void LearnInit(ref Flow flow, in Packet packet)
    {
        SctpTags next = flow.NextTags;
        bool isUp = flow.Tags.Opener != 0;
        if (!packet.Reply)
        {
            next = next.Opener == packet.InitiateTag ? next : new SctpTags { Opener = packet.InitiateTag };
        }
        else if (isUp)
        {
            next = next.Answerer == packet.InitiateTag ? next : new SctpTags { Answerer = packet.InitiateTag };
        }
        else if (next.Answerer == 0)
        {
            next.Answerer = packet.InitiateTag;
        }

        flow.NextTags = next;
    }

    private static bool IsOfNext(in Flow flow, in Packet packet) =>
        packet.Tag != 0 && packet.Tag == Receiver(flow.NextTags, packet.Reply);

    private static uint Receiver(in SctpTags tags, bool reply) => reply ? tags.Opener : tags.Answerer;

    private static int Row(SctpPhase phase, bool reply, int what) => ((((int)phase * 2) + (reply ? 1 : 0)) * Events) + what;

    private static RowOf Opener(SctpPhase phase, SctpEvents what, SctpPhase next) => new(phase, true, false, what, next);

    private static RowOf Answerer(SctpPhase phase, SctpEvents what, SctpPhase next) => new(phase, false, true, what, next);

    private static RowOf Either(SctpPhase phase, SctpEvents what, SctpPhase next) => new(phase, true, true, what, next);

    private static SctpPhase[] Rows(params ReadOnlySpan<RowOf> rows)
    {
        var table = new SctpPhase[Row(SctpPhase.Ended, true, Events)];
        foreach (RowOf row in rows)
        {
            int what = BitOperations.TrailingZeroCount((int)row.Event);
            if (row.Forward)
            {
                table[Row(row.Phase, false, what)] = row.Next;
            }

            if (row.Reply)
            {
                table[Row(row.Phase, true, what)] = row.Next;
            }
        }

        return table;
    }

    private readonly record struct RowOf(SctpPhase Phase, bool Forward, bool Reply, SctpEvents Event, SctpPhase Next);
}

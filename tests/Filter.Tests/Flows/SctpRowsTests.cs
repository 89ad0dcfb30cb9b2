using Filter.Engine.Flows;
using Filter.Engine.Flows.Trackers;
using Filter.Engine.Packets;

namespace Filter.Tests.Flows;

/// <summary>The SCTP table, cell by cell: what is written here passes and leads where it says; every other cell is invalid.</summary>
public sealed class SctpRowsTests
{
    private const uint Opener = 0xa, Answerer = 0xb, NextOpener = 0x1a, NextAnswerer = 0x1b;

    /// <summary>
    /// Phase by phase and direction by direction, the next phase for Init InitAck CookieEcho CookieAck Other Shutdown ShutdownAck
    /// ShutdownComplete Abort: C closed, W cookie-wait, E cookie-echoed, U established, S shutdown-sent, R shutdown-received, B both, A
    /// shutdown-ack-sent, X ended, n a new flow, - invalid.
    /// </summary>
    private static readonly (SctpPhase Phase, string Forward, string Reply)[] s_cells =
    [
        (SctpPhase.Closed,           "W--------", "---------"),
        (SctpPhase.CookieWait,       "WWE-----X", "WWE-----X"),
        (SctpPhase.CookieEchoed,     "EEEUE---X", "EEEUE---X"),
        (SctpPhase.Established,      "UUUUUS--X", "UUUUUR--X"),
        (SctpPhase.ShutdownSent,     "SSSUSS--X", "SSSUSBA-X"),
        (SctpPhase.ShutdownReceived, "RRRURBA-X", "RRRURR--X"),
        (SctpPhase.ShutdownBoth,     "BBBUBBA-X", "BBBUBBA-X"),
        (SctpPhase.ShutdownAckSent,  "AAAUAAAXX", "AAAUAAAXX"),
        (SctpPhase.Ended,            "n---XXXXX", "n-----XXX"),
    ];

    [Fact]
    public void Every_cell_leads_where_it_is_written_and_no_other_is_valid()
    {
        int looked = 0;
        foreach ((SctpPhase phase, string forward, string reply) in s_cells)
        {
            for (int what = 0; what < forward.Length; what++)
            {
                Check(phase, false, (SctpEvents)(1 << what), forward[what]);
                Check(phase, true, (SctpEvents)(1 << what), reply[what]);
                looked += 2;
            }
        }

        Assert.Equal(Enum.GetValues<SctpPhase>().Length * 2 * (Enum.GetValues<SctpEvents>().Length - 1), looked);
    }

    [Fact]
    public void A_bundle_counts_in_the_order_of_its_meaning()
    {
        Flow flow = At(SctpPhase.CookieEchoed);
        Packet packet = Of(true, SctpEvents.CookieAck | SctpEvents.Other | SctpEvents.Shutdown, NextOpener);
        Assert.True(SctpTracker.Fits(flow, packet));
        Assert.Equal(TrackResult.Pass, SctpTracker.Track(ref flow, packet));
        Assert.Equal(SctpPhase.ShutdownReceived, (SctpPhase)flow.State);
        Assert.Equal((NextOpener, NextAnswerer), (flow.Tags.Opener, flow.Tags.Answerer));
        Assert.Equal(0u, flow.NextTags.Opener | flow.NextTags.Answerer);
    }

    private static void Check(SctpPhase phase, bool reply, SctpEvents what, char next)
    {
        Flow flow = At(phase);
        bool ofNext = phase < SctpPhase.Established || what is SctpEvents.InitAck or SctpEvents.CookieEcho or SctpEvents.CookieAck;
        uint tag = what == SctpEvents.Init ? 0 : ofNext ? reply ? NextOpener : NextAnswerer : reply ? Opener : Answerer;
        Packet packet = Of(reply, what, tag);
        string cell = $"{phase}, {(reply ? "reply" : "forward")}, {what}";
        Assert.True(SctpTracker.Fits(flow, packet), cell);
        TrackResult result = SctpTracker.Track(ref flow, packet);
        if (next is '-' or 'n')
        {
            Assert.True(result == (next == 'n' ? TrackResult.Reopen : TrackResult.Invalid), $"{cell}: {result}");
            Assert.Equal(phase, (SctpPhase)flow.State);
            return;
        }

        Assert.True(result is TrackResult.Pass or TrackResult.Aside, cell);
        Assert.True("CWEUSRBAX".IndexOf(next, StringComparison.Ordinal) == flow.State, $"{cell} led to {(SctpPhase)flow.State}");
    }

    private static Flow At(SctpPhase phase) => new()
    {
        State = (byte)phase,
        Tags = phase < SctpPhase.Established ? default : new SctpTags { Opener = Opener, Answerer = Answerer },
        NextTags = new SctpTags { Opener = NextOpener, Answerer = NextAnswerer },
    };

    private static Packet Of(bool reply, SctpEvents what, uint tag) => new()
    {
        Reply = reply,
        Chunks = what,
        Tag = tag,
        InitiateTag = what is SctpEvents.Init or SctpEvents.InitAck ? reply ? NextAnswerer : NextOpener : 0,
    };
}

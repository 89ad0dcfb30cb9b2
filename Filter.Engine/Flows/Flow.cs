using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Filter.Engine.Algs;
using Filter.Engine.Flows.Trackers;
using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Engine.Flows;

/// <summary>How much a flow has shown of itself: what a full table gives up, and in which order.</summary>
public enum FlowStanding : byte
{
    /// <summary>Half-open: TCP whose handshake is not acknowledged, all else that is not answered.</summary>
    HalfOpen,

    /// <summary>Answered, but once: a spoofed sender gets as far.</summary>
    Answered,

    /// <summary>Both ends have shown that they are there.</summary>
    Proven,

    /// <summary>Over: only what was in flight still passes.</summary>
    Ended,
}

/// <summary>What one endpoint of a TCP flow has shown so far, in segments that the other could take.</summary>
public struct TcpEnd
{
    /// <summary>The number of the first byte behind its SYN.</summary>
    public uint First;

    /// <summary>One behind the highest sequence number it sent.</summary>
    public uint Sent;

    /// <summary>The highest acknowledgment it sent; counts where <see cref="Acks"/>.</summary>
    public uint Acknowledged;

    /// <summary>What it acknowledged with its FIN; who acknowledges that FIN has seen it.</summary>
    public uint FinAcknowledged;

    /// <summary>The largest window it offered, in bytes.</summary>
    public uint Window;

    /// <summary>The shift its SYN offered, or <see cref="Packet.NoWindowScale"/>.</summary>
    public byte Scale;

    /// <summary>Segments that it repeated since the other end last said something; no more than a byte holds.</summary>
    public byte Repeats;

    private Marks _marks;

    /// <summary>It has sent its SYN, so <see cref="Sent"/> counts.</summary>
    public bool Seen
    {
        readonly get => Has(Marks.Seen);
        set => Mark(Marks.Seen, value);
    }

    /// <summary>It has acknowledged something.</summary>
    public bool Acks
    {
        readonly get => Has(Marks.Acks);
        set => Mark(Marks.Acks, value);
    }

    /// <summary>It has sent its FIN, which ends at <see cref="Sent"/>.</summary>
    public bool Finished
    {
        readonly get => Has(Marks.Finished);
        set => Mark(Marks.Finished, value);
    }

    /// <summary>
    /// Of the opener: it has sent another SYN, kept as <see cref="Flow.Again"/>, and nothing since that belongs to this connection.
    /// </summary>
    public bool BeginsAnew
    {
        readonly get => Has(Marks.BeginsAnew);
        set => Mark(Marks.BeginsAnew, value);
    }

    /// <summary>It has sent a reset that overtook its data, or was not its own; see <see cref="Trackers.TcpPhase.Resetting"/>.</summary>
    public bool Aborted
    {
        readonly get => Has(Marks.Aborted);
        set => Mark(Marks.Aborted, value);
    }

    private readonly bool Has(Marks mark) => (_marks & mark) != 0;

    private void Mark(Marks mark, bool value) => _marks = value ? _marks | mark : _marks & ~mark;

    [Flags]
    private enum Marks : byte
    {
        Seen = 1,
        Acks = 2,
        Finished = 4,
        BeginsAnew = 8,
        Aborted = 16,
    }
}

/// <summary>
/// One tracked conversation. A record without references, in an array of the table's; the facts of
/// its opening stay, so that it can be judged again by them.
/// </summary>
/// <remarks>
/// In order of use, by cache lines: who it is; what each packet looks at and counts; the ends of TCP. The rest is touched where it
/// opens, changes or ends.
/// </remarks>
[StructLayout(LayoutKind.Sequential, Size = 5 * 64)]
public struct Flow
{
    /// <summary>What its first packet was, packed: one line.</summary>
    internal PackedOpening Packed;

    // ---- a line that every packet touches

    /// <summary>When it ends unless a packet comes: nanoseconds on the path's clock.</summary>
    public long Deadline;

    /// <summary>Packets in the opening's direction.</summary>
    public long ForwardPackets;

    /// <summary>Their bytes, of whole frames.</summary>
    public long ForwardBytes;

    /// <summary>Packets against it.</summary>
    public long ReplyPackets;

    /// <summary>Their bytes.</summary>
    public long ReplyBytes;

    /// <summary>The rule that let it in.</summary>
    public int Rule;

    /// <summary>The policy generation under which it was judged; <see cref="Rule"/> is a number of that generation's.</summary>
    public int Generation;

    /// <summary>Ports for which the rules were asked.</summary>
    public ushort Judged;

    /// <summary>Ports for which they said pass.</summary>
    public ushort Allowed;

    /// <summary>What kind it is to the timers.</summary>
    public FlowClass Class;

    /// <summary>Where in its tracker's table it stands; see the trackers. At most 15.</summary>
    public byte State;

    /// <summary>What keeps its pinhole open.</summary>
    public PinholeKind Pinhole;

    /// <summary>Who reads along; see <see cref="Helped"/>.</summary>
    public HelperKind Helper;

    /// <summary>How much it has shown of itself.</summary>
    public FlowStanding Standing;

    /// <summary>Whose timers it has: of <see cref="IRuleset.Timers"/>, from 1, under its <see cref="Generation"/>; 0 for the policy's.</summary>
    public byte Timers;

    /// <summary>How hard pressed the table was when its deadline was set; see the walk's limits.</summary>
    internal byte Pressure;

    /// <summary>The record is in use.</summary>
    public bool Live;

    /// <summary>Its rule logs.</summary>
    public bool Log;

    /// <summary>The policy in force does not allow it: it was kept when that was put in force.</summary>
    public bool Kept;

    /// <summary>A rule marked `management` let it in: it may use the table's reserve.</summary>
    public bool Management;

    // ---- a line that TCP, IPsec and pinholes that close touch

    /// <summary>The opener's end of a TCP flow.</summary>
    public TcpEnd Opener;

    /// <summary>The answerer's end.</summary>
    public TcpEnd Answerer;

    /// <summary>The generation of the SPD that said what follows.</summary>
    public int IpsecGeneration;

    /// <summary>What the SPD says of the opening's direction, and of the other.</summary>
    public IpsecDecision ForwardIpsec, ReplyIpsec;

    /// <summary>Answers that a one-answer pinhole owes; acknowledgments that a closed TCP flow does.</summary>
    public int Owed;

    // ---- what few packets touch

    /// <summary>When it was opened: nanoseconds on the path's clock.</summary>
    public long Opened;

    /// <summary>Neighbours in its slot of the timer wheel; 0 for none. And the slot.</summary>
    internal int TimerNext, TimerPrevious, TimerSlot;

    /// <summary>Which of all the flows so far it is: with its number, a reference that another flow never answers to.</summary>
    public uint Serial;

    /// <summary>
    /// The care-of addresses that the opener and the answerer have shown, folded; 0 for none. Nobody is led to another by a
    /// routing header (RFC 6275 §6.4).
    /// </summary>
    public uint OpenerCareOf, AnswererCareOf;

    /// <summary>The flow that expected it, which may have ended since; none for a flow that the rules let in.</summary>
    public FlowReference Parent;

    /// <summary>
    /// The expectation by which it came, where it has a <see cref="Parent"/>; else the pinhole for others that it keeps open.
    /// 0 for none.
    /// </summary>
    public int Expectation;

    /// <summary>The side record of its helper; 0 for none.</summary>
    public int Helped;

    /// <summary>
    /// What the opener's SYN said that contradicted the state: if the answerer's next SYN acknowledges it, both began anew.
    /// </summary>
    public TcpEnd Again;

    /// <summary>The shares that it counts in; see <see cref="ShareTable"/>. The destination's is 0 once it is not half-open.</summary>
    internal int SourceShare, DestinationShare;

    /// <summary>The shares that it counts in of what its rule lets in, at all and of its source; 0 where that has no limit.</summary>
    internal int RuleShare, RuleSourceShare;

    /// <summary>Its neighbours among flows that may be given up.</summary>
    internal AgeLinks Links;

    /// <summary>The tags of an SCTP association that is up. They stand where TCP has its ends.</summary>
    public SctpTags Tags
    {
        readonly get => Unsafe.As<TcpEnd, SctpTags>(ref Unsafe.AsRef(in Opener));
        set => Unsafe.As<TcpEnd, SctpTags>(ref Opener) = value;
    }

    /// <summary>The tags of an SCTP association that is being set up, in the place of one that is up perhaps.</summary>
    public SctpTags NextTags
    {
        readonly get => Unsafe.As<TcpEnd, SctpTags>(ref Unsafe.AsRef(in Answerer));
        set => Unsafe.As<TcpEnd, SctpTags>(ref Answerer) = value;
    }

    /// <summary>What its first packet was.</summary>
    public OpeningFacts Opening
    {
        readonly get => Packed.Unpack();
        set => Packed = new PackedOpening(value);
    }

    /// <summary>The key that its opening showed.</summary>
    public readonly FlowKey Key => Packed.Key;

    /// <summary>Both ends have shown that they are there: no limit gives it up.</summary>
    public readonly bool Proven => Standing == FlowStanding.Proven;
}

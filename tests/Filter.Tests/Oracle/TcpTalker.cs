using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Oracle;

/// <summary>A segment that an end has sent, seen by the judges or lost ahead of them.</summary>
internal readonly record struct Segment(uint Sequence, int Length, TcpFlags Flags)
{
    public uint End => Sequence + (uint)Length + ((Flags & TcpFlags.Syn) != 0 ? 1u : 0) + ((Flags & TcpFlags.Fin) != 0 ? 1u : 0);
}

/// <summary>One end of a TCP connection, as far as what it may send depends on it (RFC 9293 §3.3.1).</summary>
internal sealed class TcpTalker(bool inside, uint initial, int? scale, int buffer)
{
    private readonly List<Segment> _outOfOrder = [];

    public bool Inside { get; } = inside;

    /// <summary>Its SYN's number.</summary>
    public uint Initial { get; } = initial;

    /// <summary>The shift that it offers, if any.</summary>
    public int? Scale { get; set; } = scale;

    /// <summary>The shift in force on its windows: 0 unless both offered one.</summary>
    public int Shift { get; set; }

    /// <summary>SND.NXT and SND.UNA.</summary>
    public uint Next { get; set; } = initial;

    public uint Unacknowledged { get; private set; } = initial;

    /// <summary>RCV.NXT; counts once it has heard the other's SYN.</summary>
    public uint Received { get; private set; }

    public bool HeardSyn { get; private set; }

    public bool HeardFin { get; private set; }

    /// <summary>Whether its own SYN was acknowledged.</summary>
    public bool Established => HeardSyn && Unacknowledged != Initial;

    /// <summary>Whether it has sent its FIN.</summary>
    public bool Finished { get; set; }

    /// <summary>Whether it owes an acknowledgment: something came that it must answer (RFC 9293 §3.10.7.4).</summary>
    public bool Owes { get; set; }

    /// <summary>Whether both have closed, and it knows.</summary>
    public bool Closed => Finished && HeardFin && Flying.Count == 0;

    /// <summary>The right edge of the window that it has offered, which it never takes back (RFC 9293 §3.8.6).</summary>
    public uint Edge { get; private set; }

    /// <summary>The right edge of what it may send.</summary>
    public uint PeerEdge { get; private set; } = initial + 1;

    /// <summary>What it has sent and not heard acknowledged, in order.</summary>
    public List<Segment> Flying { get; } = [];

    /// <summary>How much it may send now.</summary>
    public int Room => Math.Max(0, (int)(PeerEdge - Next));

    /// <summary>The window field of its next segment.</summary>
    public ushort Offer(bool syn, Random random)
    {
        // An application that reads now and then: the edge stands still, or moves.
        int moves = syn ? 1 : random.Next(2);
        int shift = syn ? 0 : Shift;
        uint edge = Received + (uint)(moves * Math.Min(buffer, ushort.MaxValue << shift));
        Edge = IsAfter(edge, Edge) ? edge : Edge;
        return (ushort)Math.Min(syn ? (uint)buffer : (Edge - Received) >> shift, ushort.MaxValue);
    }

    /// <summary>A segment of its peer arrives.</summary>
    public void Hear(Segment segment, bool acknowledges, uint acknowledgment, ushort window, int shift)
    {
        if ((segment.Flags & TcpFlags.Syn) != 0 && !HeardSyn)
        {
            HeardSyn = true;
            Edge = Received = segment.Sequence + 1;
        }

        if (acknowledges && (int)(acknowledgment - Unacknowledged) >= 0 && !IsAfter(acknowledgment, Next))
        {
            Unacknowledged = acknowledgment;
            Flying.RemoveAll(one => !IsAfter(one.End, acknowledgment));
            uint edge = acknowledgment + ((uint)window << shift);
            PeerEdge = IsAfter(edge, PeerEdge) ? edge : PeerEdge;
        }

        if (!HeardSyn)
        {
            return;
        }

        Owes |= segment.End != segment.Sequence;
        _outOfOrder.Add(segment);
        for (int i; (i = _outOfOrder.FindIndex(one => !IsAfter(one.Sequence, Received) && IsAfter(one.End, Received))) >= 0;)
        {
            HeardFin |= (_outOfOrder[i].Flags & TcpFlags.Fin) != 0;
            Received = _outOfOrder[i].End;
            Edge = IsAfter(Received, Edge) ? Received : Edge;
        }

        _outOfOrder.RemoveAll(one => !IsAfter(one.End, Received));
    }

    private static bool IsAfter(uint left, uint right) => (int)(left - right) > 0;
}

using Filter.Engine.Algs;
using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Engine.Flows;

/// <summary>
/// A way that stands open for flows that no rule lets in: to where a helper heard that one is awaited, or to the endpoint
/// that opened a pinhole for others too. The flow it comes from is its parent.
/// </summary>
public struct Expectation
{
    /// <summary>
    /// Where to (address, port, protocol, segment), and from which address; the default address stands for any, and the
    /// source port is 0: any.
    /// </summary>
    public FlowKey Key;

    /// <summary>The ports it may come in by, one bit each, and those it may leave by.</summary>
    public ushort From, To;

    /// <summary>What its parent's first packet was: rules judge by it, after a reload too.</summary>
    public OpeningFacts Opening;

    /// <summary>Its parent, which may have ended since.</summary>
    public FlowReference Parent;

    /// <summary>The rule that let its parent in.</summary>
    public int Rule;

    /// <summary>The policy generation under which that was judged.</summary>
    public int Generation;

    /// <summary>When it is over unless it is renewed: nanoseconds on the path's clock.</summary>
    public long Deadline;

    /// <summary>Flows that came by it and live, and of a pinhole those that keep it open.</summary>
    public int Holders;

    /// <summary>The call it belongs to; see <see cref="Announcement"/>.</summary>
    public uint Call;

    /// <summary>The helper that heard of it; None for a pinhole.</summary>
    public HelperKind Helper;

    /// <summary>The kind of a pinhole.</summary>
    public PinholeKind Pinhole;

    /// <summary>One flow is awaited.</summary>
    public bool Once;

    /// <summary>Its parent's rule logs.</summary>
    public bool Log;

    /// <summary>The policy in force does not allow its parent: as <see cref="Flow.Kept"/>.</summary>
    public bool Kept;

    /// <summary>Flows may still come by it; else the record stays for those that came.</summary>
    public bool Open;

    /// <summary>The next one in its chain, or in the list of free records; 0 for none.</summary>
    internal int Next;
}

/// <summary>A flow's number, and which of the flows that had it.</summary>
/// <param name="Number">See <see cref="FlowTable"/>; 0 for none.</param>
/// <param name="Serial">See <see cref="Flow.Serial"/>.</param>
public readonly record struct FlowReference(int Number, uint Serial);

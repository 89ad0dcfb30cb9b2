using Filter.Engine.Flows;

namespace Filter.Engine.Path;

/// <summary>Where a flow is looked for that makes way for another.</summary>
internal enum Listing : byte
{
    /// <summary>The whole table.</summary>
    Table,

    /// <summary>The flows of a source.</summary>
    Sources,

    /// <summary>The half-open flows to a service.</summary>
    Destinations,

    /// <summary>The flows of a rule, or of a source there.</summary>
    Rules,
}

/// <summary>What one worker asks of another: that its oldest flow of a kind, if it still has one that is not proven, makes way for one that opens here.</summary>
/// <param name="Of">Where it is looked for.</param>
/// <param name="Key">Whose flow; of the table, whether one of rules marked `management` may go.</param>
/// <param name="Limit">Which limit asks for it.</param>
/// <param name="Whose">Whom the limit bites.</param>
internal readonly record struct Demand(Listing Of, ShareKey Key, Limit Limit, ShareKey Whose);

/// <summary>
/// A packet whose flow its home does not know may be of an endpoint whose pinhole, open for everybody, another worker has.
/// </summary>
[Flags]
public enum GuestState : ushort
{
    /// <summary>Nobody else was asked.</summary>
    None = 0,

    /// <summary>Its home sent it to who has the pinhole.</summary>
    Visits = 1,

    /// <summary>He knew nothing of it: its home decides.</summary>
    Returned = 2,

    /// <summary>Walked to its end: it only leaves by a port of the worker that it was handed to.</summary>
    Leaves = 8,

    /// <summary>Walked to its end: it only wants its next hop, which the first worker knows.</summary>
    NeedsHop = 16,

    /// <summary>Handed to another worker, who goes on with it.</summary>
    Gone = 32,

    /// <summary>Part of what another worker has counted.</summary>
    Piece = 64,

    /// <summary>It stays where it was sent: a piece, at the home of its whole; what an SA opens, with the SA's owner.</summary>
    Rehomed = 128,

    /// <summary>Above the rest is counted how often it was handed over.</summary>
    OneHop = 0x1000,

    /// <summary>It is handed over no more.</summary>
    LastHop = 0xf000,

    /// <summary>Put together from fragments that were left behind: it may be cut again.</summary>
    PutTogether = 4,
}

using System.Collections.Immutable;
using Filter.Engine.Packets;

namespace Filter.Ipsec.Ike;

/// <summary>What happened.</summary>
public enum IkeEventKind : byte
{
    /// <summary>Both ends have proved who they are.</summary>
    IkeUp,

    /// <summary>An IKE SA took another's place.</summary>
    IkeRekeyed,

    /// <summary>An IKE SA is gone, and its children with it.</summary>
    IkeDown,

    /// <summary>A child carries.</summary>
    ChildUp,

    /// <summary>A child took another's place; that goes on receiving until it is deleted.</summary>
    ChildRekeyed,

    /// <summary>A child is gone.</summary>
    ChildDown,

    /// <summary>The peer does not answer any more: its IKE SA is gone (RFC 7296 §2.4).</summary>
    PeerDead,

    /// <summary>Something was not agreed on.</summary>
    Failed,

    /// <summary>The peer gave us addresses (RFC 7296 §2.19).</summary>
    AddressesGiven,

    /// <summary>The addresses that the peer gave us are ours no more.</summary>
    AddressesTaken,

    /// <summary>Too many IKE SAs are half-open: whoever begins one is asked for a cookie (RFC 7296 §2.6).</summary>
    CookiesAsked,

    /// <summary>Few enough are half-open again.</summary>
    CookiesNotAsked,
}

/// <summary>One event.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="Peer">With whom, as the ruleset calls him; empty where it is nobody in particular.</param>
/// <param name="Text">In words, for the log.</param>
/// <param name="At">When, in nanoseconds of the caller's clock.</param>
public sealed record IkeEvent(IkeEventKind Kind, string Peer, string Text, long At)
{
    /// <summary>The child that it is about; null for none.</summary>
    public ChildSa? Child { get; init; }

    /// <summary>Why, of <see cref="IkeEventKind.Failed"/>; null for others.</summary>
    public IkeFailure? Failure { get; init; }

    /// <summary>The addresses that were given or taken.</summary>
    public ImmutableArray<Address> Addresses { get; init; } = [];
}

using System.Collections.Immutable;
using Filter.Engine.Packets;

namespace Filter.Ipsec.Ike;

/// <summary>How it stands with a peer.</summary>
public enum IkePeerState : byte
{
    /// <summary>Configured, and nothing is up: nobody needs it, or it cannot be had. <see cref="IkePeerReport.LastFailure"/> says why not.</summary>
    Down,

    /// <summary>It is being tried, or will be tried again.</summary>
    Connecting,

    /// <summary>An IKE SA is up.</summary>
    Up,
}

/// <summary>How far an IKE SA has come.</summary>
public enum IkeSaState : byte
{
    /// <summary>IKE_SA_INIT is under way.</summary>
    Connecting,

    /// <summary>Keys are agreed on, and nobody has proved who he is.</summary>
    Authenticating,

    /// <summary>Both have proved who they are.</summary>
    Up,

    /// <summary>Another has taken its place.</summary>
    Replaced,

    /// <summary>It is being deleted.</summary>
    Closing,

    /// <summary>It is gone.</summary>
    Closed,
}

/// <summary>A peer, and all that there is with it.</summary>
/// <param name="Name">As the ruleset calls it.</param>
/// <param name="State">How it stands.</param>
/// <param name="Sas">IKE SAs; of the ones that others begin, those that have proved who they are.</param>
/// <param name="LastFailure">What went wrong last, and has not gone well since; null for nothing.</param>
/// <param name="RetryAt">When it is tried again, in nanoseconds of the caller's clock; null for not.</param>
/// <param name="Policies">Those that name it, and whether each has a child.</param>
public sealed record IkePeerReport(
    string Name, IkePeerState State, ImmutableArray<IkeSaReport> Sas, IkeFailure? LastFailure, long? RetryAt, ImmutableArray<IkePolicyReport> Policies);

/// <summary>A policy that names a peer.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Children">How many children carry it; 0 for configured but down.</param>
/// <param name="LastFailure">What went wrong last with a child of it, and has not gone well since.</param>
public sealed record IkePolicyReport(string Name, int Children, IkeFailure? LastFailure);

/// <summary>An IKE SA.</summary>
public sealed record IkeSaReport
{
    /// <summary>The SPI of who began it.</summary>
    public required ulong InitiatorSpi { get; init; }

    /// <summary>The SPI of the other; 0 while it is not known.</summary>
    public required ulong ResponderSpi { get; init; }

    /// <summary>We began it.</summary>
    public required bool IsInitiator { get; init; }

    /// <summary>How far it has come.</summary>
    public required IkeSaState State { get; init; }

    /// <summary>Between which ends.</summary>
    public required IkePath Path { get; init; }

    /// <summary>Who the peer has proved to be; null until then.</summary>
    public required string? RemoteIdentity { get; init; }

    /// <summary>The algorithms; null until they are agreed on.</summary>
    public required string? Suite { get; init; }

    /// <summary>Since when, in nanoseconds of the caller's clock.</summary>
    public required long Since { get; init; }

    /// <summary>When its keys are renewed; null for never.</summary>
    public required long? RekeyAt { get; init; }

    /// <summary>A device that translates addresses stands before us.</summary>
    public required bool IsLocalTranslated { get; init; }

    /// <summary>A device that translates addresses stands before the peer.</summary>
    public required bool IsRemoteTranslated { get; init; }

    /// <summary>Addresses that one of us got from the other.</summary>
    public required ImmutableArray<Address> Given { get; init; }

    /// <summary>Its children.</summary>
    public required ImmutableArray<ChildSa> Children { get; init; }
}

/// <summary>What became of an order.</summary>
/// <param name="Done">It is done, or under way.</param>
/// <param name="Text">What was done, or why it was not.</param>
public readonly record struct IkeAnswer(bool Done, string Text);

/// <summary>What came and was of no use, since the start.</summary>
public sealed class IkeCounters
{
    /// <summary>Datagrams that came.</summary>
    public long Received { get; internal set; }

    /// <summary>Datagrams that went.</summary>
    public long Sent { get; internal set; }

    /// <summary>No message, or one that cannot be read.</summary>
    public long Malformed { get; internal set; }

    /// <summary>Of no IKE SA that there is.</summary>
    public long UnknownSpi { get; internal set; }

    /// <summary>Forged, or changed on the way.</summary>
    public long BadIcv { get; internal set; }

    /// <summary>Of a number that is not awaited: late, early, or said again.</summary>
    public long OutOfWindow { get; internal set; }

    /// <summary>Of an exchange that has no place there, as CREATE_CHILD_SA before anybody has proved who he is.</summary>
    public long OutOfPlace { get; internal set; }

    /// <summary>Beginnings that no peer in the ruleset may make.</summary>
    public long Strangers { get; internal set; }

    /// <summary>Beginnings that were answered by a cookie.</summary>
    public long Cookies { get; internal set; }

    /// <summary>Beginnings for which there was no room.</summary>
    public long HalfOpenLimit { get; internal set; }

    /// <summary>Messages that were sent again.</summary>
    public long Retransmitted { get; internal set; }
}

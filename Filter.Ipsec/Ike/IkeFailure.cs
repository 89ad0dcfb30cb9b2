using System.Collections.Immutable;

namespace Filter.Ipsec.Ike;

/// <summary>Why something was not agreed on.</summary>
public enum IkeFailureKind : byte
{
    /// <summary>Nobody answered.</summary>
    NoAnswer,

    /// <summary>No proposal suits both (NO_PROPOSAL_CHOSEN).</summary>
    NoProposal,

    /// <summary>No traffic selector suits both (TS_UNACCEPTABLE).</summary>
    Selectors,

    /// <summary>Somebody did not prove who he is (AUTHENTICATION_FAILED).</summary>
    Authentication,

    /// <summary>No address to give (INTERNAL_ADDRESS_FAILURE), or none asked for (FAILED_CP_REQUIRED).</summary>
    Address,

    /// <summary>The peer refuses for another reason, or says what cannot be.</summary>
    Refused,

    /// <summary>Something here prevents it: no address of ours, no signature, no room.</summary>
    Here,
}

/// <summary>Both sides of what did not fit.</summary>
/// <param name="Ours">What we propose or accept, best first.</param>
/// <param name="Theirs">The same of the peer; empty where it did not say.</param>
/// <param name="Differs">The first thing that has nothing in common: of the two proposals that are closest, its first transform.</param>
public sealed record IkeMismatch(ImmutableArray<string> Ours, ImmutableArray<string> Theirs, string Differs);

/// <summary>Why something failed, for people: what each side wanted, and where they part.</summary>
/// <param name="Kind">What kind of reason.</param>
/// <param name="Text">One line that says it all.</param>
/// <param name="At">When, in nanoseconds of the caller's clock.</param>
public sealed record IkeFailure(IkeFailureKind Kind, string Text, long At)
{
    /// <summary>The policy whose child failed; null where it is the IKE SA.</summary>
    public string? Policy { get; init; }

    /// <summary>Proposals or selectors side by side; null where it is about neither.</summary>
    public IkeMismatch? Mismatch { get; init; }

    /// <summary>What was expected of the peer, of an authentication.</summary>
    public string? Expected { get; init; }

    /// <summary>What came of it instead.</summary>
    public string? Found { get; init; }

    /// <summary>Nobody has proved that he said so: it was taken as a hint, and ended nothing by itself.</summary>
    public bool IsUnproven { get; init; }
}

namespace Filter.Tests.Oracle;

/// <summary>Who of the two lets the packet pass.</summary>
internal enum Passes
{
    /// <summary>Filter alone.</summary>
    Filter,

    /// <summary>The kernel alone.</summary>
    Kernel,
}

/// <summary>One difference between the kernel's verdicts and Filter's in which Filter is right.</summary>
/// <param name="Subject">What is spoken, as <see cref="Conversation.Subject"/>; several between bars.</param>
/// <param name="State">Where Filter's flow stood, as <see cref="FilterWalk.Phase"/> names it; several between bars, or * for any.</param>
/// <param name="Kind">What the packet is, as <see cref="Step.Kind"/>; several between bars.</param>
/// <param name="Who">Who lets it pass.</param>
/// <param name="Reason">Why Filter drops it; empty where it passes.</param>
/// <param name="Rfc">What decides.</param>
/// <param name="Why">What it says, and what Filter makes of it.</param>
internal sealed record AcceptedDifference(
    string Subject, string State, string Kind, Passes Who, string Reason, string Rfc, string Why)
{
    public bool Covers(string subject, string state, string kind, bool filterPasses, string verdict) =>
        (Who == Passes.Filter) == filterPasses && Has(Subject, subject) && Has(State, state) && Has(Kind, kind)
        && (filterPasses || Reason == verdict);

    private static bool Has(string words, string word) => words == "*" || words.Split('|').Contains(word);
}

/// <summary>
/// Every difference that is accepted, with the RFC that decides it. A difference that stands here is one in which Filter
/// is right; one in which it is wrong is a fault to be mended. Whatever no longer occurs is struck out: a test says so.
/// </summary>
internal static class AcceptedDifferences
{
    public static readonly AcceptedDifference[] All =
    [
    ];
}

using System.Collections.Immutable;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Rules.Analysis;

/// <summary>What the analysis has to say of a rule.</summary>
public enum FindingKind
{
    /// <summary>No packet reaches the rule: those above it take everything that it matches.</summary>
    Unreachable,

    /// <summary>Without the rule every packet would be treated the same.</summary>
    Redundant,

    /// <summary>It and a rule below it overlap, neither is part of the other, and they decide otherwise: their order decides.</summary>
    Conflict,

    /// <summary>What it allows over IPv4, nothing allows over IPv6.</summary>
    ForgottenIpv6,

    /// <summary>It would take too long to say whether the rule is reached, or needed.</summary>
    Undecided,
}

/// <summary>A finding of the analysis.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Rule">The rule it is about.</param>
/// <param name="Blame">The rules that make it so, in order; a default has the name that logs give it.</param>
/// <param name="Message">For people.</param>
/// <param name="Witness">A packet that shows it; null where there is none.</param>
public sealed record Finding(FindingKind Kind, Rule Rule, ImmutableArray<string> Blame, string Message, Witness? Witness)
{
    /// <summary>As a warning with its place.</summary>
    public Diagnostic ToDiagnostic() => new(Severity.Warning, Rule.At, Message, Witness is null ? null : $"see: {Witness}");
}

using Filter.Engine.Flows;

namespace Filter.Engine.Path;

/// <summary>
/// What a ruleset says of the walk as a whole, beside its rules: published with them, so a reload changes both at once.
/// Immutable; each part has a record of its own and defaults that suit most networks.
/// </summary>
public sealed record PathPolicy
{
    /// <summary>What holds where nothing is said.</summary>
    public static PathPolicy Default { get; } = new();

    /// <summary>Whose expectations are met; <see cref="Timers"/> already are what it says, or better.</summary>
    public Profile Profile { get; init; }

    /// <summary>Lifetimes of flows, and of fragments that wait.</summary>
    public FlowTimers Timers { get; init; } = FlowTimers.Of(Profile.Default);

    /// <summary>Who may say what by which port.</summary>
    public Admission Admission { get; init; } = new();

    /// <summary>What keeps a flood from taking the flow table.</summary>
    public FlowLimits Limits { get; init; } = new();

    /// <summary>What Filter says to senders, and how often.</summary>
    public AnswerPolicy Answers { get; init; } = new();

    /// <summary>At least one rule lets TCP connections be picked up in their middle.</summary>
    public bool Midstream { get; init; }
}

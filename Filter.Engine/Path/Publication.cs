using Filter.Engine.Flows;

namespace Filter.Engine.Path;

/// <summary>
/// A ruleset made ready to be put in force: all that it needs is allocated, so that publishing it
/// holds up no packet. Made by <see cref="PacketPath.Prepare"/>, for one use.
/// </summary>
public sealed class Publication
{
    internal Publication(IRuleset ruleset, RuleBook follows, RuleBook rules, RuleLimits limits, FlowLifetimes[] lifetimes)
    {
        Ruleset = ruleset;
        Follows = follows;
        Rules = rules;
        Limits = limits;
        Lifetimes = lifetimes;
    }

    /// <summary>The ruleset.</summary>
    public IRuleset Ruleset { get; }

    /// <summary>What was in force when it was made ready.</summary>
    internal RuleBook Follows { get; }

    internal RuleBook Rules { get; }

    internal RuleLimits Limits { get; }

    internal FlowLifetimes[] Lifetimes { get; }
}

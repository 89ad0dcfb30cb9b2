using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <summary>
/// A copy of what a path knows of one packet before it comes: the flow it would belong to, or the expectation it would meet, and
/// what rule numbers stand for. Another path that takes it walks the packet as this one would, and this one never notices.
/// </summary>
public sealed class PathExcerpt
{
    internal PathExcerpt(RuleBook rules, int generation, long now)
    {
        Rules = rules;
        Generation = generation;
        Now = now;
    }

    /// <summary>When it was copied, on the path's clock.</summary>
    public long Now { get; }

    /// <summary>The flow's number; 0 where there is none.</summary>
    public int Number { get; internal init; }

    /// <summary>The flow.</summary>
    public Flow Flow { get; internal init; }

    /// <summary>The flow's rule.</summary>
    public RuleName Rule { get; internal init; }

    /// <summary>The flow, which lives, that expected this one or would expect it; 0 for none.</summary>
    public int ParentNumber { get; internal init; }

    internal FlowKey Key { get; init; }

    /// <summary>A flow with that key ended by its timer not long ago.</summary>
    internal bool Ended { get; init; }

    /// <summary>What is open for the packet, or how its flow came.</summary>
    internal Expectation? Expectation { get; init; }

    internal Flow Parent { get; init; }

    internal RuleBook Rules { get; }

    internal int Generation { get; }

    /// <summary>Whether there is a flow of the packet's, or one is expected.</summary>
    public bool KnowsIt => Number != 0 || Expectation is not null;
}

namespace Filter.Engine.Path;

/// <summary>What a rule lets in: of all sources together, and of each. What is null has no limit.</summary>
/// <param name="Rate">How fast flows may open, or packets without flow may pass.</param>
/// <param name="Connections">Most live flows at once.</param>
/// <param name="SourceRate">As <paramref name="Rate"/>, of one source.</param>
/// <param name="SourceConnections">As <paramref name="Connections"/>, of one source.</param>
public sealed record RuleLimit(
    RateLimit? Rate, int? Connections = null, RateLimit? SourceRate = null, int? SourceConnections = null)
{
    /// <summary>No limit.</summary>
    internal static RuleLimit None { get; } = new((RateLimit?)null);

    /// <summary>Whether something must be remembered of sources, or of flows.</summary>
    internal bool NeedsShares => Connections is not null || SourceRate is not null || SourceConnections is not null;
}

namespace Filter.Engine.Path;

/// <summary>Whose expectations the walk meets where the ruleset leaves it open.</summary>
public enum Profile : byte
{
    /// <summary>What suits most networks.</summary>
    Default,

    /// <summary>
    /// A customer edge as RFC 6092 wants it: its checks are on, its minima hold, whatever the ruleset says, and nothing
    /// shortens a lifetime below them.
    /// </summary>
    Rfc6092,
}

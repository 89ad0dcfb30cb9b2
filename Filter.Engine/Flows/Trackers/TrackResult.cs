namespace Filter.Engine.Flows.Trackers;

/// <summary>What a tracker says of a packet.</summary>
public enum TrackResult : byte
{
    /// <summary>The state does not allow it.</summary>
    Invalid,
    /// <summary>Its receiver can't take it: it lies outside the window, or acknowledges what was not sent.</summary>
    OutOfWindow,
    /// <summary>It belongs here; the state has moved on.</summary>
    Pass,
    /// <summary>It may pass, but changes nothing, the timer included.</summary>
    Aside,
    /// <summary>It opens a new flow with the key of this finished one: judge it afresh.</summary>
    Reopen,
}

namespace Filter.Engine.Packets;

/// <summary>What becomes of a packet. The zero value is Drop: what nobody decided does not pass.</summary>
public enum Verdict : byte
{
    /// <summary>Ends here, silently, for the reason beside it.</summary>
    Drop,

    /// <summary>Goes on to its far port, protected where the policy says so.</summary>
    Pass,

    /// <summary>Ends here and the sender is told (TCP RST, ICMP prohibited).</summary>
    Reject,

    /// <summary>Waits in the bounded pool: a fragment for its rest, a packet for its neighbour.</summary>
    Held,

    /// <summary>Ends here, answered by Filter itself (packet too big, fragmentation needed).</summary>
    Answered,

    /// <summary>Was meant for Filter and ends here (neighbour answers, dummy ESP packets).</summary>
    Consumed,
}

/// <summary>What the IPsec stage does, or did, with a packet.</summary>
public enum IpsecAction : byte
{
    /// <summary>Not decided: before the stage, or not crossing the boundary.</summary>
    None,

    /// <summary>Goes, or came, in the clear, by policy.</summary>
    Bypass,

    /// <summary>Sealed before it leaves.</summary>
    Protect,

    /// <summary>Came sealed, was verified and opened.</summary>
    Opened,

    /// <summary>Policy discards it.</summary>
    Drop,
}

/// <summary>Which way a packet crosses the boundary (RFC 4301 §3.1).</summary>
public enum Direction : byte
{
    /// <summary>Between two ports of one side: the boundary is not crossed.</summary>
    Across,

    /// <summary>Protected to unprotected.</summary>
    Out,

    /// <summary>Unprotected to protected.</summary>
    In,
}

/// <summary>The side of the boundary on which a port stands.</summary>
public enum Side : byte
{
    /// <summary>Hostile: the network.</summary>
    Unprotected,

    /// <summary>The machines that Filter protects, or the box's own stack.</summary>
    Protected,
}

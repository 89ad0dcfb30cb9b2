namespace Filter.Engine.Packets;

/// <summary>
/// What the chunks of an SCTP packet are to the state table, one bit each, in the order in which they count. The bit's number is
/// the event's in the table of <see cref="Flows.Trackers.SctpTracker"/>.
/// </summary>
[Flags]
public enum SctpEvents : ushort
{
    /// <summary>No chunk: not an SCTP packet, or a bad one.</summary>
    None = 0,
    /// <summary>INIT.</summary>
    Init = 1 << 0,
    /// <summary>INIT ACK.</summary>
    InitAck = 1 << 1,
    /// <summary>COOKIE ECHO.</summary>
    CookieEcho = 1 << 2,
    /// <summary>COOKIE ACK.</summary>
    CookieAck = 1 << 3,
    /// <summary>DATA, SACK, HEARTBEAT, ERROR and every other chunk that an association at work exchanges.</summary>
    Other = 1 << 4,
    /// <summary>SHUTDOWN.</summary>
    Shutdown = 1 << 5,
    /// <summary>SHUTDOWN ACK.</summary>
    ShutdownAck = 1 << 6,
    /// <summary>SHUTDOWN COMPLETE.</summary>
    ShutdownComplete = 1 << 7,
    /// <summary>ABORT: nothing else of its packet counts (RFC 9260 §6.10).</summary>
    Abort = 1 << 8,
}

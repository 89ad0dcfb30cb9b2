namespace Filter.Engine.Packets;

/// <summary>What kind of super-frame a packet is: many segments with one header.</summary>
public enum GsoKind : byte
{
    /// <summary>One ordinary packet.</summary>
    None,
    /// <summary>TCP over IPv4.</summary>
    TcpV4,
    /// <summary>TCP over IPv6.</summary>
    TcpV6,
    /// <summary>UDP of either family: each segment a datagram of its own.</summary>
    Udp,
}

/// <summary>What is known of the transport checksum.</summary>
public enum ChecksumState : byte
{
    /// <summary>As it stands in the packet; nobody has looked.</summary>
    Unknown,
    /// <summary>Verified by the NIC or by us.</summary>
    Valid,
    /// <summary>
    /// Unfinished: the field holds the sum of the pseudo-header and whoever sends the frame on a wire
    /// completes it from <see cref="Offload.ChecksumStart"/> on.
    /// </summary>
    Partial,
}

/// <summary>
/// Offload metadata that travels with a frame (virtio 1.2 §5.1.6). Offsets count from the frame's
/// first byte, VLAN tags included.
/// </summary>
public struct Offload
{
    /// <summary>State of the transport checksum.</summary>
    public ChecksumState Checksum;

    /// <summary>The kind of super-frame.</summary>
    public GsoKind Gso;

    /// <summary>The TCP super-frame carries ECN's CWR: only its first segment may show it.</summary>
    public bool GsoEcn;

    /// <summary>Length of all headers up to the payload, as the sender's stack said; a hint.</summary>
    public ushort HeaderLength;

    /// <summary>Payload bytes of each segment; the last may hold fewer. 0 unless a super-frame.</summary>
    public ushort SegmentSize;

    /// <summary>Where summing starts, for <see cref="ChecksumState.Partial"/>.</summary>
    public ushort ChecksumStart;

    /// <summary>Where the checksum's field is, counted from <see cref="ChecksumStart"/>.</summary>
    public ushort ChecksumOffset;
}

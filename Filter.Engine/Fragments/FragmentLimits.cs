namespace Filter.Engine.Fragments;

/// <summary>How much may wait for its rest, and how long.</summary>
public sealed record FragmentLimits
{
    /// <summary>Bytes of held frames, in blocks of <see cref="Packets.FramePool.BlockSize"/>.</summary>
    public int Bytes { get; init; } = 8 << 20;

    /// <summary>Most datagrams at a time.</summary>
    public int Datagrams { get; init; } = 4096;

    /// <summary>Most pieces of one datagram; 64 KiB at an MTU of 576 are 119.</summary>
    public int Pieces { get; init; } = 128;

    /// <summary>A source (an IPv4 address, an IPv6 /64) may use one part in so many of bytes and datagrams.</summary>
    public int SourceShare { get; init; } = 8;

    /// <summary>How long an IPv4 datagram waits from its first piece on, in nanoseconds; RFC 1122 §3.3.2 leaves it open.</summary>
    public long IPv4Lifetime { get; init; } = 30_000_000_000;

    /// <summary>As <see cref="IPv4Lifetime"/> for IPv6: RFC 8200 §4.5 says 60 s.</summary>
    public long IPv6Lifetime { get; init; } = 60_000_000_000;
}

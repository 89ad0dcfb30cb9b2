namespace Filter.Ipsec.Databases;

/// <summary>What one SA counted. Its worker writes; others read by <see cref="Volatile"/>.</summary>
public sealed class SaStatistics
{
    /// <summary>Packets sealed, or opened and taken.</summary>
    public long Packets;

    /// <summary>Their bytes as the inner IP packet counts them (transport: payload bytes).</summary>
    public long Bytes;

    /// <summary>Packets with a wrong ICV.</summary>
    public long BadIcv;

    /// <summary>Packets whose number was seen, or left of the window.</summary>
    public long Replayed;

    /// <summary>Packets cut short, or not a multiple of the cipher's block.</summary>
    public long Malformed;

    /// <summary>Packets with wrong padding behind a good ICV.</summary>
    public long BadPadding;

    /// <summary>Dummy packets (RFC 4303 §2.6).</summary>
    public long Dummies;

    /// <summary>Packets whose inner header is not what the SA carries.</summary>
    public long WrongInner;

    /// <summary>Packets that no sequence number was left for.</summary>
    public long Exhausted;

    /// <summary>Packets that came after its hard limit.</summary>
    public long Expired;

    /// <summary>Keep-alives sent (RFC 3948 §4).</summary>
    public long KeepAlives;

    /// <summary>Takes over what another counted.</summary>
    public void Add(SaStatistics other)
    {
        Packets += other.Packets;
        Bytes += other.Bytes;
        BadIcv += other.BadIcv;
        Replayed += other.Replayed;
        Malformed += other.Malformed;
        BadPadding += other.BadPadding;
        Dummies += other.Dummies;
        WrongInner += other.WrongInner;
        Exhausted += other.Exhausted;
        Expired += other.Expired;
        KeepAlives += other.KeepAlives;
    }
}

/// <summary>What one SPD entry counted. One worker writes; others read by <see cref="Volatile"/>.</summary>
public sealed class PolicyStatistics
{
    /// <summary>Packets sealed by its SA.</summary>
    public long Protected;

    /// <summary>Bytes of what was sealed, as its SAs count them.</summary>
    public long ProtectedBytes;

    /// <summary>Packets opened that fitted it.</summary>
    public long Opened;

    /// <summary>Their bytes, as IP packets.</summary>
    public long OpenedBytes;

    /// <summary>Opened packets that fitted none of the SA's entries.</summary>
    public long WrongSelectors;

    /// <summary>Packets that it protects but that found no SA fit for them.</summary>
    public long NoSa;

    /// <summary>Packets answered, being too large.</summary>
    public long TooBig;

    /// <summary>Openings that it decided.</summary>
    public long Decisions;

    /// <summary>What its SAs counted that are gone.</summary>
    public SaStatistics Gone { get; } = new();
}

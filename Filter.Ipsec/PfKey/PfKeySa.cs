using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;

namespace Filter.Ipsec.PfKey;

/// <summary>An SA that a key manager has brought, or begun to: what was said of it, and the SA itself once it has keys.</summary>
internal sealed class PfKeySa
{
    /// <summary>Seconds to nanoseconds.</summary>
    public const long Second = 1_000_000_000;

    /// <summary>ESP or AH.</summary>
    public required PfKeySaType Type { get; init; }

    /// <summary>Its SPI.</summary>
    public required uint Spi { get; init; }

    /// <summary>Where its packets come from.</summary>
    public required AddressExtension Source { get; set; }

    /// <summary>Where they go.</summary>
    public required AddressExtension Destination { get; set; }

    /// <summary>What was said beside: proxy, identities, labels, NAT, the request it is for.</summary>
    public required IReadOnlyList<PfKeyExtension> Told { get; set; }

    /// <summary>Algorithms, window and flags, as they were said.</summary>
    public SaExtension? Said { get; set; }

    /// <summary>The SA; null of a larval one.</summary>
    public SecurityAssociation? Sa { get; set; }

    /// <summary>It did not come by PF_KEY: it may be looked at, without its keys.</summary>
    public bool IsOthers { get; init; }

    /// <summary>When it was made, in seconds since 1970.</summary>
    public required long Added { get; init; }

    /// <summary>When a larval one is gone, in nanoseconds.</summary>
    public long LarvalUntil { get; init; }

    /// <summary>The number of the message that began it, perhaps an acquire's.</summary>
    public uint Sequence { get; init; }

    /// <summary>Its mode.</summary>
    public IpsecMode Mode => Find<Sa2Extension>(PfKeyExtensionType.Sa2)?.Mode == PfKeyMode.Tunnel ? IpsecMode.Tunnel : IpsecMode.Transport;

    /// <summary>The request it is for; 0 for any.</summary>
    public uint RequestId => Find<Sa2Extension>(PfKeyExtensionType.Sa2)?.RequestId ?? 0;

    /// <summary>One of what was said beside.</summary>
    public T? Find<T>(PfKeyExtensionType type)
        where T : PfKeyExtension => Told.FirstOrDefault(extension => extension.Type == type) as T;

    /// <summary>A limit of either kind; null where none was set.</summary>
    public LifetimeExtension? Limit(PfKeyExtensionType type) => Find<LifetimeExtension>(type);

    /// <summary>A limit as the stage counts it: of times since it was made and since its first use, the sooner one.</summary>
    public static SaLifetime LifetimeOf(LifetimeExtension? limit)
    {
        if (limit is null)
        {
            return default;
        }

        ulong seconds = Math.Min(limit.Added == 0 ? ulong.MaxValue : limit.Added, limit.Used == 0 ? ulong.MaxValue : limit.Used);
        return new SaLifetime(
            (long)Math.Min(limit.Bytes, long.MaxValue), limit.Allocations, seconds > long.MaxValue / Second ? 0 : (long)seconds * Second);
    }

    /// <summary>What it has carried.</summary>
    public LifetimeExtension Current(long wall, long now)
    {
        SaStatistics? counted = Sa?.Statistics;
        return new LifetimeExtension(
            PfKeyExtensionType.LifetimeCurrent, (uint)Math.Min(counted?.Packets ?? 0, uint.MaxValue), (ulong)(counted?.Bytes ?? 0), (ulong)Added,
            counted is { Packets: > 0 } ? (ulong)Math.Max(Added, wall - ((now - Sa!.Since) / Second)) : 0);
    }

    /// <summary>How far its life has come.</summary>
    public PfKeySaState State => Sa?.State switch
    {
        null => PfKeySaState.Larval,
        SaState.Live => PfKeySaState.Mature,
        SaState.Expiring => PfKeySaState.Dying,
        _ => PfKeySaState.Dead,
    };
}

using System.Globalization;
using System.Numerics;
using Filter.Ctl.Control;
using Filter.Ipsec;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>What is told of an SA. Any thread may read what it needs; keys are no part of it.</summary>
internal static class SaTelling
{
    private const long Second = 1_000_000_000;

    /// <summary>By name, of a pair what sends first.</summary>
    public static IEnumerable<SecurityAssociation> InOrder(IEnumerable<SecurityAssociation> sas) =>
        sas.OrderBy(static sa => sa.Name, StringComparer.Ordinal).ThenByDescending(static sa => sa is OutboundSa).ThenBy(static sa => sa.Number);

    /// <summary>One row.</summary>
    /// <param name="sa">The SA.</param>
    /// <param name="now">The worker's clock.</param>
    /// <param name="whole">The stage, for `show`, which tells all of it; null for a list.</param>
    public static SaReport Of(SecurityAssociation sa, long now, IpsecStage? whole = null)
    {
        SaStatistics counted = sa.Statistics;
        return new SaReport
        {
            Name = sa.Name,
            Direction = sa is OutboundSa ? "out" : "in",
            Protocol = sa.Protocol == 51 ? "ah" : "esp",
            Spi = SpiOf(sa),
            Mode = sa.Mode == IpsecMode.Tunnel ? "tunnel" : "transport",
            Local = sa.Local == default ? null : sa.Local.ToString(),
            Remote = sa.Remote == default ? null : sa.Remote.ToString(),
            Suite = sa.Suite.Name,
            Policies = [.. sa.Policies.Select(static policy => policy.Name)],
            Source = sa.Origin switch { SaOrigin.Ruleset => "ruleset", SaOrigin.Ike => "ike", SaOrigin.KeyManager => "key-manager", _ => "hand" },
            State = sa.State.ToString().ToLowerInvariant(),
            Age = AgeOf(sa, now),
            Packets = Volatile.Read(ref counted.Packets),
            Bytes = Volatile.Read(ref counted.Bytes),
            Sequence = sa is OutboundSa sending ? sending.Counter : (sa as InboundSa)?.Window?.Top,
            BadIcv = Volatile.Read(ref counted.BadIcv),
            Replayed = Volatile.Read(ref counted.Replayed),
            Malformed = Volatile.Read(ref counted.Malformed),
            BadPadding = Volatile.Read(ref counted.BadPadding),
            WrongInner = Volatile.Read(ref counted.WrongInner),
            Exhausted = Volatile.Read(ref counted.Exhausted),
            Expired = Volatile.Read(ref counted.Expired),
            Dummies = Volatile.Read(ref counted.Dummies),
            Details = whole is null ? null : Details(sa, now, whole),
        };
    }

    /// <summary>The SPI as people write it.</summary>
    public static string SpiOf(SecurityAssociation sa) => string.Create(CultureInfo.InvariantCulture, $"0x{sa.Spi:x8}");

    private static SaDetails Details(SecurityAssociation sa, long now, IpsecStage stage)
    {
        SaSettings settings = sa.Settings;
        (SaLifetime soft, SaLifetime hard) = (settings.Soft, settings.Hard);
        SaLimitReport[] limits =
        [
            new("bytes", Volatile.Read(ref sa.Statistics.Bytes), Said(soft.Bytes), Said(hard.Bytes)),
            new("packets", Volatile.Read(ref sa.Statistics.Packets), Said(soft.Packets), Said(hard.Packets)),
            new("seconds", AgeOf(sa, now), Said(soft.Nanoseconds / Second), Said(hard.Nanoseconds / Second)),
        ];
        return new SaDetails
        {
            Number = sa.Number,
            Limits = [.. limits.Where(static limit => limit.Soft is not null || limit.Hard is not null)],
            Window = (sa as InboundSa)?.Window?.Size,
            Esn = settings.ExtendedSequence,
            SequenceLimit = (sa as OutboundSa)?.Limit,
            UdpPort = settings.Encapsulation?.LocalPort,
            UdpRemotePort = sa is OutboundSa { PeerPort: > 0 } sending ? sending.PeerPort : settings.Encapsulation?.RemotePort,
            KeepAlivesSent = settings.Encapsulation is not null && sa is OutboundSa ? Volatile.Read(ref sa.Statistics.KeepAlives) : null,
            KeepAlivesHeard = settings.Encapsulation is not null && sa is InboundSa ? stage.Lanes.Sum(static lane => lane.KeepAlivesHeard) : null,
            Dscps = settings.Dscps == 0 ? null : [.. Dscps(settings.Dscps)],
            Selectors = sa.Selectors is { } own ? Describe(own) : null,
            Outer = sa.Mode == IpsecMode.Tunnel ? OuterOf(settings.Outer) : null,
            ClampMss = settings.ClampMss,
            PathMtu = sa is OutboundSa { PathMtu: < int.MaxValue } learnt ? learnt.PathMtu : null,
        };
    }

    /// <summary>In seconds; the clock starts when the worker first looks at it.</summary>
    private static long AgeOf(SecurityAssociation sa, long now) => sa.Since == 0 ? 0 : Math.Max(0, now - sa.Since) / Second;

    private static long? Said(long limit) => limit > 0 ? limit : null;

    private static IEnumerable<int> Dscps(ulong bits)
    {
        for (; bits != 0; bits &= bits - 1)
        {
            yield return BitOperations.TrailingZeroCount(bits);
        }
    }

    private static SaSelectorReport Describe(SaSelectors selectors) => new(
        selectors.Local.ToString(), selectors.Remote.ToString(), selectors.Protocol,
        PortsOf(selectors.LocalPorts), PortsOf(selectors.RemotePorts));

    /// <summary>Ports as a ruleset writes them.</summary>
    public static string PortsOf(PortRange ports) =>
        ports.First == ports.Last
            ? ports.First.ToString(CultureInfo.InvariantCulture)
            : string.Create(CultureInfo.InvariantCulture, $"{ports.First}-{ports.Last}");

    private static string OuterOf(in OuterHeader outer) => string.Create(
        CultureInfo.InvariantCulture,
        $"df {outer.DontFragment.ToString().ToLowerInvariant()}, dscp {(outer.Dscp is { } dscp ? dscp.ToString(CultureInfo.InvariantCulture) : "copy")}, ecn {(outer.CopyEcn ? "copy" : "off")}, ttl {outer.HopLimit}");
}

using Filter.Engine.Path;

namespace Filter.Engine.Flows;

/// <summary>A number of flows, or a part of the table.</summary>
/// <param name="Value">Flows, or hundredths of the table.</param>
/// <param name="IsPercent">Hundredths.</param>
public readonly record struct Portion(int Value, bool IsPercent)
{
    /// <summary>Hundredths of the table.</summary>
    public static Portion Percent(int hundredths) => new(hundredths, true);

    /// <summary>So many flows.</summary>
    public static Portion Flows(int flows) => new(flows, false);

    /// <summary>How many flows of a table of that size: all of them at most, and one at least of what is not nothing.</summary>
    public int Of(int capacity) =>
        Value == 0 ? 0 : (int)Math.Clamp(IsPercent ? (long)capacity * Value / 100 : Value, 1, capacity);
}

/// <summary>
/// What keeps a flood from taking the table. The defaults let a proxy, or a network behind a NAT, have half of the table
/// from one address, and hold a flood of one service to a tenth of it.
/// </summary>
public sealed record FlowLimits
{
    /// <summary>Nothing but the table's size.</summary>
    public static FlowLimits None { get; } = new() { PerSource = null, HalfOpen = null, ShortensFrom = null };

    /// <summary>Most flows that one source opens: an IPv4 address, an IPv6 /64. Null for no limit.</summary>
    public Portion? PerSource { get; init; } = Portion.Percent(50);

    /// <summary>How fast one source may open them. Null for no limit.</summary>
    public RateLimit? SourceRate { get; init; }

    /// <summary>
    /// Most half-open flows to one service: address, protocol and port. TCP is half-open until its handshake is
    /// acknowledged, all else until it is answered. Null for no limit.
    /// </summary>
    public Portion? HalfOpen { get; init; } = Portion.Percent(10);

    /// <summary>The part of the table that only rules marked `management` may use.</summary>
    public Portion ManagementReserve { get; init; }

    /// <summary>From which part of the table on, in hundredths, lifetimes shrink. Null for never.</summary>
    public int? ShortensFrom { get; init; } = 60;
}

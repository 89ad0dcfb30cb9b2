using System.Globalization;
using Filter.Engine.Packets;

namespace Filter.Ctl.Output;

/// <summary>How the house's enums and numbers are spelt for people and in JSON.</summary>
internal static class Wording
{
    /// <summary>pass, drop, reject, held, answered, consumed.</summary>
    public static string Word(this Verdict verdict) => verdict switch
    {
        Verdict.Pass => "pass",
        Verdict.Reject => "reject",
        Verdict.Held => "held",
        Verdict.Answered => "answered",
        Verdict.Consumed => "consumed",
        _ => "drop",
    };

    /// <summary>A verdict's colour.</summary>
    public static Tint Tint(this Verdict verdict) => verdict switch
    {
        Verdict.Pass => Output.Tint.Good,
        Verdict.Drop or Verdict.Reject => Output.Tint.Bad,
        _ => Output.Tint.Odd,
    };

    /// <summary>
    /// What IPsec did with a packet: bypass, protect, opened; null where it had no say. A ruleset
    /// without policies bypasses whatever crosses the boundary.
    /// </summary>
    public static string? IpsecWord(in Packet packet) =>
        packet.Ipsec.Word()
        ?? (packet is { Ipsec: IpsecAction.None, Verdict: Verdict.Pass, Own: false, Direction: not Direction.Across, Kind: not PacketKind.Link }
            ? "bypass"
            : null);

    /// <summary>bypass, protect, opened; null where the stage had no say.</summary>
    public static string? Word(this IpsecAction action) => action switch
    {
        IpsecAction.Bypass => "bypass",
        IpsecAction.Protect => "protect",
        IpsecAction.Opened => "opened",
        _ => null,
    };

    /// <summary>The reason in kebab-case; null for none.</summary>
    public static string? Word(this DropReason reason) => reason == DropReason.None ? null : reason.Name();

    /// <summary>protected or unprotected.</summary>
    public static string Word(this Side side) => side == Side.Protected ? "protected" : "unprotected";

    /// <summary>Seconds as 2d3h, 4h5m, 6m7s or 8s.</summary>
    public static string Duration(long seconds) => seconds switch
    {
        >= 86400 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 86400}d{seconds % 86400 / 3600}h"),
        >= 3600 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600}h{seconds % 3600 / 60}m"),
        >= 60 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 60}m{seconds % 60}s"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds}s"),
    };
}

using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy;

/// <summary>
/// What a gateway that negotiates keys lets through by itself: IKE between its own addresses and the unprotected side, in the clear (RFC
/// 4301 §4.4.1: the SPD must say so, or the first packet would wait for keys that it is to bring). Written as rules and a policy like
/// all others, before these: so they are counted, listed and explained, by names that no ruleset can give.
/// </summary>
public static class IkePassage
{
    /// <summary>The rule that lets peers in.</summary>
    public const string In = "ike/in";

    /// <summary>The rule that lets the gateway out.</summary>
    public const string Out = "ike/out";

    /// <summary>The policy that leaves both in the clear.</summary>
    public const string Clear = "ike/clear";

    private const long Second = 1_000_000_000;

    /// <summary>
    /// New flows at most: of all sources, and of one. A flood of addresses that were made up spends no more than this of the gateway's
    /// time; before keys are agreed each costs it a cookie at most (RFC 7296 §2.6).
    /// </summary>
    private static readonly RuleLimit s_strangers = new(new RateLimit(Second / 2000, 4000), null, new RateLimit(Second / 50, 100));

    /// <summary>Where IKE is: its own port, and that for ways with translators (RFC 7296 §2, §2.23).</summary>
    private static readonly ImmutableArray<PortRange> s_ports = [new(500, 500), new(4500, 4500)];

    /// <summary>The rules, which stand before all others; none without a port of the gateway's own.</summary>
    /// <param name="at">Where <c>ike:</c> stands.</param>
    /// <param name="ports">The ports.</param>
    internal static IEnumerable<Rule> Rules(SourceMark at, ImmutableArray<PortConfig> ports)
    {
        if (MaskOf(ports.Where(static port => port.Kind == PortKind.Tap)) is not 0 and var self)
        {
            ushort far = MaskOf(ports.Where(static port => port.Side == Side.Unprotected));
            ServiceSet ike = BuiltInServices.ByName["ike"];
            yield return new Rule { Name = In, At = at, Action = RuleAction.Allow, From = far, To = self, Destination = Own(ports), Service = ike, Limit = s_strangers };
            yield return new Rule { Name = Out, At = at, Action = RuleAction.Allow, From = self, To = far, Source = Own(ports), Service = ServiceSet.Of([new Service(IpProtocol.Udp, PortRange.All)]), SourcePorts = s_ports };
        }
    }

    /// <summary>The policy, which is the first.</summary>
    /// <param name="at">Where <c>ike:</c> stands.</param>
    /// <param name="ports">The ports.</param>
    internal static IpsecPolicy Policy(SourceMark at, ImmutableArray<PortConfig> ports) => new()
    {
        Name = Clear,
        At = at,
        Number = 1,
        Action = IpsecAction.Bypass,
        Local = Own(ports),
        Service = ServiceSet.Of([new Service(IpProtocol.Udp, PortRange.All)]),
        LocalPorts = s_ports,
        Outbound = true,
        Inbound = true,
    };

    private static ushort MaskOf(IEnumerable<PortConfig> ports) => (ushort)ports.Sum(static port => 1 << port.Number);

    /// <summary>The gateway's own addresses; null for any, where they are leased.</summary>
    private static AddressSet? Own(ImmutableArray<PortConfig> ports)
    {
        PortConfig[] taps = [.. ports.Where(static port => port.Kind == PortKind.Tap)];
        return taps.Length == 0 || taps.Any(static tap => tap.Addresses.IsEmpty)
            ? null
            : AddressSet.Of(taps.SelectMany(static tap => tap.Addresses).Select(static each => new AddressRange(each.Address, each.Address)));
    }
}

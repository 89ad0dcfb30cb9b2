using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike;

/// <summary>A child that is wanted.</summary>
/// <param name="policy">Of this policy.</param>
/// <param name="packet">For this packet; null where a person or the ruleset wants it.</param>
internal sealed class Wish(IpsecPolicy policy, SelectorValues? packet)
{
    internal IpsecPolicy Policy => policy;

    internal SelectorValues? Packet => packet;

    /// <summary>The group that the peer asked for; 0 for none.</summary>
    internal ushort Group { get; set; }

    /// <summary>How often it asked.</summary>
    internal int Groups { get; set; }
}

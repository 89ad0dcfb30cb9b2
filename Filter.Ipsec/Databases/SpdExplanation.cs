using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Databases;

/// <summary>An entry that did not match, and the first of its selectors that differs, by the word of the language.</summary>
public sealed record PassedEntry(SpdEntry Entry, string Selector);

/// <summary>An SA that could have been, and why it is not: null for the one that is.</summary>
public sealed record ConsideredSa(SecurityAssociation Sa, string? Why);

/// <summary>What the SPD says of one packet that crosses one way, and how it came to that.</summary>
/// <param name="Direction">Which way.</param>
/// <param name="Way">Its key, turned so that its source is on the protected side.</param>
/// <param name="Passed">The entries before.</param>
/// <param name="Entry">The entry that decides; null where none does, which discards.</param>
/// <param name="Sas">Of one that protects: the SAs of this way, in the order in which they are tried.</param>
public sealed record SpdExplanation(
    Direction Direction, FlowKey Way, IReadOnlyList<PassedEntry> Passed, SpdEntry? Entry, IReadOnlyList<ConsideredSa> Sas)
{
    /// <summary>Explains it. Who owns the databases calls this.</summary>
    /// <param name="spd">The policies.</param>
    /// <param name="sad">The SAs.</param>
    /// <param name="packet">Parsed.</param>
    /// <param name="direction">Which way the packet itself crosses.</param>
    /// <param name="answer">Whether its answer is meant, which crosses the other way.</param>
    /// <param name="now">The worker's clock.</param>
    public static SpdExplanation Of(Spd spd, Sad sad, in Packet packet, Direction direction, bool answer, long now)
    {
        FlowKey way = direction == Direction.In ? packet.Key.Reverse : packet.Key;
        Direction crosses = !answer ? direction : direction == Direction.In ? Direction.Out : Direction.In;
        List<PassedEntry> passed = [];
        foreach (SpdEntry entry in spd.Entries)
        {
            if (entry.Differs(crosses, way, packet.IcmpType, packet.IcmpCode) is { } selector)
            {
                passed.Add(new PassedEntry(entry, selector));
                continue;
            }

            IReadOnlyList<ConsideredSa> sas = entry.Action != IpsecAction.Protect ? [] : Consider(entry, sad, packet, way, crosses, now);
            return new SpdExplanation(crosses, way, passed, entry, sas);
        }

        return new SpdExplanation(crosses, way, passed, null, []);
    }

    private static List<ConsideredSa> Consider(SpdEntry entry, Sad sad, in Packet packet, in FlowKey way, Direction crosses, long now)
    {
        Packet turned = packet;
        turned.Key = way;
        OutboundSa? chosen = crosses == Direction.Out ? entry.Select(turned, now) : null;
        SelectorValues values = SelectorValues.Of(way, inbound: false, packet.IcmpType, packet.IcmpCode);
        List<ConsideredSa> considered = [];
        foreach (SecurityAssociation sa in sad.All)
        {
            if (sa is OutboundSa == (crosses == Direction.Out) && sa.Users.Contains(entry))
            {
                considered.Add(new ConsideredSa(sa, sa == chosen ? null : WhyNot(entry, sa, values, turned.TrafficClass, chosen is not null)));
            }
        }

        return considered;
    }

    private static string? WhyNot(SpdEntry entry, SecurityAssociation sa, in SelectorValues values, byte trafficClass, bool another) =>
        !sa.IsBetweenEnds(values.Local, values.Remote) ? "its ends are others"
        : sa.Selectors is { } own && !own.Contain(values) ? "its selectors do not hold the packet"
        : sa is OutboundSa sealing && !sealing.Carries(trafficClass) ? "it carries other DSCPs"
        : sa.State == SaState.Expired ? "it has expired"
        : another ? "another one comes first"
        : sa is InboundSa ? null
        : entry.Policy.Populate != PopulatedSelectors.None ? "the policy has an SA for each packet's values, and this is for none of them"
        : "it may carry nothing more";
}

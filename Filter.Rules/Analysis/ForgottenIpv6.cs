using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Rules.Analysis;

/// <summary>
/// IPv6 that nobody thought of: a service that rules allow over IPv4 between two zones and that over IPv6 no rule allows between
/// them; and IPv6 without the neighbour discovery it needs. A rule that says <c>family: ipv4</c> is meant so.
/// </summary>
internal static class ForgottenIpv6
{
    private const byte Solicitation = 135;

    /// <summary>The findings.</summary>
    public static IEnumerable<Finding> In(Ruleset ruleset, Space space)
    {
        int service = space.AxisOf(AxisName.Service), zones = space.AxisOf(AxisName.Zones);
        HashSet<int> told = [];
        foreach (Region four in space.Regions.Where(static r => r.Kind is { IPv4: true, Opened: false, Carried: Carried.Tcp or Carried.Ports or Carried.Other }))
        {
            Region six = space.Regions.First(r => r.Kind == four.Kind with { IPv4 = false });
            Layer layer = four.Layers[0], other = six.Layers[0];
            for (int box = 0; box < layer.Count; box++)
            {
                int number = layer.Owners[box];
                if (number >= ruleset.Rules.Length || ruleset.Rules[number] is not { Action: RuleAction.Allow, Families: Families.Both } rule
                    || (box > 0 && layer.Owners[box - 1] == number) || Array.BinarySearch(other.Owners, number) >= 0)
                {
                    continue;
                }

                RankSet[] same = [.. six.Whole];
                same[service] = layer[box][service].Intersect(six.Whole[service]);
                same[zones] = layer[box][zones];
                List<int> meeting = [];
                other.Overlapping(same, meeting);
                if (meeting.Any(m => space.Treatments[other.Treatments[m]].Passes) || !told.Add(number))
                {
                    continue;
                }

                int[] point = Boxes.Corner(same);
                int decides = other.Owners[other.FirstAt(point)];
                yield return new Finding(
                    FindingKind.ForgottenIpv6, rule, [RuleNames.Of(ruleset, decides)],
                    $"the rule {Wording.Quote(rule.Name)} allows this over IPv4 alone; over IPv6 nothing does, and {RuleNames.Place(ruleset, decides)} ends it. If that is meant, say family: ipv4",
                    Witnesses.Of(space, six.Kind, Only(point)));
            }
        }

        foreach (Finding finding in WithoutDiscovery(ruleset, space, service, zones))
        {
            yield return finding;
        }
    }

    /// <summary>Hosts on a bridge find each other by solicitations, in both directions; without them no IPv6 works.</summary>
    private static IEnumerable<Finding> WithoutDiscovery(Ruleset ruleset, Space space, int service, int zones)
    {
        if (ruleset.Mode == RunMode.Host)
        {
            yield break;
        }

        Region tcp = space.Regions.First(static r => r.Kind == new PacketKind(false, Carried.Tcp, false));
        Region icmp = space.Regions.First(static r => r.Kind == new PacketKind(false, Carried.Icmp, false));
        int rank = space[service].RankOf(((UInt128)IpProtocol.IcmpV6 << 16) | (Solicitation << 8));
        for (int box = 0; box < tcp.Layers[0].Count; box++)
        {
            int number = tcp.Layers[0].Owners[box];
            if (number >= ruleset.Rules.Length || !space.Treatments[tcp.Layers[0].Treatments[box]].Passes)
            {
                continue;
            }

            // One that allows IPv6 speaks for all: the first.
            RankSet[] solicitations = [.. icmp.Whole];
            solicitations[service] = RankSet.Of(rank, rank);
            solicitations[zones] = tcp.Layers[0][box][zones];
            List<int> meeting = [];
            icmp.Layers[0].Overlapping(solicitations, meeting);
            if (!meeting.Any(m => space.Treatments[icmp.Layers[0].Treatments[m]].Passes))
            {
                int[] point = Boxes.Corner(solicitations);
                int decides = icmp.Layers[0].Owners[icmp.Layers[0].FirstAt(point)];
                Rule rule = ruleset.Rules[number];
                yield return new Finding(
                    FindingKind.ForgottenIpv6, rule, [RuleNames.Of(ruleset, decides)],
                    $"the rule {Wording.Quote(rule.Name)} allows IPv6, but no rule lets neighbours find each other there: allow the service 'nd', as IPv4 has ARP",
                    Witnesses.Of(space, icmp.Kind, Only(point)));
            }

            yield break;
        }
    }

    private static RankSet[] Only(int[] point) => [.. point.Select(static rank => RankSet.Of(rank, rank))];
}

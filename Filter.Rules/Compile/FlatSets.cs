using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Rules.Compile;

/// <summary>A rule's matches: masks, and runs of the arrays in <see cref="FlatSets"/>.</summary>
internal readonly record struct FlatRule(
    ushort From, ushort To, Families Families, Run Source, Run Destination, Run Services, Run SourcePorts, Run Vlans, bool Untagged);

/// <summary>A piece of an array. The default, without entries, stands for "any".</summary>
/// <param name="Start">Index of the first entry.</param>
/// <param name="Count">How many.</param>
internal readonly record struct Run(int Start, int Count)
{
    /// <summary>What an empty set gives: it has an entry, and nothing is in it.</summary>
    public static Run Nothing => new(0, -1);
}

/// <summary>The arrays that rules point into. A set that many rules name is there once.</summary>
internal sealed class FlatSets(AddressRange[] ranges, Service[] services, PortRange[] ports, uint[] vlans)
{
    /// <summary>Whether all that a rule asks holds, the cheapest first.</summary>
    public bool Match(in FlatRule rule, Conditions? conditions, in OpeningFacts facts, int minute) =>
        ((rule.From >> facts.Ingress) & (rule.To >> facts.Egress) & 1) != 0
        && (rule.Families & (facts.Key.Source.IsIPv4 ? Families.IPv4 : Families.IPv6)) != 0
        && ServiceMatches(in rule, in facts)
        && AddressMatches(rule.Destination, facts.Key.Destination)
        && AddressMatches(rule.Source, facts.Key.Source)
        && VlanMatches(in rule, facts.Key.Segment)
        && (conditions is null || conditions.Hold(facts, minute));

    /// <summary>Whether the address is in the run, by binary search.</summary>
    public bool AddressMatches(Run run, Address address)
    {
        if (run.Count == 0)
        {
            return true;
        }

        int low = run.Start, high = run.Start + run.Count - 1;
        while (low <= high)
        {
            int middle = (low + high) >> 1;
            ref readonly AddressRange range = ref ranges[middle];
            if (address < range.First)
            {
                high = middle - 1;
            }
            else if (address > range.Last)
            {
                low = middle + 1;
            }
            else
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether protocol, destination port, ICMP type and source port are the rule's.</summary>
    public bool ServiceMatches(in FlatRule rule, in OpeningFacts facts)
    {
        if (rule.Services.Count != 0 && !AnyService(rule.Services, in facts))
        {
            return false;
        }

        return rule.SourcePorts.Count == 0 || (IpProtocol.HasPorts(facts.Key.Protocol) && AnyPort(rule.SourcePorts, facts.Key.SourcePort));
    }

    /// <summary>Whether the frame's outer tag, or its pair of tags, is the rule's.</summary>
    public bool VlanMatches(in FlatRule rule, uint segment)
    {
        if (rule.Untagged)
        {
            return VlanStack.Depth(segment) == 0;
        }

        if (rule.Vlans.Count == 0)
        {
            return true;
        }

        ReadOnlySpan<uint> named = vlans.AsSpan(rule.Vlans.Start, rule.Vlans.Count);
        return VlanStack.Depth(segment) > 0
            && (named.BinarySearch((uint)VlanStack.Outer(segment)) >= 0 || named.BinarySearch(VlanStack.Identifiers(segment)) >= 0);
    }

    private bool AnyService(Run run, in OpeningFacts facts)
    {
        for (int i = run.Start; i < run.Start + run.Count; i++)
        {
            if (services[i].Matches(facts.Key.Protocol, facts.Key.DestinationPort, facts.IcmpType, facts.IcmpCode))
            {
                return true;
            }
        }

        return false;
    }

    private bool AnyPort(Run run, ushort port)
    {
        for (int i = run.Start; i < run.Start + run.Count; i++)
        {
            if (ports[i].Contains(port))
            {
                return true;
            }
        }

        return false;
    }
}

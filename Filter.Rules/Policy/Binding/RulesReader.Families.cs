using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <content>A rule is for both families unless it says otherwise: one that only looks so is worth a word.</content>
internal sealed partial class RulesReader
{
    /// <summary>The most rules of one family alone that are told of one by one.</summary>
    private const int MostOfOneFamily = 20;

    private int _ofOneFamily;
    private SourceMark _firstUntold;

    private static Families FamiliesOf(AddressSet? set) => set?.Families ?? Families.Both;

    private static Families FamiliesOf(ServiceSet? set) => set is { IsAny: false }
        ? set.Services.Aggregate(Families.None, static (all, s) => all | (s.Protocol == IpProtocol.Icmp ? Families.IPv4 : s.Protocol == IpProtocol.IcmpV6 ? Families.IPv6 : Families.Both))
        : Families.Both;

    /// <summary>Warns of a rule, or of a group's own matches, that say nothing of families and match one alone.</summary>
    /// <param name="fields">What it says itself.</param>
    /// <param name="rule">All that it matches.</param>
    /// <param name="group">Around it; where that is for one family already, nothing is left to say.</param>
    private void WarnOfFamilies(Fields fields, Rule rule, Group group)
    {
        if (rule.Families == Families.Both && !group.OfOneFamily && One(fields, rule) is (var family, var why))
        {
            (string one, string other) = family == Families.IPv4 ? ("IPv4", "IPv6") : ("IPv6", "IPv4");
            string what = rule.Name.Length > 0 ? $"the rule {Wording.Quote(rule.Name)}" : "the group";
            if (++_ofOneFamily <= MostOfOneFamily)
            {
                found.Warn(rule.At, $"{what} is for {one} alone, as {why} is", $"name what it is in {other} too, or say that it is meant so: family: {one.ToLowerInvariant()}");
            }
            else if (_ofOneFamily == MostOfOneFamily + 1)
            {
                _firstUntold = rule.At;
            }
        }
    }

    /// <summary>Who writes for one family alone need not hear it of every rule.</summary>
    private void WarnOfFurtherFamilies()
    {
        if (_ofOneFamily > MostOfOneFamily)
        {
            found.Warn(_firstUntold, $"{_ofOneFamily - MostOfOneFamily} more rules from here on are for one family alone", "where that is meant, put them into a group that says so: family: ipv4");
        }
    }

    /// <summary>The one family that it matches, and what makes it so; null for both, and where nobody could mean both.</summary>
    private static (Families Family, string Why)? One(Fields fields, Rule rule)
    {
        Families source = rule.Conditions?.Source is null ? FamiliesOf(rule.Source) : Families.Both;
        Families destination = rule.Conditions?.Destination is null ? FamiliesOf(rule.Destination) : Families.Both;
        Families service = FamiliesOf(rule.Service);
        Families family = source & destination & service;
        if (family is not (Families.IPv4 or Families.IPv6) || rule.Conditions is { ExtensionHeaders.IsEmpty: false } || (service != Families.Both && !HasTwin(rule.Service!)))
        {
            return null;
        }

        return source == family && !StaysOnLink(rule.Source!) ? (family, End(fields, "source"))
            : destination == family && !StaysOnLink(rule.Destination!) ? (family, End(fields, "destination"))
            : service == family ? (family, "its service")
            : null;
    }

    private static string End(Fields fields, string key) =>
        fields[key] is ScalarNode scalar ? $"its {key} {Wording.Quote(scalar.Text)}" : $"its {key}";

    /// <summary>Whether the other family has the same: echo, or all of ICMP. Discovery and groups are told otherwise there.</summary>
    private static bool HasTwin(ServiceSet services) => services.Services.Any(static s => !s.IsIcmp || s.Ports == PortRange.All
        || s.Ports.First is var type && (s.Protocol == IpProtocol.Icmp ? type is 0 or 8 : type is 128 or 129));

    /// <summary>Whether all of it is for one link, or for groups: a protocol's own addresses, of its own family.</summary>
    private static bool StaysOnLink(AddressSet set)
    {
        foreach (AddressRange range in set.Ranges)
        {
            bool groups = range.First.IsMulticast && range.Last.IsMulticast;
            bool link = (range.First.IsLinkLocal && range.Last.IsLinkLocal) || range.First.IsLimitedBroadcast;
            if (!groups && !link)
            {
                return false;
            }
        }

        return true;
    }
}

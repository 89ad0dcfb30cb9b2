using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <content>What a rule matches, and so what a group may say for its rules.</content>
internal sealed partial class RulesReader
{
    /// <summary>A rule that has no name yet and does nothing, with all that it matches.</summary>
    private Rule Matches(Fields fields)
    {
        AddressValue? source = sets.Addresses(fields["source"], "'source'"), destination = sets.Addresses(fields["destination"], "'destination'");
        Conditions? asked = conditions.Read(fields);
        if (source is { IsFixed: false } || destination is { IsFixed: false })
        {
            asked = (asked ?? new Conditions()) with { Source = source?.Conditions, Destination = destination?.Conditions };
        }

        return Matches(fields, source?.Most, destination?.Most, asked);
    }

    private Rule Matches(Fields fields, AddressSet? source, AddressSet? destination, Conditions? asked) => new()
    {
        Name = "",
        At = fields.At,
        Action = RuleAction.Drop,
        From = Zones(fields["from"], "'from'"),
        To = Zones(fields["to"], "'to'"),
        Source = source,
        Destination = destination,
        Service = sets.Service(fields["service"], "'service'"),
        SourcePorts = ServiceWords.ReadPortList(fields["source-port"], "'source-port'", found),
        Families = Values.Word(fields["family"], "'family'", found, ("ipv4", Families.IPv4), ("ipv6", Families.IPv6)) ?? Families.Both,
        Vlan = Vlan(fields["vlan"]),
        Conditions = asked,
    };

    private ushort Zones(Node? node, string what)
    {
        if (node is null)
        {
            return Rule.AnyPort;
        }

        int mask = 0;
        IReadOnlyList<Node> entries = Values.Each(node);
        if (entries.Count == 0)
        {
            found.Error(node.At, $"{what} is an empty list, which matches nothing", "leave the key out to match everything");
        }

        foreach (Node entry in entries)
        {
            if (Values.Text(entry, $"an entry of {what}", found) is not { } text)
            {
                continue;
            }

            if (text.Value == "any")
            {
                return Rule.AnyPort;
            }

            int number = Index(text.Value);
            if (number < 0)
            {
                found.Error(text.At, $"there is no port {Wording.Quote(text.Value)}", Wording.DidYouMean(text.Value, ports));
            }
            else if (number < Ruleset.MostPorts)
            {
                mask |= 1 << number;
            }
        }

        return (ushort)mask;
    }

    private int Index(string name)
    {
        for (int i = 0; i < ports.Count; i++)
        {
            if (ports[i] == name)
            {
                return i;
            }
        }

        return -1;
    }

    private VlanMatch? Vlan(Node? node)
    {
        if (node is null)
        {
            return null;
        }

        if (node is ScalarNode { Text: "none" })
        {
            return VlanMatch.Untagged;
        }

        List<uint> identifiers = [];
        foreach (Node entry in Values.Each(node))
        {
            if (entry is ScalarNode { Text: "none" })
            {
                found.Error(entry.At, "'none' stands alone", "make two rules: one for untagged frames, one for the VLANs");
            }
            else if (entry is ScalarNode pair && pair.Text.Split('.') is { Length: 2 } tags)
            {
                if (IsVlan(tags[0], out int outer) && IsVlan(tags[1], out int inner))
                {
                    identifiers.Add(VlanStack.Identifiers(VlanStack.Push(VlanStack.Push(0, outer), inner)));
                }
                else
                {
                    found.Error(entry.At, $"{Wording.Quote(pair.Text)} is not a pair of VLAN identifiers", "write OUTER.INNER, each from 1 to 4094");
                }
            }
            else if (Values.Number(entry, "a VLAN identifier", 1, VlanTag.LastIdentifier, found) is { } identifier)
            {
                identifiers.Add((uint)identifier);
            }
        }

        if (identifiers.Count == 0 && Values.Each(node).Count == 0)
        {
            found.Error(node.At, "'vlan' is an empty list, which matches nothing", "leave the key out to match everything; 'vlan: none' means untagged");
        }

        return new VlanMatch([.. identifiers.Distinct().Order()]);
    }

    private static bool IsVlan(string text, out int identifier)
    {
        bool good = Values.TryNumber(text, out long number) && number is >= 1 and <= VlanTag.LastIdentifier;
        identifier = good ? (int)number : 0;
        return good;
    }
}

using System.Collections.Immutable;
using System.Globalization;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads <c>rules:</c>.</summary>
internal sealed partial class RulesReader(IReadOnlyList<string> ports, ushort protectedPorts, Sets sets, ConditionsReader conditions, Diagnostics found)
{
    private static readonly string[] s_actions = ["allow", "drop", "reject", "count"];

    private static readonly string[] s_keys =
        [.. s_actions, "from", "to", "source", "destination", "service", "source-port", "family", "vlan", .. ConditionsReader.Keys, "each-packet", "pinhole", "helper", "midstream", "management", "limit", "log"];

    private readonly Dictionary<string, SourceMark> _names = new(StringComparer.Ordinal);

    /// <summary>Every rule's name as written, also of rules that are wrong.</summary>
    public IReadOnlyCollection<string> Names => _names.Keys;

    /// <summary>The rules in order.</summary>
    public ImmutableArray<Rule> Read(Node? node)
    {
        List<Rule> rules = [];
        foreach (Node entry in Values.List(node, "'rules'", found))
        {
            if (Fields.Of(entry, "a rule", found, s_keys) is { } fields && One(fields) is { } rule)
            {
                rules.Add(rule);
            }
        }

        return [.. rules];
    }

    private Rule? One(Fields fields)
    {
        string? action = fields.ExactlyOne(s_actions);
        Located<string>? name = action is null ? null : Name(fields[action]);
        bool hasService = fields.Has("service");
        Rule rule = new()
        {
            Name = name?.Value ?? "",
            At = fields.At,
            Action = action switch { "allow" => RuleAction.Allow, "reject" => RuleAction.Reject, "count" => RuleAction.Count, _ => RuleAction.Drop },
            From = Zones(fields["from"], "'from'"),
            To = Zones(fields["to"], "'to'"),
            Source = sets.Addresses(fields["source"], "'source'"),
            Destination = sets.Addresses(fields["destination"], "'destination'"),
            Service = sets.Service(fields["service"], "'service'"),
            SourcePorts = Ports(fields["source-port"]),
            Families = Values.Word(fields["family"], "'family'", found, ("ipv4", Families.IPv4), ("ipv6", Families.IPv6)) ?? Families.Both,
            Vlan = Vlan(fields["vlan"]),
            Conditions = conditions.Read(fields),
            EachPacket = Values.Flag(fields["each-packet"], "'each-packet'", found),
            Pinhole = Pinhole(fields["pinhole"]),
            Helper = Helper(fields["helper"]),
            Midstream = Values.Flag(fields["midstream"], "'midstream'", found),
            Management = Values.Flag(fields["management"], "'management'", found),
            Limit = RateWords.Read(fields["limit"], "'limit'", found),
            Log = Values.Flag(fields["log"], "'log'", found),
        };
        CheckPinhole(fields, rule, action);
        CheckHelper(fields, rule, action);
        CheckMidstream(fields, rule, action);
        CheckManagement(fields, action);
        CheckSourcePorts(fields, rule, hasService);
        CheckTcpFlags(fields, rule);
        CheckCount(fields, action);
        if (!found.HasErrors)
        {
            WarnIfEmpty(rule);
        }

        return name is null ? null : rule;
    }

    private Located<string>? Name(Node? node)
    {
        if (Values.Text(node, "a rule's name", found) is not { } name)
        {
            return null;
        }

        string text = name.Value;
        if (text.Length > 63 || text.Trim() != text || text.Any(static c => char.IsControl(c) || c is '"' or '\\'))
        {
            found.Error(name.At, $"{Wording.Quote(text)} cannot be the name of a rule", "names have at most 63 characters, no quotes, and no spaces around them");
            return null;
        }

        if (text == PacketStep.DefaultRule || text.StartsWith("default ", StringComparison.Ordinal))
        {
            found.Error(name.At, $"{Wording.Quote(text)} is what tests and logs call the defaults", "choose another name for the rule");
            return null;
        }

        if (!_names.TryAdd(text, name.At))
        {
            found.Error(name.At, $"there already is a rule {Wording.Quote(text)} in line {_names[text].Line}", "counters and tests know a rule by its name: choose another");
            return null;
        }

        return name;
    }

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

    private ImmutableArray<PortRange> Ports(Node? node)
    {
        List<PortRange> ranges = [];
        foreach (Node entry in Values.Each(node))
        {
            if (Values.Text(entry, "an entry of 'source-port'", found) is not { } text)
            {
                continue;
            }

            if (text.Value == "any")
            {
                return [];
            }

            if (text.Value.Contains('/', StringComparison.Ordinal))
            {
                found.Error(text.At, $"{Wording.Quote(text.Value)} is a service; here stand source ports", "write the number alone; the protocol comes from 'service'");
            }
            else if (ServiceWords.ReadPorts(text, found) is { } range)
            {
                ranges.Add(range);
            }
        }

        return [.. ranges.OrderBy(static r => r.First)];
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

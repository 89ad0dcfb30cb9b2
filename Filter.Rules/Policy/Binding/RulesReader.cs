using System.Collections.Immutable;
using System.Globalization;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads <c>rules:</c>.</summary>
internal sealed partial class RulesReader(IReadOnlyList<string> ports, ushort protectedPorts, Sets sets, Diagnostics found)
{
    private static readonly string[] s_actions = ["allow", "drop", "reject"];

    private static readonly string[] s_keys =
        [.. s_actions, "from", "to", "source", "destination", "service", "source-port", "family", "vlan", "pinhole", "helper", "midstream", "management", "limit", "log"];

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
            Action = action switch { "allow" => RuleAction.Allow, "reject" => RuleAction.Reject, _ => RuleAction.Drop },
            From = Zones(fields["from"], "'from'"),
            To = Zones(fields["to"], "'to'"),
            Source = sets.Addresses(fields["source"], "'source'"),
            Destination = sets.Addresses(fields["destination"], "'destination'"),
            Service = sets.Service(fields["service"], "'service'"),
            SourcePorts = Ports(fields["source-port"]),
            Families = Values.Word(fields["family"], "'family'", found, ("ipv4", Families.IPv4), ("ipv6", Families.IPv6)) ?? Families.Both,
            Vlan = Vlan(fields["vlan"]),
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

    private void CheckMidstream(Fields fields, Rule rule, string? action)
    {
        if (!fields.Has("midstream"))
        {
            return;
        }

        if (action is "drop" or "reject")
        {
            found.Error(fields.KeyAt("midstream"), $"a rule that {action}s picks up no connection", "leave 'midstream' out");
        }
        else if (rule.Service is { IsAny: false } service && !service.Names(IpProtocol.Tcp))
        {
            found.Error(fields.KeyAt("midstream"), "'midstream' is for TCP, which 'service' does not name", "add TCP to 'service', or leave 'midstream' out");
        }
    }

    private void CheckManagement(Fields fields, string? action)
    {
        if (fields.Has("management") && action is "drop" or "reject")
        {
            found.Error(fields.KeyAt("management"), $"a rule that {action}s opens no flow", "leave 'management' out");
        }
    }

    private void CheckSourcePorts(Fields fields, Rule rule, bool hasService)
    {
        if (!fields.Has("source-port") || !hasService || rule.Service is null)
        {
            return;
        }

        foreach (Service service in rule.Service.Services)
        {
            if (!IpProtocol.HasPorts(service.Protocol))
            {
                found.Error(fields.KeyAt("source-port"), $"{ServiceSet.NameOf(service.Protocol)} has no source ports", "name only services that have ports, such as tcp and udp");
                return;
            }
        }
    }

    /// <summary>A rule whose matches exclude each other is no error, but nobody means it.</summary>
    private void WarnIfEmpty(Rule rule)
    {
        Families source = rule.Source?.Families ?? Families.Both, destination = rule.Destination?.Families ?? Families.Both;
        Families service = rule.Service is { IsAny: false } named
            ? named.Services.Aggregate(Families.None, static (all, s) => all | (s.Protocol == IpProtocol.Icmp ? Families.IPv4 : s.Protocol == IpProtocol.IcmpV6 ? Families.IPv6 : Families.Both))
            : Families.Both;
        if ((source & destination & service & rule.Families) == Families.None)
        {
            found.Warn(rule.At, $"the rule {Wording.Quote(rule.Name)} matches no packet", "its family, source, destination and service leave neither IPv4 nor IPv6");
        }
        else if (rule.From == rule.To && System.Numerics.BitOperations.IsPow2(rule.From))
        {
            found.Warn(rule.At, $"the rule {Wording.Quote(rule.Name)} matches no packet", "a packet never leaves by the port it came in by");
        }
    }
}

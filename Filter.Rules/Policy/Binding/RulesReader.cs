using System.Collections.Immutable;
using Filter.Engine.Flows;
using Filter.Engine.Path;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads <c>rules:</c>.</summary>
internal sealed partial class RulesReader(
    IReadOnlyList<string> ports, ushort protectedPorts, Sets sets, ConditionsReader conditions, Narrowing narrowing, FlowTimers times, Profile profile, Diagnostics found)
{
    private static readonly string[] s_actions = ["allow", "drop", "reject", "count"];

    private static readonly string[] s_matches = ["from", "to", "source", "destination", "service", "source-port", "family", "vlan", .. ConditionsReader.Keys];

    private static readonly string[] s_keys =
        [.. s_actions, .. s_matches, "each-packet", "pinhole", "helper", "midstream", "management", "limit", "timers", "log"];

    private static readonly string[] s_groupKeys = ["group", .. s_matches, "rules"];

    private readonly Dictionary<string, SourceMark> _names = new(StringComparer.Ordinal);

    /// <summary>Every rule's name as written, also of rules that are wrong.</summary>
    public IReadOnlyCollection<string> Names => _names.Keys;

    /// <summary>The rules in order.</summary>
    public ImmutableArray<Rule> Read(Node? node)
    {
        List<Rule> rules = [];
        Read(node, Group.None, rules);
        WarnOfFurtherFamilies();
        return [.. rules];
    }

    private void Read(Node? node, Group group, List<Rule> rules)
    {
        foreach (Node entry in Values.List(node, "'rules'", found))
        {
            if (entry is MapNode map && map.Find("group") is not null)
            {
                ReadGroup(map, group, rules);
            }
            else if (Fields.Of(entry, "a rule", found, s_keys) is { } fields && One(fields, group) is { } rule)
            {
                rules.Add(rule);
            }
        }
    }

    private Rule? One(Fields fields, Group group)
    {
        string? action = fields.ExactlyOne(s_actions);
        Located<string>? name = action is null ? null : Name(fields[action]);
        Rule rule = Matches(fields) with
        {
            Name = name?.Value ?? "",
            Action = action switch { "allow" => RuleAction.Allow, "reject" => RuleAction.Reject, "count" => RuleAction.Count, _ => RuleAction.Drop },
            EachPacket = Values.Flag(fields["each-packet"], "'each-packet'", found),
            Pinhole = Pinhole(fields["pinhole"]),
            Helper = Helper(fields["helper"]),
            Midstream = Values.Flag(fields["midstream"], "'midstream'", found),
            Management = Values.Flag(fields["management"], "'management'", found),
            Limit = Limit(fields["limit"]),
            Timers = Timers(fields["timers"]),
            Log = Values.Flag(fields["log"], "'log'", found),
        };
        CheckSourcePorts(fields, rule);
        rule = Within(group, rule);
        CheckPinhole(fields, rule, action);
        CheckHelper(fields, rule, action);
        CheckMidstream(fields, rule, action);
        CheckManagement(fields, action);
        CheckTcpFlags(fields, rule);
        CheckCount(fields, action);
        CheckLimit(fields, rule, action);
        CheckTimers(fields, action);
        if (!found.HasErrors)
        {
            WarnOfFamilies(fields, rule, group);
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
            found.Error(name.At, $"there already is a rule {Wording.Quote(text)} {Wording.Place(_names[text], name.At)}", "counters and tests know a rule by its name: choose another");
            return null;
        }

        return name;
    }
}

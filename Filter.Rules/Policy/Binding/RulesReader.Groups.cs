using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <content>Groups: rules with matches in common.</content>
internal sealed partial class RulesReader
{
    /// <summary>The deepest that groups may hold groups.</summary>
    private const int DeepestGroups = 8;

    private void ReadGroup(MapNode map, Group around, List<Rule> rules)
    {
        if (Fields.Of(map, "a group", found, [.. s_groupKeys, .. s_keys.Except(s_groupKeys)]) is not { } fields)
        {
            return;
        }

        fields.Refuse("belongs to the rules of the group", "move it to them; a group has only matches in common", [.. s_keys.Except(s_groupKeys)]);
        Located<string>? name = Values.Text(fields["group"], "a group's name", found);
        if (around.Depth == DeepestGroups)
        {
            found.Error(fields.At, $"groups are nested deeper than {DeepestGroups} levels");
            return;
        }

        Rule header = Matches(fields);
        CheckSourcePorts(fields, header);
        if (!found.HasErrors)
        {
            WarnOfFamilies(fields, header, around);
        }

        Rule all = around.Header is { } outer ? narrowing.Of(outer, header, out _) : header;
        Group group = new(name?.Value ?? "", all, around.OfOneFamily || all.Families != Families.Both || One(fields, header) is not null, around.Depth + 1);
        int before = rules.Count;
        Node? list = fields.Required("rules", "a group holds the rules that its matches are for");
        Read(list, group, rules);
        if (rules.Count == before && list is ListNode { Items.Count: 0 })
        {
            found.Warn(list.At, $"the group {Wording.Quote(group.Name)} has no rules");
        }
    }

    /// <summary>The rule with all that the groups around it ask as well.</summary>
    private Rule Within(Group group, Rule rule)
    {
        if (group.Header is not { } header)
        {
            return rule;
        }

        Rule narrowed = narrowing.Of(header, rule, out string? conflict);
        if (conflict is not null && !found.HasErrors)
        {
            WarnOfNothing(rule, $"what it says of {conflict} and what the group {Wording.Quote(group.Name)} says exclude each other");
        }

        return narrowed;
    }

    /// <summary>What is common to the rules being read.</summary>
    /// <param name="Name">The innermost group's.</param>
    /// <param name="Header">The matches of all groups around; null outside of any.</param>
    /// <param name="OfOneFamily">Whether it has been said, or warned of, that they are for one family.</param>
    /// <param name="Depth">How many groups.</param>
    private sealed record Group(string Name, Rule? Header, bool OfOneFamily, int Depth)
    {
        public static Group None { get; } = new("", null, OfOneFamily: false, 0);
    }
}

using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Rules.Analysis;

/// <summary>All that a rule does with what it matches: everything in it but its name, its place and its matches.</summary>
/// <param name="Rule">What remains of the rule.</param>
/// <param name="Passes">Whether packets of the kind pass by it.</param>
internal sealed record Treatment(Rule Rule, bool Passes)
{
    /// <summary>What a rule does with packets of a kind.</summary>
    public static Treatment Of(Rule rule, Carried carried)
    {
        bool passes = rule.Action == RuleAction.Allow && (carried != Carried.NamedIcmp || NamesIcmp(rule));
        Rule bare = rule with
        {
            Name = "",
            At = default,
            From = Rule.AnyPort,
            To = Rule.AnyPort,
            Source = null,
            Destination = null,
            Service = null,
            SourcePorts = [],
            Families = Families.Both,
            Vlan = null,
            Conditions = null,
            EachPacket = false,
        };
        return new(bare, passes);
    }

    /// <summary>What a default does.</summary>
    public static Treatment Of(DefaultAction action, Carried carried) =>
        Of(new Rule { Name = "", At = default, Action = action.Action }, carried);

    /// <summary>What it does, in a word.</summary>
    public string Word => Rule.Action switch { RuleAction.Allow => Passes ? "allows" : "drops", RuleAction.Reject => "rejects", _ => "drops" };

    /// <summary>As the compiler has it: of ICMP the rule names types, so that obsolete ones pass.</summary>
    private static bool NamesIcmp(Rule rule) => rule.Service is { NamesIcmp: true };
}

using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Rules.Analysis;

/// <summary>All that a rule does with what it matches: everything in it but its name, its place and its matches.</summary>
/// <param name="Rule">What remains of the rule.</param>
/// <param name="Passes">Whether packets of the kind pass by it.</param>
/// <param name="Watched">How many rules that look at each packet watch the flows it lets in.</param>
internal sealed record Treatment(Rule Rule, bool Passes, int Watched)
{
    private static readonly Rule s_nothing = new() { Name = "", At = default, Action = RuleAction.Drop };

    /// <summary>What a rule does with packets of a kind.</summary>
    /// <param name="rule">The rule.</param>
    /// <param name="carried">The kind.</param>
    /// <param name="watched">How many rules that look at each packet watch the flows it lets in.</param>
    /// <param name="own">Whether its limit is told from another's that is as large: what it lets in counts for it alone.</param>
    public static Treatment Of(Rule rule, Carried carried, int watched, bool own)
    {
        if (carried == Carried.TcpMiddle && !(rule.Action == RuleAction.Allow && rule.Midstream))
        {
            return new(s_nothing, false, 0);        // belongs to no flow, whatever the rule says
        }

        bool passes = rule.Action == RuleAction.Allow && (carried != Carried.NamedIcmp || NamesIcmp(rule));
        Rule bare = rule with
        {
            Name = own && rule.Limit is not null ? rule.Name : "",
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
            Midstream = carried == Carried.TcpMiddle,       // says nothing of openings
        };
        return new(bare, passes, passes ? watched : 0);
    }

    /// <summary>What a default does.</summary>
    public static Treatment Of(DefaultAction action, Carried carried, int watched) =>
        Of(new Rule { Name = "", At = default, Action = action.Action }, carried, watched, own: false);

    /// <summary>What it does, in a word.</summary>
    public string Word => Rule.Action switch { RuleAction.Allow => Passes ? "allows" : "drops", RuleAction.Reject => "rejects", _ => "drops" };

    /// <summary>As the compiler has it: of ICMP the rule names types, so that obsolete ones pass.</summary>
    private static bool NamesIcmp(Rule rule) => rule.Service is { NamesIcmp: true };
}

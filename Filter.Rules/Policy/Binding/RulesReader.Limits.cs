using System.Globalization;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <content>How much a rule lets in, and for how long.</content>
internal sealed partial class RulesReader
{
    /// <summary>The most different timers that rules may have between them: a flow keeps a byte for its own.</summary>
    private const int MostTimers = byte.MaxValue;

    private static readonly string[] s_limitKeys = ["rate", "connections", "per-source"];

    private static readonly string[] s_perSourceKeys = ["rate", "connections"];

    private readonly Dictionary<FlowTimers, FlowTimers> _timers = [];

    /// <summary>A rate alone, or a mapping.</summary>
    private RuleLimit? Limit(Node? node)
    {
        if (node is not MapNode)
        {
            return RateWords.Read(node, "'limit'", found) is { } rate ? new RuleLimit(rate) : null;
        }

        if (Fields.Of(node, "'limit'", found, s_limitKeys) is not { } fields)
        {
            return null;
        }

        Fields? source = fields["per-source"] is { } own ? Fields.Of(own, "'per-source'", found, s_perSourceKeys) : null;
        RuleLimit limit = new(
            RateWords.Read(fields["rate"], "'rate'", found),
            Connections(fields["connections"]),
            RateWords.Read(source?["rate"], "'rate'", found),
            Connections(source?["connections"]));
        if (!s_limitKeys.Any(fields.Has) || (fields["per-source"] is MapNode && source is not null && !s_perSourceKeys.Any(source.Has)))
        {
            found.Error(node.At, "'limit' has an empty mapping, which limits nothing", "write a rate, 10/s burst 20, or rate, connections and per-source");
        }

        return limit;
    }

    private int? Connections(Node? node) => (int?)Values.Number(node, "'connections'", 1, Limits.MostFlows, found);

    private FlowTimers? Timers(Node? node)
    {
        if (node is null)
        {
            return null;
        }

        FlowTimers read = TimersReader.OfRule(node, profile, times, found);
        if (!_timers.TryGetValue(read, out FlowTimers? timers))
        {
            timers = read;
            _timers.Add(read, read);
            if (_timers.Count == MostTimers + 1)
            {
                found.Error(node.At, string.Create(CultureInfo.InvariantCulture, $"rules have more than {MostTimers} different timers"), "let rules share theirs");
            }
        }

        return timers;
    }

    private void CheckLimit(Fields fields, Rule rule, string? action)
    {
        if (rule.Limit is not { } limit || (limit.Connections ?? limit.SourceConnections) is null)
        {
            return;
        }

        if (action is "drop" or "reject")
        {
            found.Error(fields.KeyAt("limit"), $"a rule that {action}s has no connections that could be counted", "leave 'connections' out; 'rate' is for such rules too");
        }
        else if (rule.Service is { IsAny: false, Services.IsEmpty: false } service && service.Services.All(IsUntracked))
        {
            found.Error(fields.KeyAt("limit"), "'connections' counts flows, and what 'service' names opens none", "leave 'connections' out; 'rate' counts packets there");
        }
    }

    private void CheckTimers(Fields fields, string? action)
    {
        if (fields.Has("timers") && action is "drop" or "reject" or "count")
        {
            found.Error(fields.KeyAt("timers"), $"a rule that {action}s opens no flow", "leave 'timers' out");
        }
    }

    /// <summary>Whether each packet is judged alone: IGMP, and ICMP that asks nothing.</summary>
    private static bool IsUntracked(Service service) => service.Protocol == IpProtocol.Igmp
        || (service.IsIcmp && service.Ports.First == service.Ports.Last && !IcmpQueries.Asks(service.Protocol, (byte)service.Ports.First));
}

using System.Globalization;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;

namespace Filter.Ctl.Output;

/// <summary>How limits, and those whom they bite, are spelt.</summary>
internal static class LimitWords
{
    /// <summary>table, half-open, source-flows, source-rate, rule-flows, answers.</summary>
    public static string Word(this Limit limit) => limit switch
    {
        Limit.Table => "table",
        Limit.HalfOpen => "half-open",
        Limit.SourceFlows => "source-flows",
        Limit.SourceRate => "source-rate",
        Limit.RuleFlows => "rule-flows",
        _ => "answers",
    };

    /// <summary>What happened since the last look, in one line: <c>limit half-open: 812 flows given up, most to …</c>.</summary>
    public static string Line(Limit limit, long givenUp, long refused, ShareKey? whom)
    {
        string refusals = limit == Limit.Answers ? "answers not given" : "openings refused";
        string what = givenUp == 0 ? Count(refused, refusals)
            : refused == 0 ? Count(givenUp, "flows given up")
            : $"{Count(givenUp, "flows given up")}, {Count(refused, refusals)}";
        return $"limit {limit.Word()}: {what}{(whom is { } most ? $", most {Who(limit, most)}" : "")}";
    }

    private static string Count(long count, string what) => string.Create(CultureInfo.InvariantCulture, $"{count} {what}");

    private static string Who(Limit limit, in ShareKey whom) => limit switch
    {
        Limit.Table or Limit.HalfOpen => $"to {whom.Address} {Service(whom)}",
        Limit.Answers => $"to {Prefix(whom.Address)}",
        _ => $"from {Prefix(whom.Address)}",
    };

    private static string Prefix(Address source) => source.IsIPv4 ? source.ToString() : $"{source}/64";

    private static string Service(in ShareKey whom)
    {
        string protocol = ProtocolNames.Word(whom.Protocol) ?? string.Create(CultureInfo.InvariantCulture, $"proto/{whom.Protocol}");
        return IpProtocol.HasPorts(whom.Protocol) ? string.Create(CultureInfo.InvariantCulture, $"{protocol}/{whom.Port}") : protocol;
    }
}

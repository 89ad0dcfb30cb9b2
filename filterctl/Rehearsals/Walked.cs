using System.Globalization;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Ctl.Service;
using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Ctl.Rehearsals;

/// <summary>How an outcome is told.</summary>
internal static class Walked
{
    /// <summary>The verdict in one line: drop default-deny, by default in (office.yaml:12).</summary>
    public static string Sentence(this Outcome outcome)
    {
        string reason = outcome.Packet.Reason.Word() is { } why ? $" {why}" : "";
        string rule = Place(outcome.Rule) is { } by ? $", by {by}" : "";
        string ipsec = outcome.Ipsec is { } action ? $", ipsec {action}" : "";
        string egress = outcome.Egress.Count > 0 ? $", leaves by {string.Join(", ", outcome.Egress)}" : "";
        return $"{outcome.Verdict.Word()}{reason}{rule}{ipsec}{egress}";
    }

    /// <summary>A rule's name and where it stands; null for none.</summary>
    public static string? Place(RuleName rule) =>
        rule.Name is null ? null
        : rule.Line > 0 ? string.Create(CultureInfo.InvariantCulture, $"{rule.Name} ({rule.File}:{rule.Line})")
        : $"{rule.Name} (not written in {rule.File})";

    /// <summary>The whole, for an answer.</summary>
    /// <param name="outcome">What became of it.</param>
    /// <param name="flow">The flow it belongs to on a running gateway.</param>
    public static ExplainReport Report(this Outcome outcome, FlowReport? flow = null) => new()
    {
        Line = outcome.Line.ToString(),
        Verdict = outcome.Verdict.Word(),
        Reason = outcome.Packet.Reason.Word(),
        Rule = outcome.Rule.Name,
        Place = EndedLog.PlaceOf(outcome.Rule),
        CountedBy = outcome.CountedBy,
        Ipsec = outcome.Ipsec,
        Egress = outcome.Egress,
        Steps = [.. outcome.Steps.Select(static step => new StepReport(step.Step, step.What))],
        Sentence = outcome.Sentence(),
        Flow = flow,
    };

    /// <summary>The steps, one a line, indented.</summary>
    public static IEnumerable<string> Lines(this Outcome outcome, string indent) =>
        outcome.Steps.Select(step => $"{indent}{step.Step,-8} {step.What}");

    /// <summary>The verdict's colour.</summary>
    public static Tint Tint(this Outcome outcome) => outcome.Verdict.Tint();
}

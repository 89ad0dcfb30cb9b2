using System.Globalization;
using Filter.Engine.Flows;
using Filter.Engine.Path;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads <c>limits:</c>, and the answer to unsolicited SYNs.</summary>
internal sealed class LimitsReader(Diagnostics found)
{
    private static readonly string[] s_keys =
        ["flows", "per-source", "half-open", "management-reserve", "shorten-timers", "answers", "solicitations"];

    private static readonly string[] s_perSourceKeys = ["flows", "rate"];

    /// <summary>
    /// What a profile says where the ruleset is silent: for RFC 6092 no timer shrinks below its minimum, and an unsolicited SYN
    /// is answered (REC-34).
    /// </summary>
    public static PathPolicy Of(Profile profile, FlowTimers timers)
    {
        var policy = new PathPolicy { Profile = profile, Timers = timers };
        return profile == Profile.Default ? policy : policy with
        {
            Limits = policy.Limits with { ShortensFrom = null },
            Answers = policy.Answers with { UnsolicitedSyns = true },
        };
    }

    /// <summary>Reads the section into the sizes of the ruleset and its policy.</summary>
    /// <param name="node">The section.</param>
    /// <param name="policy">What the ruleset says so far of the walk as a whole.</param>
    /// <param name="hasManagement">Whether a rule is marked `management`: only then a reserve is kept unless one is written.</param>
    public (Limits Sizes, PathPolicy Policy) Read(Node? node, PathPolicy policy, bool hasManagement)
    {
        FlowLimits limits = policy.Limits with { ManagementReserve = hasManagement ? Portion.Percent(1) : default };
        if (node is null || Fields.Of(node, "'limits'", found, s_keys) is not { } fields)
        {
            return (new Limits(), policy with { Limits = limits });
        }

        long? flows = Values.Number(fields["flows"], "'flows'", Limits.FewestFlows, Limits.MostFlows, found);
        RateLimit? answers = RateWords.Read(fields["answers"], "'answers'", found);
        return (
            new Limits { Flows = (int)(flows ?? Limits.DefaultFlows) },
            policy with
            {
                Limits = PerSource(fields["per-source"], limits) with
                {
                    HalfOpen = Part(fields, "half-open", limits.HalfOpen),
                    ManagementReserve = Part(fields, "management-reserve", limits.ManagementReserve) ?? default,
                    ShortensFrom = ShortensFrom(fields["shorten-timers"], limits.ShortensFrom, policy.Profile),
                },
                Admission = policy.Admission with
                {
                    Solicitations = RateWords.Read(fields["solicitations"], "'solicitations'", found) ?? policy.Admission.Solicitations,
                },
                Answers = policy.Answers with { Rate = answers ?? policy.Answers.Rate },
            });
    }

    /// <summary>Reads the word for SYNs from outside that no rule allows into the policy.</summary>
    public PathPolicy ReadUnsolicitedSyn(Node? node, PathPolicy policy) =>
        Values.Word(node, "'unsolicited-syn'", found, ("drop", false), ("answer-after-6s", true)) is { } answers
            ? policy with { Answers = policy.Answers with { UnsolicitedSyns = answers } }
            : policy;

    private FlowLimits PerSource(Node? node, FlowLimits limits)
    {
        if (node is null || Fields.Of(node, "'per-source'", found, s_perSourceKeys) is not { } fields)
        {
            return limits;
        }

        return limits with
        {
            PerSource = Part(fields, "flows", limits.PerSource),
            SourceRate = fields["rate"] is ScalarNode { Text: "none" } ? null : RateWords.Read(fields["rate"], "'rate'", found),
        };
    }

    /// <summary>A number of flows, a percentage of the table, or <c>none</c>.</summary>
    private Portion? Part(Fields fields, string key, Portion? otherwise)
    {
        string what = Wording.Quote(key);
        if (Values.Text(fields[key], what, found) is not { } text)
        {
            return otherwise;
        }

        if (text.Value == "none")
        {
            return null;
        }

        if (Hundredths(text.Value) is { } hundredths)
        {
            return Portion.Percent(hundredths);
        }

        if (Values.TryNumber(text.Value, out long flows) && flows is >= 1 and <= Limits.MostFlows)
        {
            return Portion.Flows((int)flows);
        }

        found.Error(text.At, $"{what} is a number of flows, a part of the table, or 'none', not {Wording.Quote(text.Value)}",
            string.Create(CultureInfo.InvariantCulture, $"write 1 to {Limits.MostFlows}, or 1% to 100%"));
        return otherwise;
    }

    private int? ShortensFrom(Node? node, int? otherwise, Profile profile)
    {
        if (Values.Text(node, "'shorten-timers'", found) is not { } text)
        {
            return otherwise;
        }

        if (text.Value == "never")
        {
            return null;
        }

        if (Hundredths(text.Value) is { } hundredths and < 100)
        {
            if (profile == Profile.Rfc6092)
            {
                found.Error(text.At, "profile rfc6092 shortens no timer, however full the table is", "leave 'shorten-timers' out, or write profile: default");
            }

            return hundredths;
        }

        found.Error(text.At, $"'shorten-timers' says from which part of the table on, or 'never', not {Wording.Quote(text.Value)}", "write 1% to 99%");
        return otherwise;
    }

    /// <summary><c>1%</c> to <c>100%</c>.</summary>
    private static int? Hundredths(string text) =>
        text.EndsWith('%') && int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out int value)
            && value is >= 1 and <= 100
            ? value
            : null;
}

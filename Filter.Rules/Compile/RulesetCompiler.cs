using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Rules.Compile.Classification;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Rules.Compile;

/// <summary>The only maker of the fast form.</summary>
public static class RulesetCompiler
{
    /// <summary>Compiles a ruleset. Cannot fail for one that was read: what can be wrong with it was found then.</summary>
    /// <param name="source">The ruleset.</param>
    /// <param name="calendar">What tells its schedules the time; null for the machine's own clock.</param>
    public static CompiledRuleset Compile(Ruleset source, Calendar? calendar = null)
    {
        CompiledRules rules = CompiledRules.Of(source, out Oversize? oversize) ?? throw new InvalidOperationException(oversize!.Describe(source, Classifier.MostBytes));
        int count = source.Rules.Length;
        Judgement[] judgements = new Judgement[count + 4];
        RuleName[] names = new RuleName[count + 4];
        RuleLimit?[] limits = new RuleLimit?[count + 4];
        List<FlowTimers> timers = [.. source.Rules.Select(static rule => rule.Timers).OfType<FlowTimers>().Distinct()];
        Dictionary<FlowTimers, byte> timed = timers.Index().ToDictionary(static t => t.Item, static t => (byte)(t.Index + 1));
        names[0] = new RuleName("none", source.File, 0);
        for (int i = 0; i < count; i++)
        {
            Rule rule = source.Rules[i];
            int number = i + 1;
            judgements[number] = new Judgement(VerdictOf(rule.Action), number, rule.Pinhole, rule.Limit is not null, rule.Log, IsDefault: false)
            {
                Midstream = rule.Midstream,
                Helper = rule.Helper,
                NamesIcmp = rule.Service is { NamesIcmp: true },
                Management = rule.Management,
                Counts = rule.Action == RuleAction.Count,
                EachPacket = rule.EachPacket,
                Timers = rule.Timers is null ? (byte)0 : timed[rule.Timers],
            };
            names[number] = new RuleName(rule.Name, rule.At.File, rule.At.Line);
            limits[number] = rule.Limit;
        }

        (string, DefaultAction)[] defaults = [("default out", source.Defaults.Out), ("default in", source.Defaults.In), ("default across", source.Defaults.Across)];
        for (int i = 0; i < defaults.Length; i++)
        {
            (string name, DefaultAction action) = defaults[i];
            int number = count + 1 + i;
            judgements[number] = new Judgement(VerdictOf(action.Action), number, PinholeKind.Flow, Limited: false, Log: false, IsDefault: true);
            names[number] = new RuleName(name, source.File, action.At?.Line ?? 0);
        }

        return new CompiledRuleset(source, rules, judgements, names, limits, timers, calendar);
    }

    /// <summary>
    /// Whether the ruleset can be compiled: its tables must not take more memory than they may. Asked when a ruleset is read,
    /// so that one too large is refused like any other that is wrong.
    /// </summary>
    /// <param name="source">The ruleset.</param>
    /// <param name="found">Where the finding goes.</param>
    /// <param name="most">Bytes that the tables may take.</param>
    internal static bool Fits(Ruleset source, Diagnostics found, long most = Classifier.MostBytes)
    {
        if (CompiledRules.Of(source, out Oversize? oversize, most) is not null)
        {
            return true;
        }

        found.Error(oversize!.Place(source), oversize.Describe(source, most), Oversize.Remedy);
        return false;
    }

    private static Verdict VerdictOf(RuleAction action) => action switch
    {
        RuleAction.Allow => Verdict.Pass,
        RuleAction.Reject => Verdict.Reject,
        _ => Verdict.Drop,
    };
}

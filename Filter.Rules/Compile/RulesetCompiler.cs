using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Rules.Policy;

namespace Filter.Rules.Compile;

/// <summary>The only maker of the fast form.</summary>
public static class RulesetCompiler
{
    /// <summary>Compiles a ruleset. Cannot fail: what can be wrong with a ruleset was found when it was read.</summary>
    /// <param name="source">The ruleset.</param>
    /// <param name="calendar">What tells its schedules the time; null for the machine's own clock.</param>
    public static CompiledRuleset Compile(Ruleset source, Calendar? calendar = null)
    {
        Writing writing = new();
        RuleList counting = new(), eachPacket = new();
        int count = source.Rules.Length;
        FlatRule[] rules = new FlatRule[count];
        Judgement[] judgements = new Judgement[count + 4];
        RuleName[] names = new RuleName[count + 4];
        RateLimit?[] limits = new RateLimit?[count + 4];
        names[0] = new RuleName("none", source.File, 0);
        for (int i = 0; i < count; i++)
        {
            Rule rule = source.Rules[i];
            int number = i + 1;
            rules[i] = writing.Flatten(rule);
            (rule.Action == RuleAction.Count ? counting : null)?.Add(i, rules[i], rule.Conditions);
            (rule.EachPacket ? eachPacket : null)?.Add(i, rules[i], rule.Conditions);
            if (rule.Action == RuleAction.Count)
            {
                rules[i] = rules[i] with { From = 0 };      // it decides nothing, so no opening finds it
            }

            judgements[number] = new Judgement(VerdictOf(rule.Action), number, rule.Pinhole, rule.Limit is not null, rule.Log, IsDefault: false)
            {
                Midstream = rule.Midstream,
                Helper = rule.Helper,
                NamesIcmp = rule.Service is { IsAny: false } service && service.Services.Any(static s => s.IsIcmp)
                    && !service.Services.Any(static s => s.IsIcmp && s.Ports == PortRange.All),
                Management = rule.Management,
                Counts = rule.Action == RuleAction.Count,
                EachPacket = rule.EachPacket,
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

        return new CompiledRuleset(source, rules, writing.Done(), counting, eachPacket, judgements, names, limits, calendar ?? new LocalCalendar());
    }

    private static Verdict VerdictOf(RuleAction action) => action switch
    {
        RuleAction.Allow => Verdict.Pass,
        RuleAction.Reject => Verdict.Reject,
        _ => Verdict.Drop,
    };

    /// <summary>Collects the arrays while rules are flattened; equal sets are written once.</summary>
    private sealed class Writing
    {
        private readonly List<AddressRange> _ranges = [];
        private readonly List<Service> _services = [];
        private readonly List<PortRange> _ports = [];
        private readonly List<uint> _vlans = [];
        private readonly Dictionary<AddressSet, Run> _named = new(ReferenceEqualityComparer.Instance);
        private readonly Dictionary<AddressSet, Run> _sets = [];
        private readonly Dictionary<ServiceSet, Run> _serviceSets = new(ReferenceEqualityComparer.Instance);

        public FlatRule Flatten(Rule rule) => new(
            rule.From,
            rule.To,
            rule.Families,
            Addresses(rule.Source),
            Addresses(rule.Destination),
            Services(rule.Service),
            Append(_ports, rule.SourcePorts.AsSpan()),
            rule.Vlan is null ? default : Append(_vlans, rule.Vlan.Identifiers.AsSpan()),
            rule.Vlan is { Identifiers.IsEmpty: true });

        public FlatSets Done() => new([.. _ranges], [.. _services], [.. _ports], [.. _vlans]);

        private static Run Append<T>(List<T> to, ReadOnlySpan<T> entries)
        {
            Run run = new(to.Count, entries.Length);
            to.AddRange(entries);
            return run;
        }

        private Run Addresses(AddressSet? set)
        {
            if (set is null || set.Equals(AddressSet.Any))
            {
                return default;
            }

            // A large set that many rules name is one object: find it without reading it through again.
            if (!_named.TryGetValue(set, out Run run))
            {
                if (!_sets.TryGetValue(set, out run))
                {
                    run = set.IsEmpty ? Run.Nothing : Append(_ranges, set.Ranges);
                    _sets.Add(set, run);
                }

                _named.Add(set, run);
            }

            return run;
        }

        private Run Services(ServiceSet? set)
        {
            if (set is null || set.IsAny)
            {
                return default;
            }

            if (!_serviceSets.TryGetValue(set, out Run run))
            {
                run = set.Services.IsEmpty ? Run.Nothing : Append(_services, set.Services.AsSpan());
                _serviceSets.Add(set, run);
            }

            return run;
        }
    }
}

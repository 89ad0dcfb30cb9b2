using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules.Compile.Classification;
using Filter.Rules.Policy;

namespace Filter.Rules.Compile;

/// <summary>
/// A ruleset in the form that packets meet. Immutable but for what <see cref="Advance"/> finds; judging allocates nothing and
/// cannot throw. The classifier names, in order, the rules that ports, addresses and services allow; the first whose further
/// matches hold too is it.
/// </summary>
public sealed class CompiledRuleset : IRuleset
{
    private readonly CompiledRules _rules;
    private readonly Judgement[] _judgements;
    private readonly RuleName[] _names;
    private readonly RuleLimit?[] _limits;
    private readonly Conditions?[] _conditions;
    private readonly AddressClass[] _classes;
    private readonly Schedule[] _schedules;
    private readonly Calendar? _calendar;
    private readonly Dictionary<string, int> _numbers;
    private readonly ushort[] _etherTypes;
    private readonly bool _passArp;
    private readonly bool _passUnknown;
    private int _minute;

    internal CompiledRuleset(Ruleset source, CompiledRules rules, Judgement[] judgements, RuleName[] names, RuleLimit?[] limits, IReadOnlyList<FlowTimers> timers, Calendar? calendar)
    {
        Source = source;
        _rules = rules;
        _judgements = judgements;
        _names = names;
        _limits = limits;
        Timers = timers;
        Policies = [.. source.Ipsec?.Policies.Select(static policy => policy.Name) ?? []];
        _conditions = [.. source.Rules.Select(static rule => rule.Conditions)];
        IEnumerable<Conditions> given = _conditions.OfType<Conditions>().SelectMany(static conditions => conditions.All());
        _classes = [.. given.SelectMany(static c => new[] { c.Source, c.Destination }).OfType<AddressConditions>()
            .SelectMany(static end => end.AnyOf.Concat(end.NoneOf)).Distinct()];
        _schedules = [.. given.Select(static c => c.Schedule).OfType<Schedule>().Distinct()];
        _calendar = calendar ?? (_schedules.Length > 0 ? new LocalCalendar() : null);
        _etherTypes = [.. source.Link.EtherTypes];
        _passArp = source.Link.PassArp;
        _passUnknown = source.Link.PassUnknown;
        _numbers = names.Index().Skip(1).ToDictionary(static n => n.Item.Name, static n => n.Index, StringComparer.Ordinal);
    }

    /// <summary>What it was compiled from.</summary>
    public Ruleset Source { get; }

    /// <inheritdoc/>
    public int RuleCount => _names.Length;

    /// <inheritdoc/>
    public PathPolicy Policy => Source.Path;

    /// <inheritdoc/>
    public Judgement Judge(in OpeningFacts facts)
    {
        int rule = _rules.Deciding.Next(facts, 0, _minute);
        return rule != 0 ? _judgements[rule] : _judgements[_judgements.Length - 4 + facts.Direction switch { Direction.Out => 1, Direction.In => 2, _ => 3 }];
    }

    /// <inheritdoc/>
    public RuleKinds Kinds => (_rules.Counting.IsEmpty ? RuleKinds.None : RuleKinds.Counting) | (_rules.EachPacket.IsEmpty ? RuleKinds.None : RuleKinds.EachPacket);

    /// <inheritdoc/>
    public Judgement this[int rule] => (uint)rule < (uint)_judgements.Length ? _judgements[rule] : default;

    /// <inheritdoc/>
    public int Next(RuleKinds kind, in OpeningFacts facts, int after) =>
        (kind == RuleKinds.Counting ? _rules.Counting : _rules.EachPacket).Next(facts, after, _minute);

    /// <inheritdoc/>
    public bool Advance(long now)
    {
        bool changed = false;
        foreach (AddressClass one in _classes)
        {
            changed |= one.Advance(now);
        }

        if (_schedules.Length == 0 || _calendar is null)
        {
            return changed;
        }

        int before = _minute;
        _minute = _calendar.MinuteOfWeek(now);
        for (int i = 0; i < _schedules.Length && before != _minute; i++)
        {
            changed |= _schedules[i].Holds(before) != _schedules[i].Holds(_minute);
        }

        return changed;
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> Policies { get; }

    /// <inheritdoc/>
    public bool PassesEtherType(ushort etherType) => etherType switch
    {
        EtherTypes.MacControl or EtherTypes.SlowProtocols => false,
        EtherTypes.Arp => _passArp,
        _ => _passUnknown || Array.BinarySearch(_etherTypes, etherType) >= 0,
    };

    /// <inheritdoc/>
    public RuleName Name(int rule) => (uint)rule < (uint)_names.Length ? _names[rule] : default;

    /// <inheritdoc/>
    public RuleLimit? Limit(int rule) => (uint)rule < (uint)_limits.Length ? _limits[rule] : null;

    /// <inheritdoc/>
    public IReadOnlyList<FlowTimers> Timers { get; }

    /// <summary>The number of the rule of that name, so that what is counted by name survives a reload; 0 for none.</summary>
    public int Find(string name) => _numbers.GetValueOrDefault(name);
}

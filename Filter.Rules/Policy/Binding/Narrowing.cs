using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>
/// What a rule matches within a group: what both ask, exactly. Equal pairs of sets give the same object, and all that is compared
/// is counted: rules in groups must not cost without bound.
/// </summary>
internal sealed class Narrowing(Schedules schedules, Diagnostics found)
{
    /// <summary>The most entries that all groups of a ruleset may compare.</summary>
    public const int MostWork = 20_000_000;

    private readonly Dictionary<(AddressSet, AddressSet), AddressSet> _addresses = new(ByReference<AddressSet>.Pairs);
    private readonly Dictionary<(ServiceSet, ServiceSet), ServiceSet> _services = new(ByReference<ServiceSet>.Pairs);
    private long _work;
    private bool _spent;

    /// <summary>The rule with the group's matches added.</summary>
    /// <param name="group">The group's matches.</param>
    /// <param name="rule">The rule, or an inner group's matches.</param>
    /// <param name="conflict">The key by which the two exclude each other; the rule then matches nothing. Else null.</param>
    public Rule Of(Rule group, Rule rule, out string? conflict)
    {
        conflict = group.From == 0 || rule.From == 0 ? "'from'" : null;
        Rule both = rule with
        {
            From = (ushort)(group.From & rule.From),
            To = (ushort)(group.To & rule.To),
            Families = group.Families & rule.Families,
            Source = Addresses(group.Source, rule.Source, rule.At),
            Destination = Addresses(group.Destination, rule.Destination, rule.At),
            Service = Services(group.Service, rule.Service, rule.At),
            SourcePorts = group.SourcePorts.IsEmpty ? rule.SourcePorts
                : rule.SourcePorts.IsEmpty ? group.SourcePorts
                : PortRange.Intersect(group.SourcePorts.AsSpan(), rule.SourcePorts.AsSpan()),
            Vlan = group.Vlan is null ? rule.Vlan : rule.Vlan is null ? group.Vlan : group.Vlan.Intersect(rule.Vlan),
        };
        conflict ??= both.From == 0 ? "'from'"
            : both.To == 0 ? "'to'"
            : both.Families == Families.None ? "'family'"
            : both.Source is { IsEmpty: true } ? "'source'"
            : both.Destination is { IsEmpty: true } ? "'destination'"
            : both.Service is { IsAny: false, Services.IsEmpty: true } ? "'service'"
            : both.SourcePorts.IsEmpty && !rule.SourcePorts.IsEmpty ? "'source-port'"
            : both.Vlan is null && rule.Vlan is not null ? "'vlan'"
            : null;
        if (conflict is null && group.Conditions is not null && rule.Conditions is not null)
        {
            Spend((long)group.Conditions.Size * rule.Conditions.Size, rule.At);
            Conditions? conditions = _spent ? rule.Conditions : group.Conditions.And(rule.Conditions, out conflict);
            both = both with { Conditions = conditions is { Schedule: { } schedule } ? conditions with { Schedule = schedules.Known(schedule, rule.At) } : conditions };
        }
        else
        {
            both = both with { Conditions = rule.Conditions ?? group.Conditions };
        }

        if (both.Conditions is { } asked && (asked.Source is not null || asked.Destination is not null))
        {
            both = both with { Conditions = asked with { Source = Within(asked.Source, both.Source), Destination = Within(asked.Destination, both.Destination) } };
        }

        // What matches nothing comes in by no port.
        return conflict is null ? both : rule with { From = 0 };
    }

    /// <summary>The same beside runs that must hold too: what is fixed says no more than they do.</summary>
    private static AddressConditions? Within(AddressConditions? end, AddressSet? runs) =>
        end is null || runs is null ? end : end with { Fixed = end.Fixed.Intersect(runs) };

    private AddressSet? Addresses(AddressSet? a, AddressSet? b, SourceMark at)
    {
        if (a is null || b is null || ReferenceEquals(a, b))
        {
            return a ?? b;
        }

        if (!_addresses.TryGetValue((a, b), out AddressSet? both))
        {
            both = _spent ? b : a.Intersect(b);
            Spend(Math.Min(a.Ranges.Length, b.Ranges.Length) + both.Ranges.Length, at);
            both = both.Equals(a) ? a : both.Equals(b) ? b : both;
            _addresses.Add((a, b), both);
        }

        return both;
    }

    private ServiceSet? Services(ServiceSet? a, ServiceSet? b, SourceMark at)
    {
        if (a is null or { IsAny: true } || b is null or { IsAny: true } || ReferenceEquals(a, b))
        {
            return a is null or { IsAny: true } ? b : a;
        }

        if (!_services.TryGetValue((a, b), out ServiceSet? both))
        {
            both = _spent ? b : a.Intersect(b);
            Spend(a.Services.Length + b.Services.Length, at);
            _services.Add((a, b), both);
        }

        return both;
    }

    private void Spend(long work, SourceMark at)
    {
        _work += work;
        if (_work > MostWork && !_spent)
        {
            _spent = true;
            found.Error(at, $"groups and their rules name more than {MostWork:N0} entries that must be compared", "name large sets in the group or in its rules, not in both");
        }
    }

    private sealed class ByReference<T> : IEqualityComparer<(T A, T B)>
        where T : class
    {
        public static ByReference<T> Pairs { get; } = new();

        public bool Equals((T A, T B) x, (T A, T B) y) => ReferenceEquals(x.A, y.A) && ReferenceEquals(x.B, y.B);

        public int GetHashCode((T A, T B) pair) => HashCode.Combine(
            System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(pair.A), System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(pair.B));
    }
}

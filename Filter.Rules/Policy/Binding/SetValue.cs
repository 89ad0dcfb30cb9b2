using System.Collections.Immutable;
using Filter.Engine.Packets;

namespace Filter.Rules.Policy.Binding;

/// <summary>Addresses that some place of a ruleset names.</summary>
/// <param name="Fixed">What is in it whatever happens.</param>
/// <param name="Excluded">What is not, whatever sets that change hold.</param>
/// <param name="AnyOf">Sets that change whose addresses are in it too.</param>
/// <param name="NoneOf">Sets that change whose addresses are not.</param>
internal sealed record AddressValue(AddressSet Fixed, AddressSet Excluded, ImmutableArray<AddressClass> AnyOf, ImmutableArray<AddressClass> NoneOf)
{
    /// <summary>No address.</summary>
    public static AddressValue Nothing { get; } = Of(AddressSet.Empty);

    /// <summary>Whether it is the same for ever.</summary>
    public bool IsFixed => AnyOf.IsEmpty && NoneOf.IsEmpty;

    /// <summary>All that may be in it: what a classifier looks for.</summary>
    public AddressSet Most => AnyOf.IsEmpty ? Fixed : AddressSet.Any.Except(Excluded);

    /// <summary>What of that is in it; null where all is.</summary>
    public AddressConditions? Conditions => IsFixed ? null : new(Fixed, AnyOf, NoneOf);

    /// <summary>Addresses that never change.</summary>
    public static AddressValue Of(AddressSet set) => new(set, AddressSet.Empty, [], []);
}

/// <summary>What a list of entries says so far: some are in, and those written with `not` are not.</summary>
internal sealed class Collecting
{
    private readonly List<AddressRange> _ranges = [];
    private readonly List<AddressRange> _excluded = [];
    private readonly List<AddressClass> _anyOf = [];
    private readonly List<AddressClass> _noneOf = [];
    private readonly List<Service> _services = [];
    private readonly List<Service> _noServices = [];
    private bool _says;
    private bool _addsServices;

    /// <summary>An entry without `not` stands in the list: what is not named is out.</summary>
    public void SaysWhat() => _says = true;

    /// <summary>Adds runs, or takes them away.</summary>
    public void Add(IEnumerable<AddressRange> ranges, bool not) => (not ? _excluded : _ranges).AddRange(ranges);

    /// <summary>Adds a set of addresses by its name, or takes it away.</summary>
    public void Add(string name, AddressValue value, bool not)
    {
        if (value.NoneOf.IsEmpty && value.Excluded.IsEmpty)
        {
            Add(value.Fixed.Ranges.ToArray(), not);
            (not ? _noneOf : _anyOf).AddRange(value.AnyOf);
        }
        else
        {
            // What it excludes it excludes for itself alone.
            Add(new JoinedSet(name, value.Most, value.Conditions!), not);
        }
    }

    /// <summary>Adds a class, or takes it away.</summary>
    public void Add(AddressClass one, bool not) => (not ? _noneOf : _anyOf).Add(one);

    /// <summary>Adds services, or takes them away.</summary>
    public void Add(IEnumerable<Service> services, bool not)
    {
        _addsServices |= !not;
        (not ? _noServices : _services).AddRange(services);
    }

    /// <summary>The addresses.</summary>
    public AddressValue Addresses()
    {
        AddressSet excluded = AddressSet.Of(_excluded);
        AddressSet set = _says ? AddressSet.Of(_ranges) : AddressSet.Any;
        set = excluded.IsEmpty ? set : set.Except(excluded);
        return _anyOf.Count + _noneOf.Count == 0 ? AddressValue.Of(set) : new(set, excluded, [.. _anyOf.Distinct()], [.. _noneOf.Distinct()]);
    }

    /// <summary>The services.</summary>
    public ServiceSet Services()
    {
        ServiceSet set = _addsServices || _noServices.Count == 0 ? ServiceSet.Of(_services) : ServiceSet.Any;
        return _noServices.Count == 0 ? set : set.Except(ServiceSet.Of(_noServices));
    }
}

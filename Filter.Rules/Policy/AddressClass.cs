using System.Collections.Immutable;
using Filter.Engine.Packets;

namespace Filter.Rules.Policy;

/// <summary>
/// Addresses that can't be written as runs when a ruleset is read: they change while it is in force, or are no runs at all.
/// It is looked up beside the compiled rules, so its change builds nothing anew.
/// </summary>
public abstract class AddressClass
{
    /// <summary>What the ruleset calls it.</summary>
    public abstract string Name { get; }

    /// <summary>Whether the address is in it now. Called by the worker; never allocates, blocks or throws.</summary>
    public abstract bool Contains(Address address);

    /// <summary>
    /// Lets it look at the time and at what was changed from outside; what it finds holds until it is called again. Called by
    /// the worker; never allocates, blocks or throws.
    /// </summary>
    /// <param name="now">Nanoseconds on the path's clock.</param>
    /// <returns>Whether it may hold other addresses than before.</returns>
    public virtual bool Advance(long now) => false;
}

/// <summary>An end of a rule that names classes of addresses.</summary>
/// <param name="Fixed">Addresses that match whatever the classes hold.</param>
/// <param name="AnyOf">Classes whose addresses match too; where there are none, everything does that no other part excludes.</param>
/// <param name="NoneOf">Classes whose addresses don't match, whatever else is said.</param>
public sealed record AddressConditions(AddressSet Fixed, ImmutableArray<AddressClass> AnyOf, ImmutableArray<AddressClass> NoneOf)
{
    /// <summary>Whether the address matches.</summary>
    public bool Holds(Address address)
    {
        foreach (AddressClass excluded in NoneOf.AsSpan())
        {
            if (excluded.Contains(address))
            {
                return false;
            }
        }

        if (AnyOf.IsEmpty || Fixed.Contains(address))
        {
            return true;
        }

        foreach (AddressClass one in AnyOf.AsSpan())
        {
            if (one.Contains(address))
            {
                return true;
            }
        }

        return false;
    }
}

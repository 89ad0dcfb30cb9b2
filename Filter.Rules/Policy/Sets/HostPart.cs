using Filter.Engine.Packets;

namespace Filter.Rules.Policy;

/// <summary>
/// Addresses by what stands behind their prefix, whatever the prefix is: a host keeps that part when its network is numbered anew. In one
/// network, or in any.
/// </summary>
/// <param name="name">What the ruleset calls it.</param>
/// <param name="host">The part, all bits before it zero.</param>
/// <param name="length">How many bits, as the family counts them, stand before it.</param>
/// <param name="within">The networks; null for any.</param>
public sealed class HostPart(string name, Address host, int length, AddressClass? within) : AddressClass
{
    private readonly Address _mask = Prefix.Around(host, length) is var prefix ? new(prefix.Range.Last.High ^ prefix.Base.High, prefix.Range.Last.Low ^ prefix.Base.Low) : default;

    /// <inheritdoc/>
    public override string Name => name;

    /// <inheritdoc/>
    public override bool Contains(Address address) =>
        address.IsIPv4 == host.IsIPv4
        && (address.High & _mask.High) == (host.High & _mask.High) && (address.Low & _mask.Low) == (host.Low & _mask.Low)
        && (within is null || within.Contains(address));

    /// <inheritdoc/>
    public override bool Advance(long now) => within?.Advance(now) == true;

    /// <summary>What it is, in words that mean the same wherever they are equal.</summary>
    public override string ToString() => $"{name}: {host}/{length} within {within}";
}

/// <summary>A set that holds sets that change, beside what it writes itself.</summary>
/// <param name="name">What the ruleset calls it.</param>
/// <param name="most">All that may be in it.</param>
/// <param name="conditions">What of that is.</param>
public sealed class JoinedSet(string name, AddressSet most, AddressConditions conditions) : AddressClass
{
    /// <inheritdoc/>
    public override string Name => name;

    /// <inheritdoc/>
    public override bool Contains(Address address) => most.Contains(address) && conditions.Holds(address);

    /// <inheritdoc/>
    public override bool Advance(long now)
    {
        bool changed = false;
        foreach (AddressClass one in conditions.AnyOf.AsSpan())
        {
            changed |= one.Advance(now);
        }

        foreach (AddressClass one in conditions.NoneOf.AsSpan())
        {
            changed |= one.Advance(now);
        }

        return changed;
    }

    /// <summary>What it is, in words that mean the same wherever they are equal.</summary>
    public override string ToString() =>
        $"{name}: of {most} also {conditions.Fixed}, any of ({string.Join("; ", conditions.AnyOf)}), none of ({string.Join("; ", conditions.NoneOf)})";
}

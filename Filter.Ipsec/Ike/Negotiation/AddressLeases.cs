using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Negotiation;

/// <summary>Who has which address of the pools (RFC 7296 §2.19). Who comes back gets what he had, while nobody else needed it.</summary>
internal sealed class AddressLeases
{
    /// <summary>Addresses looked at, of a large pool, before it counts as full: it is full when as many are taken.</summary>
    private const int Most = 65_536;

    private readonly Dictionary<Address, object> _taken = [];
    private readonly Dictionary<(string Pool, string Who), Address> _earlier = [];

    /// <summary>An address of the family, from the first pool that has one left.</summary>
    /// <param name="pools">In order.</param>
    /// <param name="ipv4">The family.</param>
    /// <param name="who">The identity that has proved itself.</param>
    /// <param name="holder">What holds it until <see cref="Release"/>.</param>
    /// <param name="wish">What is asked for; nothing to count on.</param>
    internal Address? Take(IEnumerable<AddressPool> pools, bool ipv4, IkeIdentity who, object holder, Address? wish)
    {
        foreach (AddressPool pool in pools.Where(p => p.Range.First.IsIPv4 == ipv4))
        {
            (string, string) key = (pool.Name, $"{(byte)who.Kind}:{who.Text}");
            Address? earlier = _earlier.TryGetValue(key, out Address had) ? had : null;
            foreach (Address? first in (Address?[])[earlier, wish])
            {
                if (first is { } one && pool.Range.Contains(one) && _taken.TryAdd(one, holder))
                {
                    _earlier[key] = one;
                    return one;
                }
            }

            Address next = pool.Range.First;
            for (int looked = 0; looked < Most && next <= pool.Range.Last; looked++, next = next.Next())
            {
                if (_taken.TryAdd(next, holder))
                {
                    _earlier[key] = next;
                    return next;
                }
            }
        }

        return null;
    }

    /// <summary>An IKE SA takes another's place, and what it held.</summary>
    internal void Move(Address address, object holder) => _taken[address] = holder;

    /// <summary>Gives an address back, where it is still the holder's.</summary>
    internal void Release(Address address, object holder)
    {
        if (_taken.TryGetValue(address, out object? by) && by == holder)
        {
            _taken.Remove(address);
        }

        // Names are kept for who comes back; a flood of them is forgotten.
        if (_earlier.Count > Most)
        {
            _earlier.Clear();
        }
    }
}

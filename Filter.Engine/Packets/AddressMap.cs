namespace Filter.Engine.Packets;

/// <summary>
/// Addresses to small numbers: networks, the narrowest deciding, laid out as runs in numeric order and found by binary
/// search. Immutable; a look-up never allocates.
/// </summary>
public sealed class AddressMap
{
    private readonly Address[] _firsts;         // where each run begins; it ends before the next
    private readonly byte[] _values;

    private AddressMap(Address[] firsts, byte[] values) => (_firsts, _values) = (firsts, values);

    /// <summary>Every address has the value 0.</summary>
    public static AddressMap Empty { get; } = Of([]);

    /// <summary>The number of the narrowest network that holds the address; 0 where none does.</summary>
    public byte this[Address address]
    {
        get
        {
            // Without branches that nothing foretells. The first run begins with the first address, so there is always one.
            Address[] firsts = _firsts;
            int at = 0;
            for (int left = firsts.Length, half = left / 2; half > 0; left -= half, half = left / 2)
            {
                at += IsAtMost(firsts[at + half], address) ? half : 0;
            }

            return _values[at];
        }
    }

    private static bool IsAtMost(Address one, Address other) => one.High < other.High | (one.High == other.High & one.Low <= other.Low);

    /// <summary>
    /// The map of these networks. Two of them are apart or one lies in the other; of equal ones the last counts. An IPv4
    /// address lies in no IPv6 network, not even in ::/0.
    /// </summary>
    public static AddressMap Of(IEnumerable<(Address First, Address Last, byte Value)> networks)
    {
        List<Address> firsts = [default];
        List<byte> values = [0];
        Stack<(Address Last, byte Value)> around = new();
        (Address First, Address Last, byte Value)[] families = [(Address.FirstIPv4, Address.LastIPv4, 0)];
        foreach ((Address first, Address last, byte value) in families.Concat(networks).OrderBy(n => n.First).ThenByDescending(n => n.Last))
        {
            Leave(first);
            Begin(first, value);
            around.Push((last, value));
        }

        Leave(null);
        return new AddressMap([.. firsts], [.. values]);

        void Leave(Address? upTo)
        {
            while (around.TryPeek(out (Address Last, byte) inner) && (upTo is null || inner.Last < upTo))
            {
                around.Pop();
                Address behind = inner.Last.Next();
                if (behind != default)
                {
                    Begin(behind, around.TryPeek(out (Address, byte Value) outer) ? outer.Value : (byte)0);
                }
            }
        }

        void Begin(Address first, byte value)
        {
            if (firsts[^1] == first)
            {
                values[^1] = value;
                return;
            }

            firsts.Add(first);
            values.Add(value);
        }
    }
}

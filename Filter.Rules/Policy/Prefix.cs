using System.Globalization;
using Filter.Engine.Packets;

namespace Filter.Rules.Policy;

/// <summary>The IP families a match speaks of.</summary>
[Flags]
public enum Families : byte
{
    /// <summary>None: nothing can match.</summary>
    None = 0,

    /// <summary>IPv4.</summary>
    IPv4 = 1,

    /// <summary>IPv6.</summary>
    IPv6 = 2,

    /// <summary>Both.</summary>
    Both = 3,
}

/// <summary>An inclusive run of addresses in the common space, where IPv4 stands at ::ffff:0:0/96.</summary>
/// <param name="First">The lowest.</param>
/// <param name="Last">The highest; not below <paramref name="First"/>.</param>
public readonly record struct AddressRange(Address First, Address Last)
{
    /// <summary>Every address of both families.</summary>
    public static AddressRange Everything => new(default, new Address(ulong.MaxValue, ulong.MaxValue));

    /// <summary>Every IPv4 address.</summary>
    public static AddressRange AllIPv4 => new(Address.FirstIPv4, Address.LastIPv4);

    /// <summary>Whether the address lies in it.</summary>
    public bool Contains(Address address) => First <= address && address <= Last;

    /// <summary>As people write it: a network where it is one, else its ends.</summary>
    public override string ToString()
    {
        if (First == Last)
        {
            return First.ToString();
        }

        for (int length = First.IsIPv4 ? 31 : 127; length >= 0; length--)
        {
            Prefix around = Prefix.Around(First, length);
            if (around.Base == First && around.Range.Last == Last)
            {
                return around.ToString();
            }
        }

        return $"{First}-{Last}";
    }

    /// <summary>Which of some runs, disjoint and in order, has the address; -1 for none.</summary>
    public static int Find(ReadOnlySpan<AddressRange> runs, Address address)
    {
        int low = 0, high = runs.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >> 1;
            ref readonly AddressRange run = ref runs[middle];
            if (address < run.First)
            {
                high = middle - 1;
            }
            else if (address > run.Last)
            {
                low = middle + 1;
            }
            else
            {
                return middle;
            }
        }

        return -1;
    }
}

/// <summary>A network: an address whose host bits are zero, and a length as its own family counts it.</summary>
/// <param name="Base">The lowest address.</param>
/// <param name="Length">0..32 for IPv4, 0..128 for IPv6.</param>
public readonly record struct Prefix(Address Base, int Length)
{
    /// <summary>Its addresses. <c>::/0</c> spans the whole space; who means IPv6 alone takes IPv4 out.</summary>
    public AddressRange Range => new(Base, Last(Base, CommonLength));

    /// <summary>The length in the common space: 96 more for IPv4.</summary>
    public int CommonLength => Base.IsIPv4 ? Length + 96 : Length;

    /// <summary>Whether the address lies in it; an IPv4 address never lies in an IPv6 network.</summary>
    public bool Contains(Address address) => address.IsIPv4 == Base.IsIPv4 && Range.Contains(address);

    /// <summary>
    /// Reads <c>address/length</c>. Host bits may be set: they stay in <paramref name="address"/> and are cleared in
    /// <paramref name="prefix"/>.
    /// </summary>
    public static bool TryParse(string text, out Prefix prefix, out Address address)
    {
        prefix = default;
        address = default;
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0 || !Address.TryParse(text[..slash], out address)
            || !int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int length)
            || length > (address.IsIPv4 ? 32 : 128))
        {
            return false;
        }

        prefix = Around(address, length);
        return true;
    }

    /// <summary>The network of that length in which the address lies.</summary>
    public static Prefix Around(Address address, int length)
    {
        int common = address.IsIPv4 ? length + 96 : length;
        return new(new Address(address.High & Mask(common), address.Low & Mask(common - 64)), length);
    }

    /// <summary><c>192.0.2.0/24</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Base}/{Length}");

    private static Address Last(Address first, int common) =>
        new(first.High | ~Mask(common), first.Low | ~Mask(common - 64));

    /// <summary>A word whose upper bits are set; none for a count below 1, all for 64 and more.</summary>
    private static ulong Mask(int bits) => bits <= 0 ? 0 : bits >= 64 ? ulong.MaxValue : ulong.MaxValue << (64 - bits);
}

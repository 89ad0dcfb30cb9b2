using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>What is special about an address (RFC 6890 and the registries it made; RFC 5156 for the public Internet).</summary>
[Flags]
public enum AddressTraits : byte
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>No packet on a wire has it as its source.</summary>
    NeverSource = 1,

    /// <summary>No packet on a wire has it as its destination.</summary>
    NeverDestination = 2,

    /// <summary>Neither.</summary>
    Never = NeverSource | NeverDestination,

    /// <summary>No packet has it in the public Internet, in either place (RFC 6092 REC-3).</summary>
    NotPublic = 4,

    /// <summary>It reaches no further than a site (RFC 6092 REC-2, REC-7).</summary>
    Site = 8,
}

/// <summary>
/// The special addresses of both families, as written rows. Multicast and broadcast sources, loopback and IPv4-mapped
/// addresses end in the parser, whatever else is said. The unspecified address is its reader's business.
/// </summary>
public static class SpecialAddresses
{
    private static readonly AddressMap s_map = AddressMap.Of(
    [
        Row("0.0.0.0", 8, AddressTraits.Never),             // this network (RFC 791 §3.2)
        Row("192.0.2.0", 24, AddressTraits.NotPublic),      // documentation (RFC 5737)
        Row("198.51.100.0", 24, AddressTraits.NotPublic),
        Row("203.0.113.0", 24, AddressTraits.NotPublic),
        Row("198.18.0.0", 15, AddressTraits.NotPublic),     // benchmarks (RFC 2544)
        Row("239.0.0.0", 8, AddressTraits.Site),            // administratively scoped groups (RFC 2365)
        Row("240.0.0.0", 4, AddressTraits.Never),           // reserved (RFC 1112 §4)
        Row("255.255.255.255", 32, AddressTraits.NeverSource),  // the limited broadcast (RFC 919 §7)

        Row("::", 96, AddressTraits.Never),                 // IPv4-compatible, and ::1 (RFC 4291 §2.5.5.1)
        Row("64:ff9b:1::", 48, AddressTraits.NotPublic),    // translation within a site (RFC 8215)
        Row("100::", 64, AddressTraits.NotPublic),          // discard (RFC 6666)
        Row("2001:2::", 48, AddressTraits.NotPublic),       // benchmarks (RFC 5180)
        Row("2001:10::", 28, AddressTraits.NotPublic),      // ORCHID (RFC 4843)
        Row("2001:db8::", 32, AddressTraits.NotPublic),     // documentation (RFC 3849)
        Row("3ffe::", 16, AddressTraits.NotPublic),         // 6bone (RFC 3701)
        Row("3fff::", 20, AddressTraits.NotPublic),         // documentation (RFC 9637)
        Row("5f00::", 16, AddressTraits.NotPublic),         // segment identifiers (RFC 9602)
        Row("fc00::", 7, AddressTraits.Site),               // unique local (RFC 4193)
        Row("fec0::", 10, AddressTraits.NotPublic),         // site-local: deprecated (RFC 3879)
    ]);

    /// <summary>Groups by the four bits of their scope (RFC 4291 §2.7, RFC 7346).</summary>
    private static readonly AddressTraits[] s_scopes =
    [
        AddressTraits.Never,        // 0: reserved, silently dropped
        AddressTraits.Never,        // 1: does not leave its interface
        AddressTraits.None,         // 2: the link's, which a bridge is in the middle of
        AddressTraits.Site,         // 3: realm
        AddressTraits.Site,         // 4: administrative
        AddressTraits.Site,         // 5: site
        AddressTraits.Site,         // 6
        AddressTraits.Site,         // 7
        AddressTraits.Site,         // 8: organization, the boundary by default (RFC 6092 REC-2)
        .. Enumerable.Repeat(AddressTraits.None, 7),
    ];

    /// <summary>What is special about the address.</summary>
    public static AddressTraits Of(Address address) => address.IsMulticast && !address.IsIPv4
        ? s_scopes[(int)(address.High >> 48) & 15]
        : (AddressTraits)s_map[address];

    private static (Address First, Address Last, byte Value) Row(string first, int length, AddressTraits traits)
    {
        Address start = Address.Parse(first);
        int bits = start.IsIPv4 ? length + 96 : length;
        ulong high = bits >= 64 ? 0 : ulong.MaxValue >> bits, low = bits >= 128 ? 0 : bits <= 64 ? ulong.MaxValue : ulong.MaxValue >> (bits - 64);
        return (start, new Address(start.High | high, start.Low | low), (byte)traits);
    }
}

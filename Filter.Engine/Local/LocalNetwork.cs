using Filter.Engine.Packets;
using Filter.Engine.Ports;

namespace Filter.Engine.Local;

/// <summary>An address of the gateway's own and the prefix it lives in.</summary>
/// <param name="Address">The address.</param>
/// <param name="PrefixLength">0 to 32, or 0 to 128.</param>
public readonly record struct LocalAddress(Address Address, int PrefixLength);

/// <summary>A route of the gateway's own.</summary>
/// <param name="Prefix">First address of the prefix.</param>
/// <param name="PrefixLength">0 to 32, or 0 to 128.</param>
/// <param name="Via">The next hop.</param>
public readonly record struct LocalRoute(Address Prefix, int PrefixLength, Address Via);

/// <summary>
/// What the gateway is on its own network: the addresses, link address and routes of its `self` port,
/// and which ports are NICs. Immutable.
/// </summary>
public sealed class LocalNetwork
{
    private readonly LocalAddress[] _addresses;
    private readonly LocalRoute[] _routes;

    /// <summary>The network of a gateway.</summary>
    /// <param name="ports">All ports.</param>
    /// <param name="self">The port whose other end is the box's own stack; null for none.</param>
    /// <param name="addresses">Its addresses.</param>
    /// <param name="routes">Its routes.</param>
    public LocalNetwork(
        IReadOnlyList<Port> ports, Port? self, IEnumerable<LocalAddress> addresses, IEnumerable<LocalRoute> routes)
    {
        _addresses = [.. addresses];
        _routes = [.. routes.OrderByDescending(route => route.PrefixLength)];
        SelfMask = self?.Mask ?? 0;
        SelfMac = self?.Mac ?? 0;
        UnprotectedMask = Nics(ports, self, Side.Unprotected);
        ProtectedMask = Nics(ports, self, Side.Protected);
    }

    /// <summary>A gateway without addresses of its own.</summary>
    public static LocalNetwork None { get; } = new([], null, [], []);

    /// <summary>The bit of the `self` port; 0 where there is none.</summary>
    public ushort SelfMask { get; }

    /// <summary>The link address of the `self` port.</summary>
    public ulong SelfMac { get; }

    /// <summary>The ports, `self` apart, on the unprotected side.</summary>
    public ushort UnprotectedMask { get; }

    /// <summary>The ports, `self` apart, on the protected side.</summary>
    public ushort ProtectedMask { get; }

    /// <summary>Whether it can address packets itself: it has addresses, and a link address.</summary>
    public bool CanAddress => _addresses.Length > 0 && SelfMac != 0;

    /// <summary>Whether the address is the gateway's own.</summary>
    public bool Owns(Address address)
    {
        foreach (LocalAddress own in _addresses)
        {
            if (own.Address == address)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// The next hop towards a destination, and the own address to ask for it with: on-link prefixes
    /// first, then routes, longest prefix first.
    /// </summary>
    public bool TryNextHop(Address destination, out Address nextHop, out Address sender)
    {
        if (TryOnLink(destination, out sender))
        {
            nextHop = destination;
            return true;
        }

        foreach (LocalRoute route in _routes)
        {
            if (Covers(route.Prefix, route.PrefixLength, destination))
            {
                nextHop = route.Via;
                return TryOnLink(nextHop, out sender) || TryAny(nextHop, out sender);
            }
        }

        nextHop = default;
        return false;
    }

    private static ushort Nics(IReadOnlyList<Port> ports, Port? self, Side side) => (ushort)ports
        .Where(port => port != self && port.Side == side)
        .Aggregate(0, (mask, port) => mask | port.Mask);

    private static bool Covers(Address prefix, int length, Address address)
    {
        if (prefix.IsIPv4 != address.IsIPv4)
        {
            return false;
        }

        int bits = prefix.IsIPv4 ? length + 96 : length;
        ulong high = bits >= 64 ? ulong.MaxValue : bits == 0 ? 0 : ulong.MaxValue << (64 - bits);
        ulong low = bits <= 64 ? 0 : ulong.MaxValue << (128 - bits);
        return ((prefix.High ^ address.High) & high) == 0 && ((prefix.Low ^ address.Low) & low) == 0;
    }

    private bool TryOnLink(Address destination, out Address sender)
    {
        foreach (LocalAddress own in _addresses)
        {
            if (Covers(own.Address, own.PrefixLength, destination))
            {
                sender = own.Address;
                return true;
            }
        }

        sender = default;
        return false;
    }

    /// <summary>Any own address of the family, for a next hop that is on the link without a prefix.</summary>
    private bool TryAny(Address nextHop, out Address sender)
    {
        foreach (LocalAddress own in _addresses)
        {
            if (own.Address.IsIPv4 == nextHop.IsIPv4)
            {
                sender = own.Address;
                return true;
            }
        }

        sender = default;
        return false;
    }
}

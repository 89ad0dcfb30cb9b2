using Filter.Engine.Packets;

namespace Filter.Engine.Ports;

/// <summary>An address that an interface carries, with the length of its network's prefix.</summary>
/// <param name="Address">The address itself, host bits and all.</param>
/// <param name="PrefixLength">0..32 for IPv4, 0..128 for IPv6.</param>
public readonly record struct InterfaceAddress(Address Address, int PrefixLength);

/// <summary>A route through an interface.</summary>
/// <param name="To">The network's address.</param>
/// <param name="PrefixLength">0..32 for IPv4, 0..128 for IPv6.</param>
/// <param name="Via">The next hop; null where the network is on the link itself.</param>
public readonly record struct InterfaceRoute(Address To, int PrefixLength, Address? Via);

/// <summary>What a TAP interface is made with.</summary>
/// <param name="Device">Its name, 1..15 bytes.</param>
public sealed record TapSettings(string Device)
{
    /// <summary>Its link address, 48 bits in numeric order; null lets the kernel choose.</summary>
    public ulong? Mac { get; init; }

    /// <summary>Largest IP packet in bytes; null leaves 1500.</summary>
    public int? Mtu { get; init; }

    /// <summary>Addresses of the box's own stack, both families.</summary>
    public IReadOnlyList<InterfaceAddress> Addresses { get; init; } = [];

    /// <summary>Routes of the box's own stack, both families; added after the addresses, in order.</summary>
    public IReadOnlyList<InterfaceRoute> Routes { get; init; } = [];
}

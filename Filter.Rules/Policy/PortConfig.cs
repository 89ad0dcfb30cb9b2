using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy;

/// <summary>What stands behind a port.</summary>
public enum PortKind : byte
{
    /// <summary>A network device of the machine.</summary>
    Nic,

    /// <summary>A TAP device that Filter creates: the box's own stack, or the gateway's addresses on a bridge.</summary>
    Tap,
}

/// <summary>How frames are taken from a NIC.</summary>
public enum PortDriver : byte
{
    /// <summary>Packet socket with offload metadata.</summary>
    Packet,

    /// <summary>The same with a receive ring: more packets, a millisecond of delay.</summary>
    Ring,

    /// <summary>The portable driver over libpcap.</summary>
    Pcap,

    /// <summary>AF_XDP by the NIC's own driver.</summary>
    Xdp,

    /// <summary>AF_XDP by the kernel, for any NIC.</summary>
    XdpGeneric,

    /// <summary><see cref="Xdp"/> where the NIC writes into our memory itself, else <see cref="Packet"/>.</summary>
    Auto,
}

/// <summary>The words for <see cref="PortDriver"/>.</summary>
public static class PortDrivers
{
    /// <summary>Each word and what it means, in the order in which they are told.</summary>
    public static ImmutableArray<(string Word, PortDriver Driver)> Words { get; } =
    [
        ("packet", PortDriver.Packet), ("ring", PortDriver.Ring), ("xdp", PortDriver.Xdp), ("xdp-generic", PortDriver.XdpGeneric),
        ("pcap", PortDriver.Pcap), ("auto", PortDriver.Auto),
    ];
}

/// <summary>Who stands behind a port.</summary>
public enum PortRole : byte
{
    /// <summary>Routers and servers may, and the rules decide what they may say.</summary>
    Routers,

    /// <summary>Hosts only: nobody there is a router (RFC 6105) or gives addresses (RFC 7610).</summary>
    Hosts,
}

/// <summary>An address of a port and the network it stands in.</summary>
/// <param name="Address">The address itself.</param>
/// <param name="Length">The network's length, as the family counts it.</param>
public readonly record struct InterfaceAddress(Address Address, int Length)
{
    /// <summary>The network around it: what is on-link.</summary>
    public Prefix Network => Prefix.Around(Address, Length);

    /// <summary><c>192.0.2.1/24</c>.</summary>
    public override string ToString() => $"{Address}/{Length.ToString(System.Globalization.CultureInfo.InvariantCulture)}";
}

/// <summary>A route that a TAP port gets.</summary>
/// <param name="To">The destination; length 0 for the default route.</param>
/// <param name="Via">The next hop, of the same family and on-link.</param>
public readonly record struct Route(Prefix To, Address Via);

/// <summary>One port as the ruleset describes it; its name is also its zone.</summary>
public sealed record PortConfig
{
    /// <summary>The name, unique.</summary>
    public required string Name { get; init; }

    /// <summary>Where it is described.</summary>
    public required SourceMark At { get; init; }

    /// <summary>0..15, in file order.</summary>
    public required byte Number { get; init; }

    /// <summary>NIC or TAP.</summary>
    public required PortKind Kind { get; init; }

    /// <summary>The device's name in the kernel, at most 15 bytes.</summary>
    public required string Device { get; init; }

    /// <summary>Its side of the boundary.</summary>
    public required Side Side { get; init; }

    /// <summary>How frames are taken; means something for a NIC only.</summary>
    public PortDriver Driver { get; init; }

    /// <summary>NIC: its worker asks for packets again and again, and never sleeps.</summary>
    public bool BusyPoll { get; init; }

    /// <summary>
    /// Who lives there: for packet lines that name no port, for <see cref="Antispoof"/> and for neighbours' claims; empty if
    /// not said.
    /// </summary>
    public ImmutableArray<Prefix> Prefixes { get; init; } = [];

    /// <summary>Who stands there.</summary>
    public PortRole Role { get; init; }

    /// <summary>Whether what comes in by it must have a source that lives there (BCP 38).</summary>
    public bool Antispoof { get; init; }

    /// <summary>TAP: its link address, 48 bits in numeric order; null to let the kernel choose.</summary>
    public ulong? Mac { get; init; }

    /// <summary>TAP: the largest IP packet, 1280..65535; null for the kernel's default.</summary>
    public int? Mtu { get; init; }

    /// <summary>TAP: its addresses, both families; empty where DHCP and SLAAC give them.</summary>
    public ImmutableArray<InterfaceAddress> Addresses { get; init; } = [];

    /// <summary>TAP: its routes.</summary>
    public ImmutableArray<Route> Routes { get; init; } = [];

    /// <summary>The port whose prefixes hold the address, the longest prefix deciding; null if none does.</summary>
    public static PortConfig? Holding(ImmutableArray<PortConfig> ports, Address address)
    {
        PortConfig? best = null;
        int longest = -1;
        foreach (PortConfig port in ports)
        {
            foreach (Prefix prefix in port.Prefixes)
            {
                if (prefix.Contains(address) && prefix.CommonLength > longest)
                {
                    (best, longest) = (port, prefix.CommonLength);
                }
            }
        }

        return best;
    }
}

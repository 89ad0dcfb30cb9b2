using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <summary>
/// Who may say what by which port, before any rule is asked. Masks of ports have a bit for each port's number.
/// </summary>
public sealed record Admission
{
    /// <summary>Ports behind which only hosts stand: no routers (RFC 6105), no DHCP servers (RFC 7610).</summary>
    public ushort Hosts { get; init; }

    /// <summary>Ports whose packets have sources that live behind them (BCP 38).</summary>
    public ushort Antispoof { get; init; }

    /// <summary>Whether ARP and neighbour discovery may claim only what lives behind their port.</summary>
    public bool VerifyNeighbours { get; init; }

    /// <summary>Whether frames with a VLAN tag pass.</summary>
    public bool PassTagged { get; init; } = true;

    /// <summary>Where addresses live: the number of the port, plus one; 0 where nobody said.</summary>
    public AddressMap Homes { get; init; } = AddressMap.Empty;

    /// <summary>Whether a protected port said who lives behind it.</summary>
    public bool SaysWhoIsProtected { get; init; }

    /// <summary>How many neighbours that nobody has heard of may be asked for by one port.</summary>
    public RateLimit Solicitations { get; init; } = new(1_000_000_000 / 500, 1000);

    /// <summary>Whether the address lives behind the port; a link-local one that nobody named lives behind every port.</summary>
    public bool LivesBehind(Address address, byte port)
    {
        byte home = Homes[address];
        return home == port + 1 || (home == 0 && address.IsLinkLocal);
    }
}

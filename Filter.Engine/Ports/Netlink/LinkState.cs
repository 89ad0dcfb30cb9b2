namespace Filter.Engine.Ports.Netlink;

/// <summary>What the kernel says of a network interface.</summary>
/// <param name="Index">Its number in this namespace.</param>
/// <param name="Type">ARPHRD_ type.</param>
/// <param name="Flags">IFF_ flags.</param>
/// <param name="Mtu">Largest IP packet, bytes.</param>
/// <param name="MacNumber">Its Ethernet address, 48 bits in numeric order; 0 where it has none.</param>
internal readonly record struct LinkState(int Index, ushort Type, uint Flags, int Mtu, ulong MacNumber)
{
    /// <summary>Somebody set it up.</summary>
    public bool IsUp => (Flags & NetlinkAbi.LinkUp) != 0;

    /// <summary>It is up and has a carrier.</summary>
    public bool IsRunning => (Flags & NetlinkAbi.LinkRunning) != 0;

    /// <summary>ARP is off.</summary>
    public bool HasNoArp => (Flags & NetlinkAbi.LinkNoArp) != 0;
}

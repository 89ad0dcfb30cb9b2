using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Databases;

/// <summary>What RFC 4301 §4.4.1.1 selects by, read off one packet as the protected side sees it.</summary>
/// <param name="Local">On the protected side.</param>
/// <param name="Remote">On the unprotected side.</param>
/// <param name="Protocol">Next layer protocol, IANA number.</param>
/// <param name="LocalPort">0 where there are no ports.</param>
/// <param name="RemotePort">The same; of ICMP type and code, one byte each.</param>
public readonly record struct SelectorValues(Address Local, Address Remote, byte Protocol, ushort LocalPort, ushort RemotePort)
{
    /// <summary>What a packet that goes out shows, and one that comes in after its ends are swapped.</summary>
    internal static SelectorValues Of(in FlowKey key, bool inbound, byte icmpType, byte icmpCode)
    {
        FlowKey way = inbound ? key.Reverse : key;
        bool isIcmp = key.Protocol is 1 or 58;
        return new SelectorValues(
            way.Source, way.Destination, key.Protocol,
            isIcmp ? (ushort)0 : way.SourcePort,
            isIcmp ? (ushort)((SpdEntry.Query(key.Protocol, icmpType) << 8) | icmpCode) : way.DestinationPort);
    }

    /// <summary>
    /// What selects the SA of a packet that goes out: of an ICMP error the traffic that answers what it quotes, so that it goes by the
    /// SA of that, whoever sends it (RFC 4301 §6.2).
    /// </summary>
    internal static SelectorValues OfSent(in Packet packet) =>
        packet.Kind == PacketKind.IcmpError && Parser.TryReadQuote(packet, out FlowKey quoted)
            ? Of(quoted.Reverse, inbound: false, QuotedType(packet), 0)
            : Of(packet.Key, inbound: false, packet.IcmpType, packet.IcmpCode);

    /// <summary>What is quoted of ICMP is a question or its answer, which policy does not tell apart.</summary>
    internal static byte QuotedType(in Packet error) => error.IsIPv4 ? (byte)8 : (byte)128;

    /// <summary>Only what is populated from the packet; the rest is zero.</summary>
    internal SelectorValues Only(PopulatedSelectors populated) => new(
        (populated & PopulatedSelectors.Local) != 0 ? Local : default,
        (populated & PopulatedSelectors.Remote) != 0 ? Remote : default,
        (populated & PopulatedSelectors.Protocol) != 0 ? Protocol : (byte)0,
        (populated & PopulatedSelectors.LocalPort) != 0 ? LocalPort : (ushort)0,
        (populated & PopulatedSelectors.RemotePort) != 0 ? RemotePort : (ushort)0);
}

/// <summary>The selectors of one SA, where they are narrower than its policy's: all that it may carry (RFC 4301 §4.4.2.1).</summary>
/// <param name="Local">Addresses on the protected side.</param>
/// <param name="Remote">Addresses on the unprotected side.</param>
/// <param name="Protocol">Next layer protocol; null for any.</param>
/// <param name="LocalPorts">Ports on the protected side.</param>
/// <param name="RemotePorts">Ports on the unprotected side; of ICMP type and code.</param>
public sealed record SaSelectors(
    AddressRange Local, AddressRange Remote, byte? Protocol, PortRange LocalPorts, PortRange RemotePorts)
{
    /// <summary>It may carry what these select, too: one that was negotiated may have several of each (RFC 7296 §2.9). Null for no more.</summary>
    public SaSelectors? Or { get; init; }

    /// <summary>Whether an SA with these selectors may carry the packet.</summary>
    public bool Contain(in SelectorValues values)
    {
        for (SaSelectors? one = this; one is not null; one = one.Or)
        {
            if (one.ContainAlone(values))
            {
                return true;
            }
        }

        return false;
    }

    private bool ContainAlone(in SelectorValues values) =>
        Local.Contains(values.Local) && Remote.Contains(values.Remote)
        && (Protocol is null || Protocol == values.Protocol)
        && LocalPorts.Contains(values.LocalPort) && RemotePorts.Contains(values.RemotePort);

    /// <summary>The values that policy has populated from a packet: the first of each range.</summary>
    internal SelectorValues Populated(PopulatedSelectors populated) =>
        new SelectorValues(Local.First, Remote.First, Protocol ?? 0, LocalPorts.First, RemotePorts.First).Only(populated);
}

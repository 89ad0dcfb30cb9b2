using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Rules.Analysis;

/// <summary>What the values of a packet's service are, and which others go with them.</summary>
internal enum Carried
{
    /// <summary>TCP: has ports and flags.</summary>
    Tcp,

    /// <summary>TCP from the middle of a connection, where rules may pick one up.</summary>
    TcpMiddle,

    /// <summary>UDP, UDP-Lite, SCTP, DCCP: has ports.</summary>
    Ports,

    /// <summary>ICMP that rules decide on as they come.</summary>
    Icmp,

    /// <summary>ICMP that passes only by a rule that names it (RFC 4890 §4.3.5).</summary>
    NamedIcmp,

    /// <summary>Everything else.</summary>
    Other,
}

/// <summary>
/// A kind of packet: a box of all that may open something, such that each of its points is a packet that can be. All kinds together are all
/// packets that rules are asked of; errors of ICMP are not among them, since they go with the flow they quote.
/// </summary>
/// <param name="IPv4">Its family.</param>
/// <param name="Carried">What it carries.</param>
/// <param name="Opened">Whether it came out of an SA.</param>
internal sealed record PacketKind(bool IPv4, Carried Carried, bool Opened)
{
    private static readonly AddressSet s_loopback = AddressSet.Of([Prefix.Around(Address.FromIPv4(127u << 24), 8).Range, new(new(0, 1), new(0, 1))]);

    private static readonly AddressSet s_noSource = AddressSet.Of(
    [
        Prefix.Around(Address.FromIPv4(224u << 24), 4).Range, new(Address.LastIPv4, Address.LastIPv4), Prefix.Around(new Address(0xffUL << 56, 0), 8).Range,
    ]);

    /// <summary>Bytes of the headers: the shortest packet.</summary>
    public int Headers => (IPv4 ? 20 : 40) + Carried switch { Carried.Tcp or Carried.TcpMiddle => 20, Carried.Ports => 8, Carried.Other => 0, _ => 8 };

    /// <summary>Every kind that there is under these rulesets.</summary>
    public static IEnumerable<PacketKind> All(bool opened, bool midstream)
    {
        foreach (Carried carried in Enum.GetValues<Carried>())
        {
            if (carried == Carried.TcpMiddle && !midstream)
            {
                continue;
            }

            foreach (bool ipv4 in new[] { true, false })
            {
                yield return new(ipv4, carried, Opened: false);
                if (opened)
                {
                    yield return new(ipv4, carried, Opened: true);
                }
            }
        }
    }

    /// <summary>Its box.</summary>
    /// <param name="meaning">What zones there are.</param>
    /// <param name="ports">The ports.</param>
    /// <param name="policies">How many IPsec policies.</param>
    public Shape Of(Meaning meaning, IReadOnlyList<PortConfig> ports, int policies)
    {
        Shape shape = new();
        AddressSet family = AddressSet.Any.Only(IPv4 ? Families.IPv4 : Families.IPv6).Except(s_loopback);
        shape.Set(AxisName.Source, Meaning.RunsOf(family.Except(s_noSource)));
        shape.Set(AxisName.Destination, Meaning.RunsOf(family));
        shape.Set(AxisName.Service, Services());
        shape.Set(AxisName.SourcePort, Carried is Carried.Tcp or Carried.TcpMiddle or Carried.Ports ? [new(1, 65535)] : [new(Meaning.NoPort, Meaning.NoPort)]);
        ushort from = ushort.MaxValue, to = ushort.MaxValue;
        if (Opened)
        {
            // What is opened came from outside and never leaves in the clear.
            from = Ports(ports, Side.Unprotected);
            to = Ports(ports, Side.Protected);
        }

        shape.Set(AxisName.Zones, meaning.Zones(from, to));
        shape.Set(AxisName.Flags, Carried switch
        {
            Carried.Tcp => Flags(TcpFlags.Syn),
            Carried.TcpMiddle => Flags(TcpFlags.Ack),
            _ => [new(Meaning.NoFlags, Meaning.NoFlags)],
        });
        shape.Set(AxisName.Headers, IPv4 ? [new(0, 0)] : [new(0, 15)]);
        shape.Set(AxisName.Size, [new((UInt128)Headers, ushort.MaxValue)]);
        shape.Set(AxisName.SourceMac, Opened ? [new(0, 0)] : [new(1, LinkAddress.Broadcast)]);
        shape.Set(AxisName.DestinationMac, Opened ? [new(0, 0)] : [new(1, LinkAddress.Broadcast)]);
        shape.Set(AxisName.ArrivedBy, Opened ? [new(1, (UInt128)policies)] : [new(0, 0)]);
        return shape;
    }

    /// <summary>SYN or ACK, and what may stand beside it: what opens a connection, or goes on with one.</summary>
    private static List<ValueRange> Flags(TcpFlags set)
    {
        const TcpFlags Free = TcpFlags.Psh | TcpFlags.Urg | TcpFlags.Ece | TcpFlags.Cwr;
        List<ValueRange> openings = [];
        for (int flags = 0; flags <= byte.MaxValue; flags++)
        {
            if (((TcpFlags)flags & ~Free) == set)
            {
                openings.Add(new((UInt128)flags, (UInt128)flags));
            }
        }

        return openings;
    }

    private static ushort Ports(IEnumerable<PortConfig> ports, Side side) =>
        (ushort)ports.Where(port => port.Side == side).Sum(static port => 1 << port.Number);

    private List<ValueRange> Services()
    {
        List<ValueRange> services = [];
        for (int protocol = 0; protocol <= byte.MaxValue; protocol++)
        {
            bool icmp = protocol is IpProtocol.Icmp or IpProtocol.IcmpV6;
            Carried carried = protocol == IpProtocol.Tcp ? (Carried == Carried.TcpMiddle ? Carried : Carried.Tcp) : IpProtocol.HasPorts((byte)protocol) ? Carried.Ports : Carried.Other;
            UInt128 at = (UInt128)protocol << 16;
            if (!icmp && carried == Carried)
            {
                services.Add(protocol == IpProtocol.Mobility ? new(at, at | 0xffff) : carried == Carried.Other ? new(at, at) : new(at | 1, at | 0xffff));
            }

            for (int type = 0; type <= byte.MaxValue && icmp && protocol == IpProtocol.Icmp == IPv4; type++)
            {
                IcmpClass kind = IcmpClasses.Of((byte)protocol, (byte)type);
                bool fits = Carried switch { Carried.Icmp => kind is not (IcmpClass.Error or IcmpClass.Named), Carried.NamedIcmp => kind == IcmpClass.Named, _ => false };
                if (fits)
                {
                    services.Add(new(at | (UInt128)(type << 8), at | (UInt128)((type << 8) | 0xff)));
                }
            }
        }

        return services;
    }
}

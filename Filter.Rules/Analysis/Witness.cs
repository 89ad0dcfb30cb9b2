using System.Collections.Immutable;
using System.Globalization;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Rules.Analysis;

/// <summary>A packet that shows something: one point of the space.</summary>
/// <param name="Line">The packet, as `explain` and tests take it.</param>
/// <param name="Facts">What rules see of it.</param>
/// <param name="Minute">The minute of the week it comes in; null for any.</param>
/// <param name="Held">What must be so of sets that change: "'blocklist' has its source". Empty for nothing.</param>
public sealed record Witness(PacketLine Line, OpeningFacts Facts, int? Minute, ImmutableArray<string> Held)
{
    private static readonly string[] s_days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

    /// <summary>The packet, and what else must be so.</summary>
    public override string ToString()
    {
        List<string> beside = [.. Held];
        if (Minute is { } minute)
        {
            beside.Insert(0, string.Create(CultureInfo.InvariantCulture, $"{s_days[minute / Schedule.Day]} {minute % Schedule.Day / 60:00}:{minute % 60:00}"));
        }

        return beside.Count == 0 ? Line.ToString() : $"{Line} ({string.Join(", ", beside)})";
    }
}

/// <summary>Points become packets; of many the one that people would send.</summary>
internal static class Witnesses
{
    private const ushort UsualSourcePort = 40000;

    /// <summary>Addresses that people know for examples, or at all: other hosts' first (RFC 5737, RFC 3849).</summary>
    private static readonly Address[] s_known =
    [
        .. new[]
        {
            "198.51.100.7", "203.0.113.9", "192.0.2.5", "10.0.0.5", "192.168.0.5", "172.16.0.5", "9.9.9.9", "100.64.0.5", "169.254.0.5", "224.0.0.251", "240.0.0.5",
            "2001:db8:9::7", "2001:db8:f::9", "2001:db8::5", "2620:fe::fe", "fd00::5", "fe80::5", "ff02::fb",
        }.Select(Address.Parse),
    ];

    /// <summary>A packet of the box.</summary>
    public static Witness Of(Space space, PacketKind kind, RankSet[] room)
    {
        int zoneAxis = space.AxisOf(AxisName.Zones);
        int zones = (int)space[zoneAxis].ValuesOf(room[zoneAxis].First).First;
        IReadOnlyList<PortConfig> ports = space.Rulesets[0].Ports;
        PortConfig ingress = ports[zones >> 4], egress = ports[zones & 15];
        int sourceAxis = space.AxisOf(AxisName.Source), destinationAxis = space.AxisOf(AxisName.Destination);
        Address source = Choose(space[sourceAxis], room[sourceAxis], ingress, default);
        Address destination = Choose(space[destinationAxis], room[destinationAxis], egress, source);
        UInt128? Fixed(AxisName axis, UInt128 usual)
        {
            int at = space.AxisOf(axis);
            return at < 0 ? null : Near(space[at], room[at], usual);
        }

        int Value(AxisName axis, int usual) => (int)(Fixed(axis, (UInt128)usual) ?? (UInt128)usual);
        int service = Value(AxisName.Service, 0), vlan = Value(AxisName.Vlan, 0), policy = Value(AxisName.ArrivedBy, 0);
        int size = Value(AxisName.Size, kind.Headers);
        byte protocol = (byte)(service >> 16), type = (byte)(service >> 8);
        bool icmp = protocol is IpProtocol.Icmp or IpProtocol.IcmpV6, hasPorts = IpProtocol.HasPorts(protocol);
        uint segment = vlan == 0 ? 0 : VlanStack.Push(0u, vlan >> 12);
        segment = (vlan & 0xfff) == 0 ? segment : VlanStack.Push(segment, vlan & 0xfff);
        ulong sourceMac = Mac(space, room, AxisName.SourceMac), destinationMac = Mac(space, room, AxisName.DestinationMac);
        PacketLine line = new()
        {
            Port = ingress.Name,
            EtherType = kind.IPv4 ? EtherTypes.IPv4 : EtherTypes.IPv6,
            Protocol = protocol,
            Source = source,
            Destination = destination,
            SourcePort = hasPorts ? (ushort)Value(AxisName.SourcePort, UsualSourcePort) : (ushort)0,
            DestinationPort = hasPorts ? (ushort)service : (ushort)0,
            Flags = protocol == IpProtocol.Tcp ? (TcpFlags)Value(AxisName.Flags, (int)(kind.Carried == Carried.TcpMiddle ? TcpFlags.Ack : TcpFlags.Syn)) : TcpFlags.None,
            IcmpType = icmp || protocol == IpProtocol.Mobility ? type : (byte)0,
            IcmpCode = icmp ? (byte)service : (byte)0,
            Length = Fixed(AxisName.Size, 0) is null ? 0 : Math.Max(0, size - kind.Headers),
            TrafficClass = (byte)(Value(AxisName.Dscp, 0) << 2),
            Segment = segment,
            Extensions = (ExtensionHeaders)Value(AxisName.Headers, 0) & ~ExtensionHeaders.Fragment,
            SourceMac = sourceMac,
            DestinationMac = destinationMac,
            ArrivedBy = policy == 0 ? null : space.Rulesets.Select(r => r.Ipsec?.Policies.FirstOrDefault(p => p.Number == policy)?.Name).FirstOrDefault(static n => n is not null),
        };
        if (icmp && IcmpClasses.Of(protocol, type) == IcmpClass.Link)
        {
            // Else it is no discovery (RFC 4861 §6.1.1, §7.1.1).
            line = line with { HopLimit = byte.MaxValue, Length = Math.Max(line.Length, 24) };
        }

        OpeningFacts facts = new(
            new FlowKey(source, destination, line.SourcePort, line.DestinationPort, protocol, segment),
            ingress.Number,
            egress.Number,
            ingress.Side == egress.Side ? Direction.Across : ingress.Side == Side.Protected ? Direction.Out : Direction.In,
            line.Flags,
            line.IcmpType,
            line.IcmpCode,
            line.TrafficClass,
            (ushort)policy)
        {
            SourceMac = kind.Opened ? 0 : Math.Max(1, sourceMac),
            DestinationMac = kind.Opened ? 0 : Math.Max(1, destinationMac),
            PacketLength = (ushort)size,
            Extensions = (ExtensionHeaders)Value(AxisName.Headers, 0),
            Fragmented = Value(AxisName.Fragmented, 0) == 1,
        };
        return new Witness(line, facts, Minute(space, room), Given(space, room, facts, ports.Count > 2 ? egress.Name : null));
    }

    private static int? Minute(Space space, RankSet[] room)
    {
        int axis = space.AxisOf(AxisName.Minute);
        return axis < 0 || room[axis].Count == space[axis].Ranks ? null : (int)space[axis].ValuesOf(room[axis].First).First;
    }

    /// <summary>What the line itself can't say.</summary>
    private static ImmutableArray<string> Given(Space space, RankSet[] room, in OpeningFacts facts, string? egress)
    {
        List<string> given = [];
        for (int axis = 0; axis < room.Length; axis++)
        {
            if (space.NameOf(axis) >= (int)AxisName.Count && room[axis].Count == 1)
            {
                (string set, bool source) = space.Meaning.ClassOf(space.NameOf(axis));
                given.Add($"'{set}' {(room[axis].First == 1 ? "has" : "does not have")} its {(source ? "source" : "destination")}");
            }
        }

        if (facts.Fragmented)
        {
            given.Add("in fragments");
        }

        if (egress is not null)
        {
            given.Add($"to {egress}");
        }

        return [.. given];
    }

    /// <summary>The usual value, where it is among the ranks; else the lowest.</summary>
    private static UInt128 Near(Axis axis, RankSet ranks, UInt128 usual) => ranks.Contains(axis.RankOf(usual)) ? usual : axis.ValuesOf(ranks.First).First;

    /// <summary>One that lives behind the port, or that people know, or that a host could have; else any.</summary>
    private static Address Choose(Axis axis, RankSet ranks, PortConfig port, Address not)
    {
        IEnumerable<Address> homes = port.Prefixes.Where(static p => p.Length > 0).Select(static p => Meaning.AddressOf(Meaning.ValueOf(p.Base) | 5));
        foreach (Address one in homes.Concat(s_known))
        {
            if (one != not && ranks.Contains(axis.RankOf(Meaning.ValueOf(one))))
            {
                return one;
            }
        }

        ValueRange of = axis.ValuesOf(ranks.First);
        Address chosen = Meaning.AddressOf(of.Last - of.First > 1 ? of.First + 1 : of.First);
        return chosen != not ? chosen : of.Last != of.First ? Meaning.AddressOf(of.Last) : Meaning.AddressOf(axis.ValuesOf(ranks.Last).Last);
    }

    /// <summary>A link address, where rules ask for it; 0 where any would do.</summary>
    private static ulong Mac(Space space, RankSet[] room, AxisName name)
    {
        int axis = space.AxisOf(name);
        return axis < 0 || space[axis].Ranks <= 2 ? 0 : (ulong)space[axis].ValuesOf(room[axis].First).First;
    }
}

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

/// <summary>Points become packets.</summary>
internal static class Witnesses
{
    private const ushort UsualSourcePort = 40000;

    /// <summary>Addresses that people know for examples (RFC 5737, RFC 3849), of either end.</summary>
    private static readonly Address[] s_sources = [.. new[] { "198.51.100.7", "192.0.2.5", "2001:db8:9::7", "2001:db8:1::5" }.Select(Address.Parse)];
    private static readonly Address[] s_destinations = [.. new[] { "203.0.113.9", "198.51.100.9", "2001:db8:f::9", "2001:db8:2::9" }.Select(Address.Parse)];

    /// <summary>The packet of a point.</summary>
    public static Witness Of(Space space, PacketKind kind, ReadOnlySpan<int> point)
    {
        Dictionary<int, ValueRange> values = [];
        List<string> held = [];
        for (int axis = 0; axis < point.Length; axis++)
        {
            ValueRange of = space[axis].ValuesOf(point[axis]);
            int name = space.NameOf(axis);
            values[name] = of;
            if (name >= (int)AxisName.Count)
            {
                (string set, bool ofSource) = space.Meaning.ClassOf(name);
                held.Add($"'{set}' {(of.First == 1 ? "has" : "does not have")} its {(ofSource ? "source" : "destination")}");
            }
        }

        ValueRange On(AxisName axis) => values.TryGetValue((int)axis, out ValueRange of) ? of : new(0, Meaning.LastOf((int)axis));
        int Least(AxisName axis, int otherwise = 0) => values.TryGetValue((int)axis, out ValueRange of) ? (int)of.First : otherwise;
        int Usual(AxisName axis, int usual) => (UInt128)usual is var value && On(axis) is var of && of.First <= value && value <= of.Last ? usual : (int)of.First;

        int service = Least(AxisName.Service);
        byte protocol = (byte)(service >> 16);
        bool icmp = protocol is IpProtocol.Icmp or IpProtocol.IcmpV6, ports = IpProtocol.HasPorts(protocol);
        Address source = Choose(On(AxisName.Source), s_sources, default);
        Address destination = Choose(On(AxisName.Destination), s_destinations, source);
        int zones = Least(AxisName.Zones), vlan = Least(AxisName.Vlan), size = Usual(AxisName.Size, kind.Headers);
        IReadOnlyList<PortConfig> known = space.Rulesets[0].Ports;
        PortConfig ingress = known[zones >> 4], egress = known[zones & 15];
        int dscp = Least(AxisName.Dscp), policy = Least(AxisName.ArrivedBy);
        uint segment = vlan == 0 ? 0 : VlanStack.Push(0, vlan >> 12);
        segment = (vlan & 0xfff) == 0 ? segment : VlanStack.Push(segment, vlan & 0xfff);
        TcpFlags flags = protocol == IpProtocol.Tcp ? (TcpFlags)Usual(AxisName.Flags, (int)TcpFlags.Syn) : TcpFlags.None;
        ulong sourceMac = Mac(values, AxisName.SourceMac), destinationMac = Mac(values, AxisName.DestinationMac);
        PacketLine line = new()
        {
            Port = ingress.Name,
            EtherType = kind.IPv4 ? EtherTypes.IPv4 : EtherTypes.IPv6,
            Protocol = protocol,
            Source = source,
            Destination = destination,
            SourcePort = ports ? (ushort)Usual(AxisName.SourcePort, UsualSourcePort) : (ushort)0,
            DestinationPort = ports ? (ushort)service : (ushort)0,
            Flags = flags,
            IcmpType = icmp ? (byte)(service >> 8) : (byte)0,
            IcmpCode = icmp ? (byte)service : (byte)0,
            Length = Math.Max(0, size - kind.Headers),
            TrafficClass = (byte)(dscp << 2),
            Segment = segment,
            Extensions = (ExtensionHeaders)Least(AxisName.Headers) & ~ExtensionHeaders.Fragment,
            SourceMac = sourceMac,
            DestinationMac = destinationMac,
            ArrivedBy = policy == 0 ? null : space.Rulesets.Select(r => r.Ipsec?.Policies.FirstOrDefault(p => p.Number == policy)?.Name).FirstOrDefault(static n => n is not null),
        };
        if (icmp && IcmpClasses.Of(protocol, line.IcmpType) == IcmpClass.Link)
        {
            line = line with { HopLimit = byte.MaxValue };          // else it is no discovery (RFC 4861 §6.1.1)
        }

        OpeningFacts facts = new(
            new FlowKey(source, destination, line.SourcePort, line.DestinationPort, protocol, segment),
            (byte)ingress.Number,
            (byte)egress.Number,
            ingress.Side == egress.Side ? Direction.Across : ingress.Side == Side.Protected ? Direction.Out : Direction.In,
            flags,
            line.IcmpType,
            line.IcmpCode,
            line.TrafficClass,
            (ushort)policy)
        {
            SourceMac = kind.Opened ? 0 : sourceMac == 0 ? 1 : sourceMac,
            DestinationMac = kind.Opened ? 0 : destinationMac == 0 ? 1 : destinationMac,
            PacketLength = (ushort)size,
            Extensions = (ExtensionHeaders)Least(AxisName.Headers),
            Fragmented = Least(AxisName.Fragmented) == 1,
        };
        int? minute = values.TryGetValue((int)AxisName.Minute, out ValueRange at) && at != new ValueRange(0, Schedule.Week - 1) ? (int)at.First : null;
        if (facts.Fragmented)
        {
            held.Add("in fragments");
        }

        if (known.Count > 2)
        {
            held.Add($"to {egress.Name}");
        }

        return new Witness(line, facts, minute, [.. held]);
    }

    /// <summary>One that people know, if it is among them; else one that a host could have; else any.</summary>
    private static Address Choose(ValueRange of, Address[] known, Address not)
    {
        foreach (Address one in known)
        {
            UInt128 value = Meaning.ValueOf(one);
            if (of.First <= value && value <= of.Last && one != not)
            {
                return one;
            }
        }

        Address chosen = Meaning.AddressOf(of.Last - of.First > 1 ? of.First + 1 : of.First);
        return chosen == not && of.Last != of.First ? Meaning.AddressOf(of.Last) : chosen;
    }

    private static ulong Mac(Dictionary<int, ValueRange> values, AxisName axis) =>
        values.TryGetValue((int)axis, out ValueRange of) && of != new ValueRange(1, LinkAddress.Broadcast) ? (ulong)of.First : 0;
}

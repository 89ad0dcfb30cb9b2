using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Tests.Rules.Policy;

/// <summary>Rules and packets out of small pools, so that they meet; and what a rule means, said as plainly as can be.</summary>
internal static class RandomRules
{
    private static readonly Address[] s_four = [.. Enumerable.Range(0, 8).Select(static i => Address.Parse($"192.0.2.{i}"))];
    private static readonly Address[] s_six = [.. Enumerable.Range(0, 8).Select(static i => Address.Parse($"2001:db8::{i}"))];
    private static readonly byte[] s_protocols = [IpProtocol.Tcp, IpProtocol.Udp, IpProtocol.Icmp, IpProtocol.IcmpV6, IpProtocol.Gre];
    private static readonly uint[] s_vlans = [10, 20, VlanStack.Identifiers(VlanStack.Push(VlanStack.Push(0, 10), 7))];

    /// <summary>A packet's facts.</summary>
    public static OpeningFacts Facts(Random random)
    {
        bool four = random.Next(2) == 0;
        Address[] pool = four ? s_four : s_six;
        byte protocol = four ? s_protocols[random.Next(2) == 0 ? 0 : random.Next(3)] : s_protocols[random.Next(2) == 0 ? 0 : new[] { 1, 3, 4 }[random.Next(3)]];
        uint segment = random.Next(3) switch { 0 => 0, 1 => VlanStack.Push(0, random.Next(2) == 0 ? 10 : 20), _ => VlanStack.Push(VlanStack.Push(0, 10), random.Next(2) == 0 ? 7 : 8) };
        FlowKey key = new(pool[random.Next(8)], pool[random.Next(8)], (ushort)random.Next(1, 9), (ushort)random.Next(1, 9), protocol, segment);
        return new OpeningFacts(
            key, (byte)random.Next(3), (byte)random.Next(3), (Direction)random.Next(3), protocol == IpProtocol.Tcp ? (TcpFlags)random.Next(64) : TcpFlags.None,
            (byte)random.Next(4), (byte)random.Next(4), (byte)(random.Next(4) << 2), (ushort)random.Next(3))
        {
            SourceMac = (ulong)random.Next(6),
            DestinationMac = (ulong)random.Next(6),
            PacketLength = (ushort)random.Next(20, 30),
            Extensions = four ? ExtensionHeaders.None : (ExtensionHeaders)random.Next(16),
            Fragmented = random.Next(2) == 0,
        };
    }

    /// <summary>A rule; each match is given with a probability of one in <paramref name="sparse"/>.</summary>
    public static Rule Rule(Random random, string name, int sparse)
    {
        bool Some() => random.Next(sparse) == 0;
        return new Rule
        {
            Name = name,
            At = new SourceMark("f.yaml", 1, 1),
            Action = (RuleAction)random.Next(4),
            EachPacket = random.Next(3) == 0,
            From = Some() ? (ushort)random.Next(1, 8) : Filter.Rules.Policy.Rule.AnyPort,
            To = Some() ? (ushort)random.Next(1, 8) : Filter.Rules.Policy.Rule.AnyPort,
            Source = Some() ? Set(random) : null,
            Destination = Some() ? Set(random) : null,
            Service = Some() ? Services(random) : null,
            SourcePorts = Some() ? PortRange.Merge(Some3(random, () => Ports(random))) : [],
            Families = Some() ? (Families)random.Next(1, 4) : Families.Both,
            Vlan = Some() ? new VlanMatch([.. Enumerable.Range(0, random.Next(3)).Select(_ => s_vlans[random.Next(3)]).Distinct().Order()]) : null,
            Conditions = random.Next(2) == 0 ? Conditions(random, Some) : null,
        };
    }

    /// <summary>Whether a packet is what the rule asks for, by its words.</summary>
    public static bool Holds(Rule rule, in OpeningFacts facts, int minute)
    {
        OpeningFacts it = facts;
        bool ports = IpProtocol.HasPorts(it.Key.Protocol), icmp = it.Key.Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6;
        bool In(AddressSet? set, Address address)
        {
            return set is null || set.Ranges.ToArray().Any(range => range.First <= address && address <= range.Last);
        }

        return (rule.From & (1 << it.Ingress)) != 0
            && (rule.To & (1 << it.Egress)) != 0
            && rule.Families.HasFlag(it.Key.Source.IsIPv4 ? Families.IPv4 : Families.IPv6)
            && In(rule.Source, it.Key.Source)
            && In(rule.Destination, it.Key.Destination)
            && (rule.Service is null || rule.Service.IsAny || rule.Service.Services.Any(s => s.Protocol == it.Key.Protocol
                && (!ports || (s.Ports.First <= it.Key.DestinationPort && it.Key.DestinationPort <= s.Ports.Last))
                && (!icmp || (s.Ports.First <= it.IcmpType && it.IcmpType <= s.Ports.Last && s.FirstCode <= it.IcmpCode && it.IcmpCode <= s.LastCode))))
            && (rule.SourcePorts.IsEmpty || (ports && rule.SourcePorts.Any(r => r.First <= it.Key.SourcePort && it.Key.SourcePort <= r.Last)))
            && (rule.Vlan is null || (rule.Vlan.Identifiers.IsEmpty ? VlanStack.Depth(it.Key.Segment) == 0
                : VlanStack.Depth(it.Key.Segment) > 0 && rule.Vlan.Identifiers.Any(id => id == VlanStack.Identifiers(it.Key.Segment) || id == VlanStack.Outer(it.Key.Segment))))
            && (rule.Conditions is not { } asked || Holds(asked, it, minute));
    }

    private static bool Holds(Conditions asked, OpeningFacts it, int minute) =>
        (asked.TcpFlags.IsEmpty || (it.Key.Protocol == IpProtocol.Tcp && asked.TcpFlags.Any(m => Enumerable.Range(0, 8).All(bit =>
            ((int)m.Of >> bit & 1) == 0 || ((int)it.TcpFlags >> bit & 1) == ((int)m.Set >> bit & 1)))))
        && (asked.Dscp & (1UL << (it.TrafficClass >> 2))) != 0
        && (asked.ExtensionHeaders.IsEmpty || asked.ExtensionHeaders.Any(m => Enumerable.Range(0, 8).All(bit =>
            ((int)m.Of >> bit & 1) == 0 || ((int)it.Extensions >> bit & 1) == ((int)m.There >> bit & 1))))
        && (asked.Fragmented is null || asked.Fragmented == it.Fragmented)
        && asked.Shortest <= it.PacketLength && it.PacketLength <= asked.Longest
        && (asked.SourceMacs.IsEmpty || (it.SourceMac != 0 && asked.SourceMacs.Any(r => r.First <= it.SourceMac && it.SourceMac <= r.Last)))
        && (asked.DestinationMacs.IsEmpty || (it.DestinationMac != 0 && asked.DestinationMacs.Any(r => r.First <= it.DestinationMac && it.DestinationMac <= r.Last)))
        && (asked.ArrivedBy.IsEmpty || asked.ArrivedBy.Contains(it.ArrivedBy))
        && (asked.Schedule is null || asked.Schedule.Holds(minute));

    private static Conditions Conditions(Random random, Func<bool> some) => new()
    {
        TcpFlags = some() ? [.. Some3(random, () => (Of: random.Next(64), Set: random.Next(64))).Select(static f => new FlagsMatch((TcpFlags)f.Of, (TcpFlags)(f.Of & f.Set)))] : [],
        Dscp = some() ? (ulong)random.Next(1, 16) : ulong.MaxValue,
        ExtensionHeaders = some() ? [.. Some3(random, () => (Of: random.Next(16), Set: random.Next(16))).Select(static f => new HeadersMatch((ExtensionHeaders)f.Of, (ExtensionHeaders)(f.Of & f.Set)))] : [],
        Fragmented = some() ? random.Next(2) == 0 : null,
        Shortest = some() ? (ushort)random.Next(18, 26) : (ushort)0,
        Longest = some() ? (ushort)random.Next(24, 32) : ushort.MaxValue,
        SourceMacs = some() ? MacRange.Merge(Some3(random, () => Macs(random))) : [],
        DestinationMacs = some() ? MacRange.Merge(Some3(random, () => Macs(random))) : [],
        ArrivedBy = some() ? [.. Some3(random, () => (ushort)random.Next(3)).Distinct().Order()] : [],
        Schedule = some() ? Schedule.Of("some", Some3(random, () => (random.Next(20), random.Next(1, 10)))) : null,
    };

    private static T[] Some3<T>(Random random, Func<T> one) => [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => one())];

    private static PortRange Ports(Random random)
    {
        int first = random.Next(1, 9);
        return new((ushort)first, (ushort)(first + random.Next(3)));
    }

    private static MacRange Macs(Random random)
    {
        ulong first = (ulong)random.Next(6);
        return new(first, first + (ulong)random.Next(3));
    }

    private static AddressSet Set(Random random) => AddressSet.Of(Some3(random, () =>
    {
        Address[] pool = random.Next(2) == 0 ? s_four : s_six;
        int first = random.Next(8);
        return new AddressRange(pool[first], pool[Math.Min(7, first + random.Next(4))]);
    }));

    private static ServiceSet Services(Random random) => ServiceSet.Of(Some3(random, () =>
    {
        byte protocol = s_protocols[random.Next(5)];
        bool icmp = protocol is IpProtocol.Icmp or IpProtocol.IcmpV6, all = random.Next(3) == 0 || protocol == IpProtocol.Gre;
        int type = random.Next(4), code = random.Next(4);
        return all ? new Service(protocol, PortRange.All)
            : !icmp ? new Service(protocol, Ports(random))
            : random.Next(2) == 0 ? new Service(protocol, new((ushort)type, (ushort)(type + random.Next(2))))
            : new Service(protocol, new((ushort)type, (ushort)type), (byte)code, (byte)Math.Min(255, code + random.Next(2)));
    }));
}

using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Negotiation;

/// <summary>What a child is for, on each side: TSi and TSr seen from here.</summary>
/// <param name="Local">Our side.</param>
/// <param name="Remote">The peer's side.</param>
internal readonly record struct Traffic(ImmutableArray<TrafficSelector> Local, ImmutableArray<TrafficSelector> Remote)
{
    /// <summary>Whether there is something on both sides.</summary>
    internal bool IsEmpty => Local.IsEmpty || Remote.IsEmpty;

    /// <summary>As people write it, each side.</summary>
    internal IEnumerable<string> Words => Local.Select(static s => $"local {s}").Concat(Remote.Select(static s => $"remote {s}"));
}

/// <summary>Traffic selectors of policies, of packets, and what two sides have in common of them (RFC 7296 §2.9).</summary>
internal static class Narrowing
{
    /// <summary>Of one side; more are cut off, which is one more way of narrowing.</summary>
    private const int Most = 32;

    private static readonly AddressRange s_allIPv6 = AddressRange.Everything;

    /// <summary>Everything that a policy selects, or would propose.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="path">The ends of the IKE SA: of a transport child, the only addresses there are.</param>
    /// <param name="mode">Transport or tunnel.</param>
    internal static Traffic Of(IpsecPolicy policy, in IkePath path, IpsecMode mode)
    {
        AddressRange[] local = Ranges(policy.Local), remote = Ranges(policy.Remote);
        if (mode == IpsecMode.Transport)
        {
            local = policy.Local?.Contains(path.Local) == false ? [] : [new(path.Local, path.Local)];
            remote = policy.Remote?.Contains(path.Remote) == false ? [] : [new(path.Remote, path.Remote)];
        }

        // A family that one side has not, no packet of the policy has.
        local = [.. local.Where(range => Array.Exists(remote, other => IsIPv4(other) == IsIPv4(range)))];
        remote = [.. remote.Where(range => Array.Exists(local, other => IsIPv4(other) == IsIPv4(range)))];
        return new(
            [.. local.SelectMany(range => LocalPorts(policy).Select(p => new TrafficSelector(p.Protocol, p.Ports, range))).Take(byte.MaxValue)],
            [.. remote.SelectMany(range => RemotePorts(policy).Select(p => new TrafficSelector(p.Protocol, p.Ports, range))).Take(byte.MaxValue)]);
    }

    /// <summary>One packet's own (RFC 7296 §2.9: the first of each side is the packet's that asked for the child).</summary>
    internal static Traffic Of(in SelectorValues packet) => new(
        [new(packet.Protocol, PortsOf(packet.Protocol, packet.LocalPort), new(packet.Local, packet.Local))],
        [new(packet.Protocol, PortsOf(packet.Protocol, packet.RemotePort), new(packet.Remote, packet.Remote))]);

    /// <summary>What a policy asks for where its SAs are populated from packets: the packet's values, where it says so (RFC 4301 §4.4.1.2).</summary>
    internal static Traffic Populate(Traffic policy, PopulatedSelectors populate, in Traffic packet)
    {
        static ImmutableArray<TrafficSelector> Side(ImmutableArray<TrafficSelector> policy, TrafficSelector packet, bool address, bool protocol, bool port)
        {
            foreach (TrafficSelector one in policy)
            {
                if (Intersect(one, packet) is { } both)
                {
                    return [new(protocol || port ? both.Protocol : one.Protocol, port ? both.Ports : one.Ports, address ? both.Addresses : one.Addresses)];
                }
            }

            return [];
        }

        bool protocol = (populate & PopulatedSelectors.Protocol) != 0;
        return new(
            Side(policy.Local, packet.Local[0], (populate & PopulatedSelectors.Local) != 0, protocol, (populate & PopulatedSelectors.LocalPort) != 0),
            Side(policy.Remote, packet.Remote[0], (populate & PopulatedSelectors.Remote) != 0, protocol, (populate & PopulatedSelectors.RemotePort) != 0));
    }

    /// <summary>What both have, without what is said twice.</summary>
    internal static Traffic Narrow(in Traffic theirs, in Traffic ours)
    {
        ImmutableArray<TrafficSelector> local = Narrow(theirs.Local, ours.Local), remote = Narrow(theirs.Remote, ours.Remote);

        // A protocol or family of one side alone selects nothing.
        return new([.. local.Where(one => remote.Any(other => GoTogether(one, other)))], [.. remote.Where(one => local.Any(other => GoTogether(one, other)))]);
    }

    /// <summary>Whether all of one is in the other.</summary>
    internal static bool IsWithin(in Traffic inner, in Traffic outer)
    {
        Traffic all = outer;
        return inner.Local.All(one => all.Local.Any(other => Intersect(one, other) == one)) && inner.Remote.All(one => all.Remote.Any(other => Intersect(one, other) == one));
    }

    /// <summary>The first selector of a side, where it names one address: what the packet showed.</summary>
    internal static bool IsOne(ImmutableArray<TrafficSelector> side) => side is [var first, ..] && first.Addresses.First == first.Addresses.Last;

    /// <summary>For the SAs: every pair of both sides that goes together; null for none.</summary>
    internal static SaSelectors? ToSa(in Traffic traffic)
    {
        SaSelectors? made = null;
        foreach (TrafficSelector local in traffic.Local.Reverse())
        {
            foreach (TrafficSelector remote in traffic.Remote.Reverse())
            {
                if (!GoTogether(local, remote))
                {
                    continue;
                }

                byte protocol = local.Protocol != 0 ? local.Protocol : remote.Protocol;
                foreach (AddressRange ours in Parts(local))
                {
                    foreach (AddressRange theirs in Parts(remote))
                    {
                        made = new(ours, theirs, protocol == 0 ? null : protocol, Visible(local.Ports), Visible(remote.Ports)) { Or = made };
                    }
                }
            }
        }

        return made;
    }

    /// <summary>A selector with another address in place of its own: behind translators each side knows itself by another one (RFC 7296 §2.23.1).</summary>
    internal static ImmutableArray<TrafficSelector> At(ImmutableArray<TrafficSelector> side, Address address) =>
        [.. side.Select(s => s with { Addresses = new(address, address) })];

    internal static TrafficSelector? Intersect(in TrafficSelector one, in TrafficSelector other)
    {
        if (!GoTogether(one, other))
        {
            return null;
        }

        Address first = one.Addresses.First > other.Addresses.First ? one.Addresses.First : other.Addresses.First;
        Address last = one.Addresses.Last < other.Addresses.Last ? one.Addresses.Last : other.Addresses.Last;
        PortRange? ports = one.Ports == TrafficSelector.AnyPort ? other.Ports
            : other.Ports == TrafficSelector.AnyPort ? one.Ports
            : one.IsOpaque || other.IsOpaque ? one.IsOpaque && other.IsOpaque ? one.Ports : null
            : Math.Max(one.Ports.First, other.Ports.First) <= Math.Min(one.Ports.Last, other.Ports.Last)
                ? new PortRange(Math.Max(one.Ports.First, other.Ports.First), Math.Min(one.Ports.Last, other.Ports.Last))
                : null;
        return first > last || ports is null ? null : new(one.Protocol != 0 ? one.Protocol : other.Protocol, ports.Value, new(first, last));
    }

    private static ImmutableArray<TrafficSelector> Narrow(ImmutableArray<TrafficSelector> theirs, ImmutableArray<TrafficSelector> ours)
    {
        List<TrafficSelector> both = [];
        foreach (TrafficSelector his in theirs)
        {
            foreach (TrafficSelector mine in ours)
            {
                if (both.Count < Most && Intersect(his, mine) is { } common && !both.Exists(other => Intersect(other, common) == common))
                {
                    both.RemoveAll(other => Intersect(other, common) == other);
                    both.Add(common);
                }
            }
        }

        return [.. both];
    }

    private static bool GoTogether(in TrafficSelector one, in TrafficSelector other) =>
        one.IsIPv4 == other.IsIPv4 && (one.Protocol == 0 || other.Protocol == 0 || one.Protocol == other.Protocol);

    /// <summary>What shows no ports is selected by its policy.</summary>
    private static PortRange Visible(PortRange ports) => ports == TrafficSelector.OpaquePort ? PortRange.All : ports;

    /// <summary>In the common space IPv4 lies within IPv6.</summary>
    private static AddressRange[] Parts(TrafficSelector selector) =>
        selector.IsIPv4 || selector.Addresses.First > Address.LastIPv4 || selector.Addresses.Last < Address.FirstIPv4
            ? [selector.Addresses]
            : [new(selector.Addresses.First, Address.FirstIPv4.Previous()), new(Address.LastIPv4.Next(), selector.Addresses.Last)];

    private static bool IsIPv4(AddressRange range) => range.First.IsIPv4 && range.Last.IsIPv4;

    /// <summary>A set's runs, each of one family; the two halves of ::/0 are one again.</summary>
    private static AddressRange[] Ranges(AddressSet? set)
    {
        AddressSet all = set ?? AddressSet.Any;
        AddressRange[] four = all.Only(Families.IPv4).Ranges.ToArray(), six = all.Only(Families.IPv6).Ranges.ToArray();
        return six is [var below, var above] && below == new AddressRange(default, Address.FirstIPv4.Previous()) && above == new AddressRange(Address.LastIPv4.Next(), s_allIPv6.Last)
            ? [.. four, s_allIPv6]
            : [.. four, .. six];
    }

    private static IEnumerable<(byte Protocol, PortRange Ports)> RemotePorts(IpsecPolicy policy)
    {
        if (policy.Service is not { IsAny: false } set)
        {
            return [(0, policy.Opaque ? TrafficSelector.OpaquePort : TrafficSelector.AnyPort)];
        }

        return set.Services.Select(s => (s.Protocol, policy.Opaque ? TrafficSelector.OpaquePort : PortsOf(s)));
    }

    private static IEnumerable<(byte Protocol, PortRange Ports)> LocalPorts(IpsecPolicy policy)
    {
        byte[] protocols = policy.Service is { IsAny: false } set ? [.. set.Services.Select(static s => s.Protocol).Distinct()] : [0];
        return protocols.SelectMany(protocol => policy.Opaque ? [TrafficSelector.OpaquePort]
            : policy.LocalPorts.IsEmpty || !IpProtocol.HasPorts(protocol) ? [TrafficSelector.AnyPort]
            : policy.LocalPorts, static (protocol, ports) => (protocol, ports));
    }

    /// <summary>Of ICMP type and code are one number (RFC 7296 §3.13.1).</summary>
    private static PortRange PortsOf(Service service)
    {
        bool all = service.Ports == PortRange.All && service is { FirstCode: 0, LastCode: byte.MaxValue };
        return all ? TrafficSelector.AnyPort
            : service.IsIcmp ? new((ushort)((service.Ports.First << 8) | service.FirstCode), (ushort)((Math.Min(service.Ports.Last, (ushort)byte.MaxValue) << 8) | service.LastCode))
            : service.Ports;
    }

    private static PortRange PortsOf(byte protocol, ushort port) =>
        (IpProtocol.HasPorts(protocol) || protocol is IpProtocol.Icmp or IpProtocol.IcmpV6) && port != 0 ? new(port, port) : TrafficSelector.AnyPort;
}

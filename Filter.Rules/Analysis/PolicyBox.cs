using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Rules.Analysis;

/// <summary>
/// A run of values for each selector (RFC 4301 §4.4.1.1): what a policy selects is some of these, and what is cached or negotiated
/// is one. All its packets are of one family.
/// </summary>
/// <param name="IsIPv4">The family; of IPv6 a run of addresses may pass over the place where IPv4 stands, and holds none of it.</param>
/// <param name="Local">Addresses on the protected side.</param>
/// <param name="Remote">Addresses on the unprotected side.</param>
/// <param name="FirstProtocol">The lowest next layer protocol.</param>
/// <param name="LastProtocol">The highest.</param>
/// <param name="LocalPorts">Ports on the protected side; 0 is the value of protocols without.</param>
/// <param name="RemotePorts">Ports on the unprotected side; of ICMP and the mobility header type and code, one byte each.</param>
public readonly record struct PolicyBox(
    bool IsIPv4, AddressRange Local, AddressRange Remote, byte FirstProtocol, byte LastProtocol, PortRange LocalPorts, PortRange RemotePorts)
{
    /// <summary>Whether a packet is in it.</summary>
    /// <param name="way">Its key, turned so that its source is on the protected side.</param>
    /// <param name="type">Its type, of ICMP that of the query it belongs to.</param>
    /// <param name="code">Its ICMP code.</param>
    public bool Contains(in FlowKey way, byte type, byte code)
    {
        bool hasPorts = IpProtocol.HasPorts(way.Protocol);
        return way.Source.IsIPv4 == IsIPv4 && Local.Contains(way.Source) && Remote.Contains(way.Destination)
            && FirstProtocol <= way.Protocol && way.Protocol <= LastProtocol
            && LocalPorts.Contains(hasPorts ? way.SourcePort : (ushort)0)
            && RemotePorts.Contains(hasPorts ? way.DestinationPort : IsTyped(way.Protocol) ? (ushort)((type << 8) | code) : (ushort)0);
    }

    /// <summary>As `policy show` prints it.</summary>
    public override string ToString()
    {
        string text = $"local {Local} remote {Remote}";
        if ((FirstProtocol, LastProtocol) == (0, byte.MaxValue))
        {
            return text + " any";
        }

        text += FirstProtocol == LastProtocol ? $" {ServiceSet.NameOf(FirstProtocol)}" : $" proto/{FirstProtocol}-{LastProtocol}";
        text += LocalPorts == PortRange.All ? "" : $" local-port {Run(LocalPorts.First, LocalPorts.Last)}";
        return text + (RemotePorts == PortRange.All ? ""
            : FirstProtocol != LastProtocol || !IsTyped(FirstProtocol) ? $" remote-port {Run(RemotePorts.First, RemotePorts.Last)}"
            : $" type/code {RemotePorts.First >> 8}/{RemotePorts.First & 255}-{RemotePorts.Last >> 8}/{RemotePorts.Last & 255}");
    }

    /// <summary>All that a policy selects; boxes of one policy may overlap.</summary>
    internal static List<PolicyBox> Of(IpsecPolicy policy)
    {
        List<PolicyBox> boxes = [];
        if (policy.Opaque)
        {
            return boxes;           // what it carries is selected by others
        }

        foreach (bool ipv4 in (ReadOnlySpan<bool>)[true, false])
        {
            foreach (AddressRange local in Runs(policy.Local, ipv4))
            {
                foreach (AddressRange remote in Runs(policy.Remote, ipv4))
                {
                    AddServices(policy, new PolicyBox(ipv4, local, remote, 0, byte.MaxValue, PortRange.All, PortRange.All), boxes);
                }
            }
        }

        return boxes;
    }

    /// <summary>Whether any packet is in both.</summary>
    internal bool Meets(in PolicyBox other) =>
        IsIPv4 == other.IsIPv4
        && FirstProtocol <= other.LastProtocol && other.FirstProtocol <= LastProtocol
        && LocalPorts.First <= other.LocalPorts.Last && other.LocalPorts.First <= LocalPorts.Last
        && RemotePorts.First <= other.RemotePorts.Last && other.RemotePorts.First <= RemotePorts.Last
        && Local.First <= other.Local.Last && other.Local.First <= Local.Last
        && Remote.First <= other.Remote.Last && other.Remote.First <= Remote.Last;

    /// <summary>Adds what is in this box and not in another that it meets, as boxes that do not overlap.</summary>
    internal void Without(in PolicyBox other, List<PolicyBox> rest)
    {
        PolicyBox left = this;
        if (left.Local.First < other.Local.First)
        {
            rest.Add(left with { Local = new(left.Local.First, other.Local.First.Previous()) });
            left = left with { Local = new(other.Local.First, left.Local.Last) };
        }

        if (left.Local.Last > other.Local.Last)
        {
            rest.Add(left with { Local = new(other.Local.Last.Next(), left.Local.Last) });
            left = left with { Local = new(left.Local.First, other.Local.Last) };
        }

        if (left.Remote.First < other.Remote.First)
        {
            rest.Add(left with { Remote = new(left.Remote.First, other.Remote.First.Previous()) });
            left = left with { Remote = new(other.Remote.First, left.Remote.Last) };
        }

        if (left.Remote.Last > other.Remote.Last)
        {
            rest.Add(left with { Remote = new(other.Remote.Last.Next(), left.Remote.Last) });
            left = left with { Remote = new(left.Remote.First, other.Remote.Last) };
        }

        if (left.FirstProtocol < other.FirstProtocol)
        {
            rest.Add(left with { LastProtocol = (byte)(other.FirstProtocol - 1) });
            left = left with { FirstProtocol = other.FirstProtocol };
        }

        if (left.LastProtocol > other.LastProtocol)
        {
            rest.Add(left with { FirstProtocol = (byte)(other.LastProtocol + 1) });
            left = left with { LastProtocol = other.LastProtocol };
        }

        if (Cut(left.LocalPorts, other.LocalPorts, out PortRange below, out PortRange above, out PortRange middle) is var local && (local & 1) != 0)
        {
            rest.Add(left with { LocalPorts = below });
        }

        if ((local & 2) != 0)
        {
            rest.Add(left with { LocalPorts = above });
        }

        left = left with { LocalPorts = middle };
        if (Cut(left.RemotePorts, other.RemotePorts, out below, out above, out _) is var remote && (remote & 1) != 0)
        {
            rest.Add(left with { RemotePorts = below });
        }

        if ((remote & 2) != 0)
        {
            rest.Add(left with { RemotePorts = above });
        }
    }

    /// <summary>Which parts there are of a run outside another that it meets: 1 for what is below it, 2 for what is above.</summary>
    private static int Cut(PortRange run, PortRange other, out PortRange below, out PortRange above, out PortRange middle)
    {
        below = new(run.First, (ushort)(other.First - 1));
        above = new((ushort)(other.Last + 1), run.Last);
        middle = new(Math.Max(run.First, other.First), Math.Min(run.Last, other.Last));
        return (run.First < other.First ? 1 : 0) | (run.Last > other.Last ? 2 : 0);
    }

    private static void AddServices(IpsecPolicy policy, in PolicyBox any, List<PolicyBox> boxes)
    {
        if (policy.Service is null or { IsAny: true })
        {
            boxes.Add(any);
            return;
        }

        ReadOnlySpan<PortRange> locals = policy.LocalPorts.IsEmpty ? [PortRange.All] : policy.LocalPorts.AsSpan();
        foreach (Service service in policy.Service.Services)
        {
            PolicyBox box = any with { FirstProtocol = service.Protocol, LastProtocol = service.Protocol };
            if (!IsTyped(service.Protocol))
            {
                foreach (PortRange local in locals)
                {
                    boxes.Add(box with { LocalPorts = local, RemotePorts = IpProtocol.HasPorts(service.Protocol) ? service.Ports : PortRange.All });
                }

                continue;
            }

            int last = Math.Min((int)service.Ports.Last, byte.MaxValue);
            if (service is { FirstCode: 0, LastCode: byte.MaxValue })
            {
                boxes.Add(box with { RemotePorts = new((ushort)(service.Ports.First << 8), (ushort)((last << 8) | byte.MaxValue)) });
                continue;
            }

            for (int type = service.Ports.First; type <= last; type++)
            {
                boxes.Add(box with { RemotePorts = new((ushort)((type << 8) | service.FirstCode), (ushort)((type << 8) | service.LastCode)) });
            }
        }
    }

    /// <summary>The runs of one family. What IPv6 has on both sides of the place where IPv4 stands is one run.</summary>
    private static List<AddressRange> Runs(AddressSet? set, bool ipv4)
    {
        if (set is null)
        {
            return [ipv4 ? AddressRange.AllIPv4 : AddressRange.Everything];
        }

        List<AddressRange> runs = [];
        foreach (AddressRange run in set.Only(ipv4 ? Families.IPv4 : Families.IPv6).Ranges)
        {
            if (!ipv4 && runs.Count > 0 && run.First > Address.LastIPv4 && run.First == Address.LastIPv4.Next() && runs[^1].Last == Address.FirstIPv4.Previous())
            {
                runs[^1] = new(runs[^1].First, run.Last);
            }
            else
            {
                runs.Add(run);
            }
        }

        return runs;
    }

    private static bool IsTyped(byte protocol) => protocol is IpProtocol.Icmp or IpProtocol.IcmpV6 or IpProtocol.Mobility;

    private static string Run<T>(T first, T last) => Equals(first, last) ? $"{first}" : $"{first}-{last}";
}

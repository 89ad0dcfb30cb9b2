using System.Net.Sockets;
using System.Text;
using Filter.Engine.Ports.Native;
using Filter.Engine.Ports.Netlink;
using Filter.Engine.Ports.Xdp;
using FilePath = System.IO.Path;

namespace Filter.Engine.Ports;

/// <summary>
/// Shuts a NIC to the box's own stack, so that only Filter hears and speaks on it. A packet socket gets a copy of each
/// frame; the original goes on into the kernel unless it is dropped there (nftables, netdev ingress), and the kernel
/// would send by the NIC unless that is dropped too (netdev egress, which lets Filter's own mark through). The gate
/// lives in the kernel: a dead Filter leaves it shut.
/// </summary>
/// <remarks>
/// The NIC also loses its addresses, ARP and IPv6: they belong to what stands behind Filter. How it was is recorded in
/// a file before the first change, and <see cref="Restore"/> puts it back; a second <see cref="Close"/> keeps the
/// first one's record.
/// </remarks>
public sealed class NicGate
{
    /// <summary>Where the records are kept unless told otherwise; emptied when the box starts.</summary>
    public const string DefaultDirectory = "/run/filter";

    /// <summary>SO_MARK of the frames that Filter sends: "FILT".</summary>
    public const int Mark = 0x46494c54;

    private const string Family = "netdev";

    private readonly string _directory;

    /// <summary>A gate that keeps its records in <paramref name="directory"/>.</summary>
    public NicGate(string directory = DefaultDirectory) => _directory = directory;

    /// <summary>
    /// Shuts a NIC of the calling thread's namespace and sets it up; called before its port is opened, and again at
    /// every start.
    /// </summary>
    /// <param name="device">The NIC's name.</param>
    /// <returns>Null, or one line that says what this kernel cannot shut.</returns>
    /// <exception cref="PortException">The NIC is missing, or the kernel refuses; a NIC whose gate failed must not be used.</exception>
    public string? Close(string device)
    {
        TapPort.RequireName(device);
        using var kernel = new Rtnetlink();
        LinkState link = kernel.RequireEthernet(device);
        string path = PathOf(kernel, device);
        if (NicRecord.TryLoad(path, device) is not { } record || record.Index != link.Index)
        {
            record = Observe(kernel, device, link);
            record.Save(path);
        }

        string? warning = Shut(device);
        Silence(kernel, device, link);

        // nft takes a chain for a device that does not exist: the same device must have been there all the time.
        bool bound = kernel.FindLink(device)?.Index == link.Index
            && Nft.List(Family, TableOf(device))?.Contains($"hook ingress device \"{device}\"", StringComparison.Ordinal) == true;
        return bound ? warning : throw new PortException($"the kernel's ingress drop did not take hold on {device}");
    }

    /// <summary>Whether a NIC of the calling thread's namespace is shut, by this process or an earlier one.</summary>
    public bool IsClosed(string device)
    {
        TapPort.RequireName(device);
        using var kernel = new Rtnetlink();
        return File.Exists(PathOf(kernel, device));
    }

    /// <summary>Puts a NIC back as it was before the first <see cref="Close"/>; nothing happens where none was.</summary>
    /// <param name="device">The NIC's name.</param>
    /// <returns>One line for each thing that could not be put back.</returns>
    /// <exception cref="PortException">The record is damaged, or the gate can't be opened.</exception>
    public IReadOnlyList<string> Restore(string device)
    {
        TapPort.RequireName(device);
        using var kernel = new Rtnetlink();
        string path = PathOf(kernel, device);
        if (NicRecord.TryLoad(path, device) is not { } record)
        {
            return [];
        }

        string table = TableOf(device);
        if (Nft.Apply($"add table {Family} {table}\ndelete table {Family} {table}\n") is { } error)
        {
            throw new PortException($"cannot open {device} again: {error}");
        }

        var problems = new List<string>();
        if (kernel.FindLink(device) is { } link && link.Index == record.Index)
        {
            PutBack(kernel, record, problems);
        }
        else
        {
            problems.Add($"{device} has gone since it was shut, or another device has its name: there is nothing to put back");
        }

        File.Delete(path);
        return problems;
    }

    private static string TableOf(string device)
    {
        var name = new StringBuilder("filter_");
        foreach (byte b in Encoding.UTF8.GetBytes(device))
        {
            // A table's name is narrower than a device's; '_' itself is escaped too, so that no two devices meet.
            if (char.IsAsciiLetterOrDigit((char)b))
            {
                name.Append((char)b);
            }
            else
            {
                name.Append('_').Append(b.ToString("x2", null));
            }
        }

        return name.ToString();
    }

    private static NicRecord Observe(Rtnetlink kernel, string device, in LinkState link)
        => new(
            device,
            link.Index,
            link.IsUp,
            !link.HasNoArp,
            InterfaceSwitch.TryRead(device, AddressFamily.InterNetworkV6, InterfaceSwitch.DisableIPv6),
            [.. kernel.Addresses(link.Index).Select(payload => new NicBelonging(Rtnetlink.AddressText(payload), payload))],
            [.. kernel.Routes(link.Index).Select(payload => new NicBelonging(Rtnetlink.RouteText(payload), payload))],
            OffloadsOf(device));

    private static NicOffloads OffloadsOf(string device)
    {
        using Ethtool nic = new(device);
        return nic.Offloads;
    }

    /// <summary>Drops in the kernel what comes in and what others would send; one transaction, so that no moment is open.</summary>
    private static string? Shut(string device)
    {
        string table = TableOf(device);
        string begin = $$"""
            add table {{Family}} {{table}}
            delete table {{Family}} {{table}}
            table {{Family}} {{table}} {
              chain ingress {
                type filter hook ingress device "{{device}}" priority {{int.MinValue}}; policy drop;
              }

            """;
        string egress = $$"""
              chain egress {
                type filter hook egress device "{{device}}" priority {{int.MaxValue}}; policy drop;
                meta mark {{Mark}} accept
              }

            """;
        const string End = "}\n";
        if (Nft.Apply(begin + egress + End) is not { } refused)
        {
            return null;
        }

        // Kernels before 5.16 have no egress hook. Without addresses and routes the stack hardly sends by the NIC.
        return Nft.Apply(begin + End) is { } error
            ? throw new PortException($"cannot shut {device} to the kernel: {error}")
            : $"{device}: this kernel does not drop what the box itself sends by it ({refused})";
    }

    private static void Silence(Rtnetlink kernel, string device, in LinkState link)
    {
        InterfaceSwitch.TryWrite(device, AddressFamily.InterNetworkV6, InterfaceSwitch.DisableIPv6, "1");
        foreach (byte[] address in kernel.Addresses(link.Index))
        {
            kernel.RemoveAddress(address);
        }

        const uint Flags = NetlinkAbi.LinkUp | NetlinkAbi.LinkNoArp;
        kernel.SetLink(device, link.Index, Flags, Flags);
    }

    private static void PutBack(Rtnetlink kernel, NicRecord record, List<string> problems)
    {
        if (record.Offloads is { } offloads)
        {
            // A port puts them back itself when it is closed; one that was killed could not.
            using Ethtool nic = new(record.Device);
            nic.Apply(offloads);
            if (nic.Offloads != offloads)
            {
                problems.Add($"{record.Device}: what it does with frames that come in is not as it was (ethtool -k)");
            }
        }

        uint arp = record.Arp ? 0 : NetlinkAbi.LinkNoArp;
        kernel.SetLink(record.Device, record.Index, arp, NetlinkAbi.LinkNoArp);
        if (record.DisableIPv6 is { } value
            && !InterfaceSwitch.TryWrite(record.Device, AddressFamily.InterNetworkV6, InterfaceSwitch.DisableIPv6, value))
        {
            problems.Add($"{record.Device}: {InterfaceSwitch.DisableIPv6} is not {value} again");
        }

        PutBack(record.Device, record.Addresses, kernel.RestoreAddress, problems);
        if (!record.Up)
        {
            kernel.SetLink(record.Device, record.Index, 0, NetlinkAbi.LinkUp);
        }

        PutBack(record.Device, record.Routes, kernel.RestoreRoute, problems);
    }

    private static void PutBack(string device, IReadOnlyList<NicBelonging> lost, Func<byte[], int> restore, List<string> problems)
    {
        foreach (NicBelonging belonging in lost)
        {
            int error = restore(belonging.Payload);
            if (error is not (0 or Errno.Exists))
            {
                problems.Add($"{device}: {belonging.Text} is not back: {Errno.Describe(error)}");
            }
        }
    }

    /// <summary>Namespaces share /run: the record's name holds the namespace's cookie beside the device's name.</summary>
    private string PathOf(Rtnetlink kernel, string device) => FilePath.Combine(_directory, $"nic-{device}@{kernel.NamespaceCookie()}.json");
}

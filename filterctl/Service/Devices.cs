using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Ports.Xdp;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>
/// The live ports of a ruleset: opened all or none. A NIC is shut to the kernel before Filter listens
/// on it, and stays shut when Filter ends unless it is given back.
/// </summary>
internal sealed class Devices
{
    private readonly NicGate _gate;
    private readonly List<Port> _ports = [];
    private readonly List<IngressDrop> _drops = [];
    private readonly List<string> _nics = [];
    private readonly List<string> _shut = [];
    private readonly List<string> _warnings = [];
    private readonly List<Port?[]> _companions = [];

    private Devices(NicGate gate) => _gate = gate;

    /// <summary>The open ports, by number.</summary>
    public IReadOnlyList<Port> Ports => _ports;

    /// <summary>What a worker sends with by a port that is not its own; null where that port's worker must.</summary>
    public Port? Companion(int worker, int port) => _companions[worker][port];

    /// <summary>What the kernel could not do, one line each.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>Opens them. Where one can't be opened, the others are left as they were found.</summary>
    /// <exception cref="PortException">One can't be opened; its line says which and why.</exception>
    /// <param name="ruleset">Whose.</param>
    /// <param name="gate">How NICs are shut.</param>
    /// <param name="workers">How many will send.</param>
    public static Devices Open(Ruleset ruleset, NicGate gate, int workers = 1)
    {
        Devices devices = new(gate);
        try
        {
            foreach (PortConfig port in ruleset.Ports)
            {
                if (port.Kind == PortKind.Nic)
                {
                    if (!gate.IsClosed(port.Device))
                    {
                        devices._shut.Add(port.Device);
                    }

                    if (gate.Close(port.Device) is { } warning)
                    {
                        devices._warnings.Add(warning);
                    }

                    devices._nics.Add(port.Device);
                }

                Port opened = OpenOne(port);
                devices._ports.Add(opened);
                if (opened is PacketPort && IngressDrop.TryBegin(port.Device) is { } drop)
                {
                    devices._drops.Add(drop);
                }

                if (opened is XdpPort { Warning: { } about })
                {
                    devices._warnings.Add($"{port.Device}: {about}");
                }
            }

            for (int worker = 0; worker < workers; worker++)
            {
                // Where a port is a worker's own, it sends with that.
                devices._companions.Add([.. devices._ports.Select(port => port.Number % workers == worker ? null : port.Companion())]);
            }

            return devices;
        }
        catch
        {
            devices.Undo();
            throw;
        }
    }

    /// <summary>Closes them; NICs that were open before this start are open again, the others stay shut.</summary>
    public void Undo()
    {
        _ports.ForEach(static port => port.Dispose());
        CloseCompanions();
        _drops.ForEach(static drop => drop.Dispose());
        _shut.ForEach(nic => TryRestore(_gate, nic));
    }

    /// <summary>Closes what workers send with beside the ports.</summary>
    public void CloseCompanions() => _companions.ForEach(static ports => Array.ForEach(ports, static port => port?.Dispose()));

    /// <summary>Gives the NICs back as they were before Filter first came.</summary>
    /// <returns>One line for each thing that is not as it was.</returns>
    public IReadOnlyList<string> Restore()
    {
        _drops.ForEach(static drop => drop.Dispose());
        return [.. _nics.SelectMany(nic => TryRestore(_gate, nic))];
    }

    /// <summary>NICs of this network namespace that a Filter shut and nobody has given back.</summary>
    public static IReadOnlyList<string> Recorded(string directory)
    {
        if (!Directory.Exists(directory))
        {
            return [];
        }

        NicGate gate = new(directory);
        const string Prefix = "nic-";
        return
        [
            .. Directory.EnumerateFiles(directory, $"{Prefix}*@*.json")
                .Select(static path => Path.GetFileName(path)[Prefix.Length..])
                .Select(static name => name[..name.LastIndexOf('@')])
                .Distinct()
                .Where(gate.IsClosed),
        ];
    }

    /// <summary>Gives one NIC back; one line for each thing that is not as it was.</summary>
    public static IReadOnlyList<string> TryRestore(NicGate gate, string nic)
    {
        try
        {
            return gate.Restore(nic);
        }
        catch (PortException failure)
        {
            return [failure.Message];
        }
    }

    private static Port OpenOne(PortConfig port) => (port.Kind, port.Driver) switch
    {
        (PortKind.Tap, _) => new TapPort(SettingsOf(port)) { Name = port.Name, Number = port.Number, Side = port.Side },
        (_, PortDriver.Pcap) => new PcapLivePort(port.Device) { Name = port.Name, Number = port.Number, Side = port.Side, BusyPolls = port.BusyPoll },
        (_, PortDriver.Ring) => new PacketRingPort(port.Device) { Name = port.Name, Number = port.Number, Side = port.Side, BusyPolls = port.BusyPoll },
        (_, PortDriver.Xdp) => ByXdp(port, XdpMode.Native),
        (_, PortDriver.XdpGeneric) => ByXdp(port, XdpMode.Generic),
        (_, PortDriver.Auto) => Best(port),
        _ => ByPacketSocket(port, null),
    };

    /// <summary>
    /// XDP is worth its want of super-frames where the NIC copies nothing; where the kernel copies each frame anyway, a packet
    /// socket carries a TCP stream many times faster.
    /// </summary>
    private static Port Best(PortConfig port)
    {
        try
        {
            return ByXdp(port, XdpMode.Native, zeroCopyOnly: true);
        }
        catch (PortException refused)
        {
            return ByPacketSocket(port, $"picked by auto: {refused.Message}");
        }
    }

    private static XdpPort ByXdp(PortConfig port, XdpMode mode, bool zeroCopyOnly = false) =>
        new(port.Device, mode, zeroCopyOnly, port.BusyPoll) { Name = port.Name, Number = port.Number, Side = port.Side };

    private static PacketSocketPort ByPacketSocket(PortConfig port, string? note) =>
        new(port.Device) { Name = port.Name, Number = port.Number, Side = port.Side, BusyPolls = port.BusyPoll, DriverNote = note };

    private static TapSettings SettingsOf(PortConfig port) => new(port.Device)
    {
        Mac = port.Mac,
        Mtu = port.Mtu,
        Addresses = [.. port.Addresses.Select(static a => new Engine.Ports.InterfaceAddress(a.Address, a.Length))],
        Routes = [.. port.Routes.Select(static r => new InterfaceRoute(r.To.Base, r.To.Length, r.Via))],
    };
}

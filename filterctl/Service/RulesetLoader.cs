using System.Collections.Immutable;
using System.Globalization;
using Filter.Ipsec.Ike.Authentication;
using Filter.Rules;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>Reads rulesets for the daemon, with the devices and the driver that its command line gave.</summary>
internal sealed class RulesetLoader(IReadOnlyList<KeyValuePair<string, string>> devices, PortDriver? driver = null)
{
    /// <summary>Reads one.</summary>
    /// <exception cref="Refusal">--device names a port that it does not have, or one device twice.</exception>
    public RulesetReading Read(string file)
    {
        RulesetReading reading = CredentialCheck.Of(RulesetFile.Read(file));
        return reading.Ruleset is { } ruleset ? reading with { Ruleset = With(ruleset) } : reading;
    }

    /// <summary>
    /// What of a new ruleset's ports differs from those that are open, in one line; null where nothing does. Ports are
    /// opened at the start: a reload can't change them.
    /// </summary>
    public static string? Difference(Ruleset running, Ruleset next)
    {
        if (running.Ports.Length != next.Ports.Length)
        {
            return $"it has {next.Ports.Length} ports, {running.Ports.Length} are open";
        }

        if (running.Workers != next.Workers)
        {
            return $"workers: {WorkersOf(running)}, now {WorkersOf(next)}";
        }

        foreach ((PortConfig open, PortConfig wanted) in running.Ports.Zip(next.Ports))
        {
            if (open.Name != wanted.Name)
            {
                return $"port {open.Name} is open where it has {wanted.Name}";
            }

            bool same = open.Kind == wanted.Kind && open.Device == wanted.Device && open.Side == wanted.Side
                && open.Driver == wanted.Driver && open.BusyPoll == wanted.BusyPoll && open.Mac == wanted.Mac && open.Mtu == wanted.Mtu
                && open.Addresses.SequenceEqual(wanted.Addresses) && open.Routes.SequenceEqual(wanted.Routes);
            if (!same)
            {
                return $"port {open.Name} is described otherwise than it was opened";
            }
        }

        return null;
    }

    private static string WorkersOf(Ruleset ruleset) => ruleset.Workers?.ToString(CultureInfo.InvariantCulture) ?? "auto";

    private Ruleset With(Ruleset ruleset)
    {
        ImmutableArray<PortConfig> ports = driver is { } forced
            ? [.. ruleset.Ports.Select(port => port.Kind == PortKind.Nic ? port with { Driver = forced } : port)]
            : ruleset.Ports;
        foreach ((string name, string device) in devices)
        {
            PortConfig port = ruleset.FindPort(name) ?? throw new Refusal(
                $"--device {name}={device}: {ruleset.File} has no port '{name}'; it has {string.Join(", ", ruleset.Ports.Select(static p => p.Name))}",
                Exit.Usage);
            ports = ports.SetItem(port.Number, ports[port.Number] with { Device = device });
        }

        if (ports.GroupBy(static port => port.Device).FirstOrDefault(static group => group.Count() > 1) is { } twice)
        {
            throw new Refusal($"the device {twice.Key} stands for two ports: {string.Join(", ", twice.Select(static p => p.Name))}", Exit.Usage);
        }

        return ruleset with { Ports = ports };
    }
}

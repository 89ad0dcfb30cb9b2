using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads <c>ports:</c>, and says what machine they form.</summary>
internal sealed class PortsReader(Diagnostics found)
{
    private static readonly string[] s_keys = ["nic", "tap", "side", "driver", "busy-poll", "prefixes", "role", "antispoof", "mac", "mtu", "addresses", "routes"];
    private static readonly string[] s_routeKeys = ["to", "via"];

    private readonly List<PortConfig> _ports = [];
    private readonly Dictionary<string, string> _devices = new(StringComparer.Ordinal);
    private readonly Dictionary<Prefix, string> _prefixes = [];
    private readonly Dictionary<Address, string> _addresses = [];
    private readonly List<string> _written = [];

    /// <summary>Every port's name as written, also of ports that are wrong: naming one of these is no second mistake.</summary>
    public IReadOnlyList<string> Names => _written;

    /// <summary>The ports; those with an error in them as far as they could be read.</summary>
    public ImmutableArray<PortConfig> Read(Node? node)
    {
        if (node is not MapNode map)
        {
            if (node is not null)
            {
                found.Error(node.At, $"'ports' is a mapping of names to ports, not {node.Kind}", "write outside: { nic: eth0, side: unprotected }");
            }

            return [];
        }

        foreach ((ScalarNode key, Node value) in map.Entries)
        {
            _written.Add(key.Text);
            if (_written.Count == Ruleset.MostPorts + 1)
            {
                found.Error(key.At, $"there are more than {Ruleset.MostPorts} ports");
            }

            if (_written.Count <= Ruleset.MostPorts && Port(key, value, (byte)(_written.Count - 1)) is { } port)
            {
                _ports.Add(port);
            }
        }

        return [.. _ports];
    }

    /// <summary>What the ports form; an error if they form nothing that can run.</summary>
    public RunMode Mode(SourceMark at)
    {
        if (found.HasErrors && _ports.Count < _written.Count)
        {
            return RunMode.Bridge;          // a port that could not be read would only be missed here
        }

        int nics = _ports.Count(static p => p.Kind == PortKind.Nic), taps = _ports.Count - nics;
        foreach (Side side in (Side[])[Side.Protected, Side.Unprotected])
        {
            if (!_ports.Any(p => p.Side == side))
            {
                string word = side == Side.Protected ? "protected" : "unprotected";
                found.Error(at, $"no port has the side '{word}'", "a firewall stands between two sides: give it a port on each");
                return RunMode.Bridge;
            }
        }

        if (nics == 0 || taps > 1 || _ports.Count < 2)
        {
            found.Error(at, $"{nics} NICs and {taps} TAPs form no machine", "a bridge has two NICs and may have one TAP; a host has one NIC and one TAP");
        }

        return nics == 1 ? RunMode.Host : taps == 0 ? RunMode.Bridge : RunMode.BridgeWithSelf;
    }

    private PortConfig? Port(ScalarNode key, Node value, byte number)
    {
        Located<string>? name = Values.Name(key, "the name of a port", 32, found);
        if (name is { Value: "any" })
        {
            found.Error(key.At, "'any' is a name of the language itself", "choose another name for the port");
        }

        if (Fields.Of(value, "a port", found, s_keys) is not { } fields)
        {
            return null;
        }

        string? kind = fields.ExactlyOne("nic", "tap");
        Side? side = Values.Word(fields.Required("side", "side: protected, or side: unprotected"), "'side'", found, ("protected", Side.Protected), ("unprotected", Side.Unprotected));
        PortDriver driver = Values.Word(fields["driver"], "'driver'", found, [.. PortDrivers.Words]) ?? PortDriver.Packet;
        bool busyPoll = Values.Flag(fields["busy-poll"], "'busy-poll'", found);
        string? device = kind is null ? null : Device(fields[kind], key.Text);
        ImmutableArray<Prefix> prefixes = Prefixes(fields["prefixes"], key.Text);
        PortRole role = Values.Word(fields["role"], "'role'", found, ("hosts", PortRole.Hosts), ("routers", PortRole.Routers)) ?? PortRole.Routers;
        bool antispoof = Values.Flag(fields["antispoof"], "'antispoof'", found);
        if (antispoof && (!fields.Has("prefixes") || fields["prefixes"] is ListNode { Items.Count: 0 }))
        {
            found.Error(fields.KeyAt("antispoof"), "'antispoof' needs to know who lives behind the port", "give it prefixes: [ 192.0.2.0/24, 2001:db8:1::/64 ]");
        }

        if (kind == "nic")
        {
            fields.Refuse("belongs to a tap; a NIC keeps what the machine gave it", "leave it out", "mac", "mtu", "addresses", "routes");
        }
        else if (kind == "tap")
        {
            fields.Refuse("belongs to a nic", "leave it out", "driver", "busy-poll");
        }

        ulong? mac = Values.Text(fields["mac"], "'mac'", found) is { } text ? AddressWords.ReadMac(text, found) : null;
        int? mtu = (int?)Values.Number(fields["mtu"], "'mtu'", 1280, 65535, found);
        ImmutableArray<InterfaceAddress> addresses = Addresses(fields["addresses"], key.Text);
        ImmutableArray<Route> routes = Routes(fields["routes"], addresses);
        if (name is null || kind is null || side is null || device is null)
        {
            return null;
        }

        return new PortConfig
        {
            Name = name.Value.Value,
            At = key.At,
            Number = number,
            Kind = kind == "nic" ? PortKind.Nic : PortKind.Tap,
            Device = device,
            Side = side.Value,
            Driver = driver,
            BusyPoll = busyPoll,
            Prefixes = prefixes,
            Role = role,
            Antispoof = antispoof,
            Mac = mac,
            Mtu = mtu,
            Addresses = addresses,
            Routes = routes,
        };
    }

    /// <summary>The kernel takes 15 bytes without spaces and slashes; '.' and '..' are directories to it.</summary>
    private string? Device(Node? node, string port)
    {
        if (Values.Text(node, "a device", found) is not { } text)
        {
            return null;
        }

        if (text.Value.Length > 15 || text.Value is "." or ".." || text.Value.Any(static c => c is <= ' ' or '/' or ':' or '%' or > '~'))
        {
            found.Error(text.At, $"{Wording.Quote(text.Value)} cannot be the name of a device", "it has at most 15 characters, no spaces and no slashes");
            return null;
        }

        if (!_devices.TryAdd(text.Value, port))
        {
            found.Error(text.At, $"the device {Wording.Quote(text.Value)} already is the port {Wording.Quote(_devices[text.Value])}", "each port has a device of its own");
        }

        return text.Value;
    }

    private ImmutableArray<Prefix> Prefixes(Node? node, string port)
    {
        List<Prefix> prefixes = [];
        foreach (Node entry in Values.Each(node))
        {
            if (Values.Text(entry, "an entry of 'prefixes'", found) is not { } text)
            {
                continue;
            }

            Prefix? prefix = text.Value.Contains('/', StringComparison.Ordinal)
                ? AddressWords.ReadPrefix(text, found)
                : AddressWords.ReadAddress(text, found) is { } one ? new Prefix(one, one.IsIPv4 ? 32 : 128) : null;
            if (prefix is not { } good)
            {
                continue;
            }

            if (!_prefixes.TryAdd(good, port))
            {
                found.Error(text.At, $"the prefix {good} is already given to the port {Wording.Quote(_prefixes[good])}", "a packet line could not tell which port it means");
            }

            prefixes.Add(good);
        }

        return [.. prefixes];
    }

    private ImmutableArray<InterfaceAddress> Addresses(Node? node, string port)
    {
        List<InterfaceAddress> addresses = [];
        foreach (Node entry in Values.Each(node))
        {
            if (Values.Text(entry, "an entry of 'addresses'", found) is not { } text || AddressWords.ReadInterface(text, found) is not { } own)
            {
                continue;
            }

            bool shared = own.Address.IsIPv4 && own.Length < 31;
            if (own.Address.IsMulticast || own.Address.IsUnspecified || own.Address.IsLoopback || own.Address.IsLimitedBroadcast)
            {
                found.Error(text.At, $"{own.Address} cannot be a port's address", "give it a unicast address");
            }
            else if (shared && (own.Address == own.Network.Base || own.Address == own.Network.Range.Last))
            {
                string which = own.Address == own.Network.Base ? "network itself" : "broadcast address";
                found.Error(text.At, $"{Wording.Quote(text.Value)} is the {which}, not a host in it", $"write {own.Network.Base.Next()}/{own.Length} or another host");
            }
            else if (!_addresses.TryAdd(own.Address, port))
            {
                found.Error(text.At, $"the address {own.Address} is already given to the port {Wording.Quote(_addresses[own.Address])}");
            }

            addresses.Add(own);
        }

        return [.. addresses];
    }

    private ImmutableArray<Route> Routes(Node? node, ImmutableArray<InterfaceAddress> addresses)
    {
        List<Route> routes = [];
        HashSet<Prefix> destinations = [];
        foreach (Node entry in Values.List(node, "'routes'", found))
        {
            if (Fields.Of(entry, "a route", found, s_routeKeys) is not { } fields)
            {
                continue;
            }

            Prefix? to = Values.Text(fields.Required("to"), "'to'", found) is { } toText ? AddressWords.ReadPrefix(toText, found) : null;
            Located<string>? viaText = Values.Text(fields.Required("via"), "'via'", found);
            Address? via = viaText is { } written ? AddressWords.ReadAddress(written, found) : null;
            if (to is not { } destination || via is not { } hop)
            {
                continue;
            }

            SourceMark at = viaText!.Value.At;
            if (destination.Base.IsIPv4 != hop.IsIPv4)
            {
                found.Error(at, $"the route to {destination} goes via {hop}, of the other family");
            }
            else if (!hop.IsLinkLocal && !addresses.Any(a => a.Network.Contains(hop)))
            {
                found.Error(at, $"{hop} is on none of the port's own networks", "a next hop is on-link: give the port an address in its network, or correct 'via'");
            }
            else if (addresses.Any(a => a.Address == hop))
            {
                found.Error(at, $"{hop} is the port's own address", "a next hop is another machine");
            }
            else if (!destinations.Add(destination))
            {
                found.Error(fields.KeyAt("to"), $"there already is a route to {destination}");
            }

            routes.Add(new Route(destination, hop));
        }

        return [.. routes];
    }
}

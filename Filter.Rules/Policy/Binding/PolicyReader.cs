using System.Collections.Immutable;
using System.Numerics;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads the entries of <c>policies:</c> in <c>ipsec:</c>.</summary>
/// <param name="sets">The sets that selectors may name.</param>
/// <param name="sas">The SA pairs by name; null where one has a mistake.</param>
/// <param name="ike">The peers.</param>
/// <param name="found">Where findings go.</param>
internal sealed class PolicyReader(Sets sets, IReadOnlyDictionary<string, SaConfig?> sas, IkeReader ike, Diagnostics found)
{
    private const string Fixed = "policies know their addresses beforehand: name fixed ones";

    private static readonly string[] s_actions = ["protect", "bypass", "drop"];
    private static readonly string[] s_keys = [.. s_actions, "local", "remote", "service", "local-port", "remote-port", "direction", "sa", "ike", "child", "populate"];

    private static readonly (string Word, PopulatedSelectors Value)[] s_populated =
    [
        ("local", PopulatedSelectors.Local), ("remote", PopulatedSelectors.Remote), ("protocol", PopulatedSelectors.Protocol),
        ("local-port", PopulatedSelectors.LocalPort), ("remote-port", PopulatedSelectors.RemotePort),
    ];

    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private readonly HashSet<string> _used = new(StringComparer.Ordinal);

    /// <summary>Whether a policy names the SA.</summary>
    public bool Uses(string sa) => _used.Contains(sa);

    /// <summary>One policy; null after a mistake that leaves it without a name.</summary>
    public IpsecPolicy? Read(Node entry, int number)
    {
        if (Fields.Of(entry, "a policy", found, s_keys) is not { } fields)
        {
            return null;
        }

        string? action = fields.ExactlyOne(s_actions);
        Located<string>? name = action is null ? null : Values.Name(fields[action], "the name of a policy", 63, found);
        if (name is { } given && !_names.Add(given.Value))
        {
            found.Error(given.At, $"there already is a policy {Wording.Quote(given.Value)}", "choose another name");
        }

        (bool Out, bool In) direction = Values.Word(fields["direction"], "'direction'", found, ("both", (true, true)), ("out", (true, false)), ("in", (false, true))) ?? (true, true);
        ImmutableArray<SaConfig> named = [];
        (IkePeer? peer, ChildTemplate? child) = (null, null);
        if (action == "protect")
        {
            named = NamedSas(fields);
            (peer, child) = Automatic(fields);
            if (fields.Has("sa") && fields.Has("populate"))
            {
                found.Error(fields.KeyAt("populate"), "'populate' makes an SA for each packet's values, and 'sa' names SAs that are there", "leave out the one or the other");
            }
        }
        else if (action is not null)
        {
            fields.Refuse("belongs to a policy that protects", "leave it out", "sa", "ike", "child", "populate");
        }

        bool opaque = IsOpaque(fields, action, [.. named.Select(static sa => sa.Settings.Mode), .. Modes(peer, child)], out ServiceSet? service);
        IpsecPolicy policy = new()
        {
            Name = name?.Value ?? "",
            At = fields.At,
            Number = (ushort)Math.Min(number, ushort.MaxValue),
            Action = action switch { "protect" => IpsecAction.Protect, "bypass" => IpsecAction.Bypass, _ => IpsecAction.Drop },
            Local = sets.FixedAddresses(fields["local"], "'local'", Fixed),
            Remote = sets.FixedAddresses(fields["remote"], "'remote'", Fixed),
            Service = opaque ? service : WithRemotePorts(fields, service),
            LocalPorts = opaque ? [] : LocalPorts(fields, service),
            Opaque = opaque,
            Outbound = direction.Out,
            Inbound = direction.In,
            Sas = named,
            Peer = peer,
            Child = child,
            Populate = Populated(fields),
        };
        if (peer is not null)
        {
            CheckCarried(fields, policy, peer);
        }

        return name is null ? null : policy;
    }

    /// <summary>With whom SAs are agreed on, and what they are like where it is not as the peer says.</summary>
    private (IkePeer? Peer, ChildTemplate? Child) Automatic(Fields fields)
    {
        if (!fields.Has("ike"))
        {
            fields.Refuse("says what SAs of a peer are like, and no peer is named", "name one: ike: branch, or leave it out", "child");
            return default;
        }

        fields.Refuse("stands beside 'ike', which brings its own SAs", "leave out the one or the other", "sa");
        IkePeer? peer = Values.Text(fields["ike"], "'ike'", found) is { } name ? ike.Find(name) : null;
        return (peer, peer is not null && fields["child"] is { } child ? ike.Child(peer, child) : null);
    }

    private static IEnumerable<IpsecMode> Modes(IkePeer? peer, ChildTemplate? child) => (child ?? peer?.Child) is { } like ? [like.Settings.Mode] : [];

    /// <summary>Transport mode has no addresses but those of the two ends (RFC 4301 §4.1), and a peer that gets one from us has it inside a tunnel.</summary>
    private void CheckCarried(Fields fields, IpsecPolicy policy, IkePeer peer)
    {
        bool transport = (policy.Child ?? peer.Child).Settings.Mode == IpsecMode.Transport;
        if (transport && fields.Has("child") && (peer.Requests != RequestedAddresses.None || !peer.Pools.IsEmpty))
        {
            found.Error(fields.KeyAt("child"), $"the peer {Wording.Quote(peer.Name)} is about addresses inside a tunnel, and these SAs are in transport mode", "write mode: tunnel, or a peer without 'request' and 'pools'");
        }
        else if (transport && peer.Remote is { } remote && policy.Remote is { } selected && !selected.Contains(remote))
        {
            found.Warn(fields.KeyAt("remote"), $"transport mode carries what the two ends say to each other, and {remote} is not among these", $"write remote: {remote}, or mode: tunnel");
        }
        else if (!transport && policy.Remote is { } far && !peer.Pools.IsEmpty && !peer.Pools.Any(pool => far.Intersect(AddressSet.Of([pool.Range])) is { IsEmpty: false }))
        {
            found.Warn(fields.KeyAt("remote"), $"the peer {Wording.Quote(peer.Name)} gets its address from {Wording.OneOf(peer.Pools.Select(static p => p.Name))}, and none of these is selected", $"write remote: {peer.Pools[0].Range}");
        }
    }

    private ImmutableArray<SaConfig> NamedSas(Fields fields)
    {
        List<SaConfig> named = [];
        Node? node = fields["sa"];
        if (node is ListNode { Items.Count: 0 })
        {
            found.Error(node.At, "'sa' is an empty list", "leave the key out where a key manager, or filterctl, brings the SAs");
        }

        foreach (Node entry in Values.Each(node))
        {
            if (Values.Text(entry, "'sa'", found) is not { } text)
            {
                continue;
            }

            if (!sas.TryGetValue(text.Value, out SaConfig? sa))
            {
                found.Error(text.At, $"there is no SA {Wording.Quote(text.Value)}", Wording.DidYouMean(text.Value, [.. sas.Keys]) ?? "describe it under 'sas'");
                continue;
            }

            _used.Add(text.Value);
            if (sa is null)
            {
                continue;
            }

            if (named.Contains(sa))
            {
                found.Error(text.At, $"the policy names the SA {Wording.Quote(text.Value)} twice");
            }
            else
            {
                CheckBeside(named, sa, text);
                named.Add(sa);
            }
        }

        ulong all = named.Aggregate(0UL, static (dscps, sa) => dscps | (sa.Settings.Dscps == 0 ? ulong.MaxValue : sa.Settings.Dscps));
        if (named.Count > 0 && all != ulong.MaxValue && node is not null)
        {
            found.Warn(fields.KeyAt("sa"), $"packets of {64 - BitOperations.PopCount(all)} other DSCPs find no SA, and are dropped", "leave 'dscp' out of one of the SAs: it carries what the others do not");
        }

        return [.. named];
    }

    /// <summary>What goes to the same place goes in the same way (RFC 4301 §4.4.1.2: a policy has one mode and one pair of tunnel ends).</summary>
    private void CheckBeside(List<SaConfig> named, SaConfig sa, Located<string> text)
    {
        if (named.Count == 0)
        {
            return;
        }

        SaSettings first = named[0].Settings, settings = sa.Settings;
        if (first.Mode != settings.Mode)
        {
            found.Error(text.At, $"the SAs {Wording.Quote(named[0].Name)} and {Wording.Quote(sa.Name)} are of different modes", "the SAs of one policy are all tunnels, or all transport: write a policy for each");
        }
        else if (settings.Mode == IpsecMode.Tunnel && (first.Local, first.Remote) != (settings.Local, settings.Remote))
        {
            found.Error(text.At, $"the tunnels {Wording.Quote(named[0].Name)} and {Wording.Quote(sa.Name)} have different ends", "the tunnels of one policy lead to one gateway: write a policy for each");
        }
    }

    /// <summary>Whether 'service' names what shows no ports, <c>opaque</c> or <c>tcp/opaque</c>; what it names otherwise.</summary>
    private bool IsOpaque(Fields fields, string? action, IEnumerable<IpsecMode> modes, out ServiceSet? service)
    {
        const string Opaque = "opaque";
        IReadOnlyList<Node> entries = Values.Each(fields["service"]);
        Located<string>[] without = [.. entries.OfType<ScalarNode>().Select(static e => e.Located).Where(static e => e.Value == Opaque || e.Value.EndsWith("/" + Opaque, StringComparison.Ordinal))];
        if (without.Length == 0)
        {
            service = sets.Service(fields["service"], "'service'");
            return false;
        }

        service = null;
        if (without.Length < entries.Count)
        {
            found.Error(fields.KeyAt("service"), "'service' names packets with their ports and pieces without", "write a policy for each");
        }

        if (action is "bypass" or "drop")
        {
            found.Error(without[0].At, "pieces without ports go with their packet, where they are not protected by an SA of their own (RFC 4301 §7.3)", "leave this policy out, or write protect");
        }

        if (modes.Contains(IpsecMode.Transport))
        {
            found.Error(without[0].At, "transport mode seals no pieces of packets (RFC 4303 §3.3.4)", "name a tunnel");
        }

        fields.Refuse("needs ports, and these pieces show none", "leave it out", "local-port", "remote-port");
        Service[] services = [.. without.Where(static e => e.Value != Opaque).SelectMany(e => ServiceWords.Read(new(e.Value[..^(Opaque.Length + 1)], e.At), found))];
        if (services.FirstOrDefault(static s => s.Ports != PortRange.All) is { Protocol: not 0 } narrow)
        {
            found.Error(without[0].At, $"{Wording.Quote(narrow.ToString())} names ports", "name the protocol alone: tcp/opaque");
        }

        service = without.Any(static e => e.Value == Opaque) ? null : ServiceSet.Of(services);
        return true;
    }

    private PopulatedSelectors Populated(Fields fields)
    {
        Node? node = fields["populate"];
        PopulatedSelectors populated = PopulatedSelectors.None;
        foreach (Node entry in Values.Each(node))
        {
            populated |= Values.Word(entry, "an entry of 'populate'", found, s_populated) ?? PopulatedSelectors.None;
        }

        bool ports = (populated & (PopulatedSelectors.LocalPort | PopulatedSelectors.RemotePort)) != 0;
        if (ports && (populated & PopulatedSelectors.Protocol) == 0)
        {
            found.Error(node!.At, "ports mean nothing without their protocol", "write populate: [ protocol, local-port, remote-port ]");
        }

        return populated;
    }

    /// <summary>A list of remote ports says more of services that are named without.</summary>
    private ServiceSet? WithRemotePorts(Fields fields, ServiceSet? service)
    {
        ImmutableArray<PortRange> ports = ServiceWords.ReadPortList(fields["remote-port"], "'remote-port'", found);
        if (ports.IsEmpty || !HavePorts(fields, "remote-port", service))
        {
            return service;
        }

        if (service!.Services.Any(static s => s.Ports != PortRange.All))
        {
            found.Error(fields.KeyAt("remote-port"), "'service' already names ports of the remote end", "write service: tcp and leave the ports to 'remote-port', or the other way round");
            return service;
        }

        return ServiceSet.Of(service.Services.SelectMany(one => ports.Select(range => one with { Ports = range })));
    }

    private ImmutableArray<PortRange> LocalPorts(Fields fields, ServiceSet? service)
    {
        ImmutableArray<PortRange> ports = ServiceWords.ReadPortList(fields["local-port"], "'local-port'", found);
        return !ports.IsEmpty && HavePorts(fields, "local-port", service) ? PortRange.Merge(ports) : [];
    }

    private bool HavePorts(Fields fields, string key, ServiceSet? service)
    {
        if (!fields.Has("service") || service is null or { IsAny: true })
        {
            found.Error(fields.KeyAt(key), $"'{key}' says nothing of the protocol", "name it beside: service: tcp");
            return false;
        }

        foreach (Service one in service.Services)
        {
            if (!IpProtocol.HasPorts(one.Protocol))
            {
                found.Error(fields.KeyAt(key), $"{ServiceSet.NameOf(one.Protocol)} has no ports", "name only services that have ports, such as tcp and udp");
                return false;
            }
        }

        return true;
    }
}

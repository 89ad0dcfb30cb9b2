using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads <c>ike:</c> in <c>ipsec:</c>: with whom keys are negotiated.</summary>
/// <param name="sets">The sets that peers may name.</param>
/// <param name="ends">Reads ends, and knows which are ours.</param>
/// <param name="folders">Where relative names are looked for.</param>
/// <param name="found">Where findings go.</param>
internal sealed class IkeReader(Sets sets, TunnelEnds ends, Folders folders, Diagnostics found)
{
    private const int MostHalfOpen = 1_000_000;
    private const int MostPeers = 65535;

    private static readonly string[] s_keys = ["peers", "pools", "limits"];
    private static readonly string[] s_limitKeys = ["cookies-above", "half-open", "half-open-per-source"];

    private readonly Dictionary<string, IkePeer?> _peers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Node?> _children = new(StringComparer.Ordinal);
    private readonly Dictionary<string, AddressPool?> _pools = new(StringComparer.Ordinal);
    private readonly HashSet<string> _used = new(StringComparer.Ordinal);

    /// <summary>The section; null if there is none.</summary>
    public IkeConfig? Read(Node? node)
    {
        if (node is null || Fields.Of(node, "'ike'", found, s_keys) is not { } fields)
        {
            return null;
        }

        ends.CheckThereIsOne(fields.At, "no port can hold an address for IKE to speak from");
        List<AddressPool> pools = ReadPools(fields["pools"]);
        List<IkePeer> peers = ReadPeers(fields.Required("peers", "with whom keys are negotiated"));
        return new IkeConfig([.. peers], [.. pools], Limits(fields["limits"]));
    }

    /// <summary>The peer of that name; null after an error, or where it has one itself.</summary>
    public IkePeer? Find(Located<string> name)
    {
        if (!_peers.TryGetValue(name.Value, out IkePeer? peer))
        {
            found.Error(name.At, $"there is no peer {Wording.Quote(name.Value)}", Wording.DidYouMean(name.Value, [.. _peers.Keys]) ?? "describe it under 'peers' in 'ike'");
            return null;
        }

        _used.Add(name.Value);
        return peer;
    }

    /// <summary>What a policy's children are like: as it says, and as its peer says where it is silent.</summary>
    public ChildTemplate? Child(IkePeer peer, Node child) =>
        new ChildReader(found).Read(child.At, child, _children[peer.Name], peer.Local, peer.Remote);

    /// <summary>Peers and pools that nothing names.</summary>
    public void CheckUse(IkeConfig? config)
    {
        if (config is null || found.HasErrors)
        {
            return;
        }

        foreach (IkePeer peer in config.Peers.Where(peer => !_used.Contains(peer.Name)))
        {
            found.Warn(peer.At, $"no policy uses the peer {Wording.Quote(peer.Name)}: nothing is agreed with it", "name it in a policy: ike: " + peer.Name);
        }

        foreach (AddressPool pool in config.Pools.Where(pool => !config.Peers.Any(peer => peer.Pools.Contains(pool))))
        {
            found.Warn(pool.At, $"no peer gets addresses of the pool {Wording.Quote(pool.Name)}", "name it with a peer: pools: " + pool.Name);
        }
    }

    private List<IkePeer> ReadPeers(Node? node)
    {
        List<IkePeer> peers = [];
        if (node is not MapNode map)
        {
            if (node is not null)
            {
                found.Error(node.At, $"'peers' is a mapping of names to peers, not {node.Kind}", "write branch: { remote: 198.51.100.1, psk-file: branch.psk }");
            }

            return peers;
        }

        IkePeerReader reader = new(sets, ends, _pools, folders, found);
        foreach ((ScalarNode key, Node value) in map.Entries.Take(MostPeers))
        {
            Located<string>? name = Values.Name(key, "the name of a peer", 63, found);
            IkePeer? peer = reader.Read(key, value);
            if (name is not null)
            {
                _peers[key.Text] = peer;
                _children[key.Text] = (value as MapNode)?.Find("child");
            }

            if (peer is not null)
            {
                peers.Add(peer);
            }
        }

        if (map.Entries.Count > MostPeers)
        {
            found.Error(node.At, $"there are more than {MostPeers} peers");
        }

        TellApart(peers);
        return peers;
    }

    /// <summary>Who comes is one of them by where it comes from and who it says it is: two that are the same there leave the second for nobody.</summary>
    private void TellApart(List<IkePeer> peers)
    {
        Dictionary<(Address?, Address?, AddressSet?, IkeIdentityPattern), IkePeer> seen = [];
        foreach (IkePeer peer in peers)
        {
            if (!seen.TryAdd((peer.Local, peer.Remote, peer.RemoteRange, peer.RemoteIdentity), peer))
            {
                IkePeer first = seen[(peer.Local, peer.Remote, peer.RemoteRange, peer.RemoteIdentity)];
                found.Error(peer.At, $"the peers {Wording.Quote(first.Name)} and {Wording.Quote(peer.Name)} cannot be told apart: both come from the same place as {peer.RemoteIdentity}", "give each its own 'remote' or 'peer-identity', or make one of the two");
            }
        }
    }

    private List<AddressPool> ReadPools(Node? node)
    {
        List<AddressPool> pools = [];
        if (node is not MapNode map)
        {
            if (node is not null)
            {
                found.Error(node.At, $"'pools' is a mapping of names to addresses, not {node.Kind}", "write guests: 10.9.0.0/24");
            }

            return pools;
        }

        foreach ((ScalarNode key, Node value) in map.Entries)
        {
            Located<string>? name = Values.Name(key, "the name of a pool", 63, found);
            AddressPool? pool = Values.Text(value, $"the pool {Wording.Quote(key.Text)}", found) is { } text && Addresses(text) is { } range ? new AddressPool(key.Text, key.At, range) : null;
            if (name is not null)
            {
                _pools[key.Text] = pool;
            }

            if (pool is null)
            {
                continue;
            }

            if (pools.Find(other => other.Range.First <= pool.Range.Last && pool.Range.First <= other.Range.Last) is { } other)
            {
                found.Error(value.At, $"the pools {Wording.Quote(other.Name)} and {Wording.Quote(pool.Name)} have addresses in common", "each address is given away once");
            }

            pools.Add(pool);
        }

        return pools;
    }

    /// <summary>What can be given away: of a network neither the first address nor, of IPv4, the last.</summary>
    private AddressRange? Addresses(Located<string> text)
    {
        if (!AddressWords.LooksLikeOne(text.Value))
        {
            found.Error(text.At, $"{Wording.Quote(text.Value)} is no pool of addresses", "write 10.9.0.0/24, or 10.9.0.10-10.9.0.250");
            return null;
        }

        if (AddressWords.Read(text, found) is not [var range])
        {
            return null;
        }

        bool network = text.Value.Contains('/', StringComparison.Ordinal) && (range.First.IsIPv4 ? range.First.Next() < range.Last : range.First < range.Last);
        return !network ? range : new(range.First.Next(), range.First.IsIPv4 ? range.Last.Previous() : range.Last);
    }

    private IkeLimits Limits(Node? node)
    {
        IkeLimits usual = new();
        if (node is null || Fields.Of(node, "'limits'", found, s_limitKeys) is not { } fields)
        {
            return usual;
        }

        int? Number(string key, int least) => (int?)Values.Number(fields[key], $"'{key}'", least, MostHalfOpen, found);
        IkeLimits limits = new(Number("cookies-above", 0) ?? usual.CookieThreshold, Number("half-open", 1) ?? usual.HalfOpen, Number("half-open-per-source", 1) ?? usual.HalfOpenPerSource);
        if (limits.HalfOpenPerSource > limits.HalfOpen)
        {
            found.Error(fields.KeyAt("half-open-per-source"), "one source may not have more than all together", $"write {limits.HalfOpen} or less, or raise 'half-open'");
        }

        return limits;
    }
}

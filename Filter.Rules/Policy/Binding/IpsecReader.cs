using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads <c>ipsec:</c>: the policies in order, and the pairs of manual SAs they name.</summary>
internal sealed class IpsecReader(Sets sets, ImmutableArray<PortConfig> ports, KeyReader keys, Diagnostics found)
{
    private static readonly string[] s_keys = ["policies", "sas"];
    private static readonly string[] s_saKeys = ["protocol", "mode", "local", "remote", .. SuiteReader.Keys, "out", "in", .. SaOptionsReader.Keys];

    private readonly Dictionary<string, SaConfig?> _sas = new(StringComparer.Ordinal);
    private readonly Dictionary<uint, string> _inbound = [];
    private readonly Dictionary<(uint Spi, Address? Remote), string> _outbound = [];

    /// <summary>The section; null if there is none.</summary>
    public IpsecConfig? Read(Node? node)
    {
        if (node is null || Fields.Of(node, "'ipsec'", found, s_keys) is not { } fields)
        {
            return null;
        }

        List<SaConfig> sas = ReadSas(fields["sas"]);
        List<IpsecPolicy> policies = [];
        PolicyReader reader = new(sets, _sas, found);
        foreach (Node entry in Values.List(fields.Required("policies"), "'policies'", found))
        {
            if (reader.Read(entry, policies.Count + 1) is { } policy)
            {
                policies.Add(policy);
            }
        }

        if (policies.Count > ushort.MaxValue)
        {
            found.Error(fields.KeyAt("policies"), $"there are more than {ushort.MaxValue} policies");
        }

        foreach (SaConfig sa in sas.Where(s => !found.HasErrors && !reader.Uses(s.Name)))
        {
            found.Warn(sa.At, $"no policy uses the SA {Wording.Quote(sa.Name)}", "name it in a policy: sa: " + sa.Name);
        }

        return new IpsecConfig([.. policies], [.. sas]);
    }

    /// <summary>The pairs alone: of the section's <c>sas</c>, or of who adds some by hand.</summary>
    public List<SaConfig> ReadSas(Node? node)
    {
        List<SaConfig> sas = [];
        if (node is not MapNode map)
        {
            if (node is not null)
            {
                found.Error(node.At, $"'sas' is a mapping of names to SA pairs, not {node.Kind}");
            }

            return sas;
        }

        foreach ((ScalarNode key, Node value) in map.Entries)
        {
            Located<string>? name = Values.Name(key, "the name of an SA", 63, found);
            SaConfig? sa = Fields.Of(value, "an SA", found, s_saKeys) is { } fields ? ReadSa(key, fields, sas.Count + 1) : null;
            if (name is not null)
            {
                _sas[key.Text] = sa;
            }

            if (sa is not null && sas.Count < ushort.MaxValue)
            {
                sas.Add(sa);
            }
        }

        return sas;
    }

    private SaConfig? ReadSa(ScalarNode name, Fields fields, int number)
    {
        IpsecMode? mode = Values.Word(fields.Required("mode", "mode: tunnel, or mode: transport"), "'mode'", found, ("tunnel", IpsecMode.Tunnel), ("transport", IpsecMode.Transport));
        byte protocol = Values.Word(fields["protocol"], "'protocol'", found, ("esp", IpProtocol.Esp), ("ah", IpProtocol.Ah)) ?? IpProtocol.Esp;
        IpsecSuite? suite = new SuiteReader(found).Read(fields, protocol == IpProtocol.Ah);
        Address? local = Endpoint(fields, "local", mode), remote = Endpoint(fields, "remote", mode);
        if (local is { } l && remote is { } r)
        {
            if (l.IsIPv4 != r.IsIPv4)
            {
                found.Error(fields.KeyAt("remote"), $"'local' is {Family(l)} and 'remote' is {Family(r)}", "both ends of an SA are of one family; what it carries may be of both");
            }
            else if (l == r)
            {
                found.Error(fields.KeyAt("remote"), "'local' and 'remote' are the same address");
            }
        }

        if (mode == IpsecMode.Tunnel && local is { } outer)
        {
            CheckTunnelEnd(outer, fields["local"]!.At);
        }

        SaKeys? outbound = keys.Read(fields.Required("out"), "'out'", suite, out SourceMark outSpi);
        SaKeys? inbound = keys.Read(fields.Required("in"), "'in'", suite, out SourceMark inSpi);
        if (inbound is not null && !_inbound.TryAdd(inbound.Spi, name.Text))
        {
            found.Error(inSpi, $"the SA {Wording.Quote(_inbound[inbound.Spi])} already receives with the SPI 0x{inbound.Spi:x}", "each SA receives with an SPI of its own");
        }

        if (outbound is not null && !_outbound.TryAdd((outbound.Spi, remote), name.Text))
        {
            found.Error(outSpi, $"the SA {Wording.Quote(_outbound[(outbound.Spi, remote)])} already sends to this end with the SPI 0x{outbound.Spi:x}", "the other end tells SAs apart by their SPI");
        }

        SaSettings settings = new SaOptionsReader(found).Read(fields, new SaSettings
        {
            Protocol = protocol,
            Mode = mode ?? IpsecMode.Tunnel,
            Local = local,
            Remote = remote,
            Suite = suite ?? IpsecSuite.AesCbc128HmacSha256,
        });
        if (mode is null || suite is null || outbound is null || inbound is null)
        {
            return null;
        }

        return new SaConfig
        {
            Name = name.Text,
            At = name.At,
            Number = (ushort)Math.Min(number, ushort.MaxValue),
            Settings = settings,
            Out = outbound,
            In = inbound,
        };
    }

    private Address? Endpoint(Fields fields, string key, IpsecMode? mode)
    {
        Node? node = mode == IpsecMode.Tunnel ? fields.Required(key, "a tunnel has an outer address at each end") : fields[key];
        if (Values.Text(node, $"'{key}'", found) is not { } text || AddressWords.ReadAddress(text, found) is not { } address)
        {
            return null;
        }

        if (address.IsMulticast || address.IsUnspecified || address.IsLoopback || address.IsLimitedBroadcast)
        {
            found.Error(text.At, $"{address} cannot be an end of an SA", "manual SAs connect two unicast addresses");
        }

        return address;
    }

    /// <summary>A tunnel ends at an address that Filter answers for: one of a TAP.</summary>
    private void CheckTunnelEnd(Address outer, SourceMark at)
    {
        PortConfig[] taps = [.. ports.Where(static p => p.Kind == PortKind.Tap)];
        if (taps.Length == 0)
        {
            if (ports.Length > 0)
            {
                found.Error(at, $"no port can hold the tunnel's own address {outer}", "give the bridge a third port: self: { tap: filter0, side: protected, addresses: [ ... ] }");
            }
        }
        else if (!taps.Any(p => p.Addresses.IsEmpty || p.Addresses.Any(a => a.Address == outer)))
        {
            found.Error(at, $"{outer} is no address of the port {Wording.Quote(taps[0].Name)}", $"its addresses are {Wording.OneOf(taps[0].Addresses.Select(static a => a.Address.ToString()))}");
        }
    }

    private static string Family(Address address) => address.IsIPv4 ? "IPv4" : "IPv6";
}

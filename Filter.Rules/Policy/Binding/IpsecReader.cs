using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads <c>ipsec:</c>: the policies in order, the pairs of manual SAs and the peers they name.</summary>
internal sealed class IpsecReader(Sets sets, ImmutableArray<PortConfig> ports, Folders folders, Diagnostics found)
{
    private static readonly string[] s_keys = ["policies", "ike", "sas"];
    private static readonly string[] s_saKeys = ["protocol", "mode", "local", "remote", .. SuiteReader.Keys, "out", "in", .. SaOptionsReader.Keys];

    private readonly Dictionary<string, SaConfig?> _sas = new(StringComparer.Ordinal);
    private readonly Dictionary<uint, string> _inbound = [];
    private readonly Dictionary<(uint Spi, Address? Remote), string> _outbound = [];
    private readonly TunnelEnds _ends = new(ports, found);
    private readonly KeyReader _keys = new(folders, found);

    /// <summary>The section; null if there is none.</summary>
    public IpsecConfig? Read(Node? node)
    {
        if (node is null || Fields.Of(node, "'ipsec'", found, s_keys) is not { } fields)
        {
            return null;
        }

        List<SaConfig> sas = ReadSas(fields["sas"]);
        IkeReader ike = new(sets, _ends, folders, found);
        IkeConfig? config = ike.Read(fields["ike"]);
        List<IpsecPolicy> policies = fields.Has("ike") ? [IkePassage.Policy(fields.KeyAt("ike"), ports)] : [];
        PolicyReader reader = new(sets, _sas, ike, found);
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

        ike.CheckUse(config);
        return new IpsecConfig([.. policies], [.. sas]) { Ike = config };
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
        Node? End(string key) => mode == IpsecMode.Tunnel ? fields.Required(key, "a tunnel has an outer address at each end") : fields[key];
        Address? local = _ends.Read(End("local"), "local"), remote = _ends.Read(End("remote"), "remote");
        _ends.CheckPair(local, remote, fields.KeyAt("remote"));
        if (mode == IpsecMode.Tunnel && local is { } outer)
        {
            _ends.CheckOwn(outer, fields["local"]!.At);
        }

        SaKeys? outbound = _keys.Read(fields.Required("out"), "'out'", suite, out SourceMark outSpi);
        SaKeys? inbound = _keys.Read(fields.Required("in"), "'in'", suite, out SourceMark inSpi);
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
}

using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads <c>child:</c>: what the SAs are like that IKE brings, of a peer or of one of its policies.</summary>
/// <param name="found">Where findings go.</param>
internal sealed class ChildReader(Diagnostics found)
{
    private const long OrdinaryLife = 3_600_000_000_000;
    private const int Parts = 12;

    private static readonly string[] s_keys = ["protocol", "mode", "suites", "legacy", "pfs", .. SaOptionsReader.Keys.Where(static key => key != "udp")];

    private static readonly ImmutableArray<IpsecSuite> s_esp = Named("aes-gcm-16-256", "aes-gcm-16-128", "chacha20-poly1305", "aes-cbc-256+hmac-sha2-256-128");
    private static readonly ImmutableArray<IpsecSuite> s_ah = [.. IpsecSuite.All.Where(static s => s.IsAh && s.Name is "hmac-sha2-256-128" or "hmac-sha2-512-256")];

    /// <summary>What children are like; null after an error that leaves them without algorithms.</summary>
    /// <param name="at">Where it belongs, if nothing is written.</param>
    /// <param name="own">What is written.</param>
    /// <param name="general">What holds where <paramref name="own"/> says nothing: the peer's.</param>
    /// <param name="local">Our end, as far as it is known.</param>
    /// <param name="remote">The far end.</param>
    public ChildTemplate? Read(SourceMark at, Node? own, Node? general, Address? local, Address? remote)
    {
        if (own is not null && Fields.Of(own, "'child'", found, s_keys) is null)
        {
            return null;
        }

        MapNode all = new(own?.At ?? general?.At ?? at);
        foreach ((ScalarNode key, Node value) in ((own as MapNode)?.Entries ?? []).Concat((general as MapNode)?.Entries ?? []))
        {
            all.TryAdd(key, value);
        }

        return Read(Fields.Over(all, "'child'", found), local, remote);
    }

    private ChildTemplate? Read(Fields fields, Address? local, Address? remote)
    {
        bool legacy = Values.Flag(fields["legacy"], "'legacy'", found);
        IpsecMode mode = Values.Word(fields["mode"], "'mode'", found, ("tunnel", IpsecMode.Tunnel), ("transport", IpsecMode.Transport)) ?? IpsecMode.Tunnel;
        byte protocol = Values.Word(fields["protocol"], "'protocol'", found, ("esp", IpProtocol.Esp), ("ah", IpProtocol.Ah)) ?? IpProtocol.Esp;
        ImmutableArray<IpsecSuite> suites = Suites(fields, protocol == IpProtocol.Ah, legacy);
        ImmutableArray<IkeTransform> groups = fields["pfs"] is ScalarNode { Text: "off" } ? [] : new ProposalWords(found).Groups(fields["pfs"], "'pfs'", legacy);
        if (legacy && !suites.IsEmpty && !suites.Any(static s => s.IsLegacy) && !groups.Any(static g => g.IsLegacy))
        {
            found.Warn(fields.KeyAt("legacy"), "nothing that is named needs 'legacy'", "leave it out");
        }

        if (suites.IsEmpty)
        {
            return null;
        }

        SaSettings settings = new SaOptionsReader(found).Read(fields, new SaSettings { Protocol = protocol, Mode = mode, Local = local, Remote = remote, Suite = suites[0] });
        return new ChildTemplate
        {
            At = fields.At,
            Suites = suites,
            Groups = groups,

            // Without a window nobody knows the upper half of a number (RFC 4303 §2.2.1).
            ExtendedSequence = fields.Has("esn") ? settings.ExtendedSequence : settings.ReplayWindow == 0 ? false : null,
            Settings = WithLifetime(settings),
        };
    }

    private ImmutableArray<IpsecSuite> Suites(Fields fields, bool isAh, bool legacy)
    {
        if (fields["suites"] is not { } node)
        {
            return isAh ? s_ah : s_esp;
        }

        List<IpsecSuite> suites = [];
        IReadOnlyList<Node> entries = Values.Each(node);
        if (entries.Count == 0)
        {
            found.Error(node.At, "'suites' is an empty list", "leave the key out for those that Filter recommends");
        }

        SuiteReader reader = new(found);
        foreach (Node entry in entries)
        {
            if (Values.Text(entry, "an entry of 'suites'", found) is not { } name || reader.Find(name, isAh, manual: false) is not { } suite)
            {
                continue;
            }

            if (suites.Contains(suite))
            {
                found.Error(name.At, $"the suite {Wording.Quote(suite.Name)} is there already");
            }
            else if (!IkeTransforms.TryTransforms(suite, out _, out _))
            {
                found.Error(name.At, $"{Wording.Quote(suite.Name)} cannot be negotiated: IKEv2 has no number for it", "take hmac-sha2-256-128, or manual keys");
            }
            else
            {
                reader.IsRefused(suite, name.At, legacy);
                suites.Add(suite);
            }
        }

        return [.. suites];
    }

    /// <summary>An hour where nothing is said; and where a hard limit stands alone, the soft one is a twelfth before it.</summary>
    private static SaSettings WithLifetime(SaSettings settings)
    {
        (SaLifetime soft, SaLifetime hard) = (settings.Soft, settings.Hard);
        (long softTime, long hardTime) = soft.Nanoseconds == 0 && hard.Nanoseconds == 0 ? Early(0, OrdinaryLife) : Early(soft.Nanoseconds, hard.Nanoseconds);
        (long softBytes, long hardBytes) = Early(soft.Bytes, hard.Bytes);
        (long softPackets, long hardPackets) = Early(soft.Packets, hard.Packets);
        return settings with { Soft = new(softBytes, softPackets, softTime), Hard = new(hardBytes, hardPackets, hardTime) };
    }

    private static (long Soft, long Hard) Early(long soft, long hard) => (soft == 0 ? hard - (hard / Parts) : soft, hard);

    private static ImmutableArray<IpsecSuite> Named(params ReadOnlySpan<string> names)
    {
        var suites = ImmutableArray.CreateBuilder<IpsecSuite>(names.Length);
        foreach (string name in names)
        {
            suites.Add(IpsecSuite.TryFind(name, out IpsecSuite? suite) ? suite : throw new InvalidOperationException(name));
        }

        return suites.MoveToImmutable();
    }
}

using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads one entry of <c>peers:</c> in <c>ike:</c>.</summary>
/// <param name="sets">The sets that <c>remote</c> may name.</param>
/// <param name="ends">Reads ends, and knows which are ours.</param>
/// <param name="pools">The pools by name; null where one has a mistake.</param>
/// <param name="folders">Where relative names are looked for.</param>
/// <param name="found">Where findings go.</param>
internal sealed class IkePeerReader(Sets sets, TunnelEnds ends, IReadOnlyDictionary<string, AddressPool?> pools, Folders folders, Diagnostics found)
{
    private const string Both = "IKE connects";
    private const string Fixed = "who may come is known beforehand: name fixed addresses";
    private const long LongestSilence = 3_600_000_000_000;
    private const long ShortestLife = 60_000_000_000;
    private const long LongestLife = 366L * 24 * 3_600_000_000_000;
    private const int SmallestMessage = 576;
    private const int LargestMessage = 65535;

    private static readonly string[] s_keys =
    [
        "local", "remote", "identity", "peer-identity", .. CredentialReader.Keys, "proposals", "legacy", "start", "rekey", "dpd", "udp",
        "fragment-size", "request", "pools", "child",
    ];

    private readonly CredentialReader _credentials = new(folders, found);
    private readonly ChildReader _children = new(found);

    /// <summary>One peer; null after a mistake that leaves it without what it needs.</summary>
    public IkePeer? Read(ScalarNode name, Node value)
    {
        if (Fields.Of(value, "a peer", found, s_keys) is not { } fields)
        {
            return null;
        }

        Address? local = ends.Read(fields["local"], "local", Both);
        if (local is { } own)
        {
            ends.CheckOwn(own, fields["local"]!.At);
        }

        (Address? remote, AddressSet? range) = Remote(fields);
        if (local is null && remote is { } far)
        {
            ends.CheckFamily(far, fields["remote"]!.At);
        }

        ends.CheckPair(local, remote, fields.KeyAt("remote"));
        (IkeCredential? ours, IkeCredential? theirs, CertificateFacts? certificate) = _credentials.Read(fields);
        IkeIdentity? identity = Identity(fields, local, certificate);
        IkeIdentityPattern? peerIdentity = PeerIdentity(fields, remote, theirs);
        bool legacy = Values.Flag(fields["legacy"], "'legacy'", found);
        ImmutableArray<IkeProposal> proposals = fields["proposals"] is { } written ? new ProposalWords(found).Read(written, legacy) : ProposalWords.Default(name.At);
        if (legacy && !proposals.IsEmpty && !proposals.Any(IsLegacy))
        {
            found.Warn(fields.KeyAt("legacy"), "no proposal needs 'legacy'", "leave it out");
        }

        ChildTemplate? child = _children.Read(name.At, fields["child"], null, local, remote);
        IkeStart start = Start(fields, remote);
        long? rekey = Times.OffOr(fields["rekey"], "'rekey'", ShortestLife, LongestLife, found);
        long? silence = Times.OffOr(fields["dpd"], "'dpd'", 1_000_000_000, LongestSilence, found);
        bool force = Values.Word(fields["udp"], "'udp'", found, ("force", true), ("auto", false)) ?? false;
        long? fragment = Values.Number(fields["fragment-size"], "'fragment-size'", SmallestMessage, LargestMessage, found);
        RequestedAddresses requests = Requests(fields["request"]);
        ImmutableArray<AddressPool> given = Pools(fields["pools"]);
        CheckAddressed(fields, child, requests, given);
        CheckAh(fields, child, force);
        if (ours is null || theirs is null || identity is null || peerIdentity is null || proposals.IsEmpty || child is null)
        {
            ours?.Wipe();
            theirs?.Wipe();
            return null;
        }

        IkePeer usual = new()
        {
            Name = name.Text, At = name.At, LocalIdentity = identity, RemoteIdentity = peerIdentity, LocalCredential = ours, RemoteCredential = theirs,
            Proposals = proposals, Child = child,
        };
        return usual with
        {
            Local = local, Remote = remote, RemoteRange = range, Start = start, Rekey = rekey ?? usual.Rekey, DeadPeerAfter = silence ?? usual.DeadPeerAfter,
            ForceUdp = force, FragmentSize = (int)(fragment ?? usual.FragmentSize), Requests = requests, Pools = given,
        };
    }

    private static bool IsLegacy(IkeProposal proposal) =>
        proposal.Ciphers.Concat(proposal.Integrity).Concat(proposal.Prfs).Concat(proposal.Groups).Any(static t => t.IsLegacy);

    /// <summary>One address to begin with; or whoever comes from some, or from anywhere.</summary>
    private (Address? One, AddressSet? Range) Remote(Fields fields)
    {
        if (fields.Required("remote", "an address; or prefixes, sets or any, of who comes to us") is not { } node)
        {
            return default;
        }

        return node is ScalarNode { Text: var text } && AddressWords.TryAddress(text, out _)
            ? (ends.Read(node, "remote", Both), null)
            : (null, sets.FixedAddresses(node, "'remote'", Fixed));
    }

    private IkeIdentity? Identity(Fields fields, Address? local, CertificateFacts? certificate)
    {
        IkeIdentity? said = Values.Text(fields["identity"], "'identity'", found) is { } text ? IdentityWords.Read(text, found) : null;
        if (said is null && !fields.Has("identity"))
        {
            IkeIdentity? subject = certificate is not null && DistinguishedNames.Text(certificate.Subject) is { Length: > 0 } name
                ? new IkeIdentity(IkeIdentityKind.DistinguishedName, [.. certificate.Subject], name)
                : null;
            said = subject ?? (certificate is { Names: [var first, ..] } ? first : null) ?? (local is { } own ? IdentityWords.Of(own) : null);
            if (said is null)
            {
                found.Error(fields.At, "the peer says not who we are", "write identity: gw.example.com, or the address we speak from: local: 192.0.2.1");
            }

            return said;
        }

        if (said is null || certificate is null || certificate.Carries(said))
        {
            // As the certificate writes it: the peer may compare bytes.
            return said is { Kind: IkeIdentityKind.DistinguishedName } && certificate is not null ? said with { Bytes = [.. certificate.Subject] } : said;
        }

        found.Error(fields["identity"]!.At, $"our certificate is not for {Wording.Quote(said.Text)}: no peer would believe it", $"it is for {certificate.Described()}");
        return said;
    }

    private IkeIdentityPattern? PeerIdentity(Fields fields, Address? remote, IkeCredential? credential)
    {
        if (Values.Text(fields["peer-identity"], "'peer-identity'", found) is not { } text)
        {
            if (!fields.Has("peer-identity") && remote is null)
            {
                found.Error(fields.At, "the peer says not who it has to be", "write peer-identity: branch.example.com, or *.example.com");
            }

            return fields.Has("peer-identity") || remote is not { } far ? null : new IkeIdentityPattern(IdentityWords.Of(far), null);
        }

        IkeIdentityPattern? pattern = IdentityWords.ReadPattern(text, found);
        if (credential is not PskCredential || pattern is null or { Exactly: not null })
        {
            return pattern;
        }

        if (pattern.Suffix is null)
        {
            found.Error(text.At, "with a PSK everybody who knows it could be anybody", "name who it is; any is for certificates");
        }
        else
        {
            found.Warn(text.At, $"several peers share one PSK: each of them can be any other of {pattern}", "write a peer with a PSK of its own for each, or use certificates");
        }

        return pattern;
    }

    private IkeStart Start(Fields fields, Address? remote)
    {
        IkeStart? said = Values.Word(fields["start"], "'start'", found, ("on-demand", IkeStart.OnDemand), ("at-once", IkeStart.AtOnce), ("never", IkeStart.Never));
        if (remote is null && said is IkeStart.OnDemand or IkeStart.AtOnce && fields.Has("remote"))
        {
            found.Error(fields.KeyAt("start"), "the peer has no address to begin with: 'remote' names many", "name one: remote: 198.51.100.1; or leave 'start' out, and it comes to us");
        }

        return said ?? (remote is null ? IkeStart.Never : IkeStart.OnDemand);
    }

    private RequestedAddresses Requests(Node? node)
    {
        RequestedAddresses all = RequestedAddresses.None;
        foreach (Node entry in Values.Each(node))
        {
            all |= Values.Word(entry, "an entry of 'request'", found, ("ipv4", RequestedAddresses.IPv4), ("ipv6", RequestedAddresses.IPv6)) ?? RequestedAddresses.None;
        }

        return all;
    }

    private ImmutableArray<AddressPool> Pools(Node? node)
    {
        List<AddressPool> given = [];
        foreach (Node entry in Values.Each(node))
        {
            if (Values.Text(entry, "an entry of 'pools'", found) is not { } text)
            {
                continue;
            }

            if (!pools.TryGetValue(text.Value, out AddressPool? pool))
            {
                found.Error(text.At, $"there is no pool {Wording.Quote(text.Value)}", Wording.DidYouMean(text.Value, [.. pools.Keys]) ?? "describe it under 'pools' in 'ike'");
            }
            else if (pool is not null && given.Contains(pool))
            {
                found.Error(text.At, $"the peer names the pool {Wording.Quote(text.Value)} twice");
            }
            else if (pool is not null)
            {
                given.Add(pool);
            }
        }

        return [.. given];
    }

    /// <summary>An address inside belongs to a tunnel (RFC 7296 §2.19).</summary>
    private void CheckAddressed(Fields fields, ChildTemplate? child, RequestedAddresses requests, ImmutableArray<AddressPool> given)
    {
        if (child?.Settings.Mode == IpsecMode.Transport)
        {
            fields.Refuse("is about addresses inside a tunnel, and the children are in transport mode", "leave it out, or write mode: tunnel", "request", "pools");
        }

        if (requests != RequestedAddresses.None && !given.IsEmpty)
        {
            found.Error(fields.KeyAt("request"), "the peer both gets addresses from us and gives us some", "leave out 'request' or 'pools'");
        }
    }

    private void CheckAh(Fields fields, ChildTemplate? child, bool force)
    {
        if (force && child?.Suites[0].IsAh == true)
        {
            found.Error(fields.KeyAt("udp"), "AH does not pass what translates addresses: they are under its ICV (RFC 3948 §1)", "write protocol: esp, or leave out 'udp'");
        }
    }
}

using System.Collections.Immutable;

namespace Filter.Rules.Policy;

/// <summary>
/// What of automatic keys a new ruleset leaves as it was, wherever it is written now: what is unchanged may keep its SAs.
/// </summary>
public static class IkeChanges
{
    /// <summary>Whether nothing is different, secrets included: its IKE SA may stay.</summary>
    public static bool IsUnchangedFrom(this IkePeer peer, IkePeer earlier) =>
        peer.IsDescribedAs(earlier) && SameSecret(peer.LocalCredential, earlier.LocalCredential) && SameSecret(peer.RemoteCredential, earlier.RemoteCredential);

    /// <summary>Whether nothing is different, but for secrets: these may be wiped already.</summary>
    public static bool IsDescribedAs(this IkePeer peer, IkePeer earlier) =>
        peer.Proposals.Select(static p => p.Text).SequenceEqual(earlier.Proposals.Select(static p => p.Text))
        && peer.Pools.Select(Described).SequenceEqual(earlier.Pools.Select(Described))
        && peer.Child.IsDescribedAs(earlier.Child)
        && SameFace(peer.LocalCredential, earlier.LocalCredential)
        && SameFace(peer.RemoteCredential, earlier.RemoteCredential)
        && peer with
        {
            At = earlier.At, Proposals = earlier.Proposals, Pools = earlier.Pools, Child = earlier.Child,
            LocalCredential = earlier.LocalCredential, RemoteCredential = earlier.RemoteCredential,
        } == earlier;

    /// <summary>Whether children are like those of an earlier ruleset.</summary>
    public static bool IsDescribedAs(this ChildTemplate child, ChildTemplate earlier) =>
        child.Suites.SequenceEqual(earlier.Suites)
        && child.Groups.SequenceEqual(earlier.Groups)
        && child with { At = earlier.At, Suites = earlier.Suites, Groups = earlier.Groups } == earlier;

    /// <summary>Whether a policy asks for SAs of the same selectors, of the same kind, and of the same peer by name.</summary>
    public static bool IsServedAs(this IpsecPolicy policy, IpsecPolicy earlier) =>
        policy.Peer?.Name == earlier.Peer?.Name
        && (policy.Child is null ? earlier.Child is null : earlier.Child is not null && policy.Child.IsDescribedAs(earlier.Child))
        && Equals(policy.Local, earlier.Local) && Equals(policy.Remote, earlier.Remote)
        && policy.Service?.ToString() == earlier.Service?.ToString()
        && policy.LocalPorts.SequenceEqual(earlier.LocalPorts)
        && (policy.Name, policy.Action, policy.Opaque, policy.Outbound, policy.Inbound, policy.Populate)
            == (earlier.Name, earlier.Action, earlier.Opaque, earlier.Outbound, earlier.Inbound, earlier.Populate);

    private static (string, AddressRange) Described(AddressPool pool) => (pool.Name, pool.Range);

    /// <summary>The same way to prove it, and the same of it that everybody may see.</summary>
    private static bool SameFace(IkeCredential one, IkeCredential other) => (one, other) switch
    {
        (PskCredential, PskCredential) => true,
        (PrivateKeyCredential a, PrivateKeyCredential b) => SameBytes(a.Certificates, b.Certificates),
        (TrustCredential a, TrustCredential b) => SameBytes(a.Anchors, b.Anchors) && SameBytes(a.RevocationLists, b.RevocationLists) && a.RequiresRevocationList == b.RequiresRevocationList,
        (PublicKeyCredential a, PublicKeyCredential b) => a.PublicKey.AsSpan().SequenceEqual(b.PublicKey.AsSpan()),
        _ => false,
    };

    private static bool SameSecret(IkeCredential one, IkeCredential other) => (one, other) switch
    {
        (PskCredential a, PskCredential b) => a.Key.Equals(b.Key),
        (PrivateKeyCredential a, PrivateKeyCredential b) => a.PrivateKey.Equals(b.PrivateKey),
        _ => true,
    };

    private static bool SameBytes(ImmutableArray<ImmutableArray<byte>> some, ImmutableArray<ImmutableArray<byte>> others) =>
        some.Length == others.Length && some.Zip(others).All(static pair => pair.First.AsSpan().SequenceEqual(pair.Second.AsSpan()));
}

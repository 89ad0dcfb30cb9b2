using System.Collections.Immutable;
using System.Text;
using Filter.Engine.Packets;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Tests.Ipsec.Ike;

/// <summary>Configurations for tests: two sites, one peer each, keys that both know.</summary>
internal static class IkeSettings
{
    internal const long Second = 1_000_000_000;

    internal static readonly SourceMark At = new("test.yaml", 1, 1);
    internal static readonly Address East = Address.Parse("192.0.2.1"), West = Address.Parse("198.51.100.1");

    internal static IkeIdentity Name(string text) => new(IkeIdentityKind.DomainName, [.. Encoding.ASCII.GetBytes(text)], text);

    internal static PskCredential Psk(string key) => new() { At = At, Key = new SecretKey(Encoding.UTF8.GetBytes(key)) };

    internal static IkeTransform Algorithm(string name) =>
        IkeTransforms.TryFind(name, out IkeTransform? found) ? found : throw new ArgumentException(name, nameof(name));

    /// <summary>As rulesets write it, one of each, or several groups.</summary>
    internal static IkeProposal Proposal(string text)
    {
        IkeTransform[] all = [.. text.Split('+').Select(Algorithm)];
        ImmutableArray<IkeTransform> Of(IkeTransformType type) => [.. all.Where(t => t.Type == type)];
        return new(At, text, Of(IkeTransformType.Encryption), Of(IkeTransformType.Integrity), Of(IkeTransformType.Prf), Of(IkeTransformType.KeyExchange));
    }

    internal static IpsecSuite Suite(string name) => IpsecSuite.TryFind(name, out IpsecSuite? suite) ? suite : throw new ArgumentException(name, nameof(name));

    internal static ChildTemplate Child(params string[] suites) => new()
    {
        At = At,
        Suites = suites.Length == 0 ? [Suite("aes-gcm-16-256")] : [.. suites.Select(Suite)],
        Settings = new SaSettings { Mode = IpsecMode.Tunnel, Suite = Suite(suites.Length == 0 ? "aes-gcm-16-256" : suites[0]) },
    };

    internal static IkePeer Peer(string name, Address? local, Address? remote, string own, string? other, string key = "a key that both know") => new()
    {
        Name = name,
        At = At,
        Local = local,
        Remote = remote,
        LocalIdentity = Name(own),
        RemoteIdentity = new(other is null ? null : Name(other), null),
        LocalCredential = Psk(key),
        RemoteCredential = Psk(key),
        Proposals = [Proposal("aes-gcm-16-256+prf-hmac-sha2-256+x25519")],
        Child = Child(),
    };

    internal static AddressSet Net(params string[] prefixes) => AddressSet.Of(prefixes.SelectMany(static text =>
        Prefix.TryParse(text, out Prefix prefix, out _) ? AddressSet.RangesOf(prefix) : throw new ArgumentException(text, nameof(prefixes))));

    internal static IpsecPolicy Policy(string name, IkePeer peer, string local, string remote, ushort number = 1) => new()
    {
        Name = name, At = At, Number = number, Action = IpsecAction.Protect, Local = Net(local), Remote = Net(remote), Outbound = true, Inbound = true, Peer = peer,
    };

    internal static IpsecConfig Config(IkePeer peer, params IpsecPolicy[] policies) => Config(new IkeLimits(), [peer], policies);

    internal static IpsecConfig Config(IkeLimits limits, ImmutableArray<IkePeer> peers, params IpsecPolicy[] policies) =>
        new([.. policies], []) { Ike = new IkeConfig(peers, [.. peers.SelectMany(static p => p.Pools).Distinct()], limits) };

    /// <summary>The east's side: 10.1.0.0/16 to the west's 10.2.0.0/16.</summary>
    internal static IpsecConfig EastConfig(Func<IkePeer, IkePeer>? change = null, Func<IpsecPolicy, IpsecPolicy>? policy = null) =>
        Side("west", East, West, "east.example", "west.example", "10.1.0.0/16", "10.2.0.0/16", change, policy);

    /// <summary>The west's side of the same.</summary>
    internal static IpsecConfig WestConfig(Func<IkePeer, IkePeer>? change = null, Func<IpsecPolicy, IpsecPolicy>? policy = null) =>
        Side("east", West, East, "west.example", "east.example", "10.2.0.0/16", "10.1.0.0/16", change, policy);

    private static IpsecConfig Side(
        string name, Address local, Address remote, string own, string other, string here, string there, Func<IkePeer, IkePeer>? change, Func<IpsecPolicy, IpsecPolicy>? policy)
    {
        IkePeer peer = Peer(name, local, remote, own, other);
        peer = change?.Invoke(peer) ?? peer;
        IpsecPolicy made = Policy("office", peer, here, there);
        return Config(peer, policy?.Invoke(made) ?? made);
    }
}

using System.Globalization;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Ipsec.Ike;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>What is told of IKE, in the words of a ruleset. Keys and secrets are no part of it.</summary>
internal static class IkeTelling
{
    private const long Second = 1_000_000_000;

    /// <summary>Most words of where a peer may come from; a set may have a million runs.</summary>
    private const int MostWords = 8;

    /// <summary>A peer.</summary>
    /// <param name="peer">As it is configured.</param>
    /// <param name="report">How it stands.</param>
    /// <param name="policies">The policies of the ruleset.</param>
    /// <param name="now">The engine's clock.</param>
    public static IkePeerReply Of(IkePeer peer, IkePeerReport report, IReadOnlyList<IpsecPolicy> policies, long now) => new()
    {
        Name = peer.Name,
        Place = string.Create(CultureInfo.InvariantCulture, $"{peer.At.File}:{peer.At.Line}"),
        State = report.State switch { IkePeerState.Up => "up", IkePeerState.Connecting => "connecting", _ => "down" },
        Local = peer.Local?.ToString(),
        Remote = peer.Remote?.ToString() ?? (peer.RemoteRange is { } range ? Some(Networks.Of(range)) : "any"),
        Identity = peer.LocalIdentity.Text,
        PeerIdentity = peer.RemoteIdentity.ToString(),
        Proof = Proof(peer.LocalCredential),
        PeerProof = Proof(peer.RemoteCredential),
        Start = peer.Start switch { IkeStart.AtOnce => "at-once", IkeStart.Never => "never", _ => "on-demand" },
        Proposals = [.. peer.Proposals.Select(static p => p.Text)],
        RetryIn = Until(report.RetryAt, now),
        Policies = [.. policies.Where(policy => policy.Peer?.Name == peer.Name).Select(policy => Of(policy, report, now))],
        Sas = [.. report.Sas.Select(sa => Of(sa, now))],
        Failure = Of(report.LastFailure, now),
    };

    /// <summary>What came and went.</summary>
    public static IkeTrafficReply Of(IkeCounters counted)
    {
        (string, long)[] refused =
        [
            ("malformed", counted.Malformed), ("unknown-spi", counted.UnknownSpi), ("bad-icv", counted.BadIcv), ("out-of-window", counted.OutOfWindow),
            ("out-of-place", counted.OutOfPlace), ("stranger", counted.Strangers), ("cookie-asked", counted.Cookies), ("half-open-limit", counted.HalfOpenLimit),
        ];
        return new(counted.Received, counted.Sent, counted.Retransmitted, [.. refused.Where(static one => one.Item2 > 0).Select(static one => new CountReport(one.Item1, one.Item2))]);
    }

    private static IkePolicyReply Of(IpsecPolicy policy, IkePeerReport report, long now)
    {
        IkePolicyReport? own = report.Policies.FirstOrDefault(p => p.Name == policy.Name);
        int children = own?.Children ?? 0;
        return new(policy.Name, children > 0 ? "up" : "down", children, [.. (policy.Child ?? policy.Peer!.Child).Suites.Select(static s => s.Name)], Of(own?.LastFailure, now));
    }

    private static IkeSaReply Of(IkeSaReport sa, long now) => new()
    {
        Spis = string.Create(CultureInfo.InvariantCulture, $"{sa.InitiatorSpi:x16} {sa.ResponderSpi:x16}"),
        Initiator = sa.IsInitiator,
        State = sa.State.ToString().ToLowerInvariant(),
        Local = End(sa.Path.Local, sa.Path.LocalPort),
        Remote = End(sa.Path.Remote, sa.Path.RemotePort),
        PeerIdentity = sa.RemoteIdentity,
        Suite = sa.Suite,
        Age = Math.Max(0, now - sa.Since) / Second,
        RekeyIn = Until(sa.RekeyAt, now),
        Translated = (sa.IsLocalTranslated, sa.IsRemoteTranslated) switch { (true, true) => "both", (true, false) => "we", (false, true) => "peer", _ => null },
        Given = sa.Given.IsDefaultOrEmpty ? null : [.. sa.Given.Select(static address => address.ToString())],
        Children = [.. sa.Children.Select(child => Of(child, now))],
    };

    private static IkeChildReply Of(ChildSa child, long now) => new(
        child.Name, child.Policy.Name, child.State.ToString().ToLowerInvariant(), child.Settings.Suite.IsAh ? "ah" : "esp",
        child.Settings.Mode == IpsecMode.Tunnel ? "tunnel" : "transport", child.Settings.Suite.Name, Spi(child.InboundSpi), Spi(child.OutboundSpi),
        Selectors(child.Local), Selectors(child.Remote), Math.Max(0, now - child.Since) / Second);

    private static IkeFailureReply? Of(IkeFailure? failure, long now) => failure is null ? null : new()
    {
        Kind = failure.Kind switch { IkeFailureKind.NoAnswer => "no-answer", IkeFailureKind.NoProposal => "no-proposal", var other => other.ToString().ToLowerInvariant() },
        Text = failure.Text,
        Age = Math.Max(0, now - failure.At) / Second,
        Ours = failure.Mismatch?.Ours,
        Theirs = failure.Mismatch?.Theirs,
        Differs = failure.Mismatch?.Differs,
        Expected = failure.Expected,
        Found = failure.Found,
        Unproven = failure.IsUnproven,
    };

    private static string Proof(IkeCredential credential) => credential switch
    {
        PskCredential => "PSK",
        PrivateKeyCredential { Certificates.IsEmpty: false } or TrustCredential => "certificate",
        _ => "public key",
    };

    private static string Selectors(IEnumerable<TrafficSelector> selectors) => Some(selectors.Select(static s => s.ToString()));

    private static string Some(IEnumerable<string> words)
    {
        string[] all = [.. words.Take(MostWords + 1)];
        return all.Length > MostWords ? string.Join(", ", all[..MostWords]) + ", …" : string.Join(", ", all);
    }

    private static string End(Engine.Packets.Address address, ushort port) =>
        (address.IsIPv4 ? address.ToString() : $"[{address}]") + ":" + port.ToString(CultureInfo.InvariantCulture);

    private static string Spi(uint spi) => string.Create(CultureInfo.InvariantCulture, $"0x{spi:x8}");

    private static long? Until(long? at, long now) => at is { } when ? Math.Max(0, when - now) / Second : null;
}

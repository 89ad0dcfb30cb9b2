using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike;

/// <summary>IKEv2 (RFC 7296) with all peers of a ruleset. Driven by messages and time, on one thread; no sockets, no timers of its own.</summary>
public sealed class IkeEngine : IDisposable
{
    private IpsecConfig _config;

    /// <summary>Nothing is begun before the first <see cref="Tick"/>.</summary>
    /// <param name="host">The world around it.</param>
    /// <param name="config">Policies and peers.</param>
    /// <param name="random">Where nonces and SPIs come from; null for the machine's.</param>
    public IkeEngine(IIkeHost host, IpsecConfig config, IkeRandom? random = null)
    {
        (Host, _config, Random) = (host, config, random ?? IkeRandom.Secure);
    }

    /// <summary>What came and was of no use.</summary>
    public IkeCounters Counters { get; } = new();

    /// <summary>When <see cref="Tick"/> is to be called next at the latest, in nanoseconds of the caller's clock; the largest number for never.</summary>
    public long NextDue { get; private set; } = long.MaxValue;

    internal IIkeHost Host { get; }

    internal IkeRandom Random { get; }

    /// <summary>A message came.</summary>
    /// <param name="path">Between which ends.</param>
    /// <param name="datagram">Without the non-ESP marker. Not kept.</param>
    /// <param name="now">Nanoseconds of a monotonic clock.</param>
    public void Receive(in IkePath path, ReadOnlySpan<byte> datagram, long now) => Counters.Received++;

    /// <summary>Time passes: what is due is sent, sent again, renewed, or given up.</summary>
    public void Tick(long now) => NextDue = long.MaxValue;

    /// <summary>A packet found no SA. It is no matter how often that is said.</summary>
    /// <param name="policy">The name of the policy that is to protect it.</param>
    /// <param name="packet">What it shows.</param>
    /// <param name="now">The clock.</param>
    public void Acquire(string policy, in SelectorValues packet, long now) => _ = _config.Policies.Length;

    /// <summary>One of a child's SAs reached its soft limit: it is replaced.</summary>
    public void SoftExpired(ChildSa child, long now) => child.IsRekeying = _config.Ike is not null;

    /// <summary>One of a child's SAs reached its hard limit: it is deleted.</summary>
    public void HardExpired(ChildSa child, long now) => child.IsClosing = _config.Ike is not null;

    /// <summary>Brings up a peer with all its policies, or one policy.</summary>
    /// <param name="name">Of a peer or a policy.</param>
    /// <param name="now">The clock.</param>
    public IkeAnswer Up(string name, long now) => Unknown(name);

    /// <summary>Deletes what there is with a peer, or of one policy, and keeps it down until a packet or somebody wants it.</summary>
    public IkeAnswer Down(string name, long now) => Unknown(name);

    /// <summary>Renews the keys of a peer's IKE SAs, or of one policy's children.</summary>
    public IkeAnswer Rekey(string name, long now) => Unknown(name);

    /// <summary>How it stands with each peer, in file order.</summary>
    public IReadOnlyList<IkePeerReport> Report(long now) => _config.Ike is null ? [] : [.. _config.Ike.Peers.Select(static p => new IkePeerReport(p.Name, IkePeerState.Down, [], null, null, []))];

    /// <summary>A new ruleset is in force: peers and policies that are as before keep their SAs, the others are deleted.</summary>
    public void Adopt(IpsecConfig next, long now) => _config = next;

    /// <summary>Lines of Wireshark's `ikev2_decryption_table`, for root who asks for them.</summary>
    public IEnumerable<string> ExportKeys() => _config.Ike is null ? [] : [];

    /// <summary>Says farewell to all peers: each is told once that its IKE SA is deleted, and nothing is begun any more.</summary>
    public void Close(long now) => NextDue = long.MaxValue;

    /// <summary>Wipes all keys.</summary>
    public void Dispose() => NextDue = long.MaxValue;

    private IkeAnswer Unknown(string name) => new(_config.Policies.Any(p => p.Name == name), $"no peer or policy \"{name}\"");
}

using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Ike.Exchanges;
using Filter.Ipsec.Ike.Negotiation;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike;

/// <summary>IKEv2 (RFC 7296) with all peers of a ruleset. Driven by messages and time, on one thread; no sockets, no timers of its own.</summary>
public sealed class IkeEngine : IDisposable
{
    /// <summary>INVALID_MAJOR_VERSION is said so seldom that it is no use to whoever sends under others' addresses.</summary>
    private const long VersionEvery = 1_000_000_000;

    private readonly Dictionary<ulong, IkeSa> _sas = [];
    private readonly Dictionary<string, Peering> _peers = new(StringComparer.Ordinal);
    private readonly Dictionary<Address, List<Peering>> _byRemote = [];
    private readonly List<Peering> _fromAnywhere = [];
    private readonly PriorityQueue<Timed, long> _timers = new();
    private long _versionAt = long.MinValue;
    private bool _asksForCookies;
    private bool _isClosed;

    /// <summary>Nothing is begun before the first <see cref="Tick"/>.</summary>
    /// <param name="host">The world around it.</param>
    /// <param name="config">Policies and peers.</param>
    /// <param name="random">Where nonces and SPIs come from; null for the machine's.</param>
    public IkeEngine(IIkeHost host, IpsecConfig config, IkeRandom? random = null)
    {
        (Host, Random) = (host, random ?? IkeRandom.Secure);
        Cookies = new Cookies(Random);
        Children = new Children(this);
        Take(config, 0);
    }

    /// <summary>What came and was of no use.</summary>
    public IkeCounters Counters { get; } = new();

    /// <summary>When <see cref="Tick"/> is to be called next at the latest, in nanoseconds of the caller's clock; the largest number for never.</summary>
    public long NextDue => Math.Min(_timers.TryPeek(out _, out long first) ? first : long.MaxValue, Children.Due);

    internal IIkeHost Host { get; }

    internal IkeRandom Random { get; }

    internal IkeLimits Limits { get; private set; } = new();

    internal HalfOpen HalfOpen { get; } = new();

    internal Cookies Cookies { get; }

    internal Children Children { get; }

    internal AddressLeases Leases { get; } = new();

    /// <summary>A message came.</summary>
    /// <param name="path">Between which ends.</param>
    /// <param name="datagram">Without the non-ESP marker. Not kept.</param>
    /// <param name="now">Nanoseconds of a monotonic clock.</param>
    public void Receive(in IkePath path, ReadOnlySpan<byte> datagram, long now)
    {
        Counters.Received++;
        if (!IkeHeader.TryRead(datagram, out IkeHeader header, out _))
        {
            Counters.Malformed++;
        }
        else if (header.MajorVersion != IkeHeader.Version)
        {
            RefuseVersion(header, path, now);
        }
        else if (header.Exchange == ExchangeType.IkeSaInit)
        {
            ReceiveInit(header, datagram, path, now);
        }
        else if (_sas.TryGetValue(header.FromInitiator ? header.ResponderSpi : header.InitiatorSpi, out IkeSa? sa))
        {
            sa.Receive(header, datagram, path, now);
        }
        else
        {
            // Whoever asks of an IKE SA that is gone finds out by himself: an answer would prove nothing to him (RFC 7296 §2.4).
            Counters.UnknownSpi++;
        }
    }

    /// <summary>Time passes: what is due is sent, sent again, renewed, or given up.</summary>
    public void Tick(long now)
    {
        Children.Tick(now);
        while (_timers.TryPeek(out Timed? timed, out long at) && at <= now)
        {
            _timers.Dequeue();
            if (at != timed.QueuedAt)
            {
                continue;
            }

            timed.QueuedAt = long.MaxValue;
            if (timed.Due <= now)
            {
                timed.Tick(now);
            }

            Schedule(timed, now);
        }
    }

    /// <summary>A packet found no SA. It is no matter how often that is said.</summary>
    /// <param name="policy">The name of the policy that is to protect it.</param>
    /// <param name="packet">What it shows.</param>
    /// <param name="now">The clock.</param>
    public void Acquire(string policy, in SelectorValues packet, long now)
    {
        if (!_isClosed && Find(policy) is (Peering peering, IpsecPolicy wanted))
        {
            if (peering.Peer.Start != IkeStart.Never)
            {
                peering.Want(new Wish(wanted, packet), now);
            }
        }
    }

    /// <summary>One of a child's SAs reached its soft limit: it is replaced.</summary>
    public void SoftExpired(ChildSa child, long now)
    {
        if (OwnerOf(child) is { } sa)
        {
            sa.Renew(child, now);
        }
    }

    /// <summary>One of a child's SAs reached its hard limit: it is deleted.</summary>
    public void HardExpired(ChildSa child, long now)
    {
        if (OwnerOf(child) is { } sa && !child.IsClosing)
        {
            child.IsClosing = true;
            sa.Request(new DeleteChild(child), now);
        }
    }

    /// <summary>Brings up a peer with all its policies, or one policy.</summary>
    /// <param name="name">Of a peer or a policy.</param>
    /// <param name="now">The clock.</param>
    public IkeAnswer Up(string name, long now) => Order(name, (peering, only) => peering.Up(only, now));

    /// <summary>Deletes what there is with a peer, or of one policy, and keeps it down until a packet or somebody wants it.</summary>
    /// <param name="name">Of a peer or a policy.</param>
    /// <param name="now">The clock.</param>
    public IkeAnswer Down(string name, long now) => Order(name, (peering, only) => peering.Down(only, now));

    /// <summary>Renews the keys of a peer's IKE SAs, or of one policy's children.</summary>
    /// <param name="name">Of a peer or a policy.</param>
    /// <param name="now">The clock.</param>
    public IkeAnswer Rekey(string name, long now) => Order(name, (peering, only) => peering.Rekey(only, now));

    /// <summary>How it stands with each peer, in file order.</summary>
    /// <param name="now">The clock.</param>
    public IReadOnlyList<IkePeerReport> Report(long now) => [.. _peers.Values.OrderBy(static p => p.Number).Select(p => p.Report(now))];

    /// <summary>A new ruleset is in force: peers and policies that are as before keep their SAs, the others are deleted.</summary>
    /// <param name="next">The new one. The secrets of the one before may be wiped afterwards.</param>
    /// <param name="now">The clock.</param>
    public void Adopt(IpsecConfig next, long now) => Take(next, now);

    /// <summary>Lines of Wireshark's `ikev2_decryption_table`, for root who asks for them.</summary>
    public IEnumerable<string> ExportKeys() => _sas.Values.Where(static sa => sa.State != IkeSaState.Closed).Select(static sa => sa.Keys?.ExportForWireshark()).OfType<string>();

    /// <summary>Says farewell to all peers: each is told once that its IKE SA is deleted, and nothing is begun any more.</summary>
    public void Close(long now)
    {
        _isClosed = true;
        foreach (Peering peering in _peers.Values)
        {
            peering.Leave(now);
        }

        Children.Clear();
    }

    /// <summary>Wipes all keys.</summary>
    public void Dispose()
    {
        foreach (IkeSa sa in _sas.Values)
        {
            sa.Wipe();
        }

        foreach (Peering peering in _peers.Values)
        {
            peering.Wipe();
        }

        Cookies.Dispose();
    }

    /// <summary>An SPI that no IKE SA of ours has.</summary>
    internal ulong NewSpi()
    {
        ulong spi;
        do
        {
            spi = Random.Spi();
        }
        while (_sas.ContainsKey(spi));

        return spi;
    }

    internal void Register(IkeSa sa) => _sas[sa.OwnSpi] = sa;

    internal void Forget(IkeSa sa)
    {
        HalfOpen.Remove(sa);
        _sas.Remove(sa.OwnSpi);
    }

    /// <summary>Puts it in the queue of timers, where it is due sooner than it stands there.</summary>
    internal void Schedule(Timed timed)
    {
        long due = timed.Due;
        if (due < timed.QueuedAt)
        {
            timed.QueuedAt = due;
            _timers.Enqueue(timed, due);
        }
    }

    /// <summary>The peers that may come by a path, in file order.</summary>
    internal IEnumerable<Peering> Candidates(IkePath path) =>
        (_byRemote.TryGetValue(path.Remote, out List<Peering>? named) ? named : [])
            .Concat(_fromAnywhere.Where(p => p.Peer.RemoteRange?.Contains(path.Remote) ?? true))
            .Where(p => p.Peer.Local is null || p.Peer.Local == path.Local)
            .OrderBy(static p => p.Number);

    internal void AskForCookies(bool asks, long now)
    {
        if (asks == _asksForCookies)
        {
            return;
        }

        _asksForCookies = asks;
        Tell(asks
            ? new(IkeEventKind.CookiesAsked, "", $"{HalfOpen.Count} IKE SAs are half-open: whoever begins one is asked for a cookie", now)
            : new(IkeEventKind.CookiesNotAsked, "", "few IKE SAs are half-open again: no cookies are asked for", now));
    }

    internal void Tell(IkeEvent told) => Host.Tell(told);

    /// <summary>Nobody answered, however often it was asked.</summary>
    internal void Unanswered(IkeSa sa, long now)
    {
        switch (sa.State)
        {
            case IkeSaState.Up:
                Tell(new(IkeEventKind.PeerDead, sa.With!.Name, $"{sa.Path.Remote} does not answer any more", now));
                sa.Fail(new(IkeFailureKind.NoAnswer, $"{sa.Path.Remote} does not answer any more", now), now);
                break;
            case IkeSaState.Connecting or IkeSaState.Authenticating when sa.Pending is not IkeSaInit { IsDoubted: true }:
                sa.Fail(new(IkeFailureKind.NoAnswer, $"{sa.Path.Remote} does not answer {(sa.State == IkeSaState.Connecting ? "IKE_SA_INIT" : "IKE_AUTH")}", now), now);
                break;
            default:
                sa.End(now);
                break;
        }
    }

    /// <summary>It is gone; what it had goes with it.</summary>
    internal void Ended(IkeSa sa, IkeSaState before, long now)
    {
        Children.RemoveAll(sa, "its IKE SA is gone", now);
        foreach (Address address in sa.Leased)
        {
            Leases.Release(address, sa);
        }

        if (!sa.Given.IsEmpty)
        {
            Tell(new(IkeEventKind.AddressesTaken, sa.With!.Name, $"given back {string.Join(", ", sa.Given)}", now) { Addresses = sa.Given });
        }

        if (before == IkeSaState.Up || (before == IkeSaState.Closing && sa.With?.Sas.Exists(other => other != sa && other.State == IkeSaState.Up) == false))
        {
            Tell(new(IkeEventKind.IkeDown, sa.With!.Name, $"{sa.Path}: the IKE SA is gone", now));
        }

        HalfOpen.Remove(sa);
        sa.With?.Ended(sa, before, now);
    }

    private void Schedule(Timed timed, long now)
    {
        // What is still due has done all that it could: it is looked at again a little later.
        const long pause = 1_000_000;
        long due = Math.Max(timed.Due, now + pause);
        if (timed.Due != long.MaxValue && due < timed.QueuedAt)
        {
            timed.QueuedAt = due;
            _timers.Enqueue(timed, due);
        }
    }

    private void ReceiveInit(in IkeHeader header, ReadOnlySpan<byte> datagram, in IkePath path, long now)
    {
        bool isOpening = !header.IsResponse && header.FromInitiator && header.ResponderSpi == 0;
        bool isAnswer = header.IsResponse && !header.FromInitiator;
        IkeSa? asked = isAnswer && _sas.TryGetValue(header.InitiatorSpi, out IkeSa? known) && known is { IsInitiator: true, State: IkeSaState.Connecting } ? known : null;
        if (header.MessageId != 0 || (!isOpening && asked is null) || _isClosed)
        {
            Counters.OutOfPlace++;
            return;
        }

        if (!IkeCodec.TryRead(datagram, out IkeMessage? message, out IkeFault fault))
        {
            Counters.Malformed++;
            if (isOpening && fault.Kind == IkeFaultKind.UnsupportedCritical)
            {
                IkeSaInit.Say(this, header, path, new NotifyPayload(NotifyType.UnsupportedCriticalPayload, new[] { fault.Payload }));
            }

            return;
        }

        if (asked is null)
        {
            IkeSaInit.Answer(this, message, datagram, path, now);
        }
        else if (asked.Pending is IkeSaInit init)
        {
            init.Finish(asked, message, datagram, path, now);
        }
    }

    /// <summary>Of a version above ours he is told which we speak (RFC 7296 §2.5); below it, nothing.</summary>
    private void RefuseVersion(in IkeHeader header, in IkePath path, long now)
    {
        Counters.Malformed++;
        if (header is { MajorVersion: > IkeHeader.Version, IsResponse: false } && now >= _versionAt)
        {
            _versionAt = now + VersionEvery;
            IkeSaInit.Say(this, header, path, new NotifyPayload(NotifyType.InvalidMajorVersion));
        }
    }

    private IkeAnswer Order(string name, Func<Peering, IpsecPolicy?, IkeAnswer> order) =>
        _peers.TryGetValue(name, out Peering? peering) ? order(peering, null)
        : Find(name) is (Peering with, IpsecPolicy policy) ? order(with, policy)
        : new(false, $"no peer is called {name}, nor a policy that names one");

    private (Peering With, IpsecPolicy Policy)? Find(string policy)
    {
        foreach (Peering peering in _peers.Values)
        {
            foreach (IpsecPolicy one in peering.Policies)
            {
                if (one.Name == policy)
                {
                    return (peering, one);
                }
            }
        }

        return null;
    }

    private IkeSa? OwnerOf(ChildSa child) =>
        _peers.TryGetValue(child.Peer, out Peering? peering) ? peering.Sas.Find(sa => sa.Children.Contains(child)) : null;

    private void Take(IpsecConfig config, long now)
    {
        Limits = config.Ike?.Limits ?? new();
        Dictionary<string, Peering> before = new(_peers, StringComparer.Ordinal);
        _peers.Clear();
        _byRemote.Clear();
        _fromAnywhere.Clear();
        foreach (IkePeer peer in config.Ike?.Peers ?? [])
        {
            ImmutableArray<IpsecPolicy> policies = [.. config.Policies.Where(p => p.Action == IpsecAction.Protect && p.Peer?.Name == peer.Name)];
            if (before.TryGetValue(peer.Name, out Peering? same) && peer.IsUnchangedFrom(same.Peer))
            {
                before.Remove(peer.Name);
                same.Adopt(peer, policies, _peers.Count, now);
            }
            else
            {
                same = new Peering(this, peer, policies, _peers.Count);
            }

            _peers.Add(peer.Name, same);
            if (peer is { RemoteRange: null, Remote: { } remote })
            {
                (_byRemote.TryGetValue(remote, out List<Peering>? there) ? there : _byRemote[remote] = []).Add(same);
            }
            else
            {
                _fromAnywhere.Add(same);
            }

            Schedule(same);
        }

        foreach (Peering gone in before.Values)
        {
            gone.Leave(now);
        }
    }
}

using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Ipsec.Ike.Authentication;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Exchanges;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike;

/// <summary>
/// One IKE SA: its keys, its children, the request that waits for an answer, and the last answer that was given. What a message means is its
/// exchange's.
/// </summary>
internal sealed partial class IkeSa : Timed
{
    private const long HalfOpenLife = 30_000_000_000;
    private const long ClosedLife = 10_000_000_000;
    private const long ReplacedLife = 60_000_000_000;
    private const long ProofEvery = 20_000_000;

    private readonly Queue<Exchange> _waiting = new();
    private readonly List<(long At, Exchange Exchange)> _later = [];
    private FragmentCollector? _asked;
    private FragmentCollector? _answered;
    private Retransmission _request;
    private IReadOnlyList<byte[]> _answer = [];
    private uint _nextOut;
    private uint _nextIn;
    private long _endsAt = long.MaxValue;
    private long _proofAt = long.MaxValue;
    private bool _isTaken;

    internal IkeSa(IkeEngine engine, bool isInitiator, ulong spi, in IkePath path, long now)
    {
        (Engine, IsInitiator, OwnSpi, Path, BeganBy, Since, LastHeard) = (engine, isInitiator, spi, path, path, now, now);
    }

    internal IkeEngine Engine { get; }

    internal IkeRandom Random => Engine.Random;

    internal bool IsInitiator { get; }

    internal ulong OwnSpi { get; }

    internal ulong PeersSpi { get; set; }

    internal ulong InitiatorSpi => IsInitiator ? OwnSpi : PeersSpi;

    internal ulong ResponderSpi => IsInitiator ? PeersSpi : OwnSpi;

    /// <summary>Where messages go now.</summary>
    internal IkePath Path { get; set; }

    /// <summary>Where the first message came from, or went to.</summary>
    internal IkePath BeganBy { get; }

    internal long Since { get; }

    internal long LastHeard { get; private set; }

    /// <summary>With whom; null while an answerer does not know.</summary>
    internal Peering? With { get; set; }

    internal IkeSaState State { get; set; }

    /// <summary>Since when both know who the other is; the largest number until then.</summary>
    internal long UpSince { get; private set; } = long.MaxValue;

    /// <summary>
    /// Made by the peer while we were renewing the same IKE SA: which of the two stays shows when ours is answered, or when the peer asks
    /// something by this one, which it does only where this one stays. Null where nothing is open.
    /// </summary>
    internal IkeSa? Instead { get; set; }

    /// <summary>What the first messages said, until both have proved who they are.</summary>
    internal Beginning? Beginning { get; set; }

    internal IkeSuite? Suite { get; set; }

    internal IkeKeys? Keys { get; set; }

    internal IkeIdentity? RemoteIdentity { get; set; }

    internal ImmutableArray<SignatureHash> PeersHashes { get; set; } = [];

    /// <summary>What the peer asks us to show.</summary>
    internal ImmutableArray<CertificateRequestPayload> CertificateRequests { get; set; } = [];

    internal bool TakesFragments { get; set; }

    internal bool IsLocalTranslated { get; set; }

    internal bool IsRemoteTranslated { get; set; }

    /// <summary>ESP of its children goes in UDP.</summary>
    internal bool IsEncapsulated => IsLocalTranslated || IsRemoteTranslated || With?.Peer.ForceUdp == true;

    /// <summary>Addresses that the peer gave us.</summary>
    internal ImmutableArray<Address> Given { get; set; } = [];

    /// <summary>Addresses that we gave the peer, from pools.</summary>
    internal ImmutableArray<Address> Leased { get; set; } = [];

    internal List<ChildSa> Children { get; } = [];

    /// <summary>SPIs that the peer has deleted while we wait to hear of a child: it may be that very child, and its deletion came first.</summary>
    internal HashSet<uint> DeletedEarly { get; } = [];

    /// <summary>When its keys are renewed.</summary>
    internal long RekeyAt { get; set; } = long.MaxValue;

    /// <summary>The request that waits for its answer.</summary>
    internal Exchange? Pending { get; private set; }

    /// <summary>All that is to be asked yet.</summary>
    internal IEnumerable<Exchange> Awaited => (Pending is null ? [] : new[] { Pending }).Concat(_waiting).Concat(_later.Select(static l => l.Exchange));

    /// <summary>Run once the answer is on its way.</summary>
    internal Action<long>? AfterAnswer { get; set; }

    /// <inheritdoc/>
    internal override long Due
    {
        get
        {
            long due = Math.Min(_endsAt, Pending is null ? long.MaxValue : _request.Due);
            if (State != IkeSaState.Up && State != IkeSaState.Replaced)
            {
                return due;
            }

            foreach ((long at, _) in _later)
            {
                due = Math.Min(due, at);
            }

            due = Math.Min(due, _proofAt);
            return State == IkeSaState.Replaced ? due : Math.Min(Math.Min(due, RekeyAt), AskAt);
        }
    }

    private long AskAt => With is { Peer.DeadPeerAfter: > 0 and long after } && Pending is null ? LastHeard + after : long.MaxValue;

    /// <summary>Both have proved who they are, or an IKE SA took another's place.</summary>
    internal void Rise(long now)
    {
        (State, _endsAt, LastHeard, UpSince) = (IkeSaState.Up, long.MaxValue, now, now);
        Beginning?.Dispose();
        (Beginning, CertificateRequests) = (null, []);
        long rekey = With!.Peer.Rekey;
        RekeyAt = rekey == 0 ? long.MaxValue : now + Random.Less(rekey, 10);
    }

    /// <summary>We are deleting it.</summary>
    internal void Closing() => State = IkeSaState.Closing;

    /// <summary>It came to be by a collision, and lost: the peer deletes it, or else we do (RFC 7296 §2.8.2).</summary>
    internal void Redundant(long now) => (State, _endsAt) = (IkeSaState.Replaced, now + ReplacedLife);

    /// <summary>The one that is to take its place, up from the start: both ends are known.</summary>
    internal IkeSa Next(bool isInitiator, ulong spi, ulong peersSpi, IkeSuite suite, IkeKeys keys, long now)
    {
        IkeSa next = new(Engine, isInitiator, spi, Path, now)
        {
            PeersSpi = peersSpi, Suite = suite, Keys = keys, With = With, RemoteIdentity = RemoteIdentity, PeersHashes = PeersHashes, TakesFragments = TakesFragments,
            IsLocalTranslated = IsLocalTranslated, IsRemoteTranslated = IsRemoteTranslated,
        };
        Engine.Register(next);
        With!.Sas.Add(next);
        next.Rise(now);
        Engine.Schedule(next);
        return next;
    }

    /// <summary>Another takes its place: children, addresses, and what is to be asked yet.</summary>
    internal void TakenOverBy(IkeSa next, long now)
    {
        if (_isTaken)
        {
            return;
        }

        _isTaken = true;
        if (State == IkeSaState.Up)
        {
            Redundant(now);
        }

        next.Instead = null;
        next.Children.AddRange(Children);
        Children.Clear();
        (next.Given, Given) = (Given, []);
        (next.Leased, Leased) = (Leased, []);
        foreach (Address address in next.Leased)
        {
            Engine.Leases.Move(address, next);
        }

        while (_waiting.TryDequeue(out Exchange? exchange))
        {
            next._waiting.Enqueue(exchange);
        }

        next._later.AddRange(_later);
        _later.Clear();
        Engine.Tell(new(IkeEventKind.IkeRekeyed, With!.Name, $"the IKE SA is renewed: {next.InitiatorSpi:x16}/{next.ResponderSpi:x16} {next.Suite}", now));
        next.Pump(now);
    }

    /// <inheritdoc/>
    internal override void Tick(long now)
    {
        if (now >= _endsAt)
        {
            End(now);
            return;
        }

        if (now >= _proofAt)
        {
            _proofAt = long.MaxValue;
            foreach (ChildSa child in Children.Where(c => c.State == ChildState.Receiving && Engine.Host.Opened(c) > 0).ToArray())
            {
                Engine.Children.Switch(this, child, now);
            }
        }

        foreach ((long at, Exchange exchange) in _later.ToArray())
        {
            if (now >= at)
            {
                _later.Remove((at, exchange));
                _waiting.Enqueue(exchange);
            }
        }

        if (Pending is not null && now >= _request.Due && !SendAgain(now))
        {
            return;
        }

        if (State == IkeSaState.Up && now >= RekeyAt)
        {
            RekeyAt = long.MaxValue;
            _waiting.Enqueue(new RekeyIkeSa());
        }

        if (State == IkeSaState.Up && now >= AskAt && _waiting.Count == 0 && !HearsOfChildren(now))
        {
            _waiting.Enqueue(new DeadPeer());
        }

        Pump(now);
    }

    /// <summary>It came to nothing.</summary>
    internal void Fail(IkeFailure failure, long now)
    {
        With?.Fail(failure, isSoft: !IsInitiator && State == IkeSaState.Authenticating);
        End(now);
    }

    /// <summary>Renews a child, unless somebody does already.</summary>
    internal bool Renew(ChildSa child, long now)
    {
        if (child.IsRekeying || child.IsClosing || child.State != ChildState.Up || child.Successor is { State: not ChildState.Gone })
        {
            return false;
        }

        child.IsRekeying = true;
        Request(new RekeyChild(child), now);
        return true;
    }

    /// <summary>It is gone: nobody is asked, children and keys go.</summary>
    /// <param name="now">The clock.</param>
    /// <param name="lingering">The peer may ask once more for the answer to what ended it.</param>
    internal void End(long now, bool lingering = false)
    {
        bool first = State != IkeSaState.Closed;
        IkeSaState before = State;
        _endsAt = lingering && first ? now + ClosedLife : long.MaxValue;
        if (first)
        {
            // What waits for an answer may know who takes over the rest.
            Exchange? pending = Pending;
            (Pending, State) = (null, IkeSaState.Closed);
            pending?.Abandon(this, now);
            Exchange[] left = [.. Awaited];
            _waiting.Clear();
            _later.Clear();
            foreach (Exchange exchange in left)
            {
                exchange.Abandon(this, now);
            }

            Engine.Ended(this, before, now);
        }

        if (!lingering || !first)
        {
            Engine.Forget(this);
            Wipe();
        }
        else
        {
            Engine.Schedule(this);
        }
    }

    internal void Wipe()
    {
        Keys?.Dispose();
        Beginning?.Dispose();
        _asked?.Clear();
        _answered?.Clear();
    }

    /// <summary>What children have opened shows that the peer lives, as messages do.</summary>
    private bool HearsOfChildren(long now)
    {
        bool heard = false;
        foreach (ChildSa child in Children)
        {
            long opened = Engine.Host.Opened(child);
            heard |= opened != child.SeenOpened;
            child.SeenOpened = opened;
        }

        LastHeard = heard ? now : LastHeard;
        return heard;
    }
}

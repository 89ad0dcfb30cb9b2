using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Ipsec.Ike.Authentication;
using Filter.Ipsec.Ike.Exchanges;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike;

/// <summary>One peer of the ruleset: its IKE SAs, the children that are wanted of it, and when what failed is tried again.</summary>
internal sealed partial class Peering : Timed
{
    private const long Shortest = 1_000_000_000;
    private const long Longest = 300_000_000_000;

    /// <summary>After the peer has come to us, it is his to bring the children: two at once would be two of each.</summary>
    private const long Courtesy = 2_000_000_000;

    /// <summary>What strangers say in our peer's name is told no oftener.</summary>
    private const long QuietFor = 1_000_000_000;

    private readonly IkeEngine _engine;
    private readonly Queue<Wish> _wishes = new();
    private readonly Dictionary<string, (long At, long Wait)> _policyRetries = [];
    private readonly Dictionary<string, IkeFailure> _policyFailures = [];
    private Signer? _signer;
    private string? _whyNoSigner;
    private PeerVerifier? _verifier;
    private long _wait = Shortest;
    private long _retryAt;
    private long _quietUntil = long.MinValue;
    private long _serveFrom;
    private bool _isHeld;

    internal Peering(IkeEngine engine, IkePeer peer, ImmutableArray<IpsecPolicy> policies, int number) =>
        (_engine, Peer, Policies, Number) = (engine, peer, policies, number);

    internal IkePeer Peer { get; private set; }

    internal string Name => Peer.Name;

    /// <summary>Protecting policies that name it, in file order.</summary>
    internal ImmutableArray<IpsecPolicy> Policies { get; private set; }

    /// <summary>Its place in the file.</summary>
    internal int Number { get; private set; }

    internal List<IkeSa> Sas { get; } = [];

    internal IkeFailure? LastFailure { get; private set; }

    /// <summary>What proves who we are; null where the credential does not do.</summary>
    internal Signer? Signer => _signer is not null || Signer.TryCreate(Peer.LocalCredential, out _signer, out _whyNoSigner) ? _signer : null;

    internal string? WhyNoSigner => _whyNoSigner;

    internal PeerVerifier Verifier => _verifier ??= new(Peer);

    private IkeSa? UpSa => Sas.FindLast(static sa => sa.State == IkeSaState.Up);

    private bool IsTrying => Sas.Exists(static sa => sa.IsInitiator && sa.State is IkeSaState.Connecting or IkeSaState.Authenticating);

    private bool IsAtOnce => Peer.Start == IkeStart.AtOnce && !_isHeld;

    /// <inheritdoc/>
    internal override long Due
    {
        get
        {
            bool isUp = UpSa is not null;
            return !isUp && (IsTrying || Peer.Remote is null) ? long.MaxValue : NextWanted(isUp ? _serveFrom : _retryAt);
        }
    }

    internal ChildTemplate TemplateOf(IpsecPolicy policy) => policy.Child ?? Peer.Child;

    /// <inheritdoc/>
    internal override void Tick(long now)
    {
        if (IsAtOnce)
        {
            foreach (IpsecPolicy policy in Policies.Where(p => p.Populate == PopulatedSelectors.None && !Has(p) && now >= RetryOf(p)))
            {
                Enqueue(new Wish(policy, null));
            }
        }

        if (UpSa is { } sa)
        {
            if (now >= _serveFrom)
            {
                Serve(sa, now);
            }
        }
        else if (_wishes.Count > 0 && !IsTrying && now >= _retryAt)
        {
            Connect(now);
        }
    }

    /// <summary>A child is wanted; what is there already, or being asked for, is not asked for twice.</summary>
    internal void Want(Wish wish, long now)
    {
        if (wish.Packet is not null && (now < RetryOf(wish.Policy) || (UpSa is null && now < _retryAt)))
        {
            return;
        }

        Enqueue(wish);
        Tick(now);
        _engine.Schedule(this);
    }

    /// <summary>The next child that is wanted; null for none.</summary>
    internal Wish? NextWish()
    {
        while (_wishes.TryDequeue(out Wish? wish))
        {
            if (IsWanted(wish))
            {
                return wish;
            }
        }

        return null;
    }

    /// <summary>Whether its policy is in force, and no child does it by now.</summary>
    internal bool IsWanted(Wish wish) => Policies.Contains(wish.Policy) && !Sas.Exists(sa => sa.Children.Exists(child => Serves(child, wish)));

    /// <summary>The IKE SA that was to serve it is gone.</summary>
    internal void GiveBack(Wish wish)
    {
        if (IsAtOnce)
        {
            Enqueue(wish);
        }
    }

    /// <summary>Asks for all that is wanted.</summary>
    internal void Serve(IkeSa sa, long now)
    {
        while (sa.State == IkeSaState.Up && NextWish() is { } wish)
        {
            sa.Request(new CreateChild(wish), now);
        }

        _engine.Schedule(this);
    }

    /// <summary>An IKE SA is up.</summary>
    internal void Rose(IkeSa sa, long now)
    {
        if (!Sas.Contains(sa))
        {
            Sas.Add(sa);
        }

        (LastFailure, _wait, _retryAt, _isHeld) = (null, Shortest, now, false);
        _serveFrom = sa.IsInitiator ? now : now + Courtesy;
        _engine.Tell(new(IkeEventKind.IkeUp, Name, $"{sa.Path}: {sa.RemoteIdentity} is up, {sa.Suite}", now));

        // What we were about to begin has come by itself.
        foreach (IkeSa trying in Sas.Where(other => other != sa && other.State == IkeSaState.Connecting).ToArray())
        {
            trying.End(now);
        }

        _engine.Schedule(this);
    }

    /// <summary>A child carries: what was wrong with its policy is not any more.</summary>
    internal void Carries(ChildSa child)
    {
        _policyFailures.Remove(child.Policy.Name);
        _policyRetries.Remove(child.Policy.Name);
    }

    /// <summary>A child is gone: where it is to be up always, it is asked for anew.</summary>
    internal void Lost(ChildSa child, long now)
    {
        if (IsAtOnce && Policies.Contains(child.Policy) && !Has(child.Policy))
        {
            Backoff(child.Policy, now);
            _engine.Schedule(this);
        }
    }

    /// <summary>Whether another IKE SA with the same peer is up.</summary>
    internal bool HasOther(IkeSa sa) => Sas.Exists(other => other != sa && other.State == IkeSaState.Up);

    /// <summary>
    /// The peer knows of no other IKE SA: what else there is with the same identity is from before it started (RFC 7296 §2.4). One that came up
    /// since this one began is not meant: both began at once, and the peer did not know of it yet.
    /// </summary>
    internal void InitialContact(IkeSa sa, long now)
    {
        foreach (IkeSa other in Sas.Where(other => other != sa && other.UpSince < sa.Since
            && other.RemoteIdentity is { } who && IdentityMatch.AreSame(who, sa.RemoteIdentity!)).ToArray())
        {
            other.End(now);
        }
    }

    /// <summary>Something failed: it is kept for who asks why, and told.</summary>
    /// <param name="failure">What.</param>
    /// <param name="isSoft">The peer tried it, or nobody has proved it: nothing of ours waits because of it.</param>
    internal void Fail(IkeFailure failure, bool isSoft)
    {
        long now = failure.At;
        if (failure.Policy is { } policy)
        {
            _policyFailures[policy] = failure;
            if (!isSoft && Policies.FirstOrDefault(p => p.Name == policy) is { } ours)
            {
                Backoff(ours, now);
            }
        }
        else if (!failure.IsUnproven || UpSa is null)
        {
            LastFailure = failure;
        }

        if (isSoft && now < _quietUntil)
        {
            return;
        }

        _quietUntil = isSoft ? now + QuietFor : _quietUntil;
        _engine.Tell(new(IkeEventKind.Failed, Name, failure.Text, now) { Failure = failure });
        _engine.Schedule(this);
    }

    /// <summary>An IKE SA is gone.</summary>
    /// <param name="sa">Which.</param>
    /// <param name="before">How far it had come.</param>
    /// <param name="now">The clock.</param>
    internal void Ended(IkeSa sa, IkeSaState before, long now)
    {
        Sas.Remove(sa);
        if (before is IkeSaState.Connecting or IkeSaState.Authenticating && sa.IsInitiator)
        {
            _retryAt = now + _engine.Random.Less(_wait, 20);
            _wait = Math.Min(_wait * 2, Longest);
            if (!IsAtOnce)
            {
                _wishes.Clear();
            }
        }
        else if (UpSa is null)
        {
            _retryAt = now + _engine.Random.Less(Shortest, 90);
        }

        _engine.Schedule(this);
    }

    internal void Wipe()
    {
        foreach (IkeSa sa in Sas)
        {
            sa.Wipe();
        }

        _signer?.Dispose();
    }

    private bool Has(IpsecPolicy policy) =>
        Sas.Exists(sa => sa.Children.Exists(c => c.Policy == policy && !c.IsClosing)) || _wishes.Any(w => w.Policy == policy) || IsAskedFor(w => w.Policy == policy);

    /// <summary>Whether an exchange that is under way, or waits for its turn, is for such a wish.</summary>
    private bool IsAskedFor(Func<Wish, bool> such) => Sas.Exists(sa => sa.Awaited.Any(e => e switch
    {
        CreateChild create => such(create.Wish),
        IkeAuth { Offer.Wish: { } first } => such(first),
        _ => false,
    }));

    private void Enqueue(Wish wish)
    {
        const int most = 1024;
        if (_wishes.Count < most && IsWanted(wish) && !_wishes.Any(other => IsSame(other, wish)) && !IsAskedFor(other => IsSame(other, wish)))
        {
            _wishes.Enqueue(wish);
        }
    }

    /// <summary>Whether the one's child would do for the other.</summary>
    private static bool IsSame(Wish one, Wish other) => one.Policy == other.Policy
        && (one.Policy.Populate == PopulatedSelectors.None || (one.Packet is { } a && other.Packet is { } b && a.Only(one.Policy.Populate) == b.Only(one.Policy.Populate)));

    private static bool Serves(ChildSa child, Wish wish) => child.Policy == wish.Policy && !child.IsClosing
        && (child.Selectors is null || wish.Packet is not { } packet || child.Selectors.Contain(packet));

    private long RetryOf(IpsecPolicy policy) => _policyRetries.TryGetValue(policy.Name, out (long At, long Wait) retry) ? retry.At : 0;

    private void Backoff(IpsecPolicy policy, long now)
    {
        long wait = _policyRetries.TryGetValue(policy.Name, out (long At, long Wait) before) ? Math.Min(before.Wait * 2, Longest) : Shortest;
        _policyRetries[policy.Name] = (now + _engine.Random.Less(wait, 20), wait);
    }

    /// <summary>When something is to be asked for; not before <paramref name="from"/>.</summary>
    private long NextWanted(long from)
    {
        long due = _wishes.Count > 0 ? from : long.MaxValue;
        foreach (IpsecPolicy policy in IsAtOnce ? Policies : [])
        {
            if (policy.Populate == PopulatedSelectors.None && !Has(policy))
            {
                due = Math.Min(due, Math.Max(RetryOf(policy), from));
            }
        }

        return due;
    }

    private void Connect(long now)
    {
        Address? local = Peer.Local ?? _engine.Host.LocalFor(Peer.Remote ?? default);
        if (Peer.Remote is not { } remote || local is not { } from)
        {
            _retryAt = now + _wait;
            _wait = Math.Min(_wait * 2, Longest);
            Fail(new(IkeFailureKind.Here, Peer.Remote is null ? "it has no address to begin with: it comes to us" : $"no address of ours leads to {Peer.Remote}", now), isSoft: false);
            return;
        }

        IkeSa sa = new(_engine, isInitiator: true, _engine.NewSpi(), new IkePath(from, IkePath.Port, remote, IkePath.Port), now) { With = this };
        Sas.Add(sa);
        _engine.Register(sa);
        IkeSaInit.Begin(sa, now);
    }
}

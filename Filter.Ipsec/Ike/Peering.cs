using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Ike.Authentication;
using Filter.Ipsec.Ike.Exchanges;
using Filter.Ipsec.Ike.Negotiation;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike;

/// <summary>A child that is wanted.</summary>
/// <param name="policy">Of this policy.</param>
/// <param name="packet">For this packet; null where a person or the ruleset wants it.</param>
internal sealed class Wish(IpsecPolicy policy, SelectorValues? packet)
{
    internal IpsecPolicy Policy => policy;

    internal SelectorValues? Packet => packet;

    /// <summary>The group that the peer asked for; 0 for none.</summary>
    internal ushort Group { get; set; }

    /// <summary>How often it asked.</summary>
    internal int Groups { get; set; }
}

/// <summary>One peer of the ruleset: its IKE SAs, the children that are wanted of it, and when what failed is tried again.</summary>
internal sealed class Peering : Timed
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
            if (UpSa is not null)
            {
                return _wishes.Count > 0 || IsAtOnce ? NextWanted() : long.MaxValue;
            }

            return (_wishes.Count > 0 || (IsAtOnce && Policies.Length > 0)) && !IsTrying && Peer.Remote is not null ? _retryAt : long.MaxValue;
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

    /// <summary>The peer knows of no other IKE SA: what else there is with the same identity is from before it started (RFC 7296 §2.4).</summary>
    internal void InitialContact(IkeSa sa, long now)
    {
        foreach (IkeSa other in Sas.Where(other => other != sa && other.State is not (IkeSaState.Connecting or IkeSaState.Authenticating)
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

    /// <summary>A person wants it up: all of it, or one policy.</summary>
    internal IkeAnswer Up(IpsecPolicy? only, long now)
    {
        if (Peer.Remote is null && UpSa is null)
        {
            return new(false, $"peer {Name} has no address to begin with: it comes to us");
        }

        IpsecPolicy[] wanted = [.. Policies.Where(p => only is null || p == only)];
        IpsecPolicy[] able = [.. wanted.Where(static p => p.Populate == PopulatedSelectors.None)];
        if (able.Length == 0)
        {
            return new(false, wanted.Length == 0 ? $"no policy names peer {Name}" : "each child is made for a packet, when one comes");
        }

        (_isHeld, _retryAt, _wait, _serveFrom) = (false, now, Shortest, now);
        int there = able.Count(Has);
        foreach (IpsecPolicy policy in able)
        {
            _policyRetries.Remove(policy.Name);
            Enqueue(new Wish(policy, null));
        }

        Tick(now);
        _engine.Schedule(this);
        return new(true, there == able.Length ? "up already" : $"begun: {string.Join(", ", able.Where(p => !Has(p)).Select(static p => p.Name))}");
    }

    /// <summary>A person wants it down: all of it, or one policy.</summary>
    internal IkeAnswer Down(IpsecPolicy? only, long now)
    {
        _wishes.Clear();
        int gone = 0;
        foreach (IkeSa sa in Sas.ToArray())
        {
            if (only is null)
            {
                gone++;
                _isHeld = true;
                Close(sa, now);
                continue;
            }

            foreach (ChildSa child in sa.Children.Where(c => c.Policy == only && !c.IsClosing).ToArray())
            {
                gone++;
                child.IsClosing = true;
                _policyRetries[only.Name] = (long.MaxValue, Longest);
                sa.Request(new DeleteChild(child), now);
            }
        }

        _isHeld |= only is null;
        return new(true, gone == 0 ? "down already" : only is null ? $"{gone} IKE SAs are deleted" : $"{gone} children are deleted");
    }

    /// <summary>A person wants fresh keys.</summary>
    internal IkeAnswer Rekey(IpsecPolicy? only, long now)
    {
        int begun = 0;
        foreach (IkeSa sa in Sas.Where(static s => s.State == IkeSaState.Up).ToArray())
        {
            if (only is null)
            {
                begun++;
                sa.Request(new RekeyIkeSa(), now);
                continue;
            }

            foreach (ChildSa child in sa.Children.Where(c => c.Policy == only && c.State == ChildState.Up).ToArray())
            {
                begun += sa.Renew(child, now) ? 1 : 0;
            }
        }

        return new(begun > 0, begun == 0 ? "there is nothing to renew" : $"{begun} begun");
    }

    /// <summary>A new ruleset says the same of it: its policies may differ, and children of those that do go.</summary>
    internal void Adopt(IkePeer peer, ImmutableArray<IpsecPolicy> policies, int number, long now)
    {
        ImmutableArray<IpsecPolicy> before = Policies;
        _signer?.Dispose();
        (Peer, Policies, Number, _signer, _verifier) = (peer, policies, number, null, null);
        Wish[] wishes = [.. _wishes];
        _wishes.Clear();
        foreach (Wish wish in wishes)
        {
            if (Same(wish.Policy) is { } policy)
            {
                _wishes.Enqueue(new Wish(policy, wish.Packet));
            }
        }

        foreach (IkeSa sa in Sas.ToArray())
        {
            foreach (ChildSa child in sa.Children.ToArray())
            {
                if (Same(child.Policy) is { } policy)
                {
                    child.Policy = policy;
                }
                else if (!child.IsClosing)
                {
                    child.IsClosing = true;
                    sa.Request(new DeleteChild(child), now);
                }
            }
        }

        foreach (string gone in _policyFailures.Keys.Where(name => !policies.Any(p => p.Name == name)).ToArray())
        {
            _policyFailures.Remove(gone);
            _policyRetries.Remove(gone);
        }

        Tick(now);
        _engine.Schedule(this);

        IpsecPolicy? Same(IpsecPolicy old) => before.Contains(old) ? policies.FirstOrDefault(p => p.IsServedAs(old)) : null;
    }

    /// <summary>It is in the ruleset no more, or is another one by now.</summary>
    internal void Leave(long now)
    {
        Policies = [];
        _isHeld = true;
        _wishes.Clear();
        foreach (IkeSa sa in Sas.ToArray())
        {
            Close(sa, now);
        }
    }

    /// <summary>Deletes an IKE SA, or gives up one that is not up.</summary>
    internal static void Close(IkeSa sa, long now)
    {
        if (sa.State is IkeSaState.Connecting or IkeSaState.Authenticating)
        {
            sa.End(now);
        }
        else if (sa.State is IkeSaState.Up)
        {
            sa.Closing();
            sa.Engine.Children.RemoveAll(sa, "the IKE SA is deleted", now);
            sa.Request(new DeleteIke(), now);
        }
    }

    internal void Wipe()
    {
        foreach (IkeSa sa in Sas)
        {
            sa.Wipe();
        }

        _signer?.Dispose();
    }

    internal IkePeerReport Report(long now) => new(
        Name,
        UpSa is not null ? IkePeerState.Up : IsTrying || (Due != long.MaxValue) ? IkePeerState.Connecting : IkePeerState.Down,
        [.. Sas.Select(Describe)],
        LastFailure,
        UpSa is null && !IsTrying && Due != long.MaxValue ? Math.Max(_retryAt, now) : null,
        [
            .. Policies.Select(p => new IkePolicyReport(
                p.Name, Sas.Sum(sa => sa.Children.Count(c => c.Policy == p && c.State == ChildState.Up)), _policyFailures.GetValueOrDefault(p.Name))),
        ]);

    private static IkeSaReport Describe(IkeSa sa) => new()
    {
        InitiatorSpi = sa.InitiatorSpi, ResponderSpi = sa.ResponderSpi, IsInitiator = sa.IsInitiator, State = sa.State, Path = sa.Path,
        RemoteIdentity = sa.RemoteIdentity?.Text, Suite = sa.Suite?.Name, Since = sa.Since, RekeyAt = sa.RekeyAt == long.MaxValue ? null : sa.RekeyAt,
        IsLocalTranslated = sa.IsLocalTranslated, IsRemoteTranslated = sa.IsRemoteTranslated, Given = sa.Given.AddRange(sa.Leased), Children = [.. sa.Children],
    };

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

    private long NextWanted()
    {
        long due = _wishes.Count > 0 ? _serveFrom : long.MaxValue;
        foreach (IpsecPolicy policy in IsAtOnce ? Policies : [])
        {
            if (policy.Populate == PopulatedSelectors.None && !Has(policy))
            {
                due = Math.Min(due, Math.Max(RetryOf(policy), _serveFrom));
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

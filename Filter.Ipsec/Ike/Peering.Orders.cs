using System.Collections.Immutable;
using Filter.Ipsec.Ike.Exchanges;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike;

/// <summary>What people and new rulesets have a peer do, and what is told of it.</summary>
internal sealed partial class Peering
{
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
}

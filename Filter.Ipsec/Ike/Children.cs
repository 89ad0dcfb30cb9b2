using System.Globalization;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Ike.Exchanges;
using Filter.Ipsec.Ike.Negotiation;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike;

/// <summary>
/// Children as they come and go: installed before the peer hears of them, switched to once the peer receives by them, and kept a while for
/// what is still on its way (RFC 7296 §2.8).
/// </summary>
internal sealed class Children(IkeEngine engine)
{
    /// <summary>How long a replaced child still receives: what the peer sent by it before it was deleted is on its way.</summary>
    private const long Linger = 5_000_000_000;

    /// <summary>Of one IKE SA, at most: a peer with the keys must not fill our memory either.</summary>
    private const int Most = 4096;

    private readonly Queue<(long Until, ChildSa Child)> _lingering = new();
    private long _made;

    /// <summary>When one that lingers is to go.</summary>
    internal long Due => _lingering.TryPeek(out (long Until, ChildSa) first) ? first.Until : long.MaxValue;

    /// <summary>A name for the next child of a policy.</summary>
    internal string Name(IpsecPolicy policy) => string.Create(CultureInfo.InvariantCulture, $"{policy.Name}{{{++_made}}}");

    /// <summary>Selectors for its SAs; null where they are all that the policy has.</summary>
    internal static SaSelectors? SelectorsOf(IkeSa sa, IpsecPolicy policy, ChildTemplate template, in Traffic agreed)
    {
        Traffic all = Narrowing.Of(policy, sa.Path, template.Settings.Mode);
        return policy.Populate == PopulatedSelectors.None && Narrowing.IsWithin(all, agreed) ? null : Narrowing.ToSa(agreed);
    }

    /// <summary>A child that we proposed is answered.</summary>
    /// <returns>The child; null where there is none, which is told.</returns>
    internal ChildSa? Finish(IkeSa sa, ChildOffer offer, IkeMessage answer, (byte[], byte[]) nonces, ChildDirections? which, long now)
    {
        using (offer)
        {
            if (!offer.TryFinish(sa, answer, nonces, now, out ChildSa? child, out IkeFailure? failure))
            {
                sa.With!.Fail(failure, isSoft: false);

                // What the peer made of it must not stay (RFC 7296 §2.21.2).
                if (answer.First<SaPayload>() is { Proposals: [{ Spi.Length: sizeof(uint) } made] })
                {
                    sa.Request(new DeleteChild(made.Protocol, offer.Spi), now);
                }

                return null;
            }

            if (sa.DeletedEarly.Contains(child.OutboundSpi))
            {
                child.State = ChildState.Gone;
                child.WipeKeys();
                sa.With!.Lost(child, now);
                return null;
            }

            return Add(sa, child, which ?? ChildDirections.Both, now) is null ? child : null;
        }
    }

    /// <summary>A child that the peer proposed: receives from now on, and sends where it takes nobody's place.</summary>
    /// <returns>The error to answer with; null where it stands.</returns>
    internal NotifyPayload? Accept(IkeSa sa, ChildAnswer answer, byte[] ni, byte[] nr, ChildSa? replaced, Action<ChildSa>? made, long now)
    {
        if (answer.Error is { } error)
        {
            if (answer.Failure is { } failure)
            {
                sa.With!.Fail(failure, isSoft: true);
            }

            return error;
        }

        if (sa.Children.Count >= Most)
        {
            return new(NotifyType.NoAdditionalSas);
        }

        if (answer.Make(sa, ni, nr, now) is not { } child)
        {
            return new(NotifyType.InvalidSyntax);
        }

        child.Predecessor = replaced;
        if (Add(sa, child, replaced is null ? ChildDirections.Both : ChildDirections.Inbound, now) is not null)
        {
            return new(NotifyType.NoAdditionalSas);
        }

        made?.Invoke(child);
        return null;
    }

    /// <summary>The peer receives by it: we send by it, and no more by the one before.</summary>
    internal void Switch(IkeSa sa, ChildSa child, long now)
    {
        if (child.State != ChildState.Receiving)
        {
            return;
        }

        Install(sa, child, ChildDirections.Outbound, now);
        child.State = ChildState.Up;
        if (child.Predecessor is { State: not ChildState.Gone } before)
        {
            Replace(before, child, now);
        }
    }

    /// <summary>One takes another's place: that sends no more.</summary>
    internal void Replace(ChildSa before, ChildSa next, long now)
    {
        before.Successor = next;
        before.State = ChildState.Replaced;
        next.Predecessor = before;
        Uninstall(before, ChildDirections.Outbound);
        engine.Tell(new(IkeEventKind.ChildRekeyed, next.Peer, $"{before.Name} is replaced by {next}", now) { Child = next });
    }

    /// <summary>It is gone; who was to take its place does so at the latest now.</summary>
    internal void Remove(IkeSa sa, ChildSa child, string why, long now)
    {
        if (child.State == ChildState.Gone)
        {
            return;
        }

        if (child.Successor is { State: ChildState.Receiving } next)
        {
            Switch(sa, next, now);
        }

        if (child.Predecessor is { } before && before.Successor == child)
        {
            before.Successor = null;
        }

        bool replaced = child.State == ChildState.Replaced;
        sa.Children.Remove(child);
        child.State = ChildState.Gone;
        child.Predecessor = null;
        if (replaced)
        {
            if (_lingering.Count >= Most)
            {
                Uninstall(_lingering.Dequeue().Child, ChildDirections.Both);
            }

            _lingering.Enqueue((now + Linger, child));
        }
        else
        {
            Uninstall(child, ChildDirections.Both);
            engine.Tell(new(IkeEventKind.ChildDown, child.Peer, $"{child} is gone: {why}", now) { Child = child });
        }
    }

    /// <summary>All of an IKE SA that is gone.</summary>
    internal void RemoveAll(IkeSa sa, string why, long now)
    {
        foreach (ChildSa child in sa.Children.ToArray())
        {
            child.Successor = null;
            Remove(sa, child, why, now);
        }
    }

    /// <summary>Time passes.</summary>
    internal void Tick(long now)
    {
        while (_lingering.TryPeek(out (long Until, ChildSa Child) first) && first.Until <= now)
        {
            _lingering.Dequeue();
            Uninstall(first.Child, ChildDirections.Both);
        }
    }

    /// <summary>Nothing lingers any more.</summary>
    internal void Clear() => Tick(long.MaxValue);

    /// <summary>Puts it in place; why not.</summary>
    private string? Add(IkeSa sa, ChildSa child, ChildDirections which, long now)
    {
        child.State = which == ChildDirections.Both ? ChildState.Up : ChildState.Receiving;
        sa.Children.Add(child);
        if (Install(sa, child, which, now) is { } why)
        {
            return why;
        }

        if (child.State == ChildState.Up)
        {
            sa.With!.Carries(child);
            engine.Tell(new(IkeEventKind.ChildUp, child.Peer, $"{child} carries {string.Join("; ", new Traffic(child.Local, child.Remote).Words)}", now) { Child = child });
        }

        return null;
    }

    private string? Install(IkeSa sa, ChildSa child, ChildDirections which, long now)
    {
        string? why = engine.Host.Install(child, which);
        if (why is not null)
        {
            sa.With!.Fail(new(IkeFailureKind.Here, $"policy {child.Policy.Name}: {why}", now) { Policy = child.Policy.Name }, isSoft: false);
            sa.Children.Remove(child);
            Uninstall(child, ChildDirections.Both);
            child.State = ChildState.Gone;
            child.WipeKeys();
            return why;
        }

        child.Installed |= which;
        if (child.Installed == ChildDirections.Both)
        {
            child.WipeKeys();
        }

        return null;
    }

    private void Uninstall(ChildSa child, ChildDirections which)
    {
        ChildDirections there = child.Installed & which;
        child.Installed &= ~which;
        if (there != ChildDirections.None)
        {
            engine.Host.Remove(child, there);
        }

        if (child.State == ChildState.Gone)
        {
            child.WipeKeys();
        }
    }
}

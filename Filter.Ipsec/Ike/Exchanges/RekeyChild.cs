using System.Buffers.Binary;
using Filter.Ipsec.Ike.Payloads;

namespace Filter.Ipsec.Ike.Exchanges;

/// <summary>
/// CREATE_CHILD_SA that renews a child (RFC 7296 §1.3.3, §2.8): the new one is in place before the old one goes, and who began deletes the
/// old one. What both begin at once is settled by the nonces.
/// </summary>
internal sealed class RekeyChild(ChildSa child, ushort group = 0) : Exchange
{
    private const long RetryAfter = 10_000_000_000;

    private ChildOffer? _offer;
    private Collision<ChildSa>? _collision;

    /// <inheritdoc/>
    internal override ExchangeType Type => ExchangeType.CreateChildSa;

    /// <summary>The child that is renewed.</summary>
    internal ChildSa Child => child;

    /// <inheritdoc/>
    internal override IEnumerable<Payload>? Build(IkeSa sa, long now)
    {
        // The peer may have come first.
        if (sa.State != IkeSaState.Up || !IsToRenew)
        {
            child.IsRekeying = false;
            return null;
        }

        byte[] spi = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(spi, child.InboundSpi);
        _offer = ChildOffer.Of(sa, child, group != 0 ? group : child.Group);
        return _offer.Payloads().Prepend(new NotifyPayload(NotifyType.RekeySa, default, child.Protocol, spi));
    }

    /// <inheritdoc/>
    internal override void Finish(IkeSa sa, IkeMessage answer, long now)
    {
        child.IsRekeying = false;
        switch (answer.Error?.Notify)
        {
            case NotifyType.ChildSaNotFound:
                // The peer has deleted it, and its word of that is on its way, or was lost with its memory (RFC 7296 §2.25).
                if (IsToRenew)
                {
                    sa.Engine.Children.Remove(sa, child, "the peer does not know it any more", now);
                    sa.With!.Want(new Wish(child.Policy, null), now);
                }

                break;
            case NotifyType.TemporaryFailure:
                Again(sa, 0, now + CreateChild.Pause(sa.Random));
                break;
            case NotifyType.InvalidKePayload when group == 0 && _offer!.OtherGroup(answer.Error) is > 0 and var other:
                Again(sa, other, now);
                break;
            default:
                Settle(sa, answer, now);
                break;
        }

        _offer?.Dispose();
    }

    /// <inheritdoc/>
    internal override void Abandon(IkeSa sa, long now)
    {
        child.IsRekeying = false;
        _offer?.Dispose();
    }

    /// <summary>The peer renews a child.</summary>
    internal static IEnumerable<Payload> Answer(IkeSa sa, IkeMessage request, NotifyPayload rekey, long now)
    {
        uint spi = rekey.Spi.Length == sizeof(uint) ? BinaryPrimitives.ReadUInt32BigEndian(rekey.Spi.Span) : 0;
        if (sa.Children.Find(c => c.OutboundSpi == spi && c.Protocol == rekey.Protocol) is not { } child)
        {
            // It may be the very child that we have asked for, and of which the answer is late.
            return sa.Pending is CreateChild or RekeyChild
                ? [new NotifyPayload(NotifyType.TemporaryFailure)]
                : [new NotifyPayload(NotifyType.ChildSaNotFound, default, rekey.Protocol, rekey.Spi)];
        }

        RekeyChild? own = sa.Pending is RekeyChild pending && pending.Child == child ? pending : null;
        bool isReplaced = own is null ? child.Successor is { State: not ChildState.Gone } : own._collision is not null;
        if (child.IsClosing || isReplaced)
        {
            return [new NotifyPayload(NotifyType.TemporaryFailure)];
        }

        byte[] ni = CreateChild.NonceOf(request);
        ChildAnswer answer = ChildAnswer.Of(sa, request, isFirst: false, child, now);
        NotifyPayload? error = sa.Engine.Children.Accept(sa, answer, ni, answer.Nonce, child, Made, now);
        return error is not null ? [error] : answer.Payloads;

        void Made(ChildSa next)
        {
            child.Successor = next;
            if (own is not null)
            {
                own._collision = new(next, ni, answer.Nonce);
            }
        }
    }

    private bool IsToRenew => child is { State: ChildState.Up, IsClosing: false } && child.Successor is not { State: not ChildState.Gone };

    private void Settle(IkeSa sa, IkeMessage answer, long now)
    {
        byte[] nr = CreateChild.NonceOf(answer);

        // The peer's may be gone by now: because it came to nothing, or because it has been renewed itself since.
        Collision<ChildSa>? met = _collision is { Other.State: ChildState.Gone } && child.State == ChildState.Up ? null : _collision;
        bool isLost = met?.IsLost(_offer!.Nonce, nr) == true;
        ChildDirections which = isLost ? ChildDirections.Inbound : ChildDirections.Both;
        if (sa.Engine.Children.Finish(sa, _offer!, answer, (_offer!.Nonce, nr), which, now) is not { } next)
        {
            if (met is null)
            {
                Again(sa, 0, now + sa.Random.Less(RetryAfter, 20));
            }

            return;
        }

        if (isLost)
        {
            // The peer's takes the old one's place; ours, which made it two, goes.
            Close(sa, next, now);
            return;
        }

        if (met is not null)
        {
            met.Other.Predecessor = null;
        }

        if (child.State != ChildState.Gone)
        {
            sa.Engine.Children.Replace(child, next, now);
            Close(sa, child, now);
        }
    }

    private static void Close(IkeSa sa, ChildSa child, long now)
    {
        child.IsClosing = true;
        sa.Request(new DeleteChild(child), now);
    }

    private void Again(IkeSa sa, ushort other, long at)
    {
        if (IsToRenew)
        {
            child.IsRekeying = true;
            sa.RequestLater(new RekeyChild(child, other), at);
        }
    }
}

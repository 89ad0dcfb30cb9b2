using Filter.Ipsec.Ike.Payloads;

namespace Filter.Ipsec.Ike.Exchanges;

/// <summary>CREATE_CHILD_SA for a new child (RFC 7296 §1.3.1), and the way to its other uses for what the peer asks.</summary>
internal sealed class CreateChild(Wish wish) : Exchange
{
    private const int MostGroups = 3;

    private ChildOffer? _offer;

    /// <inheritdoc/>
    internal override ExchangeType Type => ExchangeType.CreateChildSa;

    /// <summary>What it is to fulfil.</summary>
    internal Wish Wish => wish;

    /// <inheritdoc/>
    internal override IEnumerable<Payload>? Build(IkeSa sa, long now)
    {
        if (sa.State != IkeSaState.Up || !sa.With!.IsWanted(wish))
        {
            return null;
        }

        _offer = ChildOffer.TryOf(sa, wish, isFirst: false, now);
        return _offer?.Payloads();
    }

    /// <inheritdoc/>
    internal override void Finish(IkeSa sa, IkeMessage answer, long now)
    {
        switch (answer.Error?.Notify)
        {
            case NotifyType.TemporaryFailure:
                sa.RequestLater(new CreateChild(wish), now + Pause(sa.Random));
                break;
            case NotifyType.InvalidKePayload when _offer!.OtherGroup(answer.Error) is > 0 and var group && wish.Groups++ < MostGroups:
                wish.Group = group;
                sa.Request(new CreateChild(wish), now);
                break;
            default:
                byte[] nr = NonceOf(answer);
                sa.Engine.Children.Finish(sa, _offer!, answer, (_offer!.Nonce, nr), null, now);
                break;
        }

        _offer!.Dispose();
    }

    /// <inheritdoc/>
    internal override void Abandon(IkeSa sa, long now)
    {
        _offer?.Dispose();
        sa.With?.GiveBack(wish);
    }

    /// <summary>After TEMPORARY_FAILURE: soon, and not at the same instant as the peer (RFC 7296 §2.25).</summary>
    internal static long Pause(IkeRandom random)
    {
        const long longest = 2_000_000_000;
        return random.Less(longest, 75);
    }

    /// <summary>The peer wants a child, or to renew one, or the IKE SA.</summary>
    internal static IEnumerable<Payload> Answer(IkeSa sa, IkeMessage request, long now)
    {
        if (sa.State != IkeSaState.Up)
        {
            return [new NotifyPayload(NotifyType.TemporaryFailure)];
        }

        if (request.First<SaPayload>() is { } offer && offer.Proposals.Any(static p => p.Protocol == IkeProtocol.Ike))
        {
            return RekeyIkeSa.Answer(sa, request, offer, now);
        }

        // While the IKE SA is renewed, nobody could say whose child it would be (RFC 7296 §2.25.2).
        if (sa.Pending is RekeyIkeSa)
        {
            return [new NotifyPayload(NotifyType.TemporaryFailure)];
        }

        if (request.Notify(NotifyType.RekeySa) is { } rekey)
        {
            return RekeyChild.Answer(sa, request, rekey, now);
        }

        ChildAnswer answer = ChildAnswer.Of(sa, request, isFirst: false, null, now);
        return sa.Engine.Children.Accept(sa, answer, NonceOf(request), answer.Nonce, null, null, now) is { } error ? [error] : answer.Payloads;
    }

    /// <summary>Ni of a request; empty where there is none, which its reader has refused by then.</summary>
    internal static byte[] NonceOf(IkeMessage message) => message.First<NoncePayload>()?.Data.ToArray() ?? [];
}

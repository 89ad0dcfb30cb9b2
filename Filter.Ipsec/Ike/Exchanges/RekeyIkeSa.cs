using System.Buffers.Binary;
using System.Collections.Immutable;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Negotiation;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Exchanges;

/// <summary>
/// CREATE_CHILD_SA that renews the IKE SA (RFC 7296 §1.3.2, §2.18): the new one takes over the children, and who began deletes the old
/// one. What both begin at once is settled by the nonces (§2.8.2).
/// </summary>
internal sealed class RekeyIkeSa(ushort group = 0) : Exchange
{
    private const long RetryAfter = 60_000_000_000;

    private byte[] _nonce = [];
    private ulong _spi;
    private SaPayload? _offer;
    private KeyExchange? _exchange;
    private Collision<IkeSa>? _collision;

    /// <inheritdoc/>
    internal override ExchangeType Type => ExchangeType.CreateChildSa;

    /// <inheritdoc/>
    internal override IEnumerable<Payload>? Build(IkeSa sa, long now)
    {
        ImmutableArray<IkeProposal> proposals = sa.With!.Peer.Proposals;
        ushort first = group != 0 ? group : proposals.Any(p => p.Groups.Contains(sa.Suite!.Group)) ? sa.Suite!.Group.Id : proposals[0].Groups[0].Id;
        if (sa.State != IkeSaState.Up || !KeyExchange.TryCreate(first, out _exchange))
        {
            return null;
        }

        (_nonce, _spi) = (sa.Random.Nonce(), sa.Engine.NewSpi());
        _offer = Proposals.Offer(proposals, Bytes(_spi));
        return [_offer, new NoncePayload(_nonce), new KeyExchangePayload(_exchange.Group, _exchange.PublicValue)];
    }

    /// <inheritdoc/>
    internal override void Finish(IkeSa sa, IkeMessage answer, long now)
    {
        if (answer.Error is { } error)
        {
            Refused(sa, error, now);
        }
        else if (TryMake(sa, answer, now, out IkeSa? next, out string? why))
        {
            Settle(sa, next!, CreateChild.NonceOf(answer), now);
        }
        else
        {
            sa.With!.Fail(new(IkeFailureKind.Refused, $"the IKE SA is not renewed: {why}", now), isSoft: false);
            Again(sa, 0, now + RetryAfter);
        }

        _exchange?.Dispose();
    }

    /// <summary>The peer deletes the old one while we wait: where it has made a new one, that takes over (RFC 7296 §2.25.2).</summary>
    internal override void Abandon(IkeSa sa, long now)
    {
        _exchange?.Dispose();
        if (_collision is { Other.State: IkeSaState.Up } met)
        {
            sa.TakenOverBy(met.Other, now);
        }
    }

    /// <summary>The peer renews the IKE SA.</summary>
    internal static IEnumerable<Payload> Answer(IkeSa sa, IkeMessage request, SaPayload offer, long now)
    {
        RekeyIkeSa? own = sa.Pending as RekeyIkeSa;
        if (sa.Pending is CreateChild or RekeyChild or DeleteChild || own?._collision is not null)
        {
            return [new NotifyPayload(NotifyType.TemporaryFailure)];
        }

        if (request.First<NoncePayload>() is not { } nonce || request.First<KeyExchangePayload>() is not { } sent)
        {
            return [new NotifyPayload(NotifyType.InvalidSyntax)];
        }

        SaPayload ours = Proposals.Offer(sa.With!.Peer.Proposals);
        ulong spi = sa.Engine.NewSpi();
        if (!Proposals.TryChoose(ours, offer, sent.Group, Bytes(spi), out Proposal? chosen) || !IkeSuite.TryOf(chosen, out IkeSuite? suite)
            || offer.Proposals.First(p => p.Number == chosen.Number).Spi is not { Length: sizeof(ulong) } peers)
        {
            IkeMismatch mismatch = Proposals.Compare(ours, offer);
            sa.With.Fail(new(IkeFailureKind.NoProposal, $"the peer renews the IKE SA with nothing that suits: {mismatch.Differs}", now) { Mismatch = mismatch }, isSoft: true);
            return [new NotifyPayload(NotifyType.NoProposalChosen)];
        }

        if (suite.Group.Id != sent.Group)
        {
            byte[] wanted = new byte[sizeof(ushort)];
            BinaryPrimitives.WriteUInt16BigEndian(wanted, suite.Group.Id);
            return [new NotifyPayload(NotifyType.InvalidKePayload, wanted)];
        }

        if (!KeyExchange.TryCreate(sent.Group, out KeyExchange? exchange))
        {
            return [new NotifyPayload(NotifyType.NoProposalChosen)];
        }

        using (exchange)
        {
            if (!exchange.TryAgree(sent.Data.Span, out SecretKey? shared, out _))
            {
                return [new NotifyPayload(NotifyType.InvalidSyntax)];
            }

            byte[] ni = nonce.Data.ToArray(), nr = sa.Random.Nonce();
            ulong peersSpi = BinaryPrimitives.ReadUInt64BigEndian(peers.Span);
            IkeKeys keys = IkeKeys.DeriveRekeyed(sa.Keys!, suite, false, shared, ni, nr, peersSpi, spi);
            shared.Wipe();
            IkeSa next = sa.Next(isInitiator: false, spi, peersSpi, suite, keys, now);
            if (own is not null)
            {
                own._collision = new(next, ni, nr);
                next.Instead = sa;
            }
            else
            {
                sa.AfterAnswer = at => sa.TakenOverBy(next, at);
            }

            return [new SaPayload([chosen]), new NoncePayload(nr), new KeyExchangePayload(exchange.Group, exchange.PublicValue)];
        }
    }

    private static byte[] Bytes(ulong spi)
    {
        byte[] bytes = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, spi);
        return bytes;
    }

    private bool TryMake(IkeSa sa, IkeMessage answer, long now, out IkeSa? next, out string? why)
    {
        next = null;
        if (answer.First<SaPayload>() is not { } sent || answer.First<NoncePayload>() is not { } nonce || answer.First<KeyExchangePayload>() is not { } theirs)
        {
            why = "the peer answers without all that makes one";
            return false;
        }

        if (!Proposals.TryAccept(_offer!, sent, out Proposal? chosen, out why))
        {
            return false;
        }

        if (!IkeSuite.TryOf(chosen, out IkeSuite? suite) || chosen.Spi.Length != sizeof(ulong) || theirs.Group != _exchange!.Group || suite.Group.Id != theirs.Group)
        {
            why = "the peer answers with another group, or without an SPI";
            return false;
        }

        if (!_exchange.TryAgree(theirs.Data.Span, out SecretKey? shared, out why))
        {
            return false;
        }

        ulong peersSpi = BinaryPrimitives.ReadUInt64BigEndian(chosen.Spi.Span);
        IkeKeys keys = IkeKeys.DeriveRekeyed(sa.Keys!, suite, true, shared, _nonce, nonce.Data.Span, _spi, peersSpi);
        shared.Wipe();
        next = sa.Next(isInitiator: true, _spi, peersSpi, suite, keys, now);
        return true;
    }

    private void Settle(IkeSa sa, IkeSa next, byte[] nr, long now)
    {
        Collision<IkeSa>? met = _collision is { Other.State: not IkeSaState.Up } && sa.State == IkeSaState.Up ? null : _collision;
        if (met is not null && (sa.State != IkeSaState.Up || met.IsLost(_nonce, nr)))
        {
            // The peer's takes the old one's place, which it deletes, or has taken it already; ours, which made it two, goes.
            sa.TakenOverBy(met.Other, now);
            next.Closing();
            next.Request(new DeleteIke(), now);
            return;
        }

        met?.Other.Redundant(now);
        sa.TakenOverBy(next, now);
        sa.Request(new DeleteIke(), now);
    }

    private void Refused(IkeSa sa, NotifyPayload error, long now)
    {
        if (_collision is { Other.State: IkeSaState.Up })
        {
            // What we began is void: the peer's takes over.
            sa.TakenOverBy(_collision.Other, now);
            return;
        }

        ushort other = error is { Notify: NotifyType.InvalidKePayload, Data.Length: sizeof(ushort) } ? BinaryPrimitives.ReadUInt16BigEndian(error.Data.Span) : (ushort)0;
        if (error.Notify == NotifyType.TemporaryFailure)
        {
            Again(sa, 0, now + CreateChild.Pause(sa.Random));
        }
        else if (other != 0 && group == 0 && _offer!.Proposals.Any(p => p.Of(IkeTransformType.KeyExchange).Any(t => t.Id == other)))
        {
            Again(sa, other, now);
        }
        else
        {
            sa.With!.Fail(new(error.Notify == NotifyType.NoProposalChosen ? IkeFailureKind.NoProposal : IkeFailureKind.Refused, $"the IKE SA is not renewed: the peer says {error.Notify}", now), isSoft: false);
            Again(sa, 0, now + RetryAfter);
        }
    }

    private static void Again(IkeSa sa, ushort other, long at) => sa.RequestLater(new RekeyIkeSa(other), at);
}

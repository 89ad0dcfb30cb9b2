using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Security.Cryptography;
using Filter.Ipsec.Ike.Authentication;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Negotiation;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Exchanges;

/// <summary>
/// IKE_SA_INIT (RFC 7296 §1.2): algorithms, key exchange, nonces; whether somebody translates addresses, and what else both can do. In the
/// clear: whatever comes may be forged, so errors are hints and nothing here ends an IKE SA.
/// </summary>
internal sealed class IkeSaInit : Exchange
{
    /// <summary>Cookies and other groups that are answered; an honest peer asks for one of each.</summary>
    private const int MostTurns = 4;

    private readonly SaPayload _offer;
    private readonly byte[] _nonce;
    private KeyExchange _exchange;
    private ReadOnlyMemory<byte> _cookie;
    private int _turns;

    private IkeSaInit(IkeSa sa, KeyExchange exchange)
    {
        (_offer, _nonce, _exchange) = (Proposals.Offer(sa.With!.Peer.Proposals), sa.Random.Nonce(), exchange);
    }

    /// <inheritdoc/>
    internal override ExchangeType Type => ExchangeType.IkeSaInit;

    /// <summary>Somebody who proved nothing said why it is in vain, and that was told.</summary>
    internal bool IsDoubted { get; private set; }

    /// <summary>Begins an IKE SA.</summary>
    internal static void Begin(IkeSa sa, long now)
    {
        if (KeyExchange.TryCreate(sa.With!.Peer.Proposals[0].Groups[0].Id, out KeyExchange? exchange))
        {
            new IkeSaInit(sa, exchange).Send(sa, now);
        }
    }

    /// <inheritdoc/>
    internal override IEnumerable<Payload>? Build(IkeSa sa, long now) => null;

    /// <inheritdoc/>
    internal override void Finish(IkeSa sa, IkeMessage answer, long now)
    {
    }

    /// <inheritdoc/>
    internal override void Abandon(IkeSa sa, long now) => _exchange.Dispose();

    /// <summary>What came as an answer; dropped where it is none that we could go on with.</summary>
    internal void Finish(IkeSa sa, IkeMessage answer, ReadOnlySpan<byte> datagram, in IkePath path, long now)
    {
        if (answer.Notify(NotifyType.Cookie) is { Data.Length: > 0 and <= 64 } cookie && answer.Header.ResponderSpi == 0)
        {
            Again(sa, cookie.Data, _exchange, now);
        }
        else if (answer.Notify(NotifyType.InvalidKePayload) is { Data.Length: 2 } other)
        {
            ushort group = BinaryPrimitives.ReadUInt16BigEndian(other.Data.Span);
            bool isOffered = _offer.Proposals.Any(p => p.Of(IkeTransformType.KeyExchange).Any(t => t.Id == group));
            if (isOffered && group != _exchange.Group && _turns < MostTurns && KeyExchange.TryCreate(group, out KeyExchange? exchange))
            {
                _exchange.Dispose();
                Again(sa, _cookie, exchange, now);
            }
        }
        else if (answer.Error is { } error)
        {
            Doubt(sa, error, now);
        }
        else if (TryAccept(sa, answer, datagram, path))
        {
            sa.InitDone();
            sa.Request(new IkeAuth(), now);
        }
    }

    /// <summary>Somebody begins an IKE SA with us.</summary>
    internal static void Answer(IkeEngine engine, IkeMessage message, ReadOnlySpan<byte> datagram, in IkePath path, long now)
    {
        ulong spi = message.Header.InitiatorSpi;
        if (engine.HalfOpen.Find(spi, path) is { } earlier)
        {
            if (earlier.Beginning?.IsOf(datagram) == true)
            {
                earlier.RepeatInit();
            }

            return;
        }

        if (message.First<SaPayload>() is not { } offer || message.First<KeyExchangePayload>() is not { } sent || message.First<NoncePayload>() is not { } nonce
            || offer.Proposals.Any(static p => p.Protocol != IkeProtocol.Ike || !p.Spi.IsEmpty))
        {
            engine.Counters.Malformed++;
            return;
        }

        if (!TryAdmit(engine, message, nonce, path, now))
        {
            return;
        }

        Peering[] candidates = [.. engine.Candidates(path)];
        if (candidates.Length == 0)
        {
            engine.Counters.Strangers++;
            return;
        }

        Proposal? chosen = null;
        Peering? with = Array.Find(candidates, c => Proposals.TryChoose(Proposals.Offer(c.Peer.Proposals), offer, sent.Group, default, out chosen));
        if (with is null || !IkeSuite.TryOf(chosen!, out IkeSuite? suite))
        {
            IkeMismatch mismatch = Proposals.Compare(Proposals.Offer(candidates[0].Peer.Proposals), offer);
            candidates[0].Fail(new(IkeFailureKind.NoProposal, $"{path.Remote} proposes nothing that suits: {mismatch.Differs}", now) { Mismatch = mismatch, IsUnproven = true }, isSoft: true);
            Say(engine, message.Header, path, new NotifyPayload(NotifyType.NoProposalChosen));
            return;
        }

        if (suite.Group.Id != sent.Group)
        {
            Say(engine, message.Header, path, new NotifyPayload(NotifyType.InvalidKePayload, Number(suite.Group.Id)));
            return;
        }

        if (!KeyExchange.TryCreate(sent.Group, out KeyExchange? exchange))
        {
            return;
        }

        Accept(engine, with, suite, chosen!, exchange, (message, sent, nonce), datagram, path, now);
    }

    /// <summary>The limits on who has proved nothing: first a cookie shows that he is where he says, then there must be room (RFC 7296 §2.6).</summary>
    private static bool TryAdmit(IkeEngine engine, IkeMessage message, NoncePayload nonce, in IkePath path, long now)
    {
        IkeLimits limits = engine.Limits;
        ReadOnlySpan<byte> cookie = message.Payloads is [NotifyPayload { Notify: NotifyType.Cookie } first, ..] ? first.Data.Span : default;
        engine.AskForCookies(engine.HalfOpen.Count >= limits.CookieThreshold, now);
        if (engine.HalfOpen.Count >= limits.CookieThreshold && !engine.Cookies.IsGood(cookie, path, message.Header.InitiatorSpi, nonce.Data.Span, now))
        {
            engine.Counters.Cookies++;
            Say(engine, message.Header, path, new NotifyPayload(NotifyType.Cookie, engine.Cookies.Make(path, message.Header.InitiatorSpi, nonce.Data.Span, now)));
            return false;
        }

        if (!engine.HalfOpen.HasRoom(limits, path.Remote))
        {
            engine.Counters.HalfOpenLimit++;
            return false;
        }

        return true;
    }

    private static void Accept(
        IkeEngine engine, Peering with, IkeSuite suite, Proposal chosen, KeyExchange exchange, (IkeMessage Message, KeyExchangePayload Sent, NoncePayload Nonce) came,
        ReadOnlySpan<byte> datagram, in IkePath path, long now)
    {
        byte[] ours = engine.Random.Nonce();
        IkeSa sa = new(engine, isInitiator: false, engine.NewSpi(), path, now)
        {
            PeersSpi = came.Message.Header.InitiatorSpi,
            Suite = suite,
            Beginning = new Beginning
            {
                PeersMessage = datagram.ToArray(), PeersNonce = came.Nonce.Data.ToArray(), PeersPublic = came.Sent.Data.ToArray(), OurNonce = ours, Exchange = exchange,
                Digest = SHA256.HashData(datagram),
            },
            TakesFragments = came.Message.Has(NotifyType.Ikev2FragmentationSupported),
            PeersHashes = SignatureHashes.Read(came.Message.Notify(NotifyType.SignatureHashAlgorithms)),
        };
        (sa.IsLocalTranslated, sa.IsRemoteTranslated) = NatDetection.Read(came.Message, path);
        ImmutableArray<Payload>.Builder payloads = ImmutableArray.CreateBuilder<Payload>();
        payloads.AddRange(new SaPayload([chosen]), new KeyExchangePayload(exchange.Group, exchange.PublicValue), new NoncePayload(ours));
        if (came.Message.Has(NotifyType.NatDetectionSourceIp))
        {
            payloads.AddRange(NatDetection.Notifies(sa.InitiatorSpi, sa.ResponderSpi, path, with.Peer.ForceUdp));
        }

        payloads.AddRange(engine.Candidates(path).SelectMany(static c => c.Verifier.Requests).Distinct());
        payloads.AddRange(Abilities(sa.TakesFragments, !sa.PeersHashes.IsEmpty));
        sa.Beginning.OurMessage = IkeCodec.Write(new(new(sa.InitiatorSpi, sa.ResponderSpi, ExchangeType.IkeSaInit, true, false, 0), payloads.ToImmutable()));
        engine.HalfOpen.Add(sa);
        engine.Register(sa);
        sa.AnswerInit(sa.Beginning.OurMessage, now);
    }

    /// <summary>Errors to whom no keys are shared, and no state is kept of.</summary>
    internal static void Say(IkeEngine engine, in IkeHeader to, in IkePath path, NotifyPayload notify)
    {
        IkeHeader header = new(to.InitiatorSpi, to.ResponderSpi, to.Exchange, true, !to.FromInitiator, to.MessageId);
        engine.Counters.Sent++;
        engine.Host.Send(path, IkeCodec.Write(new(header, [notify])));
    }

    private static IEnumerable<Payload> Abilities(bool fragments, bool hashes)
    {
        if (fragments)
        {
            yield return new NotifyPayload(NotifyType.Ikev2FragmentationSupported);
        }

        if (hashes)
        {
            yield return SignatureHashes.Notify();
        }
    }

    private static byte[] Number(ushort group)
    {
        byte[] bytes = new byte[sizeof(ushort)];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, group);
        return bytes;
    }

    private void Again(IkeSa sa, ReadOnlyMemory<byte> cookie, KeyExchange exchange, long now)
    {
        if (++_turns > MostTurns)
        {
            return;
        }

        (_cookie, _exchange) = (cookie.ToArray(), exchange);
        Send(sa, now);
    }

    private void Send(IkeSa sa, long now)
    {
        ImmutableArray<Payload>.Builder payloads = ImmutableArray.CreateBuilder<Payload>();
        if (!_cookie.IsEmpty)
        {
            payloads.Add(new NotifyPayload(NotifyType.Cookie, _cookie));
        }

        payloads.AddRange(_offer, new KeyExchangePayload(_exchange.Group, _exchange.PublicValue), new NoncePayload(_nonce));
        payloads.AddRange(NatDetection.Notifies(sa.OwnSpi, 0, sa.Path, sa.With!.Peer.ForceUdp));
        payloads.AddRange(Abilities(fragments: true, hashes: true));
        byte[] message = IkeCodec.Write(new(new(sa.OwnSpi, 0, ExchangeType.IkeSaInit, false, true, 0), payloads.ToImmutable()));
        sa.Beginning = new Beginning { OurMessage = message, OurNonce = _nonce, Exchange = _exchange };
        sa.SendInit(this, message, now);
    }

    private void Doubt(IkeSa sa, NotifyPayload error, long now)
    {
        if (IsDoubted)
        {
            return;
        }

        IsDoubted = true;
        IkeMismatch? mismatch = error.Notify == NotifyType.NoProposalChosen ? Proposals.Compare(_offer, null) : null;
        IkeFailureKind kind = mismatch is null ? IkeFailureKind.Refused : IkeFailureKind.NoProposal;
        string text = mismatch is null ? $"{sa.Path.Remote} says {error.Notify}" : $"{sa.Path.Remote} takes none of what we propose: {string.Join("; ", mismatch.Ours)}";
        sa.With!.Fail(new(kind, text, now) { Mismatch = mismatch, IsUnproven = true }, isSoft: true);
        sa.Doubt(now);
    }

    private bool TryAccept(IkeSa sa, IkeMessage answer, ReadOnlySpan<byte> datagram, in IkePath path)
    {
        if (answer.Header.ResponderSpi == 0 || path.Remote != sa.Path.Remote || answer.First<SaPayload>() is not { } chosen
            || answer.First<KeyExchangePayload>() is not { } sent || answer.First<NoncePayload>() is not { } nonce
            || !Proposals.TryAccept(_offer, chosen, out Proposal? accepted, out _) || !IkeSuite.TryOf(accepted, out IkeSuite? suite)
            || suite.Group.Id != _exchange.Group || sent.Group != _exchange.Group)
        {
            sa.Engine.Counters.Malformed++;
            return false;
        }

        Beginning beginning = sa.Beginning!;
        (beginning.PeersMessage, beginning.PeersNonce, beginning.PeersPublic) = (datagram.ToArray(), nonce.Data.ToArray(), sent.Data.ToArray());
        (sa.PeersSpi, sa.Suite) = (answer.Header.ResponderSpi, suite);
        if (!beginning.TryDerive(sa, out _))
        {
            sa.PeersSpi = 0;
            sa.Engine.Counters.Malformed++;
            return false;
        }

        sa.TakesFragments = answer.Has(NotifyType.Ikev2FragmentationSupported);
        sa.PeersHashes = SignatureHashes.Read(answer.Notify(NotifyType.SignatureHashAlgorithms));
        sa.CertificateRequests = [.. answer.All<CertificateRequestPayload>()];
        (sa.IsLocalTranslated, sa.IsRemoteTranslated) = NatDetection.Read(answer, path);

        // Port 4500 once somebody translates, whoever it is (RFC 7296 §2.23).
        if (sa.IsEncapsulated)
        {
            sa.Path = sa.Path with { LocalPort = IkePath.TranslatedPort, RemotePort = IkePath.TranslatedPort };
        }

        return true;
    }
}

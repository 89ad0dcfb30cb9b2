using System.Collections.Immutable;
using Filter.Ipsec.Ike.Authentication;
using Filter.Ipsec.Ike.Negotiation;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Exchanges;

/// <summary>IKE_AUTH (RFC 7296 §1.2): both prove who they are, and the first child is made. A child that fails leaves the IKE SA up.</summary>
internal sealed class IkeAuth : Exchange
{
    private ChildOffer? _offer;

    /// <inheritdoc/>
    internal override ExchangeType Type => ExchangeType.IkeAuth;

    /// <summary>The first child; null for none.</summary>
    internal ChildOffer? Offer => _offer;

    /// <inheritdoc/>
    internal override IEnumerable<Payload>? Build(IkeSa sa, long now)
    {
        Peering with = sa.With!;
        IkePeer peer = with.Peer;
        byte[] octets = SignedOctets.Of(sa.Beginning!.OurMessage, sa.Beginning.PeersNonce, sa.Suite!.Prf, sa.Keys!.OurSkP, peer.LocalIdentity);
        string? why = null;
        if (with.Signer is not { } signer || !signer.TrySign(octets, sa.Suite.Prf, sa.PeersHashes, out AuthenticationPayload? proof, out why))
        {
            sa.Fail(new(IkeFailureKind.Here, $"we can't prove who we are: {why ?? with.WhyNoSigner}", now), now);
            return null;
        }

        ImmutableArray<Payload>.Builder payloads = ImmutableArray.CreateBuilder<Payload>();
        payloads.Add(new IdPayload(true, peer.LocalIdentity));
        payloads.AddRange(signer.Certificates(sa.CertificateRequests));
        if (!with.HasOther(sa))
        {
            payloads.Add(new NotifyPayload(NotifyType.InitialContact));
        }

        payloads.AddRange(with.Verifier.Requests);
        if (peer.RemoteIdentity.Exactly is { } expected)
        {
            payloads.Add(new IdPayload(false, expected));
        }

        payloads.Add(proof);
        if (Configuration.Request(peer.Requests) is { } request)
        {
            payloads.Add(request);
        }

        while (_offer is null && with.NextWish() is { } wish)
        {
            _offer = ChildOffer.TryOf(sa, wish, isFirst: true, now);
        }

        payloads.AddRange(_offer?.Payloads() ?? []);
        return payloads;
    }

    /// <inheritdoc/>
    internal override void Finish(IkeSa sa, IkeMessage answer, long now)
    {
        Peering with = sa.With!;
        if (answer.Identity(ofInitiator: false) is not { } identity || answer.First<AuthenticationPayload>() is not { } proof)
        {
            Refused(sa, answer, now);
            return;
        }

        byte[] octets = SignedOctets.Of(sa.Beginning!.PeersMessage, sa.Beginning.OurNonce, sa.Suite!.Prf, sa.Keys!.PeersSkP, identity.Identity);
        PeerProof brought = new(identity.Identity, proof, [.. answer.All<CertificatePayload>()], octets, sa.Suite.Prf, sa.Engine.Host.WallTime);
        if (!with.Verifier.TryVerify(brought, out AuthFailure? failure))
        {
            // The peer thinks that all is well: he is told (RFC 7296 §2.21.2).
            sa.SayOnce([new NotifyPayload(NotifyType.AuthenticationFailed)], now);
            sa.Fail(new(IkeFailureKind.Authentication, failure.ToString(), now) { Expected = failure.Expected, Found = failure.Found }, now);
            return;
        }

        (byte[] ni, byte[] nr) = sa.Beginning.Nonces(sa.IsInitiator);
        sa.RemoteIdentity = identity.Identity;
        sa.Rise(now);
        with.Rose(sa, now);
        if (!Configuration.TryTake(sa, answer, now, out string? why))
        {
            sa.Fail(new(IkeFailureKind.Address, why!, now), now);
            return;
        }

        if (_offer is not null)
        {
            sa.Engine.Children.Finish(sa, _offer, answer, (ni, nr), null, now);
        }

        with.Serve(sa, now);
    }

    /// <inheritdoc/>
    internal override void Abandon(IkeSa sa, long now) => _offer?.Dispose();

    /// <summary>Somebody says who he is, and proves it.</summary>
    internal static IEnumerable<Payload> Answer(IkeSa sa, IkeMessage request, long now)
    {
        if (request.Identity(ofInitiator: true) is not { } identity)
        {
            return Refuse(sa, new(IkeFailureKind.Refused, $"{sa.Path.Remote} says not who he is", now), null, NotifyType.InvalidSyntax);
        }

        // EAP begins without AUTH (RFC 7296 §2.16): nobody in the PAD may do so.
        IdPayload? wanted = request.Identity(ofInitiator: false);
        if (!TryRecognise(sa, identity.Identity, wanted?.Identity, out Peering? with, out string expected))
        {
            string text = $"{sa.Path.Remote} says he is {identity.Identity}{(wanted is null ? "" : $", and wants {wanted.Identity}")}; expected {expected}";
            return Refuse(sa, new(IkeFailureKind.Authentication, text, now) { Expected = expected, Found = identity.Identity.Text }, sa.Engine.Candidates(sa.BeganBy).FirstOrDefault(), NotifyType.AuthenticationFailed);
        }

        if (request.First<AuthenticationPayload>() is not { } proof)
        {
            return Refuse(sa, new(IkeFailureKind.Authentication, $"{identity.Identity} brings no proof: EAP is not offered", now) { Expected = "AUTH", Found = "none" }, with, NotifyType.AuthenticationFailed);
        }

        Beginning beginning = sa.Beginning!;
        byte[] octets = SignedOctets.Of(beginning.PeersMessage, beginning.OurNonce, sa.Suite!.Prf, sa.Keys!.PeersSkP, identity.Identity);
        PeerProof brought = new(identity.Identity, proof, [.. request.All<CertificatePayload>()], octets, sa.Suite.Prf, sa.Engine.Host.WallTime);
        if (!with!.Verifier.TryVerify(brought, out AuthFailure? failure))
        {
            return Refuse(sa, new(IkeFailureKind.Authentication, failure.ToString(), now) { Expected = failure.Expected, Found = failure.Found }, with, NotifyType.AuthenticationFailed);
        }

        octets = SignedOctets.Of(beginning.OurMessage, beginning.PeersNonce, sa.Suite.Prf, sa.Keys.OurSkP, with.Peer.LocalIdentity);
        string? why = null;
        if (with.Signer is not { } signer || !signer.TrySign(octets, sa.Suite.Prf, sa.PeersHashes, out AuthenticationPayload? ours, out why))
        {
            return Refuse(sa, new(IkeFailureKind.Here, $"we can't prove who we are: {why ?? with.WhyNoSigner}", now), with, NotifyType.AuthenticationFailed);
        }

        (byte[] ni, byte[] nr) = beginning.Nonces(sa.IsInitiator);
        (sa.With, sa.RemoteIdentity) = (with, identity.Identity);
        sa.Engine.HalfOpen.Remove(sa);
        if (request.Has(NotifyType.InitialContact))
        {
            with.InitialContact(sa, now);
        }

        sa.Rise(now);
        with.Rose(sa, now);
        ImmutableArray<Payload>.Builder payloads = ImmutableArray.CreateBuilder<Payload>();
        payloads.Add(new IdPayload(false, with.Peer.LocalIdentity));
        payloads.AddRange(signer.Certificates(request.All<CertificateRequestPayload>()));
        payloads.Add(ours);
        payloads.AddRange(AnswerChild(sa, request, ni, nr, now));
        sa.AfterAnswer = at => with.Serve(sa, at);
        return payloads;
    }

    /// <summary>Configuration first, since what is given narrows what the child may carry (RFC 7296 §2.19); a child that fails is told of, and no more.</summary>
    private static IEnumerable<Payload> AnswerChild(IkeSa sa, IkeMessage request, byte[] ni, byte[] nr, long now)
    {
        Payload? reply = Configuration.Answer(sa, request, now, out NotifyType? refused);
        if (refused is { } why)
        {
            return [new NotifyPayload(why)];
        }

        // Without SA there is to be no child yet (RFC 6023).
        if (request.First<SaPayload>() is null)
        {
            return reply is null ? [] : [reply];
        }

        ChildAnswer answer = ChildAnswer.Of(sa, request, isFirst: true, null, now);
        IEnumerable<Payload> child = sa.Engine.Children.Accept(sa, answer, ni, nr, null, null, now) is { } error ? [error] : answer.Payloads;
        return reply is null ? child : child.Prepend(reply);
    }

    /// <summary>The first peer of those who may come from there that is meant, and whose proposals allow what was agreed on.</summary>
    private static bool TryRecognise(IkeSa sa, IkeIdentity claimed, IkeIdentity? wanted, out Peering? with, out string expected)
    {
        Peering[] candidates = [.. sa.Engine.Candidates(sa.BeganBy)];
        expected = string.Join(" or ", candidates.Select(static c => c.Peer.RemoteIdentity.ToString()).Distinct());
        with = Array.Find(candidates, c => IdentityMatch.Means(c.Peer.RemoteIdentity, claimed)
            && (wanted is null || IdentityMatch.AreSame(wanted, c.Peer.LocalIdentity))
            && c.Peer.Proposals.Any(p => Allows(p, sa.Suite!)));
        return with is not null;
    }

    private static bool Allows(IkeProposal proposal, Crypto.IkeSuite suite) =>
        proposal.Ciphers.Contains(suite.Encryption) && (suite.Integrity is null || proposal.Integrity.Contains(suite.Integrity))
        && proposal.Prfs.Contains(suite.PrfTransform) && proposal.Groups.Contains(suite.Group);

    private static Payload[] Refuse(IkeSa sa, IkeFailure failure, Peering? whom, NotifyType notify)
    {
        // He who failed may be anybody: of a peer that is up this says nothing.
        sa.With = whom;
        sa.AfterAnswer = at => sa.Fail(failure with { IsUnproven = true }, at);
        return [new NotifyPayload(notify)];
    }

    private static void Refused(IkeSa sa, IkeMessage answer, long now)
    {
        NotifyType said = answer.Error?.Notify ?? NotifyType.None;
        IkePeer peer = sa.With!.Peer;
        IkeFailure failure = said == NotifyType.AuthenticationFailed
            ? new(IkeFailureKind.Authentication, $"the peer does not believe that we are {peer.LocalIdentity}, or is not {peer.RemoteIdentity}", now)
            {
                Expected = $"us as {peer.LocalIdentity}, by {NameOf(peer.LocalCredential)}", Found = "AUTHENTICATION_FAILED, which says no more",
            }
            : new(IkeFailureKind.Refused, said == NotifyType.None ? "the peer brings no proof of who he is" : $"the peer says {said}", now);
        sa.Fail(failure, now);
    }

    private static string NameOf(IkeCredential credential) => credential is PskCredential ? "a pre-shared key" : "a signature";
}

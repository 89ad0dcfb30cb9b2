using System.Collections.Immutable;
using Filter.Ipsec.Ike.Payloads;

namespace Filter.Ipsec.Ike.Exchanges;

/// <summary>INFORMATIONAL of the peer (RFC 7296 §1.4): what is deleted goes, what is empty is answered; whatever else it says changes nothing.</summary>
internal static class Informational
{
    internal static IEnumerable<Payload> Answer(IkeSa sa, IkeMessage request, long now)
    {
        if (request.All<DeletePayload>().Any(static d => d.Protocol == IkeProtocol.Ike))
        {
            sa.AfterAnswer = at => sa.End(at, lingering: true);
            return [];
        }

        // An initiator that does not believe us says so here, after the fact (RFC 7296 §2.21.2).
        if (request.Has(NotifyType.AuthenticationFailed))
        {
            IkeFailure failure = new(IkeFailureKind.Authentication, $"the peer does not believe that we are {sa.With!.Peer.LocalIdentity}", now)
            {
                Expected = $"us as {sa.With.Peer.LocalIdentity}", Found = "AUTHENTICATION_FAILED, which says no more",
            };
            sa.AfterAnswer = at => sa.Fail(failure, at);
            return [];
        }

        ImmutableArray<Payload>.Builder payloads = ImmutableArray.CreateBuilder<Payload>();
        foreach (DeletePayload delete in request.All<DeletePayload>())
        {
            payloads.AddRange(DeleteChild.Answer(sa, delete, now));
        }

        return payloads;
    }
}

using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>How we prove who we are (RFC 7296 §2.15). Disposing wipes the key.</summary>
public abstract class Signer : IDisposable
{
    /// <summary>Makes ready what a ruleset gives.</summary>
    /// <param name="credential">A PSK, or a private key.</param>
    /// <param name="signer">What proves.</param>
    /// <param name="why">What is wrong with the key.</param>
    public static bool TryCreate(IkeCredential credential, [NotNullWhen(true)] out Signer? signer, out string? why)
    {
        (signer, why) = credential switch
        {
            PskCredential psk => (new PskSigner(psk.Key), null),
            PrivateKeyCredential key => PrivateKeySigner.TryCreate(key, out PrivateKeySigner? made, out string? problem) ? ((Signer)made, (string?)null) : (null, problem),
            _ => (null, "what proves who a peer is does not prove who we are"),
        };
        return signer is not null;
    }

    /// <summary>Makes AUTH; false where the peer verifies nothing that our key can make.</summary>
    /// <param name="octets">As <see cref="SignedOctets"/> has them.</param>
    /// <param name="prf">Of the IKE SA.</param>
    /// <param name="peersHashes">What the peer's SIGNATURE_HASH_ALGORITHMS says; empty where it said nothing.</param>
    /// <param name="authentication">The payload.</param>
    /// <param name="why">Why not.</param>
    public abstract bool TrySign(
        ReadOnlySpan<byte> octets, Prf prf, ImmutableArray<SignatureHash> peersHashes, [NotNullWhen(true)] out AuthenticationPayload? authentication, out string? why);

    /// <summary>What is sent with it: our certificate first, then its issuers; the bare key only to whom asks for one (RFC 7670); none with a PSK.</summary>
    /// <param name="requests">What the peer asks for. Which authorities it names does not matter: there is one certificate to send.</param>
    public virtual IReadOnlyList<CertificatePayload> Certificates(IEnumerable<CertificateRequestPayload> requests) => [];

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Wipes the key.</summary>
    protected abstract void Dispose(bool disposing);
}

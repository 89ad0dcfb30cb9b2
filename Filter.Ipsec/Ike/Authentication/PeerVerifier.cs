using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;
using Org.BouncyCastle.Asn1;
using Org.BouncyCastle.Asn1.X509;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>Holds a peer against its entry in the PAD (RFC 4301 §4.4.3): its identity, the way it proves itself, the proof. One for each peer.</summary>
public sealed class PeerVerifier
{
    /// <summary>What method 1 may be (RFC 7296 §3.8): SHA-1 is what it says, and what older peers do; the hash is in the signature.</summary>
    private static readonly SignatureScheme[] s_olderRsa =
    [
        new(SignatureKind.RsaPkcs1, SignatureHash.Sha1), new(SignatureKind.RsaPkcs1, SignatureHash.Sha256), new(SignatureKind.RsaPkcs1, SignatureHash.Sha384),
        new(SignatureKind.RsaPkcs1, SignatureHash.Sha512),
    ];

    private readonly IkePeer _peer;
    private readonly TrustStore? _trust;

    /// <summary>Makes ready what a ruleset says of a peer.</summary>
    public PeerVerifier(IkePeer peer)
    {
        _peer = peer;
        _trust = peer.RemoteCredential is TrustCredential trust ? new TrustStore(trust) : null;
    }

    /// <summary>What to ask the peer for: the authorities that are trusted, or a bare key; nothing with a PSK (RFC 7296 §3.7, RFC 7670 §3).</summary>
    public IReadOnlyList<CertificateRequestPayload> Requests => _peer.RemoteCredential switch
    {
        TrustCredential => [new CertificateRequestPayload(CertificateEncoding.X509Signature, _trust!.AuthorityHashes)],
        PublicKeyCredential => [new CertificateRequestPayload(CertificateEncoding.RawPublicKey, default)],
        _ => [],
    };

    /// <summary>Whether the peer is who it says, and who it has to be.</summary>
    /// <param name="proof">What it brings.</param>
    /// <param name="failure">What was expected, and what came.</param>
    public bool TryVerify(PeerProof proof, [NotNullWhen(false)] out AuthFailure? failure)
    {
        failure = !IdentityMatch.Means(_peer.RemoteIdentity, proof.Claimed)
            ? Fail(AuthFailureKind.WrongIdentity, $"identity {_peer.RemoteIdentity}", $"{proof.Claimed.Kind} {proof.Claimed}")
            : _peer.RemoteCredential switch
            {
                PskCredential psk => VerifyPsk(psk, proof),
                PublicKeyCredential key => VerifySignature(key.PublicKey.AsSpan(), "the key that is configured", proof),
                TrustCredential => VerifyCertificate(proof),
                _ => Fail(AuthFailureKind.WrongMethod, "nothing: what is configured verifies nobody", proof.Authentication.Method.ToString()),
            };
        return failure is null;
    }

    private AuthFailure Fail(AuthFailureKind kind, string expected, string found) => new(kind, _peer.Name, expected, found);

    private AuthFailure? VerifyPsk(PskCredential psk, PeerProof proof)
    {
        if (proof.Authentication.Method != AuthenticationMethod.SharedKey)
        {
            return Fail(AuthFailureKind.WrongMethod, "a pre-shared key", $"method {proof.Authentication.Method}");
        }

        // Whoever knows the key may say he is anybody: one identity goes with it, or those of one domain.
        if (_peer.RemoteIdentity is { Exactly: null, Suffix: null })
        {
            return Fail(AuthFailureKind.WrongIdentity, "an identity, which a pre-shared key does not prove by itself", proof.Claimed.Text);
        }

        byte[] expected = PskSigner.Compute(psk.Key, proof.Octets.Span, proof.Prf);
        bool good = CryptographicOperations.FixedTimeEquals(expected, proof.Authentication.Data.Span);
        CryptographicOperations.ZeroMemory(expected);
        return good ? null : Fail(AuthFailureKind.WrongProof, $"a proof by the pre-shared key of {proof.Claimed}", "one by another key");
    }

    private AuthFailure? VerifyCertificate(PeerProof proof)
    {
        if (proof.Authentication.Method is AuthenticationMethod.SharedKey or AuthenticationMethod.Null)
        {
            return Fail(AuthFailureKind.WrongMethod, "a signature with a certificate", $"method {proof.Authentication.Method}");
        }

        return _trust!.TryFind(proof, out PeerCertificate? certificate, out (AuthFailureKind Kind, string Expected, string Found) why)
            ? VerifySignature(certificate.PublicKey, $"the key of {certificate.Subject}", proof)
            : Fail(why.Kind, why.Expected, why.Found);
    }

    private AuthFailure? VerifySignature(ReadOnlySpan<byte> publicKey, string whose, PeerProof proof)
    {
        if (!VerifyingKey.TryRead(publicKey, out VerifyingKey? key, out string? why))
        {
            return Fail(AuthFailureKind.WrongProof, $"a signature by {whose}", why!);
        }

        using (key)
        {
            if (!TryReadSchemes(proof.Authentication, key, out SignatureScheme[] schemes, out ReadOnlyMemory<byte> signature))
            {
                return Fail(AuthFailureKind.WrongMethod, $"a signature by {whose}, {key.Name}", $"method {proof.Authentication.Method}, or an algorithm of it that is not taken");
            }

            foreach (SignatureScheme scheme in schemes)
            {
                if (key.Verify(scheme, proof.Octets.Span, signature.Span))
                {
                    return null;
                }
            }

            return Fail(AuthFailureKind.WrongProof, $"a signature by {whose}, {key.Name}", $"{schemes[0]} that is not by that key, or over something else");
        }
    }

    /// <summary>How it can be signed: a method says it, or the AlgorithmIdentifier in front of the signature (RFC 7427 §3).</summary>
    private static bool TryReadSchemes(AuthenticationPayload payload, VerifyingKey key, out SignatureScheme[] schemes, out ReadOnlyMemory<byte> signature)
    {
        signature = payload.Data;
        schemes = payload.Method switch
        {
            AuthenticationMethod.RsaSignature => s_olderRsa,
            AuthenticationMethod.EcdsaP256 when key.IsOnCurveOf(256) => [new(SignatureKind.EcdsaPlain, SignatureHash.Sha256)],
            AuthenticationMethod.EcdsaP384 when key.IsOnCurveOf(384) => [new(SignatureKind.EcdsaPlain, SignatureHash.Sha384)],
            AuthenticationMethod.EcdsaP521 when key.IsOnCurveOf(521) => [new(SignatureKind.EcdsaPlain, SignatureHash.Sha512)],
            AuthenticationMethod.DigitalSignature when TryReadAlgorithm(ref signature, out SignatureScheme scheme) => [scheme],
            _ => [],
        };
        return schemes.Length > 0;
    }

    /// <summary>One byte of length, so much AlgorithmIdentifier, and the signature.</summary>
    private static bool TryReadAlgorithm(ref ReadOnlyMemory<byte> data, out SignatureScheme scheme)
    {
        scheme = default;
        int length = data.Span[0];
        if (length >= data.Length || !Der.IsSound(data.Span.Slice(1, length)))
        {
            return false;
        }

        try
        {
            byte[] algorithm = data.Slice(1, length).ToArray();
            data = data[(1 + length)..];
            return SignatureScheme.TryRead(AlgorithmIdentifier.GetInstance(Asn1Object.FromByteArray(algorithm)), out scheme);
        }
        catch (Exception e) when (e is ArgumentException or IOException or InvalidOperationException)
        {
            return false;
        }
    }
}

using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>
/// A private key of ours. To who knows RFC 7427 a digital signature: RSA by PSS (RFC 8247 §3.2). To others what there was before: RSA by
/// PKCS#1 with SHA-1 (RFC 7296 §3.8), ECDSA with its curve's hash (RFC 4754), and nothing of Ed25519.
/// </summary>
internal sealed class PrivateKeySigner : Signer
{
    private static readonly SignatureHash[] s_shortestFirst = [SignatureHash.Sha256, SignatureHash.Sha384, SignatureHash.Sha512];

    private readonly SigningKey _key;
    private readonly ImmutableArray<ImmutableArray<byte>> _certificates;

    private PrivateKeySigner(SigningKey key, ImmutableArray<ImmutableArray<byte>> certificates) => (_key, _certificates) = (key, certificates);

    /// <inheritdoc/>
    public override bool TrySign(
        ReadOnlySpan<byte> octets, Prf prf, ImmutableArray<SignatureHash> peersHashes, [NotNullWhen(true)] out AuthenticationPayload? authentication, out string? why)
    {
        authentication = null;
        if (peersHashes.IsDefaultOrEmpty)
        {
            (AuthenticationMethod method, SignatureScheme older) = _key.Older;
            why = method == AuthenticationMethod.None ? "the peer does not know RFC 7427, without which there is no Ed25519" : null;
            authentication = why is null ? new AuthenticationPayload(method, _key.Sign(older, octets)) : null;
            return authentication is not null;
        }

        if (SchemeFor(peersHashes) is not { } scheme)
        {
            why = $"the peer verifies {string.Join(", ", peersHashes)}, of which our key makes none";
            return false;
        }

        byte[] algorithm = scheme.Encode();
        authentication = new AuthenticationPayload(AuthenticationMethod.DigitalSignature, (byte[])[checked((byte)algorithm.Length), .. algorithm, .. _key.Sign(scheme, octets)]);
        why = null;
        return true;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<CertificatePayload> Certificates(IEnumerable<CertificateRequestPayload> requests)
    {
        if (!_certificates.IsEmpty)
        {
            return [.. _certificates.Select(static c => new CertificatePayload(CertificateEncoding.X509Signature, c.AsMemory()))];
        }

        return requests.Any(static r => r.Encoding == CertificateEncoding.RawPublicKey)
            ? [new CertificatePayload(CertificateEncoding.RawPublicKey, _key.PublicKey)]
            : [];
    }

    internal static bool TryCreate(PrivateKeyCredential credential, [NotNullWhen(true)] out PrivateKeySigner? signer, out string? why)
    {
        signer = SigningKey.TryRead(credential.PrivateKey.Reveal(), out SigningKey? key, out why) ? new PrivateKeySigner(key, credential.Certificates) : null;
        return signer is not null;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _key.Dispose();
        }
    }

    /// <summary>Of ECDSA the curve's own hash where the peer has it; else the shortest that both have.</summary>
    private SignatureScheme? SchemeFor(ImmutableArray<SignatureHash> hashes)
    {
        if (_key.Kind == SignatureKind.Ed25519)
        {
            return hashes.Contains(SignatureHash.Identity) ? new(SignatureKind.Ed25519, SignatureHash.Identity) : null;
        }

        SignatureHash best = _key.OwnHash;
        SignatureHash hash = hashes.Contains(best) ? best : Array.Find(s_shortestFirst, h => hashes.Contains(h));
        return hash == SignatureHash.None ? null
            : _key.Kind == SignatureKind.RsaPss ? SignatureScheme.Pss(hash)
            : new(_key.Kind, hash);
    }
}

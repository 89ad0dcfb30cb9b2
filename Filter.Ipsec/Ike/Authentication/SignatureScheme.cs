using Org.BouncyCastle.Asn1;
using Org.BouncyCastle.Asn1.EdEC;
using Org.BouncyCastle.Asn1.Nist;
using Org.BouncyCastle.Asn1.Pkcs;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Asn1.X9;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>Kinds of signatures.</summary>
internal enum SignatureKind : byte
{
    /// <summary>RSASSA-PKCS1-v1_5 (RFC 8017 §8.2).</summary>
    RsaPkcs1,

    /// <summary>RSASSA-PSS (RFC 8017 §8.1).</summary>
    RsaPss,

    /// <summary>ECDSA, a sequence of two integers (RFC 3279 §2.2.3).</summary>
    Ecdsa,

    /// <summary>ECDSA, both numbers one after the other, each as long as the curve's (RFC 4754 §3).</summary>
    EcdsaPlain,

    /// <summary>Ed25519 (RFC 8032).</summary>
    Ed25519,
}

/// <summary>How something is signed: what an AlgorithmIdentifier of X.509 says.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Hash">Of what is signed; <see cref="SignatureHash.Identity"/> with Ed25519.</param>
/// <param name="SaltLength">Of PSS, in bytes.</param>
internal readonly record struct SignatureScheme(SignatureKind Kind, SignatureHash Hash, int SaltLength = 0)
{
    private static readonly (DerObjectIdentifier Id, SignatureScheme Scheme)[] s_plain =
    [
        (PkcsObjectIdentifiers.Sha256WithRsaEncryption, new(SignatureKind.RsaPkcs1, SignatureHash.Sha256)),
        (PkcsObjectIdentifiers.Sha384WithRsaEncryption, new(SignatureKind.RsaPkcs1, SignatureHash.Sha384)),
        (PkcsObjectIdentifiers.Sha512WithRsaEncryption, new(SignatureKind.RsaPkcs1, SignatureHash.Sha512)),
        (X9ObjectIdentifiers.ECDsaWithSha256, new(SignatureKind.Ecdsa, SignatureHash.Sha256)),
        (X9ObjectIdentifiers.ECDsaWithSha384, new(SignatureKind.Ecdsa, SignatureHash.Sha384)),
        (X9ObjectIdentifiers.ECDsaWithSha512, new(SignatureKind.Ecdsa, SignatureHash.Sha512)),
        (EdECObjectIdentifiers.id_Ed25519, new(SignatureKind.Ed25519, SignatureHash.Identity)),
    ];

    private static readonly (DerObjectIdentifier Id, SignatureHash Hash, int Length)[] s_hashes =
    [
        (NistObjectIdentifiers.IdSha256, SignatureHash.Sha256, 32), (NistObjectIdentifiers.IdSha384, SignatureHash.Sha384, 48),
        (NistObjectIdentifiers.IdSha512, SignatureHash.Sha512, 64),
    ];

    /// <summary>PSS with a hash, and a salt as long as that (RFC 4055 §3.1).</summary>
    internal static SignatureScheme Pss(SignatureHash hash) => new(SignatureKind.RsaPss, hash, Array.Find(s_hashes, h => h.Hash == hash).Length);

    /// <summary>What an AlgorithmIdentifier says; false for what is not known, SHA-1 and MD5 among it, and for PSS without parameters (RFC 8247 §3.2).</summary>
    internal static bool TryRead(AlgorithmIdentifier algorithm, out SignatureScheme scheme)
    {
        scheme = default;
        if (algorithm.Algorithm.Equals(PkcsObjectIdentifiers.IdRsassaPss))
        {
            return TryReadPss(algorithm.Parameters, out scheme);
        }

        int at = Array.FindIndex(s_plain, p => p.Id.Equals(algorithm.Algorithm));
        bool good = at >= 0 && (algorithm.Parameters is null || algorithm.Parameters.Equals(DerNull.Instance));
        scheme = good ? s_plain[at].Scheme : default;
        return good;
    }

    /// <summary>As DER (RFC 7427 §A).</summary>
    internal byte[] Encode()
    {
        SignatureScheme self = this;
        if (Kind != SignatureKind.RsaPss)
        {
            DerObjectIdentifier id = Array.Find(s_plain, p => p.Scheme == self).Id;
            return (Kind == SignatureKind.RsaPkcs1 ? new AlgorithmIdentifier(id, DerNull.Instance) : new AlgorithmIdentifier(id)).GetDerEncoded();
        }

        AlgorithmIdentifier hash = new(Array.Find(s_hashes, h => h.Hash == self.Hash).Id, DerNull.Instance);
        AlgorithmIdentifier mask = new(PkcsObjectIdentifiers.IdMgf1, hash);
        return new AlgorithmIdentifier(
            PkcsObjectIdentifiers.IdRsassaPss, new RsassaPssParameters(hash, mask, DerInteger.ValueOf(SaltLength), RsassaPssParameters.DefaultTrailerField)).GetDerEncoded();
    }

    /// <summary>As the log says it.</summary>
    public override string ToString() => Kind switch
    {
        SignatureKind.RsaPkcs1 => $"RSA PKCS#1 with {Hash}",
        SignatureKind.RsaPss => $"RSA-PSS with {Hash}",
        SignatureKind.Ed25519 => "Ed25519",
        _ => $"ECDSA with {Hash}",
    };

    private static bool TryReadPss(Asn1Encodable? written, out SignatureScheme scheme)
    {
        scheme = default;
        if (written is null)
        {
            return false;
        }

        RsassaPssParameters pss = RsassaPssParameters.GetInstance(written);
        int at = Array.FindIndex(s_hashes, h => h.Id.Equals(pss.HashAlgorithm.Algorithm));
        bool good = at >= 0
            && pss.MaskGenAlgorithm.Algorithm.Equals(PkcsObjectIdentifiers.IdMgf1)
            && AlgorithmIdentifier.GetInstance(pss.MaskGenAlgorithm.Parameters).Algorithm.Equals(pss.HashAlgorithm.Algorithm)
            && pss.SaltLength.HasValue(s_hashes[at].Length)
            && pss.TrailerField.HasValue(1);
        scheme = good ? Pss(s_hashes[at].Hash) : default;
        return good;
    }
}

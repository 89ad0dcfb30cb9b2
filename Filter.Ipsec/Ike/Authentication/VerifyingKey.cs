using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using System.Security.Cryptography;
using Org.BouncyCastle.Asn1;
using Org.BouncyCastle.Asn1.EdEC;
using Org.BouncyCastle.Asn1.Pkcs;
using Org.BouncyCastle.Asn1.Sec;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Asn1.X9;
using Org.BouncyCastle.Crypto.Parameters;
using Org.BouncyCastle.Math.EC.Rfc8032;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>A public key that signatures are verified with: RSA of 2048 bits and more, ECDSA over P-256, P-384 and P-521, Ed25519.</summary>
internal sealed class VerifyingKey : IDisposable
{
    private const int ShortestRsa = 2048;
    private const int LongestRsa = 8192;

    private readonly RSA? _rsa;
    private readonly ECDsa? _curve;
    private readonly Ed25519PublicKeyParameters? _edwards;

    private VerifyingKey(RSA? rsa, ECDsa? curve, Ed25519PublicKeyParameters? edwards) => (_rsa, _curve, _edwards) = (rsa, curve, edwards);

    /// <summary>What it is, as the log says it: <c>RSA of 2048 bits</c>.</summary>
    internal string Name => _rsa is not null ? $"RSA of {_rsa.KeySize} bits" : _curve is not null ? $"ECDSA of {_curve.KeySize} bits" : "Ed25519";

    /// <summary>Reads a SubjectPublicKeyInfo.</summary>
    /// <param name="encoded">DER.</param>
    /// <param name="key">The key.</param>
    /// <param name="why">What is wrong.</param>
    internal static bool TryRead(ReadOnlySpan<byte> encoded, [NotNullWhen(true)] out VerifyingKey? key, out string? why)
    {
        key = null;
        if (!Der.IsSound(encoded))
        {
            why = "a public key that is no DER";
            return false;
        }

        try
        {
            SubjectPublicKeyInfo info = SubjectPublicKeyInfo.GetInstance(Asn1Object.FromByteArray(encoded.ToArray()));
            (key, why) = Import(encoded, info);
            return key is not null;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or IOException or InvalidOperationException)
        {
            why = "a public key that cannot be read";
            return false;
        }
    }

    /// <summary>Whether a signature is right. A scheme of another kind of key, or a signature of another form, is not.</summary>
    internal bool Verify(SignatureScheme scheme, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        try
        {
            HashAlgorithmName hash = SignatureHashes.NameOf(scheme.Hash);
            return scheme.Kind switch
            {
                SignatureKind.RsaPkcs1 => _rsa?.VerifyData(data, signature, hash, RSASignaturePadding.Pkcs1) == true,
                SignatureKind.RsaPss => _rsa?.VerifyData(data, signature, hash, RSASignaturePadding.Pss) == true,
                SignatureKind.Ecdsa => _curve is not null && IsTwoPositives(signature) && _curve.VerifyData(data, signature, hash, DSASignatureFormat.Rfc3279DerSequence),
                SignatureKind.EcdsaPlain => _curve?.VerifyData(data, signature, hash, DSASignatureFormat.IeeeP1363FixedFieldConcatenation) == true,
                _ => _edwards is not null && signature.Length == Ed25519.SignatureSize && _edwards.Verify(Ed25519.Algorithm.Ed25519, null, data.ToArray(), 0, data.Length, signature.ToArray(), 0),
            };
        }
        catch (Exception e) when (e is CryptographicException or AsnContentException)
        {
            return false;
        }
    }

    /// <summary>Whether it may be used with a method of RFC 4754, which names the curve.</summary>
    internal bool IsOnCurveOf(int bits) => _curve?.KeySize == bits;

    /// <inheritdoc/>
    public void Dispose()
    {
        _rsa?.Dispose();
        _curve?.Dispose();
    }

    private static (VerifyingKey? Key, string? Why) Import(ReadOnlySpan<byte> encoded, SubjectPublicKeyInfo info)
    {
        DerObjectIdentifier algorithm = info.Algorithm.Algorithm;
        if (algorithm.Equals(EdECObjectIdentifiers.id_Ed25519))
        {
            byte[] point = info.PublicKey.GetBytes();
            return point.Length == Ed25519.PublicKeySize
                ? (new VerifyingKey(null, null, new Ed25519PublicKeyParameters(point)), null)
                : (null, $"a key of Ed25519 with {point.Length} bytes");
        }

        if (algorithm.Equals(X9ObjectIdentifiers.IdECPublicKey))
        {
            // Curves of the sender's own making are none (RFC 5480 §2.1.1).
            if (info.Algorithm.Parameters?.ToAsn1Object() is not DerObjectIdentifier curve
                || !(curve.Equals(SecObjectIdentifiers.SecP256r1) || curve.Equals(SecObjectIdentifiers.SecP384r1) || curve.Equals(SecObjectIdentifiers.SecP521r1)))
            {
                return (null, "a key over a curve other than P-256, P-384 and P-521");
            }

            ECDsa key = ECDsa.Create();
            return Imported(key, encoded) ? (new VerifyingKey(null, key, null), null) : (null, "a key that is not on its curve");
        }

        if (!algorithm.Equals(PkcsObjectIdentifiers.RsaEncryption))
        {
            return (null, $"a key of {algorithm}, which is neither RSA, ECDSA nor Ed25519");
        }

        int bits = RsaPublicKeyStructure.GetInstance(info.ParsePublicKey()).Modulus.BitLength;
        if (bits is < ShortestRsa or > LongestRsa)
        {
            return (null, $"RSA of {bits} bits, when {ShortestRsa} to {LongestRsa} are taken");
        }

        RSA rsa = RSA.Create();
        return Imported(rsa, encoded) ? (new VerifyingKey(rsa, null, null), null) : (null, "a key of RSA that cannot be read");
    }

    /// <summary>A sequence of two integers as DER has them, and not a negative one, which .NET would take as if it were none.</summary>
    private static bool IsTwoPositives(ReadOnlySpan<byte> signature)
    {
        AsnReader whole = new(signature.ToArray(), AsnEncodingRules.DER), pair = whole.ReadSequence();
        bool positive = pair.ReadInteger().Sign > 0 & pair.ReadInteger().Sign > 0;
        return positive && !whole.HasData && !pair.HasData;
    }

    private static bool Imported(AsymmetricAlgorithm key, ReadOnlySpan<byte> encoded)
    {
        try
        {
            key.ImportSubjectPublicKeyInfo(encoded, out int read);
            return read == encoded.Length;
        }
        catch (CryptographicException)
        {
            key.Dispose();
            return false;
        }
    }
}
